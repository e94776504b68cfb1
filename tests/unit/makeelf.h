/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * makeelf.h: makes relocatable ELF files in memory, and serves them to the reader.
 *
 *   file  ELF header | contents of sections | section headers
 *
 * Section 0 is null, the last is .shstrtab. Nothing is checked: bad files are wanted.
 */

#include <elf.h>

#include "formats/elfmod.h"
#include "unit.h"

struct elf {
	bool elf32, msb;
	unsigned machine;
	unsigned n; /* sections, with the null one */
	struct elf_section {
		uint32_t name, type;
		uint64_t off, size;
	} sections[16];
	struct buf names, body, symtab, strtab;
};

static inline void elf_put(const struct elf *e, struct buf *b, uint64_t v, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		buf_char(b, (char)(v >> 8 * (e->msb ? size - 1 - i : i)));
}

static inline unsigned elf_word(const struct elf *e)
{
	return e->elf32 ? 4 : 8;
}

static inline size_t elf_header_size(const struct elf *e)
{
	return e->elf32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);
}

static inline struct elf elf_new(bool elf32, bool msb)
{
	struct elf e = {.elf32 = elf32, .msb = msb, .machine = EM_X86_64, .n = 1};

	buf_char(&e.names, '\0');
	buf_char(&e.strtab, '\0');
	for (unsigned i = 0; i < (elf32 ? sizeof(Elf32_Sym) : sizeof(Elf64_Sym)); i++)
		buf_char(&e.symtab, '\0');
	return e;
}

static inline void elf_done(struct elf *e)
{
	buf_done(&e->names);
	buf_done(&e->body);
	buf_done(&e->symtab);
	buf_done(&e->strtab);
}

/* Returns the section's number. */
static inline unsigned elf_section(
	struct elf *e, const char *name, const void *data, size_t len)
{
	struct elf_section *s = &e->sections[e->n];

	assert_true(e->n < ARRAY_SIZE(e->sections));
	*s = (struct elf_section){.name = (uint32_t)e->names.len,
		.type = SHT_PROGBITS,
		.off = elf_header_size(e) + e->body.len,
		.size = len};
	buf_add(&e->names, name, strlen(name) + 1);
	buf_add(&e->body, data, len);
	return e->n++;
}

static inline void elf_symbol_at(struct elf *e, uint32_t name, uint64_t value,
	unsigned section, unsigned bind, unsigned type)
{
	elf_put(e, &e->symtab, name, 4);
	if (e->elf32) {
		elf_put(e, &e->symtab, value, 4);
		elf_put(e, &e->symtab, 0, 4);
	}
	elf_put(e, &e->symtab, bind << 4 | type, 1);
	elf_put(e, &e->symtab, 0, 1);
	elf_put(e, &e->symtab, section, 2);
	if (!e->elf32) {
		elf_put(e, &e->symtab, value, 8);
		elf_put(e, &e->symtab, 0, 8);
	}
}

static inline void elf_symbol(
	struct elf *e, const char *name, uint64_t value, unsigned section, unsigned bind)
{
	elf_symbol_at(e, (uint32_t)e->strtab.len, value, section, bind, STT_NOTYPE);
	buf_add(&e->strtab, name, strlen(name) + 1);
}

static inline void elf_need(struct elf *e, const char *name)
{
	elf_symbol(e, name, 0, SHN_UNDEF, STB_GLOBAL);
}

/* An export as it was before Linux 5.19: the symbol's value is the CRC. */
static inline void elf_export(struct elf *e, const char *name, uint32_t crc)
{
	char symbol[300];

	snprintf(symbol, sizeof(symbol), "__crc_%s", name);
	elf_symbol(e, symbol, crc, SHN_ABS, STB_GLOBAL);
}

/* A record of __versions; name may fill it without a NUL. */
static inline void elf_version(
	struct elf *e, struct buf *versions, uint32_t crc, const char *name)
{
	char text[64] = {0};

	elf_put(e, versions, crc, elf_word(e));
	memcpy(text, name, MIN(strlen(name), 64 - elf_word(e)));
	buf_add(versions, text, 64 - elf_word(e));
}

static inline void elf_header(const struct elf *e, uint64_t shoff, struct buf *out)
{
	const char ident[EI_NIDENT] = {0x7f, 'E', 'L', 'F',
		e->elf32 ? ELFCLASS32 : ELFCLASS64, e->msb ? ELFDATA2MSB : ELFDATA2LSB,
		EV_CURRENT};

	buf_add(out, ident, sizeof(ident));
	elf_put(e, out, ET_REL, 2);
	elf_put(e, out, e->machine, 2);
	elf_put(e, out, EV_CURRENT, 4);
	elf_put(e, out, 0, elf_word(e));
	elf_put(e, out, 0, elf_word(e));
	elf_put(e, out, shoff, elf_word(e));
	elf_put(e, out, 0, 4);
	elf_put(e, out, elf_header_size(e), 2);
	elf_put(e, out, 0, 2);
	elf_put(e, out, 0, 2);
	elf_put(e, out, e->elf32 ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr), 2);
	elf_put(e, out, e->n, 2);
	elf_put(e, out, e->n - 1, 2);
}

/* Put the section names and then everything together. Sections may be changed before. */
static inline void elf_write(struct elf *e, struct buf *out)
{
	uint64_t shoff = elf_header_size(e) + e->body.len;

	elf_header(e, shoff, out);
	buf_add(out, e->body.data, e->body.len);
	for (unsigned i = 0; i < e->n; i++) {
		const struct elf_section *s = &e->sections[i];

		elf_put(e, out, s->name, 4);
		elf_put(e, out, s->type, 4);
		elf_put(e, out, 0, elf_word(e));
		elf_put(e, out, 0, elf_word(e));
		elf_put(e, out, s->off, elf_word(e));
		elf_put(e, out, s->size, elf_word(e));
		elf_put(e, out, 0, 8);
		elf_put(e, out, 0, elf_word(e));
		elf_put(e, out, 0, elf_word(e));
	}
	assert_int_equal(out->err, 0);
}

static inline void elf_finish(struct elf *e)
{
	elf_section(e, ".symtab", e->symtab.data, e->symtab.len);
	elf_section(e, ".strtab", e->strtab.data, e->strtab.len);
	elf_section(e, ".shstrtab", NULL, 0);
	e->sections[e->n - 1].size = e->names.len;
	buf_add(&e->body, e->names.data, e->names.len);
}

/* An input that gives each part in memory of its own, to its very end. */
struct elf_memory {
	struct elf_input in;
	const uint8_t *data;
	struct buf parts; /* void * */
	int fail_at, err; /* the n-th load fails with err; 0: none does */
};

static inline const uint8_t *elf_load(
	struct elf_input *in, uint64_t off, uint64_t len, int *err)
{
	struct elf_memory *m = (struct elf_memory *)in;
	void *part;

	if (m->fail_at && --m->fail_at == 0) {
		*err = m->err;
		return NULL;
	}
	assert_true(off <= in->size && len <= in->size - off);
	part = exact(m->data + off, (size_t)len);
	buf_add(&m->parts, &part, sizeof(part));
	return part;
}

static inline struct elf_memory elf_memory(const struct buf *file)
{
	return (struct elf_memory){.in = {.size = file->len, .load = elf_load},
		.data = (const uint8_t *)file->data};
}

static inline void elf_memory_done(struct elf_memory *m)
{
	for (size_t i = 0; i < vec_len(&m->parts, void *); i++)
		free(vec_data(&m->parts, void *)[i]);
	buf_done(&m->parts);
}
