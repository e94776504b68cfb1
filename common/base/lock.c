// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flock() has no time limit, and an alarm would be a process-wide signal. So it is tried
 * again after short, growing pauses: an update takes some ten milliseconds.
 */

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

#include "base/lock.h"

/* The directory must be ours alone, or the lock could be held by anybody. */
static int open_lock_dir(const struct root *root)
{
	struct stat st;
	int fd, r;

	fd = root_openat(root, LOCK_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ENOENT) {
		r = root_mkdirs(root, "var/lib", 0755);
		if (r == 0)
			r = root_mkdirs(root, LOCK_DIR, 0700);
		if (r < 0)
			return r;
		fd = root_openat(root, LOCK_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		r = neg_errno();
	else
		r = st.st_uid != geteuid() || (st.st_mode & 022) ? -EPERM : 0;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/*
 * Whoever can, or could, open the file can hold the lock for ever. One that we would not
 * have made so gives way to one of ours: the directory is ours.
 */
static int open_lock(int dir)
{
	for (int i = 0; i < 10; i++) {
		_cleanup_(closep) int fd = openat(
			dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		struct stat st, now;

		if (fd < 0 || fstat(fd, &st) < 0)
			return neg_errno();
		if (S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
			!(st.st_mode & 077) && st.st_nlink == 1)
			return TAKE_FD(fd);
		/* another run may have replaced it by now */
		if (fstatat(dir, "lock", &now, AT_SYMLINK_NOFOLLOW) == 0 &&
			now.st_ino == st.st_ino && unlinkat(dir, "lock", 0) < 0)
			return neg_errno();
	}
	return -EPERM;
}

int lock_take(const struct root *root, unsigned wait_ms, int *ret_fd)
{
	_cleanup_(closep) int dir = open_lock_dir(root);
	_cleanup_(closep) int fd = -1;
	unsigned waited = 0, pause = 1;

	if (dir < 0)
		return dir;
	fd = open_lock(dir);
	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct timespec t = {.tv_nsec = (long)pause * 1000000};

		if (errno != EWOULDBLOCK && errno != EINTR)
			return neg_errno();
		if (waited >= wait_ms)
			return LOCK_BUSY;
		nanosleep(&t, NULL);
		waited += pause;
		pause = MIN(pause * 2, 50u);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}
