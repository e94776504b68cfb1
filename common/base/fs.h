/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * fs.h: files below a root directory.
 *
 * A root is where absolute symbolic links start: "/" for the running system, or a whole
 * system's directory (--root). Below the latter no link and no ".." leads out of it. All
 * functions return a descriptor or 0, or a negative errno.
 */

#include <dirent.h>
#include <sys/stat.h>

#include "base/buf.h"

struct root {
	int fd;     /* O_PATH; owned */
	bool host;  /* it is "/": the kernel's own path resolution is right */
	char *path; /* absolute, without a slash at its end: "" for "/"; owned */
};

/* Open dir ("" and "/" are the host's root). Release with root_done(). */
int root_open(struct root *ret, const char *dir);
void root_done(struct root *root);

/* Open a path, relative to the root (leading slashes are dropped), inside the root. */
int root_openat(const struct root *root, const char *path, int flags, mode_t mode);
int root_stat(const struct root *root, const char *path, struct stat *ret);
/*
 * The real path of an existing directory below the root, without any symbolic link and
 * without a leading slash ("usr/lib/modules" for "/lib/modules"). The caller frees it.
 */
int root_realpath(const struct root *root, const char *path, char **ret);
/*
 * Make a directory and its missing parents, each with mode. An existing one is success.
 */
int root_mkdirs(const struct root *root, const char *path, mode_t mode);

/*
 * Open a relative path, without "..", below dirfd, if none of its components is a
 * symbolic link: for whoever is to write or remove there, and there only. Else -ELOOP or
 * -ENOTDIR.
 */
int fs_open_plain(int dirfd, const char *path, int flags);
/*
 * The same for the directory that path is in. *ret_name: the last component, within path.
 */
int fs_open_parent(int dirfd, const char *path, const char **ret_name);
/* unlinkat() there. 0 or -errno. */
int fs_remove(int dirfd, const char *path, int flags);

/*
 * The type (DT_REG ...) of an entry of the directory dirfd, also where the file system
 * keeps none there.
 */
unsigned char fs_entry_type(int dirfd, const struct dirent *e);

/* Could nobody but root and us have written it? */
bool fs_is_own(const struct stat *st);

/*
 * Is a configuration file masked, a link to /dev/null? That is told by the link's text,
 * since a root that is being built may have no /dev/null.
 */
bool root_is_mask(const struct root *root, const char *path);
/* Do the bytes from here to the end of fd equal these n? 1, 0, or -errno. */
int fs_same_bytes(int fd, const void *data, size_t n);
/* Read all that is left of fd, up to max bytes: -EFBIG beyond. Appends to b. */
int fs_read_all(int fd, size_t max, struct buf *b);
/* Read a small text or list below the root. -ENOENT if it is missing. Appends to b. */
int fs_read_file(const struct root *root, const char *path, size_t max, struct buf *b);
/* Like pread(), until n bytes came or the file ended. Returns the count. */
ssize_t fs_pread(int fd, void *data, size_t n, off_t offset);
int fs_write_all(int fd, const void *data, size_t n);

/*
 * Does this file system keep inode numbers and a ctime of its own, which nobody can set?
 * Only then do equal stats mean equal bytes. False for network, FUSE, overlay and
 * read-only image file systems, and for any that is not known.
 */
bool fs_stats_trusted(int fd);

/*
 * Does a negative errno of opening or looking at a file tell of that file? Others
 * (-EMFILE, -ENOMEM, -EIO ...) tell of the machine: then it cannot be known what is there,
 * and nothing may be concluded.
 */
bool fs_err_is_files_own(int err);

static inline int64_t timespec_ns(struct timespec t)
{
	int64_t ns;

	/* beyond the years 1678 and 2262 all times are the same */
	if (__builtin_mul_overflow((int64_t)t.tv_sec, (int64_t)1000000000, &ns) ||
		__builtin_add_overflow(ns, (int64_t)t.tv_nsec, &ns))
		return t.tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}
