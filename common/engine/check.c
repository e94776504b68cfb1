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

int vmlinux_parse(const struct target *t, const char *path, const char *text, size_t len,
	bool symvers, struct vmlinux *ret)
{
	/* what the kernel or the linker provides, and no list has */
	static const char *const provided[] = {
		"__this_module", "_GLOBAL_OFFSET_TABLE_", "TOC."};
	struct loading l = {t, path, ret};
	int r = 0;

	*ret = (struct vmlinux){.has_crcs = symvers};
	for (size_t i = 0; i < ARRAY_SIZE(provided) && r == 0; i++)
		r = add_symbol(&l, provided[i], strlen(provided[i]), 0);
	if (r < 0 || len == 0)
		return r;
	return symvers ? symvers_parse(text, len, add_symbol, bad_line, &l)
		       : sysmap_parse(
				 text, len, t->symbol_prefix, add_symbol, bad_line, &l);
}

int vmlinux_load(const struct target *t, const char *symvers, const char *sysmap,
	struct vmlinux *ret)
{
	const char *path = symvers ? symvers : sysmap;
	_cleanup_(buf_done) struct buf text = {0};
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	*ret = (struct vmlinux){0};
	r = fd < 0 ? neg_errno() : fs_read_all(fd, SYMBOLS_FILE_MAX, &text);
	return r < 0 ? r
		     : vmlinux_parse(t, path, text.data, text.len, symvers != NULL, ret);
}

void vmlinux_done(struct vmlinux *v)
{
	buf_done(&v->names);
	buf_done(&v->entries);
}

/* What vmlinux has of each key. */
struct in_vmlinux {
	uint32_t crc;
	bool there;
};

struct extra_key {
	const char *name;
	sym_key key;
};

static int extra_cmp(const void *a, const void *b)
{
	return strcmp(
		((const struct extra_key *)a)->name, ((const struct extra_key *)b)->name);
}

static int place_vmlinux(
	const struct resolved *r, const struct vmlinux *v, struct in_vmlinux *where)
{
	const struct vmlinux_symbol *s = vec_data(&v->entries, struct vmlinux_symbol);
	_cleanup_(freep) struct extra_key *extra =
		calloc((size_t)r->n_extra + 1, sizeof(*extra));

	if (!extra)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->n_extra; i++)
		extra[i] = (struct extra_key){r->extra[i], r->t->n.strings + i};
	qsort(extra, r->n_extra, sizeof(*extra), extra_cmp);
	for (size_t i = 0; i < vec_len(&v->entries, struct vmlinux_symbol); i++) {
		struct extra_key want = {.name = v->names.data + s[i].name},
				 *found = NULL;
		bool equal;
		sym_key k = tables_find_str(r->t, want.name, strlen(want.name), &equal);

		if (!equal)
			found = bsearch(
				&want, extra, r->n_extra, sizeof(*extra), extra_cmp);
		if (equal || found)
			where[equal ? k : found->key] =
				(struct in_vmlinux){s[i].crc, true};
	}
	return 0;
}

int check_symbols(const struct resolved *r, const struct vmlinux *v, struct buf *ret)
{
	_cleanup_(freep) struct in_vmlinux *vmlinux =
		calloc((size_t)r->n_keys + 1, sizeof(*vmlinux));
	const struct tables *t = r->t;
	int err = vmlinux ? place_vmlinux(r, v, vmlinux) : -ENOMEM;

	if (err < 0)
		return err;
	for (mod_idx i = 0; i < r->n; i++) {
		const struct mod *m = &t->mods[r->row[i]];

		for (uint32_t n = m->needs; n < m[1].needs; n++) {
			struct sym_crc want = t->pairs[NEED_PAIR(t->needs[n])];
			sym_key k = resolved_look(r, want.sym);
			bool owned = r->owner[k] != ID_NONE;
			struct problem p = {.mod = i,
				.sym = want.sym,
				.want = want.crc,
				.have = owned ? r->owner_crc[k] : vmlinux[k].crc,
				.crc = owned || vmlinux[k].there};

			if ((t->needs[n] & NEED_WEAK) ||
				(p.crc && (!v->has_crcs || p.have == p.want)))
				continue;
			buf_add(ret, &p, sizeof(p));
		}
	}
	return ret->err;
}
