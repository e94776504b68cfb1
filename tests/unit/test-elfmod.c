// SPDX-License-Identifier: GPL-2.0-or-later

#include "makeelf.h"

/*
 * Facts as text: "alias=VALUE|export NAME CRC|need NAME|need NAME weak|version NAME CRC|"
 */
static int list_info(void *arg, enum elfmod_key key, const char *value, size_t len)
{
	static const char *const names[] = {
		"alias", "softdep", "weakdep", "name", "vermagic"};

	buf_printf(arg, "%s=%.*s|", names[key], (int)len, value);
	return 0;
}

static int list_export(void *arg, const char *name, size_t len, uint32_t crc)
{
	buf_printf(arg, "export %.*s %x|", (int)len, name, crc);
	return 0;
}

static int list_need(void *arg, const char *name, size_t len, bool weak)
{
	buf_printf(arg, "need %.*s%s|", (int)len, name, weak ? " weak" : "");
	return 0;
}

static int list_version(void *arg, const char *name, size_t len, uint32_t crc, bool ext)
{
	buf_printf(arg, "%s %.*s %x|", ext ? "ext" : "version", (int)len, name, crc);
	return 0;
}

static const struct elfmod_ops ops = {list_info, list_export, list_need, list_version};

static int read_facts(const struct buf *file, struct buf *facts)
{
	struct elf_memory m = elf_memory(file);
	struct elfmod mod;
	int r = elfmod_open(&m.in, &mod);

	if (r == 0)
		r = elfmod_walk(&mod, &ops, facts);
	elf_memory_done(&m);
	return r;
}

/* Write e, read it, compare; and release it. */
static void expect(struct elf *e, int r, const char *want)
{
	struct buf file = {0}, facts = {0};

	elf_write(e, &file);
	assert_int_equal(read_facts(&file, &facts), r);
	assert_text(&facts, want);
	buf_done(&file);
	buf_done(&facts);
	elf_done(e);
}

static void everything(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct elf e = elf_new(kind & 1, kind & 2);
		struct buf versions = {0}, crcs = {0};
		unsigned section;

		elf_section(&e, ".modinfo",
			BYTES("license=GPL\0alias=pci:v*\0\0\0alias=x=y\0softdep=pre: "
			      "a\0weakdep=b\0"
			      "name=mod\0vermagic=6.1 SMP\0alias\0aliases=no\0"));
		elf_put(&e, &crcs, 0x11223344, 4);
		elf_put(&e, &crcs, 0x55667788, 4);
		section = elf_section(&e, "__kcrctab", crcs.data, crcs.len);
		elf_version(&e, &versions, 0xaabbccdd, "module_layout");
		elf_version(&e, &versions, 0x99, "printk");
		elf_section(&e, "__versions", versions.data, versions.len);
		elf_symbol(&e, "__crc_first", 0, section, STB_LOCAL);
		elf_symbol(&e, "__crc_second", 4, section, STB_LOCAL);
		elf_symbol(&e, "__crc_absolute", 0xcafebabe, SHN_ABS, STB_GLOBAL);
		elf_symbol(&e, "first", 0x10, 1, STB_GLOBAL);
		elf_need(&e, "printk");
		elf_symbol(&e, "maybe", 0, SHN_UNDEF, STB_WEAK);
		elf_finish(&e);
		expect(&e, 0,
			"alias=pci:v*|alias=x=y|softdep=pre: "
			"a|weakdep=b|name=mod|vermagic=6.1 SMP|alias=|"
			"export first 11223344|export second 55667788|export absolute "
			"cafebabe|"
			"need printk|need maybe weak|version module_layout "
			"aabbccdd|version printk 99|");
		buf_done(&versions);
		buf_done(&crcs);
	}
}

static void nothing(void **state)
{
	struct elf e = elf_new(false, false);

	(void)state;
	elf_section(&e, ".shstrtab", NULL, 0);
	e.sections[1].size = e.names.len;
	buf_add(&e.body, e.names.data, e.names.len);
	expect(&e, 0, "");
}

static void each_section_missing(void **state)
{
	static const struct {
		const char *without, *facts;
	} cases[] = {
		{".modinfo", "export a 1|need b|version b 2|"},
		{"__versions", "alias=x|export a 1|need b|"},
		/* without symbols the strings are the exports */
		{".symtab", "alias=x|export k 0|"},
		{".strtab", "alias=x|export k 0|"},
		{"__ksymtab_strings", "alias=x|export a 1|need b|version b 2|"},
		{"none", "alias=x|export a 1|need b|version b 2|"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct elf e = elf_new(false, false);
		struct buf versions = {0};

		elf_section(&e, ".modinfo", BYTES("alias=x\0"));
		elf_section(&e, "__ksymtab_strings", BYTES("k\0"));
		elf_version(&e, &versions, 2, "b");
		elf_section(&e, "__versions", versions.data, versions.len);
		elf_export(&e, "a", 1);
		elf_need(&e, "b");
		elf_finish(&e);
		for (unsigned s = 1; s < e.n; s++)
			if (str_eq(e.names.data + e.sections[s].name, cases[i].without))
				e.sections[s].name = 0;
		expect(&e, 0, cases[i].facts);
		buf_done(&versions);
	}
}

static void first_of_two_sections(void **state)
{
	struct elf e = elf_new(false, false);

	(void)state;
	elf_section(&e, ".modinfo", BYTES("alias=first\0"));
	elf_section(&e, ".modinfo", BYTES("alias=second\0"));
	elf_finish(&e);
	expect(&e, 0, "alias=first|");
}

static void sections_without_bytes(void **state)
{
	struct elf e = elf_new(false, false);
	unsigned s;

	(void)state;
	s = elf_section(&e, ".modinfo", BYTES("alias=x\0"));
	elf_finish(&e);
	e.sections[s].type = SHT_NOBITS;
	expect(&e, 0, "");
}

static void sections_out_of_the_file(void **state)
{
	static const struct {
		uint64_t off, size;
	} cases[] = {{64, UINT64_MAX}, {UINT64_MAX, 8}, {UINT64_MAX - 7, 8}, {1 << 20, 1},
		{64, 1 << 20}, {INT64_MAX, INT64_MAX}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (unsigned kind = 0; kind < 3; kind++) {
			struct elf e = elf_new(false, kind == 1);
			unsigned s = elf_section(&e, ".modinfo", BYTES("alias=x\0"));

			elf_export(&e, "a", 1);
			elf_finish(&e);
			s = kind == 2 ? e.n - 3 : s; /* .symtab */
			e.sections[s].off = cases[i].off;
			e.sections[s].size = cases[i].size;
			expect(&e, 0, kind == 2 ? "alias=x|" : "export a 1|");
		}
}

static void damaged_header(void **state)
{
	static const struct {
		size_t at;
		const char *bytes;
		size_t n;
		int r;
	} cases[] = {
		{0, BYTES("\x7e"), ELFMOD_NOT_ELF},
		{3, BYTES("f"), ELFMOD_NOT_ELF},
		{EI_CLASS, BYTES("\0"), ELFMOD_BAD_HEADER},
		{EI_CLASS, BYTES("\3"), ELFMOD_BAD_HEADER},
		{EI_DATA, BYTES("\0"), ELFMOD_BAD_HEADER},
		{EI_DATA, BYTES("\3"), ELFMOD_BAD_HEADER},
		{EI_DATA, BYTES("\2"), ELFMOD_BAD_HEADER}, /* the other byte order */
		{EI_CLASS, BYTES("\1"), ELFMOD_BAD_HEADER},
		{40, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"),
			ELFMOD_BAD_HEADER}, /* e_shoff */
		{40, BYTES("\0\0\0\0\0\0\0\x80"), ELFMOD_BAD_HEADER},
		{58, BYTES("\x3f\0"), ELFMOD_BAD_HEADER}, /* e_shentsize */
		{58, BYTES("\0\0"), ELFMOD_BAD_HEADER},
		{60, BYTES("\0\0"), ELFMOD_BAD_HEADER}, /* e_shnum */
		{60, BYTES("\xff\xff"), ELFMOD_BAD_HEADER},
		{62, BYTES("\0\0"), ELFMOD_BAD_HEADER}, /* e_shstrndx */
		{62, BYTES("\5\0"), ELFMOD_BAD_HEADER},
		{62, BYTES("\xff\xff"), ELFMOD_BAD_HEADER},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct elf e = elf_new(false, false);
		struct buf file = {0}, facts = {0};

		elf_section(&e, ".modinfo", BYTES("alias=x\0"));
		elf_finish(&e);
		elf_write(&e, &file);
		memcpy(file.data + cases[i].at, cases[i].bytes, cases[i].n);
		assert_int_equal(read_facts(&file, &facts), cases[i].r);
		assert_text(&facts, "");
		buf_done(&file);
		buf_done(&facts);
		elf_done(&e);
	}
}

static void damaged_section_names(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 6; kind++) {
		struct elf e = elf_new(false, false);
		struct elf_section *names;

		elf_section(&e, ".modinfo", BYTES("alias=x\0"));
		elf_finish(&e);
		names = &e.sections[e.n - 1];
		if (kind == 0)
			names->size = 0;
		else if (kind == 1)
			names->size--; /* no NUL at its end */
		else if (kind == 2)
			names->off = 1 << 30;
		else if (kind == 3)
			names->type = SHT_NOBITS;
		else if (kind == 4)
			names->name = UINT32_MAX;
		else
			/* only this section has no name */
			e.sections[1].name = UINT32_MAX;
		expect(&e, kind < 5 ? ELFMOD_BAD_HEADER : 0, "");
	}
}

static void modinfo_without_end(void **state)
{
	struct elf e = elf_new(false, false);

	(void)state;
	/* the last one ends with it */
	elf_section(&e, ".modinfo", BYTES("alias=one\0alias=two"));
	elf_finish(&e);
	expect(&e, 0, "alias=one|alias=two|");
}

static void exports_by_strings(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int r;
		const char *facts;
	} cases[] = {
		{BYTES("one\0two\0"), 0, "export one 0|export two 0|need n|"},
		{BYTES("\0\0one\0\0two\0\0"), 0, "export one 0|export two 0|need n|"},
		{BYTES("one\0two"), ELFMOD_BAD_EXPORTS, "need n|"},
		{BYTES("\0"), 0, "need n|"},
		{BYTES(""), 0, "need n|"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct elf e = elf_new(false, false);

		elf_section(&e, "__ksymtab_strings", cases[i].bytes, cases[i].n);
		elf_need(&e, "n");
		elf_finish(&e);
		expect(&e, cases[i].r, cases[i].facts);
	}
}

/* Where a __crc_ symbol points at no CRC, its CRC is one that no symbol has. */
static void crcs_out_of_their_section(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		struct elf e = elf_new(kind, false);
		unsigned s = elf_section(&e, "__kcrctab", BYTES("\1\0\0\0\2\0\0\0"));

		elf_symbol(&e, "__crc_in", 4, s, STB_LOCAL);
		elf_symbol(&e, "__crc_odd", 1, s, STB_LOCAL);
		elf_symbol(&e, "__crc_edge", 5, s, STB_LOCAL);
		elf_symbol(&e, "__crc_far", UINT64_MAX, s, STB_LOCAL);
		elf_symbol(&e, "__crc_nowhere", 0, 200, STB_LOCAL);
		elf_symbol(&e, "__crc_common", 0, SHN_COMMON, STB_LOCAL);
		elf_symbol(&e, "__crc_again", 0, s, STB_LOCAL);
		elf_finish(&e);
		expect(&e, 0,
			"export in 2|export odd 2000000|export edge ffffffff|export far "
			"ffffffff|"
			"export nowhere ffffffff|export common ffffffff|export again 1|");
	}
}

static void crc_names(void **state)
{
	struct elf e = elf_new(false, false);

	(void)state;
	elf_symbol(&e, "__crc_", 1, SHN_ABS, STB_GLOBAL);
	elf_symbol(&e, "__crc", 1, SHN_ABS, STB_GLOBAL);
	elf_symbol(&e, "_", 1, SHN_ABS, STB_GLOBAL);
	elf_symbol(&e, "x__crc_a", 1, SHN_ABS, STB_GLOBAL);
	elf_export(&e, "a", 2);
	elf_finish(&e);
	expect(&e, 0, "export  1|export a 2|");
}

/*
 * A name out of the string table: depmod then looks for exports elsewhere, and believes
 * no need.
 */
static void symbol_names_out_of_range(void **state)
{
	(void)state;
	for (unsigned undefined = 0; undefined < 2; undefined++) {
		struct elf e = elf_new(false, false);
		struct buf v = {0};

		elf_version(&e, &v, 1, "n");
		elf_version(&e, &v, 2, "only_here");
		elf_section(&e, "__versions", v.data, v.len);
		elf_section(&e, "__ksymtab_strings", BYTES("k\0"));
		elf_export(&e, "a", 1);
		elf_need(&e, "n");
		elf_symbol_at(&e, 1 << 20, 0, undefined ? SHN_UNDEF : 1, STB_GLOBAL,
			STT_NOTYPE);
		elf_finish(&e);
		if (undefined)
			expect(&e, ELFMOD_BAD_EXPORTS, "export k 0|");
		else
			expect(&e, 0,
				"export k 0|need n|version n 1|version only_here 2|");
		buf_done(&v);
	}
}

static void symbol_table_of_odd_size(void **state)
{
	struct elf e = elf_new(false, false);

	(void)state;
	elf_section(&e, "__ksymtab_strings", BYTES("k\0"));
	elf_export(&e, "a", 1);
	elf_need(&e, "n");
	elf_finish(&e);
	e.sections[e.n - 3].size--;
	expect(&e, 0, "export k 0|");
}

/* The last name does not end; whether that matters depends on whose it is. */
static void symbol_names_without_end(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		struct elf e = elf_new(false, false);

		elf_section(&e, ".modinfo", BYTES("alias=x\0"));
		elf_section(&e, "__ksymtab_strings", BYTES("k\0"));
		elf_export(&e, "a", 1);
		if (kind == 0)
			elf_need(&e, "n");
		else if (kind == 1)
			elf_symbol(&e, "defined", 0, 1, STB_GLOBAL);
		else
			buf_lit(&e.strtab, "nobody's");
		elf_finish(&e);
		e.sections[e.n - 2].size -= kind < 2;
		expect(&e, kind ? 0 : ELFMOD_BAD_EXPORTS,
			kind == 2 ? "alias=x|export a 1|" : "alias=x|export k 0|");
	}
}

/* Tables without entries are tables: what stands in the versions is needed. */
static void empty_tables(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		struct elf e = elf_new(false, false);
		struct buf v = {0};

		elf_version(&e, &v, 1, "n");
		elf_section(&e, "__ksymtab_strings", BYTES("k\0"));
		elf_section(&e, "__versions", v.data, v.len);
		elf_finish(&e);
		if (kind != 1)
			e.sections[e.n - 3].size = 0; /* .symtab */
		if (kind != 0)
			e.sections[e.n - 2].size = 0; /* .strtab */
		expect(&e, 0, "export k 0|version n 1|");
		buf_done(&v);
	}
}

static void needs(void **state)
{
	struct elf e = elf_new(false, false);

	(void)state;
	elf_need(&e, "");
	elf_need(&e, "a");
	elf_need(&e, "a");
	elf_symbol(&e, "local", 0, SHN_UNDEF, STB_LOCAL);
	elf_symbol(&e, "defined", 0, 1, STB_GLOBAL);
	elf_finish(&e);
	expect(&e, 0, "need a|need a|need local|");
}

/* sparc's global registers look undefined and are not. */
static void registers_of_sparc(void **state)
{
	static const unsigned machines[] = {EM_SPARC, EM_SPARCV9, EM_X86_64};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		struct elf e = elf_new(false, true);

		e.machine = machines[i];
		elf_symbol_at(&e, 1, 0, SHN_UNDEF, STB_GLOBAL, 13);
		buf_add(&e.strtab, "g2", 3);
		elf_finish(&e);
		expect(&e, 0, i < 2 ? "" : "need g2|");
	}
}

static void versions(void **state)
{
	static const char full[] =
		"0123456789012345678901234567890123456789012345678901234";

	(void)state;
	for (unsigned odd = 0; odd < 2; odd++) {
		struct elf e = elf_new(false, false);
		struct buf v = {0};

		elf_version(&e, &v, 1, "a");
		elf_version(&e, &v, 2, "");
		elf_version(&e, &v, 3, full);
		elf_section(&e, "__versions", v.data, v.len - odd);
		elf_need(&e, "a");
		elf_finish(&e);
		expect(&e, 0,
			odd ? "need a|"
			    : "need a|version a 1|version  2|version 0123456789012345678"
			      "901234567890123456789012345678901234 3|");
		buf_done(&v);
	}
}

/* A name that fills its record makes depmod believe no need and no version. */
static void version_without_end(void **state)
{
	(void)state;
	for (unsigned elf32 = 0; elf32 < 2; elf32++) {
		struct elf e = elf_new(elf32, false);
		struct buf v = {0};
		char name[65] = {0};

		memset(name, 'n', 64 - elf_word(&e));
		elf_version(&e, &v, 1, "a");
		elf_version(&e, &v, 2, name);
		elf_section(&e, "__versions", v.data, v.len);
		elf_export(&e, "x", 3);
		elf_need(&e, "a");
		elf_finish(&e);
		expect(&e, ELFMOD_BAD_EXPORTS, "export x 3|");
		buf_done(&v);
	}
}

static void extended_versions(void **state)
{
	static const struct {
		const char *names;
		size_t n_names;
		unsigned n_crcs;
		const char *facts;
	} cases[] = {
		{BYTES("a\0long_name\0"), 2, "need a|ext a 64|ext long_name 65|"},
		{BYTES("a\0long_name\0"), 1, "need a|ext a 64|"},
		{BYTES("a\0long_name\0"), 5, "need a|ext a 64|ext long_name 65|"},
		{BYTES("a\0long_name"), 2, "need a|ext a 64|"},
		{BYTES(""), 2, "need a|"},
		{BYTES("a\0"), 0, "need a|"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct elf e = elf_new(false, i & 1);
		struct buf crcs = {0};

		for (unsigned k = 0; k < cases[i].n_crcs; k++)
			elf_put(&e, &crcs, 100 + k, 4);
		buf_lit(&crcs, "odd"); /* less than one more */
		elf_section(&e, "__version_ext_crcs", crcs.data, crcs.len);
		elf_section(&e, "__version_ext_names", cases[i].names, cases[i].n_names);
		elf_need(&e, "a");
		elf_finish(&e);
		expect(&e, 0, cases[i].facts);
		buf_done(&crcs);
	}
}

static void long_names(void **state)
{
	enum { LEN = 100000 };
	char *name = malloc(LEN + 1);
	struct elf e = elf_new(false, false);
	struct buf want = {0};

	(void)state;
	memset(name, 'n', LEN);
	name[LEN] = '\0';
	elf_need(&e, name);
	elf_finish(&e);
	buf_printf(&want, "need %s|", name);
	buf_char(&want, '\0');
	expect(&e, 0, want.data);
	buf_done(&want);
	free(name);
}

static int ignore_need(void *arg, const char *name, size_t len, bool weak)
{
	(void)name, (void)len, (void)weak;
	++*(unsigned *)arg;
	return 0;
}

/* A million symbols that all have one long name are more names than a module may have. */
static void names_without_number(void **state)
{
	static const struct elfmod_ops count = {.need = ignore_need};
	struct elf e = elf_new(true, false);
	struct buf file = {0};
	struct elf_memory m;
	struct elfmod mod;
	unsigned n = 0;
	enum { LEN = 4096 };
	char name[LEN + 1];

	(void)state;
	memset(name, 'n', LEN);
	name[LEN] = '\0';
	elf_need(&e, name);
	for (unsigned i = 0; i < 1000000; i++)
		elf_symbol_at(&e, 1, 0, SHN_UNDEF, STB_GLOBAL, STT_NOTYPE);
	elf_finish(&e);
	elf_write(&e, &file);
	m = elf_memory(&file);
	assert_int_equal(elfmod_open(&m.in, &mod), 0);
	assert_int_equal(elfmod_walk(&mod, &count, &n), ELFMOD_TOO_LARGE);
	assert_int_equal(n, ELFMOD_NAMES_MAX / LEN);
	elf_memory_done(&m);
	buf_done(&file);
	elf_done(&e);
}

static void sample(struct buf *file, bool elf32, bool msb)
{
	struct elf e = elf_new(elf32, msb);
	struct buf v = {0};
	unsigned s;

	elf_section(&e, ".modinfo", BYTES("alias=x\0name=y\0"));
	s = elf_section(&e, "__kcrctab", BYTES("\1\2\3\4"));
	elf_section(&e, "__ksymtab_strings", BYTES("a\0"));
	elf_version(&e, &v, 1, "n");
	elf_section(&e, "__versions", v.data, v.len);
	elf_section(&e, "__version_ext_crcs", BYTES("\1\2\3\4"));
	elf_section(&e, "__version_ext_names", BYTES("n\0"));
	elf_symbol(&e, "__crc_a", 0, s, STB_LOCAL);
	elf_need(&e, "n");
	elf_finish(&e);
	elf_write(&e, file);
	buf_done(&v);
	elf_done(&e);
}

static void cut_anywhere(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct buf file = {0}, facts = {0};

		sample(&file, kind & 1, kind & 2);
		for (size_t n = 0, len = file.len; n < len; n++) {
			file.len = n;
			assert_int_equal(read_facts(&file, &facts),
				n == 0           ? ELFMOD_EMPTY
				: n <= EI_NIDENT ? ELFMOD_NOT_ELF
						 : ELFMOD_BAD_HEADER);
			assert_int_equal(facts.len, 0);
		}
		buf_done(&file);
		buf_done(&facts);
	}
}

/* Any bit of any byte: an answer, and no look beyond what is there. */
static void any_bit_wrong(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct buf file = {0};

		sample(&file, kind & 1, kind & 2);
		for (size_t at = 0; at < file.len; at++)
			for (unsigned bit = 0; bit < 8; bit++) {
				struct buf facts = {0};
				int r;

				file.data[at] ^= (char)(1 << bit);
				r = read_facts(&file, &facts);
				assert_true(r >= 0 && r < ELFMOD_STATUS_MAX);
				buf_done(&facts);
				file.data[at] ^= (char)(1 << bit);
			}
		buf_done(&file);
	}
}

/* Each word of the headers is each of the numbers that overflow something. */
static void any_word_extreme(void **state)
{
	static const uint64_t extremes[] = {0, 1, UINT32_MAX, INT32_MAX, UINT64_MAX,
		INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 4095};

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct buf file = {0};
		unsigned word = kind & 1 ? 4 : 8;

		sample(&file, kind & 1, kind & 2);
		for (size_t at = EI_NIDENT; at + word <= file.len; at += 4)
			for (size_t x = 0; x < ARRAY_SIZE(extremes); x++) {
				struct buf facts = {0};
				char saved[8];
				int r;

				memcpy(saved, file.data + at, word);
				memcpy(file.data + at, &extremes[x], word);
				r = read_facts(&file, &facts);
				assert_true(r >= 0 && r < ELFMOD_STATUS_MAX);
				memcpy(file.data + at, saved, word);
				buf_done(&facts);
			}
		buf_done(&file);
	}
}

static void errors_of_the_input(void **state)
{
	struct buf file = {0}, facts = {0};
	int fails = 0;

	(void)state;
	sample(&file, false, false);
	for (int n = 1;; n++) {
		struct elf_memory m = elf_memory(&file);
		struct elfmod mod;
		int r;

		m.fail_at = n;
		m.err = -EIO;
		r = elfmod_open(&m.in, &mod);
		if (r == 0)
			r = elfmod_walk(&mod, &ops, &facts);
		elf_memory_done(&m);
		if (r == 0)
			break;
		assert_int_equal(r, -EIO);
		fails++;
	}
	assert_true(fails >= 5);
	buf_done(&file);
	buf_done(&facts);
}

static int stop_info(void *arg, enum elfmod_key key, const char *value, size_t len)
{
	(void)key, (void)value, (void)len;
	return --*(int *)arg ? 0 : -ENOMEM;
}

static int stop_symbol(void *arg, const char *name, size_t len, uint32_t crc)
{
	(void)crc;
	return stop_info(arg, 0, name, len);
}

static int stop_need(void *arg, const char *name, size_t len, bool weak)
{
	(void)weak;
	return stop_info(arg, 0, name, len);
}

static int stop_version(void *arg, const char *name, size_t len, uint32_t crc, bool ext)
{
	(void)crc, (void)ext;
	return stop_info(arg, 0, name, len);
}

static void stops_when_told(void **state)
{
	static const struct elfmod_ops stop = {
		stop_info, stop_symbol, stop_need, stop_version};
	struct buf file = {0};

	(void)state;
	sample(&file, false, false);
	for (int n = 1; n <= 7; n++) {
		struct elf_memory m = elf_memory(&file);
		struct elfmod mod;
		int left = n;

		assert_int_equal(elfmod_open(&m.in, &mod), 0);
		assert_int_equal(elfmod_walk(&mod, &stop, &left), n <= 6 ? -ENOMEM : 0);
		elf_memory_done(&m);
	}
	buf_done(&file);
}

static void words_for_every_status(void **state)
{
	(void)state;
	for (int s = 0; s < ELFMOD_STATUS_MAX; s++)
		assert_true(strlen(elfmod_status_text(s)) > 0);
	assert_non_null(elfmod_status_text(ELFMOD_STATUS_MAX));
	assert_non_null(elfmod_status_text(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything),
		cmocka_unit_test(nothing),
		cmocka_unit_test(each_section_missing),
		cmocka_unit_test(first_of_two_sections),
		cmocka_unit_test(sections_without_bytes),
		cmocka_unit_test(sections_out_of_the_file),
		cmocka_unit_test(damaged_header),
		cmocka_unit_test(damaged_section_names),
		cmocka_unit_test(modinfo_without_end),
		cmocka_unit_test(exports_by_strings),
		cmocka_unit_test(crcs_out_of_their_section),
		cmocka_unit_test(crc_names),
		cmocka_unit_test(symbol_names_out_of_range),
		cmocka_unit_test(symbol_table_of_odd_size),
		cmocka_unit_test(symbol_names_without_end),
		cmocka_unit_test(empty_tables),
		cmocka_unit_test(needs),
		cmocka_unit_test(registers_of_sparc),
		cmocka_unit_test(versions),
		cmocka_unit_test(version_without_end),
		cmocka_unit_test(extended_versions),
		cmocka_unit_test(long_names),
		cmocka_unit_test(names_without_number),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(any_bit_wrong),
		cmocka_unit_test(any_word_extreme),
		cmocka_unit_test(errors_of_the_input),
		cmocka_unit_test(stops_when_told),
		cmocka_unit_test(words_for_every_status),
	};

	return RUN(tests);
}
