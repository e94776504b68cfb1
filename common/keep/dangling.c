// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <limits.h>

#include "keep/dangling.h"

enum dangling {
	NO_LINK,
	MAKES_ROOM,
	STAYS,
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
	return is_among_modules(k, link, name, target) ? MAKES_ROOM : STAYS;
}

int dangling_remove(const struct keep *k, const char *link)
{
	return look_at_link(k, link) == MAKES_ROOM ? fs_remove(k->root->fd, link, 0)
						   : -EEXIST;
}

bool dangling_stays(const struct keep *k, const char *link)
{
	return look_at_link(k, link) == STAYS;
}

bool dangling_blocks(const struct keep *k, const char *below)
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
