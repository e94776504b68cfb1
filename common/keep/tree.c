// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>

#include "keep/tree.h"

int links_open(struct keep *k, const char *dir, struct links *ret)
{
	struct links l = {0};
	int r = k->store_dir < 0 ? 0 : kernels_list(k->root, NULL, NULL, &l.kernels);

	if (r == 0) {
		l.refresh = calloc(l.kernels.n + 1, sizeof(*l.refresh));
		l.names = calloc(l.kernels.n + 1, sizeof(*l.names));
		r = l.refresh && l.names ? 0 : -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < l.kernels.n; i++) {
		l.refresh[i].store_dir = -1;
		if (str_eq(l.kernels.list[i].dir, dir))
			continue;
		store_name(k->store_root, l.kernels.list[i].dir, l.names[i]);
		r = refresh_open(k->store_dir, l.names[i], &l.refresh[i]);
		if (r == 0)
			refresh_before_links(
				&l.refresh[i], k->root, l.kernels.list[i].dir);
		if (!refresh_any(&l.refresh[i]))
			refresh_close(&l.refresh[i]);
	}
	*ret = l;
	return r;
}

void links_close(struct keep *k, struct links *l)
{
	for (size_t i = 0; i < l->kernels.n; i++) {
		if (l->refresh && l->names)
			refresh_finish(&l->refresh[i], k->root, l->kernels.list[i].dir,
				k->store_dir, l->names[i]);
		if (l->refresh)
			refresh_close(&l->refresh[i]);
	}
	free(l->refresh);
	free(l->names);
	kernels_done(&l->kernels);
}

int live_open(const struct keep *k, const char *dir, const char *below)
{
	_cleanup_(buf_done) struct buf path = {0};

	buf_printf(&path, "%s%s%s", dir, *below ? "/" : "", below);
	return path.err ? path.err
			: root_openat(k->root, path.data, O_RDONLY | O_DIRECTORY, 0);
}

int live_open_plain(const struct keep *k, const char *dir, const char *below)
{
	_cleanup_(buf_done) struct buf path = {0};

	buf_printf(&path, "%s%s%s", dir, *below ? "/" : "", below);
	return path.err ? path.err
			: fs_open_plain(k->root->fd, path.data, O_RDONLY | O_DIRECTORY);
}

int kept_dev(const struct keep *k, dev_t *ret)
{
	struct stat st;

	if (fstat(k->kept_fd, &st) < 0)
		return neg_errno();
	*ret = st.st_dev;
	return 0;
}

/* What cannot be looked at, for a reason of the machine's, is not gone. */
static int gone_or(int err)
{
	return fs_err_is_files_own(err) ? LIVE_GONE : err;
}

/*
 * A name of the kept file? On an overlay each file has the device of its layer, another
 * than directories.
 */
static bool is_kept(
	const struct keep *k, dev_t dev, uint32_t d, uint32_t f, const struct stat *st)
{
	const struct kept_file *file = &k->manifest.files[f];
	_cleanup_(closep) int fd = -1;
	struct stat kept;

	if (st->st_ino != file->ino || st->st_dev == dev)
		return st->st_ino == file->ino;
	fd = keep_open_kept(k, k->manifest.dirs[d].path);
	return fd >= 0 && fstatat(fd, file->name, &kept, AT_SYMLINK_NOFOLLOW) == 0 &&
	       kept.st_dev == st->st_dev && kept.st_ino == st->st_ino;
}

int live_look(const struct keep *k, const char *dir, int fd, dev_t dev, uint32_t d,
	uint32_t f, struct stat *ret_st)
{
	const struct kept_file *file = &k->manifest.files[f];
	struct stat st;
	int r;

	if (fd < 0)
		return gone_or(fd);
	if (fstatat(fd, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return gone_or(neg_errno());
	if (is_kept(k, dev, d, f, &st)) {
		*ret_st = st;
		return k->marks[k->manifest.n_dirs + f] == 'L' ? LIVE_OURS : LIVE_SAME;
	}
	if (S_ISLNK(st.st_mode) && kept_is_target(file)) {
		_cleanup_(buf_done) struct buf path = {0};
		const char *below = k->manifest.dirs[d].path;

		buf_printf(&path, "%s/%s%s%s", dir, below, *below ? "/" : "", file->name);
		r = path.err ? path.err : root_stat(k->root, path.data, &st);
		if (r < 0)
			return gone_or(r);
	}
	*ret_st = st;
	if (kept_is_copy(file) || file->kind == KEPT_SYMLINK) {
		if (st.st_ino != file->src_ino ||
			timespec_ns(st.st_ctim) != file->src_ctime)
			return LIVE_OTHER;
		return k->marks[k->manifest.n_dirs + f] == 'L' ? LIVE_OURS : LIVE_SAME;
	}
	return is_kept(k, dev, d, f, &st) ? LIVE_SAME : LIVE_OTHER;
}

/* Those inside first; one that somebody uses stays. */
static int remove_our_dirs(struct keep *k, const char *dir)
{
	const struct manifest *m = &k->manifest;

	for (uint32_t d = m->n_dirs; d-- > 1;) {
		_cleanup_(buf_done) struct buf path = {0};
		int r;

		if (k->marks[d] != 'L')
			continue;
		buf_printf(&path, "%s/%s", dir, m->dirs[d].path);
		if (path.err)
			return path.err;
		r = fs_remove(k->root->fd, path.data, AT_REMOVEDIR);
		if (r < 0 && r != -ENOTEMPTY && r != -EEXIST && r != -ENOENT &&
			r != -ENOTDIR && r != -ELOOP)
			return keep_fail(k, r, "/%s", path.data);
	}
	return 0;
}

int live_remove_ours(struct keep *k, const char *dir, unsigned *ret_removed)
{
	const struct manifest *m = &k->manifest;
	unsigned removed = 0;
	dev_t dev;
	int r = kept_dev(k, &dev);

	*ret_removed = 0;
	if (r < 0 || !memchr(k->marks, 'L', (size_t)m->n_dirs + m->n_files))
		return r;
	for (uint32_t d = 0; d < m->n_dirs; d++) {
		_cleanup_(closep) int fd = live_open_plain(k, dir, m->dirs[d].path);

		for (uint32_t f = m->dirs[d].first; f < m->dirs[d + 1].first; f++) {
			struct stat st;
			int how = k->marks[m->n_dirs + f] != 'L'
					  ? LIVE_GONE
					  : live_look(k, dir, fd, dev, d, f, &st);

			if (how < 0)
				return how;
			if (how != LIVE_OURS)
				continue;
			if (unlinkat(fd, m->files[f].name, 0) < 0)
				return keep_fail(k, neg_errno(), "/%s/%s/%s", dir,
					m->dirs[d].path, m->files[f].name);
			removed++;
		}
	}
	*ret_removed = removed;
	return remove_our_dirs(k, dir);
}
