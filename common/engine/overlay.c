// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tables are merged from facts wherever these come from, so a module in memory is one
 * more source: the table of the tree takes the part of what is remembered, the overlay
 * that of what was read anew. All that is made of the result is made as after an
 * installation.
 */

#include <stdatomic.h>

#include "base/pool.h"
#include "engine/overlay.h"
#include "engine/read.h"
#include "model/merge.h"

/* A module file of the result, of the overlay or of the base. */
struct entry {
	const char *dir, *file;
	uint32_t origin; /* ID_NONE: of the base */
	mod_row base;
	int intake;
	uint32_t row; /* in that intake */
};

struct loading {
	const struct overlay *o;
	struct entry *entries;
	size_t n;
	struct intake *intakes;
	int *errors;
	_Atomic size_t taken;
};

static void load_worker(void *arg, unsigned i)
{
	struct loading *l = arg;
	struct decoder *d = decoder_new();
	size_t at;

	l->errors[i] = d ? 0 : -ENOMEM;
	while (!l->errors[i] && (at = atomic_fetch_add(&l->taken, 1)) < l->n) {
		struct entry *e = &l->entries[at];
		const struct overlay_file *f = &l->o->files[e->origin];

		e->intake = (int)i;
		l->errors[i] = read_bytes(&l->intakes[i], d, f->data, f->len, &e->row);
	}
	decoder_free(d);
	if (!l->errors[i])
		l->errors[i] = intake_finish(&l->intakes[i]);
}

static int entry_cmp(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	int c = strcmp(a->dir, b->dir);

	c = c ? c : strcmp(a->file, b->file);
	return c ? c : (a->origin > b->origin) - (a->origin < b->origin);
}

/* The overlay's files in the order of tables; of two with one path the later one. */
static int list_files(const struct overlay *o, struct arena *mem, struct buf *ret)
{
	struct entry *e;
	size_t n, kept = 0;

	for (size_t i = 0; i < o->n_files; i++) {
		const char *path = o->files[i].path, *slash = strrchr(path, '/');
		struct entry new = {.origin = (uint32_t)i,
			.base = ID_NONE,
			.intake = -1,
			.file = slash ? slash + 1 : path,
			.dir = slash ? arena_strdup(mem, path, (size_t)(slash - path))
				     : ""};

		if (!new.dir)
			return -ENOMEM;
		buf_add(ret, &new, sizeof(new));
	}
	if (ret->err)
		return ret->err;
	e = vec_data(ret, struct entry);
	n = vec_len(ret, struct entry);
	if (n)
		qsort(e, n, sizeof(*e), entry_cmp);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || !str_eq(e[i].dir, e[i + 1].dir) ||
			!str_eq(e[i].file, e[i + 1].file))
			e[kept++] = e[i];
	ret->len = kept * sizeof(*e);
	return 0;
}

/* The row of a path, ID_NONE if there is none. 0 or -ENOMEM. */
static int find_row(const struct tables *t, const char *path, mod_row *ret)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(freep) char *dir =
		slash ? strndup(path, (size_t)(slash - path)) : strdup("");
	dir_row d;

	if (!dir)
		return -ENOMEM;
	d = tables_find_dir(t, dir);
	*ret = d == ID_NONE ? ID_NONE : tables_find_mod(t, d, slash ? slash + 1 : path);
	return 0;
}

/* All files of the result, in the order of tables. */
static int join(const struct tables *base, const struct overlay *o,
	const struct buf *files, struct buf *ret)
{
	_cleanup_(freep) uint8_t *gone = calloc((size_t)base->n.mods + 1, 1);
	const struct entry *e = vec_data(files, struct entry),
			   *end = e + vec_len(files, struct entry);

	if (!gone)
		return -ENOMEM;
	for (size_t i = 0; i < o->n_removed; i++) {
		mod_row m;

		if (find_row(base, o->removed[i], &m) < 0)
			return -ENOMEM;
		if (m != ID_NONE)
			gone[m] = 1;
	}
	for (mod_row m = 0; m < base->n.mods; m++) {
		struct entry b = {.dir = str_of(base, base->dirs[base->mods[m].dir].path),
			.file = str_of(base, base->mods[m].file),
			.origin = ID_NONE,
			.base = m,
			.intake = -1};
		int c = 1;

		for (; e < end; e++) {
			c = strcmp(e->dir, b.dir);
			c = c ? c : strcmp(e->file, b.file);
			if (c >= 0)
				break;
			buf_add(ret, e, sizeof(*e));
		}
		if (e < end && c == 0) {
			struct entry both = *e++;

			both.base = m;
			buf_add(ret, &both, sizeof(both));
		} else if (!gone[m]) {
			buf_add(ret, &b, sizeof(b));
		}
	}
	buf_add(ret, e, (size_t)(end - e) * sizeof(*e));
	return ret->err;
}

static int merge(const struct tables *base, const struct overlay *o,
	const struct buf *all, struct intake *intakes, unsigned n_intakes,
	struct overlaid *ret)
{
	const struct entry *e = vec_data(all, struct entry);
	uint32_t n = (uint32_t)vec_len(all, struct entry);
	_cleanup_(freep) struct merge_dir *dirs = calloc((size_t)n + 1, sizeof(*dirs));
	_cleanup_(freep) struct merge_mod *mods = calloc((size_t)n + 1, sizeof(*mods));
	struct merge_input in = {.old = base,
		.intakes = intakes,
		.n_intakes = n_intakes,
		.dirs = dirs,
		.mods = mods,
		.n_mods = n};

	ret->base = malloc(((size_t)n + 1) * sizeof(*ret->base));
	ret->origin = malloc(((size_t)n + 1) * sizeof(*ret->origin));
	if (!dirs || !mods || !ret->base || !ret->origin)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++, e++) {
		if (i == 0 || !str_eq(e->dir, dirs[in.n_dirs - 1].path))
			dirs[in.n_dirs++] =
				(struct merge_dir){.path = e->dir, .first = i};
		ret->base[i] = e->base;
		ret->origin[i] = e->origin;
		mods[i] =
			(struct merge_mod){.file = e->file, .intake = (int16_t)e->intake};
		if (e->origin == ID_NONE) {
			mods[i].row = e->base;
			mods[i].stamp = base->mods[e->base].stamp;
			mods[i].flags = base->mods[e->base].flags & ROW_LINK;
		} else {
			mods[i].row = e->row;
			mods[i].stamp = (struct stamp){.size = o->files[e->origin].len,
				.mtime = o->files[e->origin].mtime};
			ret->n_modules++;
		}
	}
	dirs[in.n_dirs].first = n;
	return merge_tables(&in, 0, &ret->t, &ret->image);
}

int overlay_apply(const struct target *t, const struct tables *base,
	const struct overlay *o, struct overlaid *ret)
{
	_cleanup_(buf_done) struct buf files = {0}, all = {0};
	_cleanup_(freep) int *errors = NULL;
	struct arena mem = {0};
	struct loading l = {.o = o};
	unsigned n_threads;
	int r;

	*ret = (struct overlaid){0};
	r = list_files(o, &mem, &files);
	l.entries = vec_data(&files, struct entry);
	l.n = vec_len(&files, struct entry);
	/* a thread is worth its start for a few modules */
	n_threads = (unsigned)MAX(1u, MIN(t->jobs, l.n / 4));
	l.intakes = calloc(n_threads, sizeof(*l.intakes));
	l.errors = errors = calloc(n_threads, sizeof(*errors));
	if (!l.intakes || !errors)
		r = -ENOMEM;
	if (r == 0) {
		for (unsigned i = 0; i < n_threads; i++)
			intake_init(&l.intakes[i]);
		pool_run(n_threads, load_worker, &l);
		for (unsigned i = 0; i < n_threads; i++)
			r = r ? r : errors[i];
	}
	if (r == 0)
		r = join(base, o, &files, &all);
	if (r == 0)
		r = merge(base, o, &all, l.intakes, n_threads, ret);
	for (unsigned i = 0; l.intakes && i < n_threads; i++)
		intake_done(&l.intakes[i]);
	free(l.intakes);
	arena_done(&mem);
	if (r < 0)
		overlaid_done(ret);
	return r;
}

void overlaid_done(struct overlaid *d)
{
	free(d->image);
	free(d->base);
	free(d->origin);
	*d = (struct overlaid){0};
}
