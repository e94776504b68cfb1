// SPDX-License-Identifier: GPL-2.0-or-later

/*
 * A mark is a small file, and its owner's life is a lock on it: the kernel drops a flock
 * with the last descriptor, whichever way the owner dies.
 *
 * Owners hold it shared, so that two transactions can change one kernel (rpm and dpkg on
 * one machine; each has a lock of its own against itself only). Whoever wants to remove
 * the file needs it exclusively, for a moment, and thereby knows that no owner lives.
 *
 * That is not enough to remove it. An owner may have died after the scan of the run that
 * now wants to: its last changes were not seen. So:
 *
 *	healer:	list (orphaned? state)  ->  scan, publish  ->  remove if it was orphaned
 *		and its state is the same
 *	owner:	set (alone? state)  ->  changes, scan, publish  ->  remove if it was alone
 *		and its state is the same
 *
 * Each owner appends a line when it sets the mark, so "the same state" means that nobody
 * was there in between. In every doubt the mark is left, which costs one idle run later.
 *
 * A file can be unlinked between open and flock; then it has no links left, and setting
 * it starts again.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mark.h"
#include "base/openat2.h"

/* A healer's exclusive lock lasts for a few system calls. */
#define PATIENCE_MS 200
/* More often than that no healer comes between open and flock. */
#define ATTEMPTS 100

static int close_keep_errno(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

static bool valid_kver(const char *kver)
{
	size_t len = strlen(kver);

	return len > 0 && len <= NAME_MAX && kver[0] != '.' && !strchr(kver, '/');
}

/* --- directories --- */

/* var and var/lib are the system's; they may be links, but not out of the root. */
static int open_below(int root_fd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	return openat(root_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_own(int dir_fd, const char *name, bool create)
{
	struct stat st;
	int fd;

	if (create && mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
		return -1;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return close_keep_errno(fd);
	if (st.st_uid != geteuid()) {
		errno = EPERM;
		return close_keep_errno(fd);
	}
	if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
		return close_keep_errno(fd);
	return fd;
}

static int make_var_lib(int root_fd)
{
	int fd = open_below(root_fd, "var/lib"), var_fd;

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(root_fd, "var", 0755) < 0 && errno != EEXIST)
		return -1;
	var_fd = open_below(root_fd, "var");
	if (var_fd < 0)
		return -1;
	if (mkdirat(var_fd, "lib", 0755) < 0 && errno != EEXIST)
		return close_keep_errno(var_fd);
	close(var_fd);
	return open_below(root_fd, "var/lib");
}

/* The marks' directory; -ENOENT if it is not there and @create does not ask for it. */
static int open_marks(int root_fd, bool create)
{
	int lib_fd, own_fd, fd;

	lib_fd = create ? make_var_lib(root_fd) : open_below(root_fd, "var/lib");
	if (lib_fd < 0)
		return -errno;
	own_fd = open_own(lib_fd, "kmp-depmod", create);
	close_keep_errno(lib_fd);
	if (own_fd < 0)
		return -errno;
	fd = open_own(own_fd, "dirty", create);
	close_keep_errno(own_fd);
	return fd < 0 ? -errno : fd;
}

/* --- states --- */

static int read_state(int fd, struct mark_state *ret, bool *ret_linked)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	*ret = (struct mark_state){
		.ino = st.st_ino,
		.size = st.st_size,
		.ctime = st.st_ctim,
	};
	*ret_linked = st.st_nlink > 0;
	return 0;
}

static bool same_state(const struct mark_state *a, const struct mark_state *b)
{
	return a->ino == b->ino && a->size == b->size &&
	       a->ctime.tv_sec == b->ctime.tv_sec && a->ctime.tv_nsec == b->ctime.tv_nsec;
}

/* Removes the mark open at @fd if it is nobody's and still in @state. */
static int remove_if_same(
	int marks_fd, const char *kver, int fd, const struct mark_state *state)
{
	struct mark_state now;
	bool linked;
	int r;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? MARK_LEFT : -errno;
	r = read_state(fd, &now, &linked);
	if (r < 0)
		return r;
	if (!linked || !same_state(&now, state))
		return MARK_LEFT;
	return unlinkat(marks_fd, kver, 0) < 0 ? -errno : 0;
}

/* --- owner --- */

static int write_line(int fd, const char *who)
{
	char line[128];
	size_t len = strnlen(who, sizeof(line) - 1);
	ssize_t n;

	memcpy(line, who, len);
	line[len++] = '\n';
	n = write(fd, line, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ENOSPC;
}

static int lock_shared(int fd)
{
	for (int ms = 0; flock(fd, LOCK_SH | LOCK_NB) < 0; ms++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (ms >= PATIENCE_MS)
			return MARK_BUSY;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return 0;
}

/*
 * The exclusive lock asks whether we are alone, and the line is written under it. To make
 * it shared is to lose it for an instant; whoever came in then finds our line added once
 * more. Returns 0, MARK_BUSY, a negative errno, or -EAGAIN if the file was removed
 * meanwhile.
 */
static int sign(int fd, const char *who, struct mark *m)
{
	struct mark_state now;
	bool linked;
	int r;

	m->alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
	if (!m->alone && errno != EWOULDBLOCK)
		return -errno;
	if (m->alone) {
		r = write_line(fd, who);
		if (r == 0)
			r = read_state(fd, &m->state, &linked);
		if (r < 0)
			return r;
	}
	r = lock_shared(fd);
	if (r != 0)
		return r;
	r = read_state(fd, &now, &linked);
	if (r < 0)
		return r;
	if (!linked)
		return -EAGAIN;
	if (m->alone && same_state(&now, &m->state))
		return 0;
	m->alone = false;
	return write_line(fd, who);
}

/*
 * A file that we would not have made so comes from a time when others could write here: a
 * second name of another file must not be written to, and a lock that others can hold is
 * none. Returns 0, or -EAGAIN when it is out of the way.
 */
static int only_own(int marks_fd, const char *kver, int fd)
{
	struct stat st, now;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid == geteuid() && st.st_nlink <= 1 && !(st.st_mode & 077))
		return 0;
	/* another owner may have replaced it by now */
	if (fstatat(marks_fd, kver, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		now.st_ino == st.st_ino && unlinkat(marks_fd, kver, 0) < 0)
		return -errno;
	return -EAGAIN;
}

static int set_once(int marks_fd, const char *kver, const char *who, struct mark *ret)
{
	struct mark m = MARK_NONE;
	int r;

	m.fd = openat(marks_fd, kver,
		O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (m.fd < 0)
		return -errno;
	r = only_own(marks_fd, kver, m.fd);
	if (r == 0)
		r = sign(m.fd, who, &m);
	if (r != 0) {
		close(m.fd);
		return r;
	}
	*ret = m;
	return 0;
}

int mark_set(int root_fd, const char *kver, const char *who, bool sync, struct mark *ret)
{
	struct mark m = MARK_NONE;
	int marks_fd, r = -EAGAIN;

	if (!valid_kver(kver))
		return -EINVAL;
	marks_fd = open_marks(root_fd, true);
	if (marks_fd < 0)
		return marks_fd;
	for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++)
		r = set_once(marks_fd, kver, who, &m);
	/* where modes or owners cannot be set, each new file is again none of ours */
	if (r == -EAGAIN)
		r = -EPERM;
	/* Its name is what counts, and brings the inode along; the text may be lost. */
	if (r == 0 && sync && fsync(marks_fd) < 0) {
		r = -errno;
		mark_leave(&m);
	}
	close(marks_fd);
	if (r == 0)
		*ret = m;
	return r;
}

int mark_clear(int root_fd, const char *kver, struct mark *m)
{
	int r = MARK_LEFT, marks_fd;

	if (m->fd >= 0 && m->alone) {
		marks_fd = open_marks(root_fd, false);
		r = marks_fd < 0 ? marks_fd
				 : remove_if_same(marks_fd, kver, m->fd, &m->state);
		if (marks_fd >= 0)
			close(marks_fd);
	}
	mark_leave(m);
	return r;
}

void mark_leave(struct mark *m)
{
	if (m->fd >= 0)
		close(m->fd);
	*m = MARK_NONE;
}

/* --- healer --- */

/* Returns 0, MARK_LEFT if it is gone meanwhile or no mark, or a negative errno. */
static int look_at(int marks_fd, const char *kver, struct mark_found *ret)
{
	struct mark_found found = {};
	bool linked = false;
	int fd, r;

	fd = openat(marks_fd, kver, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? MARK_LEFT : -errno;
	found.orphaned = flock(fd, LOCK_EX | LOCK_NB) == 0;
	r = found.orphaned || errno == EWOULDBLOCK ? read_state(fd, &found.state, &linked)
						   : -errno;
	close(fd);
	if (r == -EBADMSG || (r == 0 && !linked))
		return MARK_LEFT;
	if (r < 0)
		return r;
	found.kver = strdup(kver);
	if (!found.kver)
		return -ENOMEM;
	*ret = found;
	return 0;
}

static int list_dir(int marks_fd, DIR *dir, struct mark_found **found, size_t *n)
{
	const struct dirent *entry;

	while ((errno = 0, entry = readdir(dir))) {
		struct mark_found *longer, one;
		int r;

		if (!valid_kver(entry->d_name))
			continue;
		r = look_at(marks_fd, entry->d_name, &one);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		longer = reallocarray(*found, *n + 1, sizeof(**found));
		if (!longer) {
			free(one.kver);
			return -ENOMEM;
		}
		*found = longer;
		longer[(*n)++] = one;
	}
	return -errno;
}

int mark_list(int root_fd, struct mark_found **ret, size_t *ret_n)
{
	struct mark_found *found = NULL;
	size_t n = 0;
	DIR *dir;
	int fd, r;

	fd = open_marks(root_fd, false);
	if (fd == -ENOENT) {
		*ret = NULL;
		*ret_n = 0;
		return 0;
	}
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		close_keep_errno(fd);
		return -errno;
	}
	r = list_dir(fd, dir, &found, &n);
	closedir(dir);
	if (r < 0) {
		mark_list_free(found, n);
		return r;
	}
	*ret = found;
	*ret_n = n;
	return 0;
}

void mark_list_free(struct mark_found *found, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(found[i].kver);
	free(found);
}

int mark_heal(int root_fd, const struct mark_found *found)
{
	int marks_fd, fd, r;

	if (!found->orphaned)
		return MARK_LEFT;
	marks_fd = open_marks(root_fd, false);
	if (marks_fd < 0)
		return marks_fd == -ENOENT ? MARK_LEFT : marks_fd;
	fd = openat(marks_fd, found->kver, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		r = errno == ENOENT ? MARK_LEFT : -errno;
	} else {
		r = remove_if_same(marks_fd, found->kver, fd, &found->state);
		close(fd);
	}
	close(marks_fd);
	return r;
}
