// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The new stats are taken when the clock that stamps files has moved on: a later change
 * then cannot have the same ctime.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "base/pages.h"
#include "base/pool.h"
#include "engine/emit.h"
#include "engine/scan.h"
#include "keep/refresh.h"

#define THREADS 2u
#define WORTH_A_THREAD 500u /* stats */
#define AWAIT_STEP_NS 500000
#define AWAIT_MAX 200u /* steps */

/*
 * What is changed in it stays private until it is written; pages are copied now, before
 * threads do it.
 */
static int make_writable(struct refresh *r)
{
	if (mprotect(r->store.map, r->store.len, PROT_READ | PROT_WRITE) < 0)
		return neg_errno();
	r->image = r->store.map;
	tables_place(&r->t, &r->store.head->counts,
		(char *)r->image + sizeof(struct store_head));
	pages_prepare(r->t.mods, r->t.n.mods * sizeof(*r->t.mods));
	return 0;
}

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
	r.done = calloc((size_t)r.store.t.n.dirs + 1, sizeof(*r.done));
	if (!r.was_true || !r.done || make_writable(&r) < 0) {
		refresh_close(&r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

void refresh_close(struct refresh *r)
{
	if (r->begun)
		store_abort(&r->writer);
	store_close(&r->store);
	free(r->was_true);
	free(r->done);
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
	struct refresh *r, const char *file, const struct stamp *before, bool moved)
{
	const struct store_head *h = r->image;

	for (unsigned i = 0; i < OUT_MAX; i++)
		if (str_eq(file, output_names[i]))
			r->was_true[r->t.n.mods + i] =
				!h->valid_outputs || !is_true(&h->outputs[i].stamp,
							     before, moved)
					? IN_DOUBT
				: h->outputs[i].racy ? TO_PROVE
						     : WAS_TRUE;
}

void refresh_before(struct refresh *r, dir_row dir, bool is_top, const char *file,
	const struct stamp *before, bool moved)
{
	mod_row m;

	if (!r->image)
		return;
	if (is_top)
		before_output(r, file, before, moved);
	m = dir == ID_NONE ? ID_NONE : tables_find_mod(&r->t, dir, file);
	if (m != ID_NONE && !(r->t.mods[m].flags & ROW_RACY))
		r->was_true[m] =
			is_true(&r->t.mods[m].stamp, before, moved) ? WAS_TRUE : IN_DOUBT;
}

int64_t refresh_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return timespec_ns(now);
}

void refresh_done(struct refresh *r, dir_row dir, int64_t since)
{
	if (r->image && dir != ID_NONE)
		r->done[dir] = since;
}

void refresh_again(struct refresh *r)
{
	for (size_t i = 0; r->image && i < (size_t)r->t.n.mods + OUT_MAX; i++)
		if (r->was_true[i] == SETTLED)
			r->was_true[i] = WAS_TRUE;
	r->all_told = false;
	for (dir_row d = 0; r->image && d < r->t.n.dirs; d++)
		refresh_done(r, d, refresh_clock());
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

void refresh_pause(void)
{
	nanosleep(&(struct timespec){.tv_nsec = AWAIT_STEP_NS}, NULL);
}

/*
 * Until the clock that says what can change without a sign is beyond a ctime. It moves by
 * ticks, behind the one that kernels since 6.13 stamp files with. A file system can have
 * another clock, ahead for good.
 */
static void await_clock(int64_t ctime)
{
	for (unsigned i = 0; i < AWAIT_MAX && scan_racy_limit() <= ctime; i++)
		refresh_pause();
}

/*
 * limit: of the clock, before st was asked for; done: see refresh_done(). 0, -1 if it is in
 * doubt, or the ctime that the clock has to leave behind before this is tried again.
 */
static int64_t settle(struct refresh *r, struct stamp *stamp, const struct stat *st,
	int64_t limit, int64_t done)
{
	struct stamp now = stamp_of(st);

	if (done && now.ctime > done)
		return -1;
	if (stamp_racy(&now, limit))
		return now.ctime;
	if (!is_true(stamp, &now, true))
		return -1;
	if (stamp->ctime != now.ctime) {
		stamp->ctime = now.ctime;
		r->moved = true;
	}
	return 0;
}

/* What settle() said; it has to be tried again if this is not 0. */
static int64_t conclude(uint8_t *was_true, int64_t said)
{
	if (said > 0)
		return said;
	*was_true = said < 0 ? IN_DOUBT : SETTLED;
	return 0;
}

struct finishing {
	struct refresh *r;
	const struct root *root;
	const char *dir;
	_Atomic uint32_t next;
	_Atomic int64_t youngest; /* ctime of what has to be tried again, or 0 */
};

/*
 * f is NULL before the end: then a file with names elsewhere, which may get a link yet,
 * is left for the end. No links are looked at then: they are followed from the root.
 */
static int64_t settle_mod(struct refresh *r, mod_row m, int fd, const struct finishing *f)
{
	int64_t limit = scan_racy_limit(), said = -1;
	struct stat st;

	if (stat_row(r, f ? f->root : NULL, f ? f->dir : NULL, fd, m, &st) == 0) {
		bool elsewhere = r->t.mods[m].flags & ROW_LINK || st.st_nlink > 2;

		if (!f && elsewhere)
			return 0;
		said = settle(r, &r->t.mods[m].stamp, &st, limit,
			elsewhere ? 0 : r->done[r->t.mods[m].dir]);
	}
	return conclude(&r->was_true[m], said);
}

/*
 * Is an index still the one that was published? As settle(). Where stats prove nothing it
 * remains one whose bytes decide.
 */
static int64_t prove(struct refresh *r, struct store_output *o, int dirfd,
	const char *name, const struct stat *st, int64_t limit)
{
	_cleanup_(closep) int fd = -1;
	struct stamp now = stamp_of(st);
	struct digest digest;

	if (stamp_racy(&now, limit))
		return now.ctime;
	if (!S_ISREG(st->st_mode) || !is_true(&o->stamp, &now, true))
		return -1;
	fd = openat(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || digest_file(fd, &digest) < 0 || !digest_eq(digest, o->digest))
		return -1;
	o->stamp = now;
	o->racy = !fs_stats_trusted(dirfd);
	r->moved = true;
	return 0;
}

static int64_t settle_output(struct refresh *r, unsigned i, int dirfd)
{
	struct store_output *o = &((struct store_head *)r->image)->outputs[i];
	uint8_t *was_true = &r->was_true[r->t.n.mods + i];
	int64_t limit = scan_racy_limit();
	struct stat st;

	if (*was_true != WAS_TRUE && *was_true != TO_PROVE)
		return 0;
	if (fstatat(dirfd, output_names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
		return conclude(was_true, -1);
	return conclude(was_true,
		*was_true == WAS_TRUE ? settle(r, &o->stamp, &st, limit, 0)
				      : prove(r, o, dirfd, output_names[i], &st, limit));
}

/* The youngest ctime of what has to be tried again, or 0. */
static int64_t settle_outputs(struct refresh *r, int dirfd)
{
	int64_t youngest = 0;

	for (unsigned i = 0; i < OUT_MAX; i++)
		youngest = MAX(youngest, settle_output(r, i, dirfd));
	return youngest;
}

static bool settle_once(struct refresh *r, dir_row dir, bool is_top, int fd)
{
	bool young = is_top && settle_outputs(r, fd) != 0;

	if (dir == ID_NONE)
		return !young;
	for (mod_row m = r->t.dirs[dir].first; m < r->t.dirs[dir + 1].first; m++)
		if (r->was_true[m] == WAS_TRUE && !(r->t.mods[m].flags & ROW_LINK))
			young |= settle_mod(r, m, fd, NULL) != 0;
	return !young;
}

void refresh_settle(
	struct refresh *r, dir_row dir, bool is_top, int fd, const atomic_bool *over)
{
	while (r->image && !settle_once(r, dir, is_top, fd) && !*over)
		refresh_pause();
}

/* --- all that is left --- */

static void note_young(struct finishing *f, int64_t ctime)
{
	int64_t youngest = f->youngest;

	while (ctime > youngest &&
		!atomic_compare_exchange_weak(&f->youngest, &youngest, ctime))
		;
}

static void settle_dir(struct finishing *f, dir_row d)
{
	struct refresh *r = f->r;
	_cleanup_(closep) int fd = -1;

	for (mod_row m = r->t.dirs[d].first; m < r->t.dirs[d + 1].first; m++) {
		if (r->was_true[m] != WAS_TRUE)
			continue;
		if (fd < 0)
			fd = open_dir(r, f->root, f->dir, d);
		if (fd < 0)
			return;
		note_young(f, settle_mod(r, m, fd, f));
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

static void settle_all(struct finishing *f)
{
	_cleanup_(closep) int fd = root_openat(f->root, f->dir, O_PATH | O_DIRECTORY, 0);
	size_t left = 0;

	for (mod_row m = 0; m < f->r->t.n.mods; m++)
		left += f->r->was_true[m] == WAS_TRUE;
	f->next = 0;
	pool_run(left < WORTH_A_THREAD ? 1 : THREADS, settle_worker, f);
	if (fd >= 0)
		note_young(f, settle_outputs(f->r, fd));
}

bool refresh_any(const struct refresh *r)
{
	size_t n = r->image ? (size_t)r->t.n.mods + OUT_MAX : 0;

	return n &&
	       (memchr(r->was_true, WAS_TRUE, n) || memchr(r->was_true, TO_PROVE, n));
}

/* What is in doubt now must not be taken for true when a removal moves its ctime. */
static void mark_doubtful(struct refresh *r)
{
	struct store_head *h = r->image;

	for (mod_row m = 0; m < r->t.n.mods; m++) {
		struct mod *mod = &r->t.mods[m];

		if (r->was_true[m] == SETTLED || (mod->flags & ROW_RACY) ||
			str_of(&r->t, r->t.dirs[mod->dir].path)[0] == '/')
			continue;
		mod->flags |= ROW_RACY;
		r->moved = true;
	}
	for (unsigned i = 0; i < OUT_MAX; i++)
		if (r->was_true[r->t.n.mods + i] != SETTLED && !h->outputs[i].racy) {
			h->outputs[i].racy = true;
			r->moved = true;
		}
}

/* --- the store --- */

void refresh_prepare(struct refresh *r, int to_dir, const char *to_name)
{
	struct counts counts;

	if (!r->image || to_dir < 0)
		return;
	counts = r->t.n;
	r->begun = store_begin(to_dir, to_name, r->image, &counts, &r->writer) == 0;
}

static int write_store(struct refresh *r, int to_dir, const char *to_name)
{
	struct counts counts = r->t.n;
	int err;

	if (!r->begun)
		return store_write(to_dir, to_name, r->image, &counts);
	r->begun = false;
	err = store_again(&r->writer, r->image, &counts);
	return err < 0 ? err : store_commit(&r->writer, r->image, &counts);
}

int refresh_finish(struct refresh *r, const struct root *root, const char *dir,
	int to_dir, const char *to_name)
{
	struct finishing f = {.r = r, .root = root, .dir = dir};

	if (to_dir < 0 || !r->image || (!r->moved && !r->all_told && !refresh_any(r)))
		return 0;
	settle_all(&f);
	if (f.youngest) {
		await_clock(f.youngest);
		settle_all(&f);
	}
	if (r->all_told)
		mark_doubtful(r);
	if (!r->moved && to_dir == r->store_dir)
		return 0;
	return write_store(r, to_dir, to_name);
}
