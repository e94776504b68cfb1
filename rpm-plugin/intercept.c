// SPDX-License-Identifier: GPL-2.0-or-later

/*
 * SUSE's scriptlets honour $DEPMOD, so there the environment is enough. Fedora's call
 * /sbin/depmod, which is a link to kmod, as modprobe and lsmod are. A bind mount made
 * with mount(2) follows the link and would cover all of them; open_tree(2) and
 * move_mount(2) can cover the link itself.
 *
 * The mounts must not leave the child. Its namespace is a copy in which each mount is
 * still a peer of the original, so first all of them are made slaves: what is mounted
 * outside keeps arriving, nothing goes back. That has to be asked of the top of the tree,
 * which a chroot's
 * "/" is usually not: therefore a detour over the root outside.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "rpm-plugin/intercept.h"

/* Of <linux/mount.h>, which does not go together with every <sys/mount.h>. */
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif

/* Often one file under several names; each is covered once. */
static const char *const depmods[] = {
	"/usr/sbin/depmod",
	"/sbin/depmod",
	"/usr/bin/depmod",
	"/bin/depmod",
};

void intercept_environment(const char *drop_in)
{
	if (access(drop_in, X_OK) == 0)
		setenv("DEPMOD", drop_in, 0);
}

static int enter_namespace(int outer_root_fd)
{
	if (outer_root_fd >= 0 ? fchdir(outer_root_fd) < 0 : chdir("/") < 0)
		return -errno;
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	return mount(NULL, ".", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

#if defined(SYS_open_tree) && defined(SYS_move_mount)
static int cover(const char *path, const char *drop_in)
{
	int r, fd = (int)syscall(SYS_open_tree, AT_FDCWD, drop_in,
		       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return -errno;
	r = syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0
		    ? -errno
		    : 0;
	close(fd);
	return r;
}
#else
static int cover(const char *path, const char *drop_in)
{
	(void)path;
	(void)drop_in;
	return -ENOSYS;
}
#endif

static int cover_all(const char *drop_in)
{
	struct stat ours, theirs;
	int ret = -ENOENT;

	if (access(drop_in, X_OK) < 0 || stat(drop_in, &ours) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(depmods); i++) {
		int r;

		if (lstat(depmods[i], &theirs) < 0 || same_file(&ours, &theirs))
			continue;
		r = cover(depmods[i], drop_in);
		if (r == 0 || ret < 0)
			ret = r;
	}
	return ret;
}

int intercept_mount(const char *drop_in, int outer_root_fd)
{
	int r;

	if (access(drop_in, X_OK) < 0)
		return -errno;
	r = enter_namespace(outer_root_fd);
	if (chdir("/") < 0)
		return -errno;
	return r < 0 ? r : cover_all(drop_in);
}
