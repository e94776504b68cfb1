// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The new stats are taken when the clock that stamps files has moved on: a later change
 * then cannot have the same ctime.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "base/pool.h"
#include "engine/emit.h"
#include "engine/scan.h"
#include "keep/refresh.h"

#define THREADS 2u
#define AWAIT_STEP_NS 500000
#define AWAIT_MAX 200u /* steps */

int refresh_open(int store_dir, const char *name, struct refresh *ret)
{
	struct refresh r = {.store_dir = store_dir, .name = name};
	int err;

	*ret = r;
	if (store_dir < 0)
		return 0;
	err = store_open(store_dir, name, NULL, &r.store);
	if (err)
		return err < 0 ? err : 0;
	r.was_true = calloc((size_t)r.store.t.n.mods + OUT_MAX, 1);
	/* private: what is changed in it stays here until it is written */
	if (!r.was_true ||
		mprotect(r.store.map, r.store.len, PROT_READ | PROT_WRITE) < 0) {
		refresh_close(&r);
		return -ENOMEM;
	}
	r.image = r.store.map;
	tables_place(
		&r.t, &r.store.head->counts, (char *)r.image + sizeof(struct store_head));
	*ret = r;
	return 0;
}

void refresh_close(struct refresh *r)
{
	store_close(&r->store);
	free(r->was_true);
	*r = (struct refresh){.store_dir = -1};
}

dir_row refresh_dir(const struct refresh *r, const char *path)
{
	return r->image ? tables_find_dir(&r->t, path) : ID_NONE;
}

static bool is_true(const struct stamp *then, const struct stamp *now, bool moved)
{
	return then->ino == now->ino && then->size == now->size &&
	       then->mtime == now->mtime &&
	       (moved ? then->ctime <= now->ctime : then->ctime == now->ctime);
}

static void before_output(
	struct refresh *r, const char *file, const struct stamp *now, bool moved)
{
	const struct store_head *h = r->image;

	for (unsigned i = 0; i < OUT_MAX; i++)
		if (str_eq(file, output_names[i]) && h->valid_outputs &&
			!h->outputs[i].racy)
			r->was_true[r->t.n.mods + i] =
				is_true(&h->outputs[i].stamp, now, moved);
}

void refresh_before(struct refresh *r, dir_row dir, bool is_top, const char *file,
	const struct stat *st, bool moved)
{
	struct stamp now = stamp_of(st);
	mod_row m;

	if (!r->image)
		return;
	if (is_top)
		before_output(r, file, &now, moved);
	m = dir == ID_NONE ? ID_NONE : tables_find_mod(&r->t, dir, file);
	if (m != ID_NONE && !(r->t.mods[m].flags & ROW_RACY))
		r->was_true[m] = is_true(&r->t.mods[m].stamp, &now, moved);
}

/* Links may be absolute: they are followed within the root. */
static int stat_row(const struct refresh *r, const struct root *root, const char *dir,
	int fd, mod_row m, struct stat *st)
{
	const struct mod *mod = &r->t.mods[m];
	_cleanup_(buf_done) struct buf path = {0};
	const char *file = str_of(&r->t, mod->file);

	if (!(mod->flags & ROW_LINK))
		return fstatat(fd, file, st, AT_SYMLINK_NOFOLLOW) < 0 ? neg_errno() : 0;
	buf_printf(&path, "%s/%s/%s", dir, str_of(&r->t, r->t.dirs[mod->dir].path), file);
	return path.err ? path.err : root_stat(root, path.data, st);
}

static int open_dir(
	const struct refresh *r, const struct root *root, const char *dir, dir_row d)
{
	const char *below = str_of(&r->t, r->t.dirs[d].path);
	_cleanup_(buf_done) struct buf path = {0};

	buf_printf(&path, "%s%s%s", *below == '/' ? "" : dir, *below == '/' ? "" : "/",
		below);
	return path.err ? path.err
			: root_openat(root, path.data, O_PATH | O_DIRECTORY, 0);
}

void refresh_before_links(struct refresh *r, const struct root *root, const char *dir)
{
	struct stat st;

	for (mod_row m = 0; r->image && m < r->t.n.mods; m++) {
		const struct mod *mod = &r->t.mods[m];
		struct stamp now;

		if (!(mod->flags & ROW_LINK) || (mod->flags & ROW_RACY) ||
			r->was_true[m] ||
			str_of(&r->t, r->t.dirs[mod->dir].path)[0] == '/' ||
			stat_row(r, root, dir, -1, m, &st) < 0)
			continue;
		now = stamp_of(&st);
		r->was_true[m] = is_true(&mod->stamp, &now, false);
	}
}

/*
 * Until the clock that says what can change without a sign is beyond a ctime. It moves by
 * ticks, behind the one that kernels since 6.13 stamp files with. A file system can have
 * another clock, ahead for good.
 */
static void await_clock(int64_t ctime)
{
	for (unsigned i = 0; i < AWAIT_MAX && scan_racy_limit() <= ctime; i++)
		nanosleep(&(struct timespec){.tv_nsec = AWAIT_STEP_NS}, NULL);
}

/* True if it had to be moved. */
static bool move_stamp(struct stamp *stamp, const struct stat *st)
{
	struct stamp now = stamp_of(st);

	if (!is_true(stamp, &now, true) || stamp->ctime == now.ctime)
		return false;
	stamp->ctime = now.ctime;
	return true;
}

struct finishing {
	struct refresh *r;
	const struct root *root;
	const char *dir;
	_Atomic uint32_t next;
	_Atomic unsigned moved;
	/* of those that changed so lately that another change could have the same ctime;
	 * or 0 */
	_Atomic int64_t youngest;
};

/*
 * limit: of the clock, before st was asked for. True if that is done; otherwise it is to
 * be tried when the clock has moved on.
 */
static bool settle(
	struct finishing *f, struct stamp *stamp, const struct stat *st, int64_t limit)
{
	int64_t ctime = timespec_ns(st->st_ctim), youngest = f->youngest;

	if (ctime >= limit) {
		while (ctime > youngest &&
			!atomic_compare_exchange_weak(&f->youngest, &youngest, ctime))
			;
		return false;
	}
	f->moved += move_stamp(stamp, st);
	return true;
}

static void settle_dir(struct finishing *f, dir_row d)
{
	struct refresh *r = f->r;
	_cleanup_(closep) int fd = -1;

	for (mod_row m = r->t.dirs[d].first; m < r->t.dirs[d + 1].first; m++) {
		int64_t limit = scan_racy_limit();
		struct stat st;

		if (!r->was_true[m])
			continue;
		if (fd < 0)
			fd = open_dir(r, f->root, f->dir, d);
		if (fd < 0)
			return;
		if (stat_row(r, f->root, f->dir, fd, m, &st) < 0 ||
			settle(f, &r->t.mods[m].stamp, &st, limit))
			r->was_true[m] = false;
	}
}

static void settle_worker(void *arg, unsigned i)
{
	struct finishing *f = arg;
	dir_row d;

	(void)i;
	while ((d = atomic_fetch_add(&f->next, 1)) < f->r->t.n.dirs)
		settle_dir(f, d);
}

static void settle_outputs(struct finishing *f)
{
	struct refresh *r = f->r;
	_cleanup_(closep) int fd = root_openat(f->root, f->dir, O_PATH | O_DIRECTORY, 0);
	struct store_head *h = r->image;
	struct stat st;

	for (unsigned i = 0; fd >= 0 && i < OUT_MAX; i++) {
		uint8_t *was_true = &r->was_true[r->t.n.mods + i];
		int64_t limit = scan_racy_limit();

		if (*was_true &&
			(fstatat(fd, output_names[i], &st, AT_SYMLINK_NOFOLLOW) < 0 ||
				settle(f, &h->outputs[i].stamp, &st, limit)))
			*was_true = false;
	}
}

static void settle_all(struct finishing *f)
{
	f->next = 0;
	pool_run(THREADS, settle_worker, f);
	settle_outputs(f);
}

bool refresh_any(const struct refresh *r)
{
	return r->image && memchr(r->was_true, true, (size_t)r->t.n.mods + OUT_MAX);
}

int refresh_finish(struct refresh *r, const struct root *root, const char *dir,
	int to_dir, const char *to_name)
{
	struct finishing f = {.r = r, .root = root, .dir = dir};
	struct counts counts;

	if (to_dir < 0 || !refresh_any(r))
		return 0;
	settle_all(&f);
	if (f.youngest) {
		await_clock(f.youngest);
		settle_all(&f);
	}
	if (!f.moved && to_dir == r->store_dir)
		return 0;
	counts = r->t.n;
	return store_write(to_dir, to_name, r->image, &counts);
}
