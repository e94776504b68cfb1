// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * First it is found out what is missing and can be put back, then that is written down,
 * and then it is put back: after a kill the next restore goes on, and clean knows what is
 * ours. Directories are made by one thread and filled by another, as in copy.c.
 */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "keep/dangling.h"
#include "keep/link.h"
#include "keep/putback.h"
#include "keep/tree.h"

#define THREADS 2u

struct missing {
	bool wanted; /* it is missing, and not because somebody asked for that */
	int kept;    /* 0: there is a file of its name in the kept tree; or -errno */
	bool other;  /* but not the one that was kept */
	struct stamp stamp;
	bool alone; /* nobody else has a name of it */
};

struct missing_dir {
	bool wanted;
	mode_t mode; /* of the kept one, with S_IFDIR; 0: it is gone */
};

struct failure {
	int err;
	uint32_t d; /* the directory that it is about */
};

struct putting {
	struct keep *k;
	bool in_tree; /* the kernel's own, too */
	dev_t dev;
	/* of modules that were added to the kernel and are there, each with a NUL */
	struct buf names;
	struct missing *files; /* as in the manifest */
	struct missing_dir *dirs;
	unsigned linked;  /* files that are missing and can be put back */
	unsigned missing; /* those that cannot */
	/* the threads': */
	_Atomic uint32_t checked; /* which directory is next; so the others */
	_Atomic int unchecked;
	char store[STORE_NAME_MAX + 1];
	struct refresh refresh;
	_Atomic uint32_t made, filled;
	atomic_bool filling, stop, all_filled;
	struct failure cannot_make, cannot_fill;
	bool copied; /* the manifest says another thing than its file */
};

/* --- what is there already --- */

static bool leads_to_file(const struct putting *p, const char *below)
{
	_cleanup_(buf_done) struct buf path = {0};
	struct stat st;

	buf_printf(&path, "%s/%s", p->k->dir, below);
	return !path.err && root_stat(p->k->root, path.data, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

static int collect_names(struct putting *p, const char *below, int depth)
{
	int fd = live_open(p->k, p->k->dir, below), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		closep(&fd);
		return fd >= 0 ? -ENOMEM : fs_err_is_files_own(fd) ? 0 : fd;
	}
	while (r == 0 && (e = readdir(d))) {
		_cleanup_(buf_done) struct buf sub = {0};

		buf_printf(&sub, "%s%s%s", below, *below ? "/" : "", e->d_name);
		if (e->d_name[0] == '.' || is_in_tree(sub.data ? sub.data : ""))
			continue;
		if (fs_entry_type(fd, e) == DT_DIR && depth < 16) {
			r = sub.err ? sub.err : collect_names(p, sub.data, depth + 1);
		} else if (is_module(e->d_name) && leads_to_file(p, sub.data)) {
			char *to = buf_reserve(&p->names, modname_len(e->d_name) + 1);

			if (to)
				p->names.len += modname_copy(to, e->d_name) + 1;
			r = p->names.err;
		}
	}
	closedir(d);
	return r;
}

static bool has_name(const struct putting *p, const char *file)
{
	char name[NAME_MAX + 1];

	modname_copy(name, file);
	for (size_t at = 0; at < p->names.len; at += strlen(p->names.data + at) + 1)
		if (str_eq(p->names.data + at, name))
			return true;
	return false;
}

/* Does this kept file belong where it was? */
static bool is_wanted(const struct putting *p, uint32_t d, uint32_t f)
{
	const struct manifest *m = &p->k->manifest;
	const char *name = m->files[f].name;

	if (p->k->marks[m->n_dirs + f] == 'R')
		return false;
	if (is_in_tree(m->dirs[d].path) || !is_module(name))
		return p->in_tree;
	/* a new file of this module wins, wherever it is */
	return p->k->pending && !has_name(p, name);
}

/* --- what is missing --- */

static int path_of(const struct putting *p, uint32_t d, const char *name, struct buf *ret)
{
	const char *below = p->k->manifest.dirs[d].path;

	buf_printf(ret, "%s/%s%s%s", p->k->dir, below, *below ? "/" : "", name);
	return ret->err;
}

static bool is_in_the_way(struct putting *p, uint32_t d, const char *name)
{
	_cleanup_(buf_done) struct buf path = {0};

	if (path_of(p, d, name, &path) < 0 || !dangling_stays(p->k, path.data))
		return false;
	keep_strange(p->k, "/%s", path.data);
	return true;
}

static int find_missing_of(struct putting *p, uint32_t d)
{
	struct keep *k = p->k;
	const struct manifest *m = &k->manifest;
	const char *below = m->dirs[d].path;
	_cleanup_(closep) int fd = live_open_plain(k, k->dir, below);
	bool any = false,
	     blocked = (fd == -ELOOP || fd == -ENOTDIR) && dangling_blocks(k, below);

	if (blocked)
		fd = live_open(k, k->dir, below);
	for (uint32_t f = m->dirs[d].first; f < m->dirs[d + 1].first; f++) {
		char *mark = &k->marks[m->n_dirs + f];
		struct stat st;
		int how = is_wanted(p, d, f) ? live_look(k, k->dir, fd, p->dev, d, f, &st)
					     : LIVE_OTHER;

		if (how < 0)
			return how;
		if (blocked && *mark == 'L')
			*mark = '.';
		if (how != LIVE_GONE)
			continue;
		if (fd >= 0 && kept_is_target(&m->files[f]) &&
			is_in_the_way(p, d, m->files[f].name))
			continue;
		any = true;
		p->files[f].wanted = !blocked;
	}
	if (blocked && any)
		keep_strange(k, "/%s/%s", k->dir, below);
	p->dirs[d].wanted = fd < 0 && !blocked && (any || p->in_tree);
	return 0;
}

static uint32_t parent_of(const struct manifest *m, uint32_t d)
{
	const char *path = m->dirs[d].path, *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	uint32_t p = d;

	while (p-- > 0)
		if (strlen(m->dirs[p].path) == len &&
			memcmp(m->dirs[p].path, path, len) == 0)
			return p;
	return 0;
}

/* Directories that are missing above those that are. */
static void find_parents(struct putting *p)
{
	const struct keep *k = p->k;

	for (uint32_t d = k->manifest.n_dirs; d-- > 1;) {
		uint32_t up = parent_of(&k->manifest, d);
		_cleanup_(closep) int fd = -1;

		if (!p->dirs[d].wanted || p->dirs[up].wanted)
			continue;
		fd = live_open(k, k->dir, k->manifest.dirs[up].path);
		p->dirs[up].wanted = fd < 0;
	}
}

static int find_missing(struct putting *p)
{
	int r = 0;

	for (uint32_t d = 0; r == 0 && d < p->k->manifest.n_dirs; d++)
		r = find_missing_of(p, d);
	if (r == 0)
		find_parents(p);
	return r;
}

/* --- what was kept of it --- */

static int check_file(const struct putting *p, int kept, uint32_t f)
{
	const struct kept_file *file = &p->k->manifest.files[f];
	struct missing *is = &p->files[f];
	struct stat st = {0};

	if (kept < 0 || fstatat(kept, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		is->kept = kept < 0 ? kept : neg_errno();
	is->other = is->kept == 0 && st.st_ino != file->ino;
	is->stamp = stamp_of(&st);
	is->alone = st.st_nlink == 1;
	return fs_err_is_files_own(is->kept) ? 0 : is->kept;
}

static int check_dir(const struct putting *p, uint32_t d)
{
	const struct manifest *m = &p->k->manifest;
	uint32_t f = m->dirs[d].first, end = m->dirs[d + 1].first;
	_cleanup_(closep) int kept = -1;
	struct stat st;
	int r = 0;

	while (f < end && !p->files[f].wanted)
		f++;
	if (f == end && !p->dirs[d].wanted)
		return 0;
	kept = keep_open_kept(p->k, m->dirs[d].path);
	if (kept >= 0 && fstat(kept, &st) < 0)
		return neg_errno();
	if (kept < 0 && !fs_err_is_files_own(kept))
		return kept;
	p->dirs[d].mode = kept < 0 ? 0 : st.st_mode;
	for (; r == 0 && f < end; f++)
		if (p->files[f].wanted)
			r = check_file(p, kept, f);
	return r;
}

static void check_worker(void *arg, unsigned i)
{
	struct putting *p = arg;
	uint32_t d;

	(void)i;
	while (!p->unchecked &&
		(d = atomic_fetch_add(&p->checked, 1)) < p->k->manifest.n_dirs) {
		int r = check_dir(p, d);

		if (r < 0)
			p->unchecked = r;
	}
}

/* One that somebody put in its place, or took away, is not put back. */
static void mark_file(struct putting *p, uint32_t d, uint32_t f)
{
	struct keep *k = p->k;
	const struct manifest *m = &k->manifest;
	const char *below = m->dirs[d].path;

	if (p->files[f].kept < 0) {
		p->missing++;
	} else if (p->files[f].other) {
		keep_strange(k, "/%s/" KEPT_DIR "/lib/modules/%s/%s%s%s", k->modules,
			k->stamp.kver, below, *below ? "/" : "", m->files[f].name);
	} else {
		k->marks[m->n_dirs + f] = 'L';
		p->linked++;
	}
}

static void mark_all(struct putting *p)
{
	const struct manifest *m = &p->k->manifest;

	for (uint32_t d = 0; d < m->n_dirs; d++) {
		if (p->dirs[d].wanted && p->dirs[d].mode)
			p->k->marks[d] = 'L';
		for (uint32_t f = m->dirs[d].first; f < m->dirs[d + 1].first; f++)
			if (p->files[f].wanted)
				mark_file(p, d, f);
	}
}

/* --- directories --- */

static int make_dir(const struct keep *k, const char *below, mode_t mode)
{
	_cleanup_(buf_done) struct buf path = {0};
	_cleanup_(closep) int parent = -1, there = -1;
	const char *name;
	int r;

	buf_printf(&path, "%s%s%s", k->dir, *below ? "/" : "", below);
	if (path.err)
		return path.err;
	parent = fs_open_parent(k->root->fd, path.data, &name);
	if (parent < 0)
		return parent;
	r = mkdirat(parent, name, mode & 07777) < 0 ? neg_errno() : 0;
	if (r == -EEXIST && dangling_remove(k, path.data) == 0)
		r = mkdirat(parent, name, mode & 07777) < 0 ? neg_errno() : 0;
	if (r != -EEXIST)
		return r;
	there = live_open_plain(k, k->dir, below);
	return MIN(there, 0);
}

/* Parents first. */
static void make_dirs(struct putting *p)
{
	const struct keep *k = p->k;

	for (uint32_t d = 0; d < k->manifest.n_dirs && !p->stop; d++) {
		const struct missing_dir *is = &p->dirs[d];
		int r = is->wanted && is->mode
				? make_dir(k, k->manifest.dirs[d].path, is->mode)
				: 0;

		if (r < 0) {
			p->cannot_make = (struct failure){r, d};
			p->stop = true;
		}
		p->made = d + 1;
	}
}

static void settle_dir(struct putting *p, uint32_t d)
{
	const struct keep *k = p->k;
	const char *below = k->manifest.dirs[d].path;
	dir_row row = refresh_dir(&p->refresh, below);
	_cleanup_(closep) int fd = live_open_plain(k, k->dir, below);

	if (fd >= 0)
		refresh_settle(&p->refresh, row, !*below, fd, &p->all_filled);
}

/* What this does not come to, refresh_finish() does. */
static void follow(struct putting *p)
{
	uint32_t n = p->k->manifest.n_dirs;

	for (uint32_t d = 0; d < n && p->refresh.image; d++) {
		while (p->filled <= d && p->filling && !p->all_filled)
			refresh_pause();
		if (p->filled <= d || p->all_filled)
			return;
		settle_dir(p, d);
	}
}

/* --- files --- */

/*
 * A second name for the link itself, by which clean knows it; where that cannot be, one
 * like it.
 */
static int put_back_symlink(int kept, int live, const char *name)
{
	char target[PATH_MAX];
	ssize_t n;

	if (linkat(kept, name, live, name, 0) == 0)
		return 0;
	if (!link_is_refused(neg_errno()))
		return neg_errno();
	n = readlinkat(kept, name, target, sizeof(target) - 1);
	if (n < 0)
		return neg_errno();
	target[n] = '\0';
	return symlinkat(target, live, name) < 0 ? neg_errno() : LINK_COPIED;
}

/* A copy is known by its inode and ctime. */
static int note_copy(struct putting *p, int live, struct kept_file *file)
{
	struct stat st;

	if (fstatat(live, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	file->src_ino = st.st_ino;
	file->src_ctime = timespec_ns(st.st_ctim);
	if (file->kind != KEPT_SYMLINK)
		file->kind = kept_is_target(file) ? KEPT_TARGET_COPIED : KEPT_COPIED;
	p->copied = true;
	return 0;
}

static int make_room(const struct putting *p, uint32_t d, const char *name)
{
	_cleanup_(buf_done) struct buf path = {0};
	int r = path_of(p, d, name, &path);

	return r < 0 ? r : dangling_remove(p->k, path.data);
}

static int put_back_file(struct putting *p, int kept, int live, uint32_t d, uint32_t f)
{
	struct kept_file *file = &p->k->manifest.files[f];
	struct link_source from = {.root = p->k->root, .dirfd = kept, .name = file->name};
	int r;

	if (file->kind == KEPT_SYMLINK) {
		r = put_back_symlink(kept, live, file->name);
	} else {
		r = link_file(&from, live, file->name, NULL);
		if (r == -EEXIST && kept_is_target(file) &&
			make_room(p, d, file->name) == 0)
			r = link_file(&from, live, file->name, NULL);
	}
	if (r == LINK_COPIED)
		r = note_copy(p, live, file);
	return r == -EEXIST ? 0 : MIN(r, 0);
}

/*
 * The unlink by the package manager has moved the ctime of a file that nobody else has a
 * name of: that is how it must be, and no sign of other bytes. One that can be changed
 * under another name is looked at once more.
 */
static void tell(struct putting *p, dir_row row, int kept, uint32_t d, uint32_t f)
{
	const struct manifest *m = &p->k->manifest;
	const char *name = m->files[f].name;
	struct missing *is = &p->files[f];
	struct stat st;

	if (m->files[f].kind == KEPT_SYMLINK)
		return;
	if (!is->alone && fstatat(kept, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		is->stamp = stamp_of(&st);
	refresh_before(&p->refresh, row, !*m->dirs[d].path, name, &is->stamp, is->alone);
}

static bool is_to_come(const struct putting *p, uint32_t f)
{
	const struct missing *is = &p->files[f];

	return is->wanted && is->kept == 0 && !is->other;
}

static int fill_dir(struct putting *p, uint32_t d)
{
	const struct keep *k = p->k;
	const struct manifest *m = &k->manifest;
	_cleanup_(closep) int kept = -1, live = -1;
	dir_row row = refresh_dir(&p->refresh, m->dirs[d].path);
	uint32_t f = m->dirs[d].first, end = m->dirs[d + 1].first;
	int r = 0;

	while (f < end && !is_to_come(p, f))
		f++;
	if (f == end)
		return 0;
	kept = keep_open_kept(k, m->dirs[d].path);
	live = kept < 0 ? kept : live_open_plain(k, k->dir, m->dirs[d].path);
	for (; r == 0 && live >= 0 && f < end; f++) {
		if (!is_to_come(p, f))
			continue;
		tell(p, row, kept, d, f);
		r = put_back_file(p, kept, live, d, f);
	}
	refresh_done(&p->refresh, row, refresh_clock());
	return live < 0 ? live : r;
}

static void fill_dirs(struct putting *p)
{
	p->filling = true;
	for (uint32_t d = 0; d < p->k->manifest.n_dirs; d++) {
		int r;

		while (p->made <= d && !p->stop)
			refresh_pause();
		if (p->stop)
			break;
		r = fill_dir(p, d);
		if (r < 0) {
			p->cannot_fill = (struct failure){r, d};
			p->stop = true;
		}
		p->filled = d + 1;
	}
	p->all_filled = true;
}

/*
 * The maker never waits for the filler, which comes afterwards where there is no second
 * thread.
 */
static void put_worker(void *arg, unsigned i)
{
	struct putting *p = arg;

	if (i == 0) {
		make_dirs(p);
		refresh_prepare(&p->refresh, p->k->store_dir, p->store);
		follow(p);
	} else {
		fill_dirs(p);
	}
}

static int make_and_fill(struct putting *p)
{
	struct keep *k = p->k;
	const struct failure *f;

	pool_run(2, put_worker, p);
	f = p->cannot_make.err ? &p->cannot_make : &p->cannot_fill;
	if (f->err)
		return keep_fail(
			k, f->err, "/%s/%s", k->dir, k->manifest.dirs[f->d].path);
	return p->copied ? keep_write_manifest(k) : 0;
}

/* --- all of it --- */

static int find(struct putting *p)
{
	const struct manifest *m = &p->k->manifest;
	int r = kept_dev(p->k, &p->dev);

	p->files = calloc((size_t)m->n_files + 1, sizeof(*p->files));
	p->dirs = calloc((size_t)m->n_dirs + 1, sizeof(*p->dirs));
	if (!p->files || !p->dirs)
		return -ENOMEM;
	if (r == 0)
		r = collect_names(p, "", 0);
	if (r == 0)
		r = find_missing(p);
	if (r < 0)
		return r;
	pool_run(THREADS, check_worker, p);
	if (p->unchecked < 0)
		return p->unchecked;
	mark_all(p);
	return 0;
}

static int put_all(struct putting *p)
{
	struct keep *k = p->k;
	struct links links;
	int r = find(p);

	if (r < 0 || !p->linked)
		return r;
	r = keep_write_marks(k);
	if (r == 0 && p->in_tree)
		r = refresh_open(k->kept_fd, "facts", &p->refresh);
	if (r < 0)
		return r;
	r = links_open(k, k->dir, &links);
	if (r == 0)
		r = make_and_fill(p);
	if (r == 0)
		refresh_finish(&p->refresh, k->root, k->dir, k->store_dir, p->store);
	links_close(k, &links);
	return r;
}

int put_back(struct keep *k, bool in_tree, unsigned *ret_linked, unsigned *ret_missing)
{
	struct putting p = {.k = k, .in_tree = in_tree, .refresh = {.store_dir = -1}};
	int r;

	store_name(k->store_root, k->dir, p.store);
	r = put_all(&p);
	*ret_linked = p.linked;
	*ret_missing = p.missing;
	refresh_close(&p.refresh);
	buf_done(&p.names);
	free(p.files);
	free(p.dirs);
	return r;
}
