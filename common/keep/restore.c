// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disk is the judge, each time anew. Only what became of modules that were added to
 * the kernel cannot be seen there: gone with an upgrade of their package they are put
 * back, gone since somebody wanted that they are not; so that is noted when they are
 * kept.
 *
 * What is to be put back is written down before it is: after a kill the next restore goes
 * on, and clean knows what is ours.
 */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "keep/link.h"
#include "keep/tree.h"

#define THREADS 2u

struct restoring {
	struct keep *k;
	/* of modules that were added to the kernel and are there, each with a NUL */
	struct buf names;
	struct refresh refresh;
	dev_t dev;
	bool in_tree; /* put back the kernel's own, too */
	unsigned linked, missing;
	atomic_bool copied; /* the manifest says another thing than its file */
};

/* --- what is there already --- */

static bool leads_to_file(const struct restoring *s, const char *below)
{
	_cleanup_(buf_done) struct buf path = {0};
	struct stat st;

	buf_printf(&path, "%s/%s", s->k->dir, below);
	return !path.err && root_stat(s->k->root, path.data, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

static int collect_names(struct restoring *s, const char *below, int depth)
{
	int fd = live_open(s->k, s->k->dir, below), r = 0;
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
			r = sub.err ? sub.err : collect_names(s, sub.data, depth + 1);
		} else if (is_module(e->d_name) && leads_to_file(s, sub.data)) {
			char *to = buf_reserve(&s->names, modname_len(e->d_name) + 1);

			if (to)
				s->names.len += modname_copy(to, e->d_name) + 1;
			r = s->names.err;
		}
	}
	closedir(d);
	return r;
}

static bool has_name(const struct restoring *s, const char *file)
{
	char name[NAME_MAX + 1];

	modname_copy(name, file);
	for (size_t at = 0; at < s->names.len; at += strlen(s->names.data + at) + 1)
		if (str_eq(s->names.data + at, name))
			return true;
	return false;
}

/* Does this kept file belong where it was? */
static bool is_wanted(const struct restoring *s, uint32_t d, uint32_t f)
{
	const struct manifest *m = &s->k->manifest;
	const char *name = m->files[f].name;

	if (s->k->marks[m->n_dirs + f] == 'R')
		return false;
	if (is_in_tree(m->dirs[d].path) || !is_module(name))
		return s->in_tree;
	/* a new file of this module wins, wherever it is */
	return s->k->pending && !has_name(s, name);
}

/* --- put back --- */

/*
 * A dangling symbolic link stays unless it led to one of the kernels' modules, which a
 * transaction may remove: what any other leads to may be back one day, mounted say.
 */
enum dangling {
	NO_LINK,
	MAKES_ROOM,
	IN_THE_WAY,
};

/*
 * Is what a link says, as text, among the kernels' modules? Its own path, below the root,
 * ends in name.
 */
static bool is_among_modules(
	const struct keep *k, const char *link, const char *name, const char *target)
{
	const char *const places[] = {"lib/modules/", "usr/lib/modules/", k->modules};
	_cleanup_(buf_done) struct buf path = {0};

	if (*target != '/')
		buf_add(&path, link, (size_t)(name - link));
	for (size_t n; *target; target += n + strspn(target + n, "/")) {
		n = strcspn(target, "/");
		while (path.len && path.data[path.len - 1] == '/')
			path.len--;
		if (n == 2 && memcmp(target, "..", 2) == 0) {
			while (path.len && path.data[path.len - 1] != '/')
				path.len--;
		} else if (n > 1 || (n == 1 && *target != '.')) {
			if (path.len)
				buf_char(&path, '/');
			buf_add(&path, target, n);
		}
	}
	buf_char(&path, '\0');
	for (size_t i = 0; !path.err && i < ARRAY_SIZE(places); i++)
		if (str_starts(path.data, places[i]) &&
			(i < 2 || path.data[strlen(places[i])] == '/'))
			return true;
	return false;
}

static enum dangling look_at_link(const struct keep *k, const char *link)
{
	char target[PATH_MAX];
	const char *name;
	_cleanup_(closep) int dir = fs_open_parent(k->root->fd, link, &name);
	ssize_t n = dir < 0 ? -1 : readlinkat(dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return NO_LINK;
	target[n] = '\0';
	return is_among_modules(k, link, name, target) ? MAKES_ROOM : IN_THE_WAY;
}

static int remove_dangling(const struct keep *k, const char *link)
{
	return look_at_link(k, link) == MAKES_ROOM ? fs_remove(k->root->fd, link, 0)
						   : -EEXIST;
}

static int make_dir(struct restoring *s, const char *below, int kept)
{
	_cleanup_(buf_done) struct buf path = {0};
	_cleanup_(closep) int parent = -1;
	const char *name;
	struct stat st;
	int r;

	buf_printf(&path, "%s%s%s", s->k->dir, *below ? "/" : "", below);
	if (path.err)
		return path.err;
	parent = fs_open_parent(s->k->root->fd, path.data, &name);
	if (parent < 0 || fstat(kept, &st) < 0)
		return parent < 0 ? parent : neg_errno();
	r = mkdirat(parent, name, st.st_mode & 07777) < 0 ? neg_errno() : 0;
	if (r == -EEXIST && remove_dangling(s->k, path.data) == 0)
		r = mkdirat(parent, name, st.st_mode & 07777) < 0 ? neg_errno() : 0;
	if (r < 0 && r != -EEXIST)
		return r;
	return live_open_plain(s->k, s->k->dir, below);
}

/*
 * The unlink by the package manager has moved the ctime of a file that nobody else has a
 * name of: that is how it must be, and no sign of other bytes.
 */
static void before(
	struct restoring *s, dir_row row, bool is_top, const char *name, int kept)
{
	struct stat st;

	if (fstatat(kept, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		refresh_before(&s->refresh, row, is_top, name, &st, st.st_nlink == 1);
}

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
static int note_copy(struct restoring *s, int live, struct kept_file *file)
{
	struct stat st;

	if (fstatat(live, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	file->src_ino = st.st_ino;
	file->src_ctime = timespec_ns(st.st_ctim);
	if (file->kind != KEPT_SYMLINK)
		file->kind = kept_is_target(file) ? KEPT_TARGET_COPIED : KEPT_COPIED;
	s->copied = true;
	return 0;
}

static int link_path(
	const struct restoring *s, uint32_t d, const char *name, struct buf *ret)
{
	const char *below = s->k->manifest.dirs[d].path;

	buf_printf(ret, "%s/%s%s%s", s->k->dir, below, *below ? "/" : "", name);
	return ret->err;
}

static int make_room(const struct restoring *s, uint32_t d, const char *name)
{
	_cleanup_(buf_done) struct buf path = {0};
	int r = link_path(s, d, name, &path);

	return r < 0 ? r : remove_dangling(s->k, path.data);
}

static bool is_in_the_way(struct restoring *s, uint32_t d, const char *name)
{
	_cleanup_(buf_done) struct buf path = {0};

	if (link_path(s, d, name, &path) < 0 ||
		look_at_link(s->k, path.data) != IN_THE_WAY)
		return false;
	keep_strange(s->k, "/%s", path.data);
	return true;
}

static int put_back(
	struct restoring *s, int kept, int live, dir_row row, uint32_t d, uint32_t f)
{
	struct kept_file *file = &s->k->manifest.files[f];
	struct link_source from = {.root = s->k->root, .dirfd = kept, .name = file->name};
	int r;

	if (file->kind == KEPT_SYMLINK) {
		r = put_back_symlink(kept, live, file->name);
	} else {
		before(s, row, !*s->k->manifest.dirs[d].path, file->name, kept);
		r = link_file(&from, live, file->name, NULL);
		if (r == -EEXIST && kept_is_target(file) &&
			make_room(s, d, file->name) == 0)
			r = link_file(&from, live, file->name, NULL);
	}
	if (r == LINK_COPIED)
		r = note_copy(s, live, file);
	return r == -EEXIST ? 0 : MIN(r, 0);
}

/*
 * A directory cannot be opened as one of the kernel's own: is that for good, since a link
 * leads away, or there is a file? Only some links to nothing make room.
 */
static bool is_blocked(const struct keep *k, const char *below)
{
	_cleanup_(buf_done) struct buf path = {0};
	char *slash;

	buf_printf(&path, "%s%s%s", k->dir, *below ? "/" : "", below);
	do {
		const char *name;
		_cleanup_(closep) int fd =
			path.err ? path.err
				 : fs_open_parent(k->root->fd, path.data, &name);
		struct stat st;

		if (fd >= 0)
			return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			       (root_stat(k->root, path.data, &st) == 0 ||
				       look_at_link(k, path.data) != MAKES_ROOM);
		slash = path.err ? NULL : strrchr(path.data, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return true;
}

/*
 * Is the kept file the one that was kept? 1, 0 or -errno. One that somebody put in its
 * place, or took away, is not put back.
 */
static int is_as_kept(struct restoring *s, int kept, uint32_t d, uint32_t f)
{
	struct keep *k = s->k;
	const struct kept_file *file = &k->manifest.files[f];
	const char *below = k->manifest.dirs[d].path;
	struct stat st;
	int r = kept < 0                                                  ? kept
		: fstatat(kept, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? neg_errno()
									  : 0;

	if (r < 0) {
		s->missing++;
		return fs_err_is_files_own(r) ? 0 : r;
	}
	if (st.st_ino == file->ino)
		return 1;
	keep_strange(k, "/%s/" KEPT_DIR "/lib/modules/%s/%s%s%s", k->modules,
		k->stamp.kver, below, *below ? "/" : "", file->name);
	return 0;
}

/* First pass: mark what will be put back. */
static int mark_missing_of(struct restoring *s, uint32_t d)
{
	struct keep *k = s->k;
	const struct manifest *m = &k->manifest;
	const char *below = m->dirs[d].path;
	_cleanup_(closep) int fd = live_open_plain(k, k->dir, below), kept = -1;
	bool any = false,
	     blocked = (fd == -ELOOP || fd == -ENOTDIR) && is_blocked(k, below);

	if (blocked)
		fd = live_open(k, k->dir, below);
	for (uint32_t f = m->dirs[d].first; f < m->dirs[d + 1].first; f++) {
		char *mark = &k->marks[m->n_dirs + f];
		struct stat st;
		int how = is_wanted(s, d, f) ? live_look(k, k->dir, fd, s->dev, d, f, &st)
					     : LIVE_OTHER;

		if (how < 0)
			return how;
		if (blocked && *mark == 'L')
			*mark = '.';
		if (how != LIVE_GONE)
			continue;
		if (fd >= 0 && kept_is_target(&m->files[f]) &&
			is_in_the_way(s, d, m->files[f].name))
			continue;
		any = true;
		if (kept < 0)
			kept = keep_open_kept(k, below);
		how = blocked ? 0 : is_as_kept(s, kept, d, f);
		if (how < 0)
			return how;
		if (!how)
			continue;
		*mark = 'L';
		s->linked++;
	}
	if (blocked && any)
		keep_strange(k, "/%s/%s", k->dir, below);
	else if (fd < 0 && !blocked && (any || s->in_tree))
		k->marks[d] = 'L';
	return 0;
}

static int mark_missing(struct restoring *s)
{
	int r = 0;

	for (uint32_t d = 0; r == 0 && d < s->k->manifest.n_dirs; d++)
		r = mark_missing_of(s, d);
	return r;
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
static void mark_parents(struct restoring *s)
{
	const struct keep *k = s->k;

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

/* Parents first, so that threads find them. */
static int make_dirs(struct restoring *s)
{
	const struct keep *k = s->k;

	for (uint32_t d = 0; d < k->manifest.n_dirs; d++) {
		const char *below = k->manifest.dirs[d].path;
		_cleanup_(closep) int kept = -1, live = -1;

		if (k->marks[d] != 'L')
			continue;
		kept = keep_open_kept(k, below);
		live = kept < 0 ? kept : make_dir(s, below, kept);
		if (live < 0)
			return keep_fail(s->k, live, "/%s/%s", k->dir, below);
	}
	return 0;
}

struct linking {
	struct restoring *s;
	_Atomic uint32_t next;
	_Atomic int err;
	_Atomic uint32_t bad; /* the directory that err is about */
};

static int link_dir(struct restoring *s, uint32_t d)
{
	const struct keep *k = s->k;
	const struct manifest *m = &k->manifest;
	_cleanup_(closep) int kept = -1, live = -1;
	dir_row row = refresh_dir(&s->refresh, m->dirs[d].path);
	uint32_t f = m->dirs[d].first, end = m->dirs[d + 1].first;
	int r = 0;

	if (f == end || !memchr(k->marks + m->n_dirs + f, 'L', end - f))
		return 0;
	kept = keep_open_kept(k, m->dirs[d].path);
	live = kept < 0 ? kept : live_open_plain(k, k->dir, m->dirs[d].path);
	for (; r == 0 && live >= 0 && f < end; f++)
		if (k->marks[m->n_dirs + f] == 'L')
			r = put_back(s, kept, live, row, d, f);
	refresh_done(&s->refresh, row);
	return live < 0 ? live : r;
}

static void link_worker(void *arg, unsigned i)
{
	struct linking *l = arg;
	uint32_t d;

	(void)i;
	while (!l->err &&
		(d = atomic_fetch_add(&l->next, 1)) < l->s->k->manifest.n_dirs) {
		int r = link_dir(l->s, d);

		if (r < 0) {
			l->bad = d;
			l->err = r;
		}
	}
}

static int link_dirs(struct restoring *s)
{
	struct linking l = {.s = s};
	int r = make_dirs(s);

	if (r < 0)
		return r;
	pool_run(THREADS, link_worker, &l);
	if (s->copied && l.err == 0)
		l.err = keep_write_manifest(s->k);
	return l.err < 0 ? keep_fail(s->k, l.err, "/%s/%s", s->k->dir,
				   s->k->manifest.dirs[l.bad].path)
			 : 0;
}

static int link_all(struct restoring *s)
{
	struct keep *k = s->k;
	char store[STORE_NAME_MAX + 1];
	struct links links;
	int r;

	r = mark_missing(s);
	if (r < 0 || !s->linked)
		return r;
	mark_parents(s);
	r = keep_write_marks(k);
	if (r == 0 && s->in_tree)
		r = refresh_open(k->kept_fd, "facts", &s->refresh);
	if (r < 0)
		return r;
	r = links_open(k, k->dir, &links);
	if (r == 0)
		r = link_dirs(s);
	store_name(k->store_root, k->dir, store);
	if (r == 0)
		refresh_finish(&s->refresh, k->root, k->dir, k->store_dir, store);
	links_close(k, &links);
	return r;
}

/* --- is the kept tree needed any longer? --- */

/* 1, 0 or -errno. Indexes and lists are nobody's but the kernel's that is there now. */
static int has_ours(const struct restoring *s)
{
	const struct keep *k = s->k;
	const struct manifest *m = &k->manifest;

	for (uint32_t d = 0; d < m->n_dirs; d++) {
		_cleanup_(closep) int fd = -1;

		for (uint32_t f = m->dirs[d].first; f < m->dirs[d + 1].first; f++) {
			struct stat st;
			int how;

			if (k->marks[m->n_dirs + f] != 'L' ||
				!is_module(m->files[f].name))
				continue;
			if (fd < 0)
				fd = live_open_plain(k, k->dir, m->dirs[d].path);
			how = live_look(k, k->dir, fd, s->dev, d, f, &st);
			if (how < 0)
				return how;
			if (how == LIVE_OURS)
				return 1;
		}
	}
	return 0;
}

static int act(struct restoring *s, struct keep_restored *ret)
{
	struct keep *k = s->k;
	unsigned removed;
	int r;

	if (ret->found != KEEP_GONE && k->marks[0] == 'L') {
		k->marks[0] = '.'; /* the directory is a package's again */
		r = keep_write_marks(k);
		if (r < 0)
			return r;
	}
	if (ret->found == KEEP_REPLACED) {
		/* another build has come into the directory that was put back */
		r = live_remove_ours(k, k->dir, &removed);
		ret->needs_index = removed > 0;
		return r;
	}
	s->in_tree = ret->found == KEEP_GONE;
	if (!s->in_tree && !k->pending)
		return 0;
	r = collect_names(s, "", 0);
	if (r == 0)
		r = link_all(s);
	ret->linked = s->linked;
	ret->missing = s->missing;
	ret->needs_index = s->linked > 0;
	return r;
}

int keep_restore(struct keep *k, struct keep_restored *ret)
{
	struct restoring s = {.k = k, .refresh = {.store_dir = -1}};
	int r = keep_judge(k, &ret->found), ours = 0;

	if (r == 0)
		r = kept_dev(k, &s.dev);
	if (r == 0)
		r = act(&s, ret);
	if (r == 0 && ret->found == KEEP_SAME)
		r = ours = has_ours(&s);
	refresh_close(&s.refresh);
	buf_done(&s.names);
	if (r < 0)
		return keep_fail(k, r, "/%s", k->dir);
	ret->unneeded = ret->found == KEEP_SAME && !ours;
	if (ret->unneeded)
		return 0;
	ret->is_news = k->state != ret->found || ret->linked;
	if (!ret->is_news && !k->pending)
		return 0;
	k->state = ret->found;
	k->pending = false;
	return keep_write_state(k);
}
