// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths are compared by what is there, not as text: a package may know /lib/modules by
 * its other name, and a link in the running kernel's directory may lead to any other one.
 */

#include <dirent.h>
#include <fcntl.h>

#include "keep/touched.h"
#include "keep/tree.h"

#define DEPTH_MAX 40

static bool has_inode(const struct buf *inodes, const struct stat *st)
{
	const struct stat *known = vec_data(inodes, struct stat);

	for (size_t i = 0; i < vec_len(inodes, struct stat); i++)
		if (known[i].st_dev == st->st_dev && known[i].st_ino == st->st_ino)
			return true;
	return false;
}

/* The files of a list that are there. */
static void add_inodes(
	const struct keep *k, const struct changeset *list, struct buf *ret)
{
	for (const char *p = NULL; (p = changeset_next(list, p));) {
		struct stat st;

		if (root_stat(k->root, p, &st) == 0)
			buf_add(ret, &st, sizeof(st));
	}
}

/*
 * A file of another kernel, and the directories that it is in, up to that kernel's: a
 * link may lead to any of them. kver begins that kernel's name in path; before: the path
 * that was added last, or "".
 */
static void add_places(const struct keep *k, const char *path, const char *kver,
	const char *before, struct buf *ret)
{
	_cleanup_(buf_done) struct buf place = {0};
	size_t len = strlen(path), kernel = (size_t)(kver - path);

	buf_printf(&place, "%s", path);
	while (!place.err && len > kernel) {
		struct stat st;

		place.data[len] = '\0';
		if (root_stat(k->root, place.data, &st) == 0)
			buf_add(ret, &st, sizeof(st));
		while (len > kernel && place.data[--len] != '/')
			;
		if (strncmp(before, path, len + 1) == 0)
			return; /* this one and those above are there already */
	}
}

static bool is_there(const struct keep *k, const char *path)
{
	_cleanup_(closep) int fd = root_openat(k->root, path, O_PATH | O_NOFOLLOW, 0);

	return fd >= 0;
}

static bool find_target(
	const struct keep *k, const char *below, const struct buf *inodes, int depth)
{
	_cleanup_(buf_done) struct buf path = {0};
	const struct dirent *e;
	bool found = false;
	int fd;
	DIR *d;

	buf_printf(&path, "%s%s%s", k->dir, *below ? "/" : "", below);
	fd = path.err ? -1
		      : root_openat(k->root, path.data,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		closep(&fd);
		return false;
	}
	while (!found && (e = readdir(d))) {
		_cleanup_(buf_done) struct buf sub = {0};
		unsigned char type = fs_entry_type(fd, e);
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		buf_printf(&sub, "%s%s%s", below, *below ? "/" : "", e->d_name);
		if (type == DT_DIR && depth < DEPTH_MAX)
			found = !sub.err && find_target(k, sub.data, inodes, depth + 1);
		else if (type == DT_LNK) {
			path.len = strlen(k->dir);
			buf_printf(&path, "/%s", sub.data);
			found = !path.err && root_stat(k->root, path.data, &st) == 0 &&
				has_inode(inodes, &st);
		}
	}
	closedir(d);
	return found;
}

bool keep_is_touched(struct keep *k, const struct changeset *touched)
{
	_cleanup_(buf_done) struct buf others = {0};
	const char *before = "";

	for (const char *p = NULL; (p = changeset_next(touched, p));) {
		const char *kver;
		size_t len;

		if (changeset_kernel(p, &kver, &len) != 0)
			continue;
		if (len == strlen(k->running->kver) &&
			memcmp(kver, k->running->kver, len) == 0) {
			if (is_there(k, p))
				return true;
		} else {
			add_places(k, p, kver, before, &others);
			before = p;
		}
	}
	return others.len && find_target(k, "", &others, 0);
}

/*
 * Which kept modules are meant by paths whose removal was asked for: by their inode,
 * since a path can lead through links.
 */
static int note_removed(struct keep *k, const struct changeset *removed)
{
	_cleanup_(buf_done) struct buf inodes = {0};
	const struct manifest *m = &k->manifest;
	int r = keep_load_whole(k);

	if (r < 0)
		return r;
	add_inodes(k, removed, &inodes);
	for (uint32_t d = 0; inodes.len && d < m->n_dirs; d++)
		for (uint32_t f = m->dirs[d].first; f < m->dirs[d + 1].first; f++) {
			_cleanup_(buf_done) struct buf live = {0};
			const char *dir = m->dirs[d].path;
			struct stat st;

			if (is_in_tree(dir))
				break;
			buf_printf(&live, "%s/%s%s%s", k->dir, dir, *dir ? "/" : "",
				m->files[f].name);
			if (!live.err && is_module(m->files[f].name) &&
				root_stat(k->root, live.data, &st) == 0 &&
				has_inode(&inodes, &st))
				k->marks[m->n_dirs + f] = 'R';
		}
	return keep_write_marks(k);
}

int touched_note(struct keep *k, const struct changeset *removed)
{
	int r = removed && removed->n ? note_removed(k, removed) : 0;

	if (r < 0 || k->pending)
		return r;
	k->pending = true;
	return keep_write_state(k);
}
