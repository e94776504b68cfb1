// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hard link cannot lead to another file system or btrfs subvolume, a file can have too
 * many of them, and some file systems have none. A reflink costs no space either; a plain
 * copy does, and is the last way.
 */

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "keep/link.h"

#define COPY_AT_ONCE ((size_t)1 << 20)
#define XATTRS_MAX ((size_t)64 << 10)

static int open_source(const struct link_source *s, int flags)
{
	int fd;

	if (s->follow)
		return root_openat(s->root, s->path, flags, 0);
	fd = openat(s->dirfd, s->name, flags | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? neg_errno() : fd;
}

static int hard_link(const struct link_source *s, int dstdir, const char *dst)
{
	_cleanup_(closep) int fd = -1;

	if (!s->follow || s->root->host)
		return linkat(s->dirfd, s->name, dstdir, dst,
			       s->follow ? AT_SYMLINK_FOLLOW : 0) < 0
			       ? neg_errno()
			       : 0;
	fd = open_source(s, O_PATH);
	if (fd < 0)
		return fd;
	return linkat(fd, "", dstdir, dst, AT_EMPTY_PATH) < 0 ? neg_errno() : 0;
}

static int copy_data(int from, int to)
{
	_cleanup_(freep) char *block = NULL;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	block = malloc(COPY_AT_ONCE);
	if (!block)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(from, block, COPY_AT_ONCE);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? neg_errno() : 0;
		r = fs_write_all(to, block, (size_t)n);
		if (r < 0)
			return r;
	}
}

/*
 * Where an attribute cannot be set, a label say, a copy without it is better than none.
 */
static int copy_xattrs(int from, int to)
{
	_cleanup_(freep) char *names = NULL;
	ssize_t len = flistxattr(from, NULL, 0), n;
	char *value;

	if (len <= 0)
		return 0;
	names = malloc(2 * XATTRS_MAX);
	if (!names)
		return -ENOMEM;
	value = names + XATTRS_MAX;
	len = flistxattr(from, names, XATTRS_MAX);
	for (char *name = names; len > 0 && name < names + len;
		name += strlen(name) + 1) {
		n = fgetxattr(from, name, value, XATTRS_MAX);
		if (n >= 0 && fsetxattr(to, name, value, (size_t)n, 0) < 0 &&
			errno == ENOSPC)
			return neg_errno();
	}
	return 0;
}

/*
 * What the new file has already is not set again: each change is one for the file
 * system's journal.
 */
static int copy_attributes(int from, const struct stat *st, int to, ino_t *ret_ino)
{
	struct stat made;
	int r = copy_xattrs(from, to);

	if (r < 0)
		return r;
	if (fstat(to, &made) < 0)
		return neg_errno();
	if (ret_ino)
		*ret_ino = made.st_ino;
	if ((made.st_uid != st->st_uid || made.st_gid != st->st_gid) &&
		fchown(to, st->st_uid, st->st_gid) < 0 && errno != EPERM &&
		errno != EINVAL)
		return neg_errno();
	if (made.st_mode != st->st_mode && fchmod(to, st->st_mode & 07777) < 0)
		return neg_errno();
	return futimens(to, (struct timespec[2]){st->st_atim, st->st_mtim}) < 0
		       ? neg_errno()
		       : 0;
}

static int copy(const struct link_source *s, int dstdir, const char *dst, ino_t *ret_ino)
{
	_cleanup_(closep) int from = open_source(s, O_RDONLY | O_NONBLOCK);
	struct stat st;
	int to, r;

	if (from < 0 || fstat(from, &st) < 0)
		return from < 0 ? from : neg_errno();
	if (!S_ISREG(st.st_mode))
		return -ENOENT; /* that file is gone */
	to = openat(dstdir, dst, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		st.st_mode & 0777);
	if (to < 0)
		return neg_errno();
	r = copy_data(from, to);
	if (r == 0)
		r = copy_attributes(from, &st, to, ret_ino);
	if (close(to) < 0 && r == 0 && errno != EINTR)
		r = neg_errno();
	if (r < 0)
		unlinkat(dstdir, dst, 0);
	return r < 0 ? r : LINK_COPIED;
}

int link_file(const struct link_source *src, int dstdir, const char *dst, ino_t *ret_ino)
{
	int r = hard_link(src, dstdir, dst);

	if (link_is_refused(r))
		return copy(src, dstdir, dst, ret_ino);
	return r;
}
