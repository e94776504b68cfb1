// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Only what the indexes need is loaded. A module's file ends in .symtab, .strtab, the
 * names of the sections and their headers, and has .modinfo and __versions near each
 * other, so that a few reads fetch everything:
 *
 *   ELF header ... .modinfo __ksymtab_strings __versions ... .symtab .strtab .shstrtab headers
 *   '--- 1 ---'    '-------------- 4 ---------------'       '----- 5 -----' '-3-'   '-- 2 --'
 *
 * Exports are the symbols __crc_NAME, whose value is the CRC or, since Linux 5.19, the
 * place of the CRC in its section. A kernel without modversions has none: then the
 * strings of __ksymtab_strings are the names. Which oddities make depmod ignore a table,
 * or fall back from one to the other, decides bytes of its output and is followed here.
 */

#include <elf.h>

#include "base/buf.h"
#include "formats/elfmod.h"

#define SPAN_SLACK 65536u /* read the gap between two sections rather than seek over it */
#define MODVERSION_SIZE 64u
#define CRC_PREFIX "__crc_"
#define CRC_PREFIX_LEN (sizeof(CRC_PREFIX) - 1)

const char *elfmod_status_text(enum elfmod_status s)
{
	static const char *const texts[ELFMOD_STATUS_MAX] = {
		[ELFMOD_OK] = "is fine",
		[ELFMOD_EMPTY] = "is empty",
		[ELFMOD_NOT_ELF] = "is not an ELF file",
		[ELFMOD_BAD_HEADER] = "has a damaged ELF header or section table",
		[ELFMOD_BAD_EXPORTS] = "has a damaged symbol table",
		[ELFMOD_CORRUPT] = "is damaged or cut short: it cannot be decompressed",
		[ELFMOD_TOO_LARGE] = "is larger than any module may be",
		[ELFMOD_UNSUPPORTED] = "is compressed in a way this build cannot read",
	};

	return (unsigned)s < ELFMOD_STATUS_MAX ? texts[s] : "is unreadable";
}

static inline uint16_t get16(const struct elfmod *m, const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return m->msb == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v
								  : __builtin_bswap16(v);
}

static inline uint32_t get32(const struct elfmod *m, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return m->msb == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v
								  : __builtin_bswap32(v);
}

/* A field that is a word: 4 bytes in ELF32, 8 in ELF64. */
static inline uint64_t get_word(const struct elfmod *m, const uint8_t *p)
{
	uint64_t v;

	if (m->elf32)
		return get32(m, p);
	memcpy(&v, p, 8);
	return m->msb == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v
								  : __builtin_bswap64(v);
}

static bool in_range(const struct elfmod *m, uint64_t off, uint64_t len)
{
	uint64_t end;

	return !__builtin_add_overflow(off, len, &end) && end <= m->in->size;
}

static int load(struct elfmod *m, uint64_t off, uint64_t len, const uint8_t **ret)
{
	int err = -EIO;

	*ret = m->in->load(m->in, off, len, &err);
	return *ret ? 0 : err;
}

struct section {
	uint64_t off;
	uint64_t size;
	bool nobits; /* occupies no bytes of the file */
};

static const uint8_t *section_header(const struct elfmod *m, unsigned i)
{
	return m->headers +
	       (size_t)i * (m->elf32 ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr));
}

/* False if the section's bytes are not in the file; depmod then skips it. */
static bool section_get(const struct elfmod *m, unsigned i, struct section *ret)
{
	const uint8_t *h = section_header(m, i);

	ret->nobits = get32(m, h + 4) == SHT_NOBITS;
	ret->off = get_word(m, h + (m->elf32 ? 16 : 24));
	ret->size = get_word(m, h + (m->elf32 ? 20 : 32));
	return in_range(m, ret->off, ret->size);
}

static int read_header(struct elfmod *m, uint64_t *ret_shoff, uint16_t *ret_shstrndx)
{
	const uint8_t *h;
	size_t len;
	int r;

	if (m->in->size == 0)
		return ELFMOD_EMPTY;
	if (m->in->size <= EI_NIDENT)
		return ELFMOD_NOT_ELF;
	r = load(m, 0, EI_NIDENT, &h);
	if (r < 0)
		return r;
	if (memcmp(h, ELFMAG, SELFMAG) != 0)
		return ELFMOD_NOT_ELF;
	m->elf32 = h[EI_CLASS] == ELFCLASS32;
	m->msb = h[EI_DATA] == ELFDATA2MSB;
	if ((!m->elf32 && h[EI_CLASS] != ELFCLASS64) ||
		(!m->msb && h[EI_DATA] != ELFDATA2LSB))
		return ELFMOD_BAD_HEADER;
	len = m->elf32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);
	if (m->in->size <= len)
		return ELFMOD_BAD_HEADER;
	r = load(m, 0, len, &h);
	if (r < 0)
		return r;
	m->machine = get16(m, h + 18);
	*ret_shoff = get_word(m, h + (m->elf32 ? 32 : 40));
	h += m->elf32 ? 46 : 58;
	if (get16(m, h) != (m->elf32 ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr)))
		return ELFMOD_BAD_HEADER;
	m->n_sections = get16(m, h + 2);
	*ret_shstrndx = get16(m, h + 4);
	return 0;
}

enum wanted {
	W_MODINFO,
	W_KSYMTAB,
	W_VERSIONS,
	W_EXT_CRCS,
	W_EXT_NAMES,
	W_SYMTAB,
	W_STRTAB,
	W_MAX,
};

static enum wanted wanted_section(const char *name)
{
	static const char *const names[W_MAX] = {
		[W_MODINFO] = ".modinfo",
		[W_KSYMTAB] = "__ksymtab_strings",
		[W_VERSIONS] = "__versions",
		[W_EXT_CRCS] = "__version_ext_crcs",
		[W_EXT_NAMES] = "__version_ext_names",
		[W_SYMTAB] = ".symtab",
		[W_STRTAB] = ".strtab",
	};

	/* nearly all sections of a module are something else */
	if (!((name[0] == '.' && (name[1] == 'm' || name[1] == 's')) ||
		    (name[0] == '_' && name[1] == '_')))
		return W_MAX;
	for (unsigned i = 0; i < W_MAX; i++)
		if (str_eq(name, names[i]))
			return i;
	return W_MAX;
}

/* Load sections [first, last] of the list with one read if they lie close together. */
static int load_group(struct elfmod *m, const struct section *found, enum wanted first,
	enum wanted last, struct span **out)
{
	uint64_t lo = UINT64_MAX, hi = 0, sum = 0;
	const uint8_t *p = NULL;
	int r;

	for (unsigned i = first; i <= last; i++) {
		if (found[i].off == 0)
			continue;
		lo = MIN(lo, found[i].off);
		hi = MAX(hi, found[i].off + found[i].size);
		sum += found[i].size;
	}
	if (lo == UINT64_MAX)
		return 0;
	if (hi - lo <= sum + SPAN_SLACK) {
		r = load(m, lo, hi - lo, &p);
		if (r < 0)
			return r;
	}
	for (unsigned i = first; i <= last; i++) {
		const uint8_t *q = NULL;

		if (found[i].off == 0)
			continue;
		if (p) {
			q = p + (found[i].off - lo);
		} else {
			r = load(m, found[i].off, found[i].size, &q);
			if (r < 0)
				return r;
		}
		*out[i] = (struct span){q, (size_t)found[i].size};
	}
	return 0;
}

static int load_sections(struct elfmod *m, const char *names, uint64_t names_len)
{
	struct span *out[W_MAX] = {
		[W_MODINFO] = &m->modinfo,
		[W_KSYMTAB] = &m->ksymtab,
		[W_VERSIONS] = &m->versions,
		[W_EXT_CRCS] = &m->ext_crcs,
		[W_EXT_NAMES] = &m->ext_names,
		[W_SYMTAB] = &m->symtab,
		[W_STRTAB] = &m->strtab,
	};
	struct section found[W_MAX] = {0};
	bool have[W_MAX] = {false};
	int r;

	for (unsigned i = 1; i < m->n_sections; i++) {
		uint32_t name = get32(m, section_header(m, i));
		enum wanted w = name < names_len ? wanted_section(names + name) : W_MAX;
		struct section s;

		if (w == W_MAX || have[w] || !section_get(m, i, &s))
			continue;
		have[w] = true;
		if (!s.nobits)
			found[w] = s;
	}
	r = load_group(m, found, W_MODINFO, W_EXT_NAMES, out);
	if (r < 0)
		return r;
	return load_group(m, found, W_SYMTAB, W_STRTAB, out);
}

int elfmod_open(struct elf_input *in, struct elfmod *ret)
{
	struct elfmod m = {.in = in};
	uint16_t shstrndx;
	const uint8_t *names;
	struct section s;
	uint64_t shoff, len;
	int r;

	r = read_header(&m, &shoff, &shstrndx);
	if (r)
		return r;
	len = (uint64_t)m.n_sections *
	      (m.elf32 ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr));
	if (!in_range(&m, shoff, len) || shstrndx == SHN_UNDEF ||
		shstrndx >= m.n_sections)
		return ELFMOD_BAD_HEADER;
	r = load(&m, shoff, len, &m.headers);
	if (r < 0)
		return r;
	/* depmod wants to know the name of the section that has the names, too */
	if (!section_get(&m, shstrndx, &s) || s.nobits ||
		get32(&m, section_header(&m, shstrndx)) >= s.size)
		return ELFMOD_BAD_HEADER;
	r = load(&m, s.off, s.size, &names);
	if (r < 0)
		return r;
	if (names[s.size - 1] != '\0')
		return ELFMOD_BAD_HEADER;
	r = load_sections(&m, (const char *)names, s.size);
	if (r < 0)
		return r;
	*ret = m;
	return 0;
}

/* --- the walk --- */

struct walk {
	struct elfmod *m;
	const struct elfmod_ops *ops;
	void *arg;
	size_t names;              /* bytes of names and values handed out */
	uint32_t records;          /* and how many these were */
	struct buf exports, needs; /* u32: places in .symtab */
	bool needs_ok;             /* or no need and no version counts */
	/* the section that the last CRC lay in */
	unsigned crc_section;
	struct span crcs;
};

/* Count a name against the limits of one module. */
static int spend(struct walk *w, size_t len)
{
	w->names += len;
	w->records++;
	return w->names > ELFMOD_NAMES_MAX || w->records > ELFMOD_RECORDS_MAX
		       ? ELFMOD_TOO_LARGE
		       : 0;
}

static enum elfmod_key info_key(const char *key, size_t len)
{
	static const char *const keys[ELFMOD_KEY_MAX] = {
		[ELFMOD_ALIAS] = "alias",
		[ELFMOD_SOFTDEP] = "softdep",
		[ELFMOD_WEAKDEP] = "weakdep",
		[ELFMOD_NAME] = "name",
		[ELFMOD_VERMAGIC] = "vermagic",
	};

	for (unsigned i = 0; i < ELFMOD_KEY_MAX; i++)
		if (len == strlen(keys[i]) && memcmp(key, keys[i], len) == 0)
			return i;
	return ELFMOD_KEY_MAX;
}

static int walk_info(struct walk *w)
{
	const char *p = (const char *)w->m->modinfo.p;
	const char *end = p ? p + w->m->modinfo.n : p;

	while (p < end) {
		size_t len = strnlen(p, (size_t)(end - p));
		const char *eq = memchr(p, '=', len);
		const char *value = eq ? eq + 1 : p + len;
		enum elfmod_key key = info_key(p, (size_t)((eq ? eq : p + len) - p));
		size_t value_len = (size_t)(p + len - value);

		if (len > 0 && key != ELFMOD_KEY_MAX) {
			int r = spend(w, value_len);

			if (!r)
				r = w->ops->info(w->arg, key, value, value_len);
			if (r)
				return r;
		}
		p += len + 1;
	}
	return 0;
}

static int walk_ksymtab(struct walk *w)
{
	const char *p = (const char *)w->m->ksymtab.p;
	size_t n = w->m->ksymtab.n;

	if (n <= 1)
		return 0;
	if (p[n - 1] != '\0')
		return ELFMOD_BAD_EXPORTS;
	for (const char *end = p + n; p < end;) {
		size_t len = strlen(p);
		int r = len ? spend(w, len) : 0;

		if (!r && len)
			r = w->ops->export(w->arg, p, len, 0);
		if (r)
			return r;
		p += len + 1;
	}
	return 0;
}

struct symbol {
	const char *name;
	uint32_t name_off;
	uint64_t value;
	uint16_t section;
	uint8_t info;
};

static inline void symbol_get(const struct elfmod *m, size_t i, struct symbol *ret)
{
	const uint8_t *p = m->symtab.p + i * (m->elf32 ? 16u : 24u);

	ret->name_off = get32(m, p);
	if (m->elf32) {
		ret->value = get32(m, p + 4);
		ret->info = p[12];
		ret->section = get16(m, p + 14);
	} else {
		ret->info = p[4];
		ret->section = get16(m, p + 6);
		ret->value = get_word(m, p + 8);
	}
}

/* The CRC that a __crc_ symbol stands for: its value, or the word it points at. */
static int resolve_crc(struct walk *w, const struct symbol *s, uint32_t *ret)
{
	struct section sec;
	int r;

	*ret = (uint32_t)s->value;
	if (s->section == SHN_ABS || s->section == SHN_UNDEF)
		return 0;
	if (s->section != w->crc_section) {
		w->crcs = (struct span){0};
		w->crc_section = s->section;
		if (s->section < w->m->n_sections &&
			section_get(w->m, s->section, &sec) && !sec.nobits) {
			r = load(w->m, sec.off, sec.size, &w->crcs.p);
			if (r < 0)
				return r;
			w->crcs.n = (size_t)sec.size;
		}
	}
	*ret = UINT32_MAX;
	if (w->crcs.n >= 4 && s->value <= w->crcs.n - 4)
		*ret = get32(w->m, w->crcs.p + s->value);
	return 0;
}

/* sparc's global registers look undefined and are not. */
static bool is_need(const struct elfmod *m, const struct symbol *s)
{
	return s->section == SHN_UNDEF &&
	       !((m->machine == EM_SPARC || m->machine == EM_SPARCV9) &&
		       ELF64_ST_TYPE(s->info) == STT_SPARC_REGISTER);
}

/* Has each record of __versions room for its name's NUL? */
static bool versions_end(const struct elfmod *m)
{
	size_t crc_len = m->elf32 ? 4 : 8;

	if (m->versions.n % MODVERSION_SIZE != 0)
		return true; /* not looked at */
	for (size_t off = 0; off < m->versions.n; off += MODVERSION_SIZE)
		if (!memchr(m->versions.p + off + crc_len, '\0',
			    MODVERSION_SIZE - crc_len))
			return false;
	return true;
}

/*
 * Find the symbols that count, in one pass over all. A name that leads out of the string
 * table makes depmod ignore all __crc_ symbols; that of an undefined symbol, all needs
 * and versions, as does a version whose name does not end.
 */
static int sort_symbols(struct walk *w, size_t n)
{
	const struct elfmod *m = w->m;
	const char *names = (const char *)m->strtab.p;
	bool exports_ok = true, needs_ok = versions_end(m);

	for (size_t i = 1; i < n; i++) {
		uint32_t at = (uint32_t)i;
		struct symbol s;

		symbol_get(m, i, &s);
		if (s.name_off >= m->strtab.n) {
			exports_ok = false;
			needs_ok = needs_ok && !is_need(m, &s);
			continue;
		}
		if (m->strtab.n - s.name_off > CRC_PREFIX_LEN &&
			names[s.name_off] == '_' &&
			memcmp(names + s.name_off, CRC_PREFIX, CRC_PREFIX_LEN) == 0)
			buf_add(&w->exports, &at, sizeof(at));
		if (is_need(m, &s))
			buf_add(&w->needs, &at, sizeof(at));
	}
	if (!exports_ok)
		w->exports.len = 0;
	w->needs_ok = needs_ok;
	return w->exports.err ? w->exports.err : w->needs.err;
}

static int walk_exports(struct walk *w)
{
	const uint32_t *at = vec_data(&w->exports, uint32_t);
	size_t n = vec_len(&w->exports, uint32_t);

	if (n == 0)
		return walk_ksymtab(w);
	for (size_t i = 0; i < n; i++) {
		struct symbol s;
		uint32_t crc;
		size_t len;
		int r;

		symbol_get(w->m, at[i], &s);
		s.name = (const char *)w->m->strtab.p + s.name_off + CRC_PREFIX_LEN;
		len = strlen(s.name);
		r = spend(w, len);
		if (!r)
			r = resolve_crc(w, &s, &crc);
		if (!r)
			r = w->ops->export(w->arg, s.name, len, crc);
		if (r)
			return r;
	}
	return 0;
}

static int walk_needs(struct walk *w)
{
	const uint32_t *at = vec_data(&w->needs, uint32_t);

	for (size_t i = 0; i < vec_len(&w->needs, uint32_t); i++) {
		struct symbol s;
		size_t len;
		int r;

		symbol_get(w->m, at[i], &s);
		s.name = (const char *)w->m->strtab.p + s.name_off;
		len = strlen(s.name);
		if (len == 0)
			continue;
		r = spend(w, len);
		if (!r)
			r = w->ops->need(
				w->arg, s.name, len, ELF64_ST_BIND(s.info) == STB_WEAK);
		if (r)
			return r;
	}
	return 0;
}

static int walk_versions(struct walk *w)
{
	const struct elfmod *m = w->m;
	unsigned crc_len = m->elf32 ? 4 : 8;

	if (m->versions.n % MODVERSION_SIZE != 0)
		return 0;
	for (size_t off = 0; off < m->versions.n; off += MODVERSION_SIZE) {
		const char *name = (const char *)m->versions.p + off + crc_len;
		size_t len = strnlen(name, MODVERSION_SIZE - crc_len);
		int r;

		r = spend(w, len);
		if (!r)
			r = w->ops->version(w->arg, name, len,
				(uint32_t)get_word(m, m->versions.p + off), false);
		if (r)
			return r;
	}
	return 0;
}

/* CRCs in one section, their names, each ended by a NUL, in another. */
static int walk_ext_versions(struct walk *w)
{
	const struct elfmod *m = w->m;
	const char *p = (const char *)m->ext_names.p;
	const char *end = p ? p + m->ext_names.n : p;

	for (size_t i = 0; i < m->ext_crcs.n / 4 && p < end; i++) {
		size_t len = strnlen(p, (size_t)(end - p));
		int r;

		if (p + len == end)
			return 0; /* the last name does not end */
		r = spend(w, len);
		if (!r)
			r = w->ops->version(
				w->arg, p, len, get32(m, m->ext_crcs.p + 4 * i), true);
		if (r)
			return r;
		p += len + 1;
	}
	return 0;
}

static int walk_symbols(struct walk *w, size_t n)
{
	int exported, r;

	/* a name that does not end is none */
	while (w->m->strtab.n && w->m->strtab.p[w->m->strtab.n - 1] != '\0')
		w->m->strtab.n--;
	r = sort_symbols(w, n);
	if (r)
		return r;
	exported = walk_exports(w);
	if (exported && exported != ELFMOD_BAD_EXPORTS)
		return exported;
	if (!w->needs_ok)
		return ELFMOD_BAD_EXPORTS;
	r = walk_needs(w);
	if (!r)
		r = walk_versions(w);
	if (!r)
		r = walk_ext_versions(w);
	return r ? r : exported;
}

int elfmod_walk(struct elfmod *m, const struct elfmod_ops *ops, void *arg)
{
	struct walk w = {.m = m, .ops = ops, .arg = arg};
	size_t entry = m->elf32 ? sizeof(Elf32_Sym) : sizeof(Elf64_Sym);
	int r = walk_info(&w);

	if (r == 0 && m->symtab.p && m->strtab.p && m->symtab.n % entry == 0)
		r = walk_symbols(&w, m->symtab.n / entry);
	else if (r == 0)
		r = walk_ksymtab(&w);
	buf_done(&w.exports);
	buf_done(&w.needs);
	return r;
}
