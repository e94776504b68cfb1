// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>

#include "engine/check.h"
#include "formats/symvers.h"

#define SYMBOLS_FILE_MAX ((size_t)256 << 20)

struct loading {
	const struct target *t;
	const char *path;
	struct vmlinux *v;
};

static int add_symbol(void *arg, const char *name, size_t len, uint32_t crc)
{
	struct loading *l = arg;
	struct vmlinux_symbol s = {(uint32_t)l->v->names.len, crc};

	if (l->t->symbol_prefix && len && *name == l->t->symbol_prefix)
		name++, len--;
	buf_add(&l->v->names, name, len);
	buf_char(&l->v->names, '\0');
	buf_add(&l->v->entries, &s, sizeof(s));
	return l->v->names.err ? l->v->names.err : l->v->entries.err;
}

static void bad_line(void *arg, unsigned line, const char *text)
{
	struct loading *l = arg;

	report_event(l->t->report, .kind = EVENT_SYMBOLS_LINE, .kver = l->t->kver,
		.path = l->path, .line = line, .detail = text);
}

int vmlinux_load(const struct target *t, const char *symvers, const char *sysmap,
	struct vmlinux *ret)
{
	/* what the kernel or the linker provides, and no list has */
	static const char *const provided[] = {"__this_module", "_GLOBAL_OFFSET_TABLE_", "TOC."};
	struct loading l = {t, symvers ? symvers : sysmap, ret};
	_cleanup_(buf_done) struct buf text = {0};
	_cleanup_(closep) int fd = open(l.path, O_RDONLY | O_CLOEXEC);
	int r;

	*ret = (struct vmlinux){.has_crcs = symvers != NULL};
	if (fd < 0)
		return neg_errno();
	r = fs_read_all(fd, SYMBOLS_FILE_MAX, &text);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(provided) && r == 0; i++)
		r = add_symbol(&l, provided[i], strlen(provided[i]), 0);
	if (r < 0 || text.len == 0)
		return r;
	return symvers ? symvers_parse(text.data, text.len, add_symbol, bad_line, &l) :
			 sysmap_parse(text.data, text.len, t->symbol_prefix, add_symbol, bad_line, &l);
}

void vmlinux_done(struct vmlinux *v)
{
	buf_done(&v->names);
	buf_done(&v->entries);
}

enum { NOWHERE, IN_VMLINUX };

/* Where each string of the table is as a symbol of vmlinux, and with which CRC. */
static int place_vmlinux(const struct resolved *r, const struct vmlinux *v, uint8_t *where,
	uint32_t *crc)
{
	const struct vmlinux_symbol *s = vec_data(&v->entries, struct vmlinux_symbol);

	for (size_t i = 0; i < vec_len(&v->entries, struct vmlinux_symbol); i++) {
		const char *name = v->names.data + s[i].name;
		bool equal;
		str_id id = tables_find_str(r->t, name, strlen(name), &equal);

		for (uint32_t k = 0; !equal && k < r->n_extra; k++)
			if (str_eq(r->extra[k], name)) {
				id = r->t->n.strings + k;
				equal = true;
			}
		if (!equal)
			continue;
		where[id] = IN_VMLINUX;
		crc[id] = s[i].crc;
	}
	return 0;
}

int check_symbols(const struct resolved *r, const struct vmlinux *v, struct buf *ret)
{
	_cleanup_(freep) uint8_t *where = calloc((size_t)r->n_keys + 1, 1);
	_cleanup_(freep) uint32_t *crc = calloc((size_t)r->n_keys + 1, sizeof(*crc));
	const struct tables *t = r->t;

	if (!where || !crc)
		return -ENOMEM;
	place_vmlinux(r, v, where, crc);
	for (mod_idx i = 0; i < r->n; i++) {
		const struct mod *m = &t->mods[r->row[i]];

		for (uint32_t n = m->needs; n < m[1].needs; n++) {
			struct sym_crc want = t->pairs[NEED_PAIR(t->needs[n])];
			sym_key k = resolved_look(r, want.sym);
			struct problem p = {.mod = i, .sym = want.sym, .want = want.crc};

			if (t->needs[n] & NEED_WEAK)
				continue;
			if (k != ID_NONE && r->owner[k] != ID_NONE)
				p.have = r->owner_crc[k];
			else if (k != ID_NONE && where[k] == IN_VMLINUX)
				p.have = crc[k];
			else
				k = ID_NONE;
			p.crc = k != ID_NONE;
			if (p.crc && (!v->has_crcs || p.have == p.want))
				continue;
			buf_add(ret, &p, sizeof(p));
		}
	}
	return ret->err;
}
