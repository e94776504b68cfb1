// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The manifest says what is ours, and an inode that is another one than in there is
 * somebody else's. A tree that is being removed has no stamp any more, so that a killed
 * clean leaves none that looks whole; the manifest goes last.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "engine/publish.h"
#include "keep/tree.h"

/* --- a tree that was never finished --- */

static int remove_tree(int dirfd, const char *name, int depth)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
	    r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		r = neg_errno();
		closep(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(d))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0)
			continue;
		if (errno != EISDIR && errno != EPERM)
			r = neg_errno();
		else
			r = depth < 64 ? remove_tree(fd, e->d_name, depth + 1) : -ELOOP;
	}
	if (r == 0 && errno)
		r = neg_errno();
	closedir(d);
	return r == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? neg_errno() : r;
}

/* What is written first, and goes last. A power loss may have left any of it. */
static bool is_sign(const char *name)
{
	return str_eq(name, "stamp") || str_eq(name, "stamp.new") ||
	       str_eq(name, "files") || str_eq(name, "files.new");
}

static int list_names(int dirfd, struct buf *ret)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int r = d ? 0 : neg_errno();

	while (d && (errno = 0, e = readdir(d)))
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			buf_add(ret, e->d_name, strlen(e->d_name) + 1);
	if (d && errno)
		r = neg_errno();
	if (d)
		closedir(d);
	else
		closep(&fd);
	return r < 0 ? r : ret->err;
}

static bool has_sign(int fd)
{
	_cleanup_(buf_done) struct buf names = {0};

	list_names(fd, &names);
	for (size_t at = 0; at < names.len; at += strlen(names.data + at) + 1)
		if (is_sign(names.data + at))
			return true;
	return false;
}

/* All of a directory of ours. Killed meanwhile, it still is known as such. */
static int remove_ours(struct keep *k, const char *name)
{
	_cleanup_(closep) int fd = openat(
		k->modules_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(buf_done) struct buf names = {0};
	int r = fd < 0 ? neg_errno() : list_names(fd, &names);

	for (size_t at = 0; r == 0 && at < names.len; at += strlen(names.data + at) + 1) {
		const char *entry = names.data + at;

		if (is_sign(entry) || unlinkat(fd, entry, 0) == 0)
			continue;
		r = errno == EISDIR || errno == EPERM ? remove_tree(fd, entry, 0)
						      : neg_errno();
	}
	return r < 0 ? r : remove_tree(k->modules_fd, name, 0);
}

int keep_clean_new(struct keep *k)
{
	_cleanup_(closep) int fd = openat(
		k->modules_fd, NEW_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) < 0 ? neg_errno() : 0;

	if (r == -ENOENT)
		return 0;
	if (r < 0 && !fs_err_is_files_own(r))
		return keep_fail(k, r, "/%s/" NEW_DIR, k->modules);
	if (r < 0 || !fs_is_own(&st) || !has_sign(fd)) {
		/* killed before it was marked as ours */
		if (unlinkat(k->modules_fd, NEW_DIR, AT_REMOVEDIR) == 0)
			return 0;
		return keep_fail(k, -EEXIST, "/%s/" NEW_DIR " is not ours", k->modules);
	}
	r = remove_ours(k, NEW_DIR);
	return r < 0 ? keep_fail(k, r, "/%s/" NEW_DIR, k->modules) : 0;
}

/* --- the kept tree --- */

/* What is left in a directory that should be empty. */
static void name_strangers(struct keep *k, int dirfd, const char *name, const char *path)
{
	int fd = fs_open_plain(dirfd, name, O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		if (fd == -ENOTDIR || fd == -ELOOP)
			keep_strange(k, "/%s", path);
		closep(&fd);
		return;
	}
	while ((e = readdir(d)))
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			keep_strange(k, "/%s/%s", path, e->d_name);
	closedir(d);
}

static int drop_files(struct keep *k, struct refresh *refresh, uint32_t d)
{
	const struct manifest *m = &k->manifest;
	_cleanup_(closep) int fd = keep_open_kept(k, m->dirs[d].path);
	dir_row row = refresh_dir(refresh, m->dirs[d].path);

	if (fd < 0) /* whatever stands there instead is named by drop_dirs() */
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? 0 : fd;
	for (uint32_t f = m->dirs[d].first; f < m->dirs[d + 1].first; f++) {
		const struct kept_file *file = &m->files[f];
		struct stamp now;
		struct stat st;

		if (fstatat(fd, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno != ENOENT)
				return neg_errno();
			continue;
		}
		if (st.st_ino != file->ino)
			continue;
		now = stamp_of(&st);
		refresh_before(refresh, row, !*m->dirs[d].path, file->name, &now, false);
		if (unlinkat(fd, file->name, 0) < 0)
			return neg_errno();
	}
	refresh_done(refresh, row, refresh_clock());
	return 0;
}

/* 1 if a directory is gone; 0: what is in it may be somebody's; or -errno. */
static int drop_dir(struct keep *k, const char *path, bool name_what_is_left)
{
	_cleanup_(buf_done) struct buf real = {0};
	int r = fs_remove(k->kept_fd, path, AT_REMOVEDIR);

	if (r == 0 || r == -ENOENT)
		return 1;
	if (r != -ENOTEMPTY && r != -EEXIST && r != -ENOTDIR && r != -ELOOP)
		return r;
	buf_printf(&real, "%s/" KEPT_DIR "/%s", k->modules, path);
	if (name_what_is_left && !real.err)
		name_strangers(k, k->kept_fd, path, real.data);
	return 0;
}

/*
 * Children stand behind their parents: from the end. What is left is named where it lies,
 * once.
 */
static int drop_dirs(struct keep *k)
{
	const struct manifest *m = &k->manifest;
	_cleanup_(freep) bool *left = calloc((size_t)m->n_dirs + 1, sizeof(*left));
	_cleanup_(buf_done) struct buf path = {0};
	bool any = false;
	int r = 1;

	if (!left)
		return -ENOMEM;
	for (uint32_t d = m->n_dirs; d-- > 0;) {
		const char *slash = strrchr(m->dirs[d].path, '/');
		size_t len = slash ? (size_t)(slash - m->dirs[d].path) : 0;

		path.len = 0;
		buf_printf(&path, "lib/modules/%s%s%s", k->stamp.kver,
			*m->dirs[d].path ? "/" : "", m->dirs[d].path);
		if (path.err)
			return path.err;
		r = drop_dir(k, path.data, !left[d]);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		any = true;
		for (uint32_t p = 0; p < d; p++) /* those above cannot be empty either */
			left[p] |= strlen(m->dirs[p].path) == len &&
				   memcmp(m->dirs[p].path, m->dirs[d].path, len) == 0;
	}
	if (!any)
		r = drop_dir(k, "lib/modules", true);
	if (!any && r > 0)
		r = drop_dir(k, "lib", true);
	return MIN(r, 0);
}

static int drop_tree(struct keep *k)
{
	_cleanup_(refresh_close) struct refresh refresh = {.store_dir = -1};
	char store[STORE_NAME_MAX + 1];
	_cleanup_(freep) char *dir = NULL;
	struct links links;
	int r = keep_find_dir(k, k->stamp.kver, &dir);

	if (r < 0)
		return r;
	store_name(k->store_root, dir, store);
	r = refresh_open(k->store_dir, store, &refresh);
	if (r < 0)
		return r;
	r = links_open(k, dir, &links);
	for (uint32_t d = 0; r == 0 && d < k->manifest.n_dirs; d++)
		r = drop_files(k, &refresh, d);
	refresh_finish(&refresh, k->root, dir, k->store_dir, store);
	links_close(k, &links);
	return r == 0 ? drop_dirs(k) : r;
}

static int drop_frame(struct keep *k)
{
	static const char *const files[] = {"usr", "facts", "facts.new", "marks", "state",
		"marks.new", "state.new", "files.new", "stamp.new", "files", "stamp",
		KEPT_STAMP_OLD};
	size_t before = k->strange.len;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (unlinkat(k->kept_fd, files[i], 0) < 0 && errno != ENOENT)
			return neg_errno();
	if (unlinkat(k->modules_fd, KEPT_DIR, AT_REMOVEDIR) < 0) {
		_cleanup_(buf_done) struct buf path = {0};

		buf_printf(&path, "%s/" KEPT_DIR, k->modules);
		if (errno != ENOTEMPTY && errno != EEXIST)
			return neg_errno();
		if (k->strange.len == before && !path.err)
			name_strangers(k, k->modules_fd, KEPT_DIR, path.data);
	}
	closep(&k->kept_fd);
	k->kept_fd = -1;
	return 0;
}

static int drop_whole(struct keep *k)
{
	int r = 0;

	if (renameat(k->kept_fd, "stamp", k->kept_fd, KEPT_STAMP_OLD) < 0 &&
		errno != ENOENT)
		r = neg_errno();
	if (r == 0)
		r = drop_tree(k);
	return r == 0 ? drop_frame(k) : r;
}

/*
 * Without its manifest all of it is removed already; with one that is torn nobody can
 * have added anything to it since.
 */
int keep_drop(struct keep *k)
{
	int r = keep_load(k);

	if (r == 0 && *k->stamp.kver)
		r = drop_whole(k);
	else if (r == KEEP_UNFINISHED)
		r = drop_frame(k);
	else if (r >= 0)
		r = remove_ours(k, KEPT_DIR);
	return r < 0 ? keep_fail(k, r, "/%s/" KEPT_DIR, k->modules) : 0;
}

/* --- what restore put back --- */

static bool is_index(const char *name)
{
	for (unsigned i = 0; i < OUT_MAX; i++)
		if (str_eq(name, output_names[i]))
			return true;
	return false;
}

/*
 * Where only our own indexes are left they go, and the directory. What else there is is
 * strange in one that restore made.
 */
static int remove_dir(struct keep *k, const char *dir, bool made, bool *ret_gone)
{
	int fd = live_open_plain(k, dir, ""), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool strange = false;

	*ret_gone = fd == -ENOENT;
	if (!d) {
		closep(&fd);
		return fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR ? 0
		       : fd < 0                                        ? fd
								       : -ENOMEM;
	}
	while ((e = readdir(d)))
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, "..") &&
			!is_index(e->d_name)) {
			if (made)
				keep_strange(k, "/%s/%s", dir, e->d_name);
			strange = true;
		}
	if (!strange) {
		r = publish_remove(fd);
		if (r >= 0)
			r = fs_remove(k->root->fd, dir, AT_REMOVEDIR);
		*ret_gone = r == 0;
	}
	closedir(d);
	return r;
}

static int clean_restored(struct keep *k, char **ret_needs_index)
{
	_cleanup_(freep) char *dir = NULL;
	char store[STORE_NAME_MAX + 1];
	unsigned removed;
	bool gone;
	int r = keep_find_dir(k, k->stamp.kver, &dir);

	if (r == 0)
		r = live_remove_ours(k, dir, &removed);
	if (r < 0 || (!removed && k->marks[0] != 'L'))
		return r;
	r = remove_dir(k, dir, k->marks[0] == 'L', &gone);
	if (r < 0)
		return r;
	if (gone) {
		store_name(k->store_root, dir, store);
		if (k->store_dir >= 0)
			unlinkat(k->store_dir, store, 0);
		return 0;
	}
	*ret_needs_index = strdup(k->stamp.kver);
	return *ret_needs_index ? 0 : -ENOMEM;
}

int keep_clean(struct keep *k, char **ret_needs_index)
{
	int r = keep_load(k);

	*ret_needs_index = NULL;
	/* only then is it known what restore put back */
	if (r == 0 && *k->stamp.kver)
		r = clean_restored(k, ret_needs_index);
	return r < 0 ? keep_fail(k, r, "/%s/%s", k->modules, k->stamp.kver)
		     : keep_drop(k);
}
