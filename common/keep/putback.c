// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * First it is found out what is missing, then that is written down, and then it is put
 * back: after a kill the next restore goes on, and clean knows what is ours.
 *
 * The disk is waited for once, and what was kept is looked at meanwhile. Directories are
 * made by one thread and filled by another, as in copy.c.
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

/* A kept file, before it gets its link. */
struct before {
	bool missing; /* where it was */
	bool is_kept; /* what was kept is still there: */
	struct stamp stamp;
	bool alone; /* nobody else has a name of it */
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
	bool any;                 /* is missing */
	struct before *before;    /* of each file */
	mode_t *modes;            /* of kept directories, with S_IFDIR; 0: not known */
	unsigned linked;          /* files that are missing and can be put back */
	unsigned missing;         /* those that cannot */
	int unchecked, unwritten; /* errors of the two threads that go first */
	/* then, of those that make and fill directories: */
	char store[STORE_NAME_MAX + 1];
	struct refresh refresh;
	_Atomic uint32_t made, filled; /* which directory is next */
	atomic_bool filling, stop;
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

static int mark_missing_of(struct putting *p, uint32_t d)
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
		if (blocked)
			continue;
		*mark = 'L';
		p->before[f].missing = true;
	}
	if (blocked && any)
		keep_strange(k, "/%s/%s", k->dir, below);
	else if (fd < 0 && !blocked && (any || p->in_tree))
		k->marks[d] = 'L';
	p->any |= any && !blocked;
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

/* Directories that are missing above those that were marked. */
static void mark_parents(struct keep *k)
{
	for (uint32_t d = k->manifest.n_dirs; d-- > 1;) {
		uint32_t p = parent_of(&k->manifest, d);
		_cleanup_(closep) int fd = -1;

		if (k->marks[d] != 'L' || k->marks[p] == 'L')
			continue;
		fd = live_open(k, k->dir, k->manifest.dirs[p].path);
		if (fd < 0)
			k->marks[p] = 'L';
	}
}

static int mark_missing(struct putting *p)
{
	int r = 0;

	for (uint32_t d = 0; r == 0 && d < p->k->manifest.n_dirs; d++)
		r = mark_missing_of(p, d);
	if (r == 0 && p->any)
		mark_parents(p->k);
	return r;
}

/* --- what was kept of it --- */

/* One that somebody put in its place, or took away, is not put back. */
static int check_file(struct putting *p, int kept, uint32_t d, uint32_t f)
{
	struct keep *k = p->k;
	const struct kept_file *file = &k->manifest.files[f];
	const char *below = k->manifest.dirs[d].path;
	struct before *b = &p->before[f];
	struct stat st;
	int r = kept < 0                                                  ? kept
		: fstatat(kept, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? neg_errno()
									  : 0;

	if (r == 0 && st.st_ino == file->ino) {
		b->stamp = stamp_of(&st);
		b->alone = st.st_nlink == 1;
		b->is_kept = true;
		p->linked += b->missing;
		return 0;
	}
	if (!b->missing)
		return 0;
	if (r == 0)
		keep_strange(k, "/%s/" KEPT_DIR "/lib/modules/%s/%s%s%s", k->modules,
			k->stamp.kver, below, *below ? "/" : "", file->name);
	p->missing += r < 0;
	return r == 0 || fs_err_is_files_own(r) ? 0 : r;
}

static int check_dir(struct putting *p, uint32_t d)
{
	const struct keep *k = p->k;
	const struct manifest *m = &k->manifest;
	const char *marks = k->marks + m->n_dirs;
	uint32_t f = m->dirs[d].first, end = m->dirs[d + 1].first;
	_cleanup_(closep) int kept = -1;
	struct stat st;
	int r = 0;

	if (k->marks[d] != 'L' && !memchr(marks + f, 'L', end - f))
		return 0;
	kept = keep_open_kept(k, m->dirs[d].path);
	if (kept >= 0 && fstat(kept, &st) == 0)
		p->modes[d] = st.st_mode;
	for (; r == 0 && f < end; f++)
		if (marks[f] == 'L')
			r = check_file(p, kept, d, f);
	return r;
}

static void check_kept(struct putting *p)
{
	for (uint32_t d = 0; p->unchecked == 0 && d < p->k->manifest.n_dirs; d++)
		p->unchecked = check_dir(p, d);
}

static void note_marks(struct putting *p)
{
	p->unwritten = keep_write_marks(p->k);
	if (p->unwritten == 0 && p->in_tree)
		p->unwritten = refresh_open(p->k->kept_fd, "facts", &p->refresh);
}

static void check_worker(void *arg, unsigned i)
{
	if (i == 0)
		note_marks(arg);
	else
		check_kept(arg);
}

/* Marks that were written of what is not there to be put back. */
static int unmark(struct putting *p, const char *marks_before)
{
	struct keep *k = p->k;
	const struct manifest *m = &k->manifest;
	bool any = false;

	for (uint32_t d = 0; d < m->n_dirs; d++)
		if (k->marks[d] == 'L' && !p->modes[d] && marks_before[d] != 'L') {
			k->marks[d] = '.';
			any = true;
		}
	for (uint32_t f = 0; f < m->n_files; f++)
		if (p->before[f].missing && !p->before[f].is_kept) {
			k->marks[m->n_dirs + f] = '.';
			any = true;
		}
	return any ? keep_write_marks(k) : 0;
}

static int mark_and_check(struct putting *p)
{
	struct keep *k = p->k;
	size_t n = (size_t)k->manifest.n_dirs + k->manifest.n_files;
	_cleanup_(freep) char *marks_before = malloc(n + 1);
	int r;

	if (!marks_before)
		return -ENOMEM;
	memcpy(marks_before, k->marks, n);
	r = mark_missing(p);
	if (r < 0 || !p->any)
		return r;
	pool_run(2, check_worker, p);
	if (p->unchecked < 0 || p->unwritten < 0)
		return p->unchecked < 0 ? p->unchecked : p->unwritten;
	if (p->linked)
		return unmark(p, marks_before);
	memcpy(k->marks, marks_before, n);
	return keep_write_marks(k);
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
		int r = k->marks[d] == 'L' && p->modes[d]
				? make_dir(k, k->manifest.dirs[d].path, p->modes[d])
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

	while (fd >= 0 && !refresh_settle(&p->refresh, row, !*below, fd) &&
		p->filled < k->manifest.n_dirs)
		refresh_pause();
}

/* What this does not come to, refresh_finish() does. */
static void follow(struct putting *p)
{
	uint32_t n = p->k->manifest.n_dirs;

	for (uint32_t d = 0; d < n && p->refresh.image; d++) {
		while (p->filled <= d && p->filling && !p->stop)
			refresh_pause();
		if (p->filled <= d || p->filled == n || p->stop)
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
 * name of: that is how it must be, and no sign of other bytes.
 */
static void tell(struct putting *p, dir_row row, uint32_t d, uint32_t f)
{
	const struct manifest *m = &p->k->manifest;
	const struct before *b = &p->before[f];

	if (m->files[f].kind != KEPT_SYMLINK)
		refresh_before(&p->refresh, row, !*m->dirs[d].path, m->files[f].name,
			&b->stamp, b->alone);
}

static int fill_dir(struct putting *p, uint32_t d)
{
	const struct keep *k = p->k;
	const struct manifest *m = &k->manifest;
	_cleanup_(closep) int kept = -1, live = -1;
	dir_row row = refresh_dir(&p->refresh, m->dirs[d].path);
	uint32_t f = m->dirs[d].first, end = m->dirs[d + 1].first;
	int r = 0;

	while (f < end && !p->before[f].is_kept)
		f++;
	if (f == end)
		return 0;
	kept = keep_open_kept(k, m->dirs[d].path);
	live = kept < 0 ? kept : live_open_plain(k, k->dir, m->dirs[d].path);
	for (; r == 0 && live >= 0 && f < end; f++) {
		if (!p->before[f].is_kept)
			continue;
		tell(p, row, d, f);
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
			return;
		r = fill_dir(p, d);
		if (r < 0) {
			p->cannot_fill = (struct failure){r, d};
			p->stop = true;
		}
		p->filled = d + 1;
	}
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

static int put_all(struct putting *p)
{
	struct keep *k = p->k;
	struct links links;
	int r = kept_dev(k, &p->dev);

	p->before = calloc((size_t)k->manifest.n_files + 1, sizeof(*p->before));
	p->modes = calloc((size_t)k->manifest.n_dirs + 1, sizeof(*p->modes));
	if (!p->before || !p->modes)
		return -ENOMEM;
	if (r == 0)
		r = collect_names(p, "", 0);
	if (r == 0)
		r = mark_and_check(p);
	if (r < 0 || !p->linked)
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
	free(p.before);
	free(p.modes);
	return r;
}
