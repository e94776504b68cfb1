// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Path resolution inside a root is the kernel's: openat2(RESOLVE_IN_ROOT). Where that is
 * missing (before Linux 5.6, or under an old seccomp filter) root_walk() does the same by
 * hand: one component at a time with O_NOFOLLOW, links put in front of what is left.
 */

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "base/fs.h"
#include "base/openat2.h"

#define LINKS_MAX 40 /* as the kernel's own MAXSYMLINKS */

int root_open(struct root *ret, const char *dir)
{
	struct stat st, host;
	char *path;
	int fd;

	path = realpath(*dir ? dir : "/", NULL);
	if (!path)
		return neg_errno();
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || stat("/", &host) < 0) {
		int r = neg_errno();

		closep(&fd);
		free(path);
		return r;
	}
	if (str_eq(path, "/"))
		path[0] = '\0';
	*ret = (struct root){
		.fd = fd,
		.host = st.st_dev == host.st_dev && st.st_ino == host.st_ino,
		.path = path,
	};
	return 0;
}

void root_done(struct root *root)
{
	if (root->path)
		close(root->fd);
	free(root->path);
	*root = (struct root){.fd = -1};
}

/* Put the target of link dirfd/name in front of the path that is left. */
static int expand_link(int dirfd, const char *name, struct buf *rest, size_t *pos)
{
	struct buf next = {0};
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0)
		return neg_errno();
	if (n == 0 || (size_t)n >= sizeof(target))
		return -ENAMETOOLONG;
	buf_add(&next, target, (size_t)n);
	buf_char(&next, '/');
	buf_str(&next, rest->data + *pos);
	buf_char(&next, '\0');
	if (next.err || next.len > 2 * PATH_MAX) {
		buf_done(&next);
		return -ENAMETOOLONG;
	}
	buf_done(rest);
	*rest = next;
	*pos = 0;
	return target[0] == '/';
}

static int is_root(const struct root *root, int fd)
{
	struct stat a, b;

	if (fstat(root->fd, &a) < 0 || fstat(fd, &b) < 0)
		return neg_errno();
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int walk_step(const struct root *root, int *dirfd, const char *name)
{
	int up = str_eq(name, "..") ? is_root(root, *dirfd) : 0;
	int fd;

	if (up < 0)
		return up;
	if (str_eq(name, ".") || up)
		return 0;
	fd = openat(*dirfd, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	close(*dirfd);
	*dirfd = fd;
	return 0;
}

/* openat2(RESOLVE_IN_ROOT) by hand. A missing last component is made if flags say so. */
static int root_walk(const struct root *root, const char *path, int flags, mode_t mode)
{
	_cleanup_(buf_done) struct buf rest = {0};
	_cleanup_(closep) int dirfd = fcntl(root->fd, F_DUPFD_CLOEXEC, 3);
	size_t pos = 0;
	int links = 0;

	buf_str(&rest, path);
	buf_char(&rest, '\0');
	if (rest.err || dirfd < 0)
		return rest.err ? rest.err : neg_errno();
	for (;;) {
		char name[NAME_MAX + 1];
		struct stat st;
		size_t n;
		int r;

		pos += strspn(rest.data + pos, "/");
		n = strcspn(rest.data + pos, "/");
		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, n ? rest.data + pos : ".", n ? n : 1);
		name[n ? n : 1] = '\0';
		pos += n;
		r = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
		if (r == 0 && S_ISLNK(st.st_mode) &&
			!(flags & O_NOFOLLOW && !rest.data[pos])) {
			if (++links > LINKS_MAX)
				return -ELOOP;
			r = expand_link(dirfd, name, &rest, &pos);
			if (r < 0)
				return r;
			if (r > 0) {
				close(dirfd);
				dirfd = fcntl(root->fd, F_DUPFD_CLOEXEC, 3);
				if (dirfd < 0)
					return neg_errno();
			}
			continue;
		}
		if (rest.data[pos + strspn(rest.data + pos, "/")] == '\0') {
			int up = str_eq(name, "..") ? is_root(root, dirfd) : 0;

			if (up < 0)
				return up;
			r = openat(dirfd, up ? "." : name, flags | O_NOFOLLOW | O_CLOEXEC,
				mode);
			return r < 0 ? neg_errno() : r;
		}
		r = walk_step(root, &dirfd, name);
		if (r < 0)
			return r;
	}
}

int root_openat(const struct root *root, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	while (*path == '/')
		path++;
	if (!*path)
		path = ".";
	if (root->host) {
		fd = openat(root->fd, path, flags | O_CLOEXEC, mode);
		return fd < 0 ? neg_errno() : (int)fd;
	}
	fd = syscall(SYS_openat2, root->fd, path, &how, sizeof(how));
	if (fd >= 0)
		return (int)fd;
	/*
	 * EAGAIN: there was a ".." in the way, and something was renamed somewhere
	 * meanwhile
	 */
	if (errno != ENOSYS && errno != EPERM && errno != EAGAIN)
		return neg_errno();
	return root_walk(root, path, flags, mode);
}

int root_stat(const struct root *root, const char *path, struct stat *ret)
{
	_cleanup_(closep) int fd = root_openat(root, path, O_PATH, 0);

	if (fd < 0)
		return fd;
	return fstat(fd, ret) < 0 ? neg_errno() : 0;
}

/* Append the next component of rest to real, or put a link's target in front of rest. */
static int realpath_step(
	const struct root *root, struct buf *real, struct buf *rest, size_t *pos)
{
	size_t n = strcspn(rest->data + *pos, "/"), before = real->len;
	const char *name = rest->data + *pos;
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int r;

	*pos += n;
	if (n == 1 && *name == '.')
		return 0;
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		while (real->len > 0 && real->data[--real->len] != '/')
			;
		return 0;
	}
	if (before)
		buf_char(real, '/');
	buf_add(real, name, n);
	buf_char(real, '\0');
	if (real->err)
		return real->err;
	real->len--;
	fd = root_openat(root, real->data, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return neg_errno();
	if (!S_ISLNK(st.st_mode))
		return 0;
	r = expand_link(fd, "", rest, pos);
	if (r < 0)
		return r;
	real->len = r ? 0 : before;
	return 1;
}

/* By hand, since neither /proc nor a root other than "/" can be relied on. */
int root_realpath(const struct root *root, const char *path, char **ret)
{
	_cleanup_(buf_done) struct buf real = {0}, rest = {0};
	_cleanup_(closep) int fd = root_openat(root, path, O_PATH | O_DIRECTORY, 0);
	size_t pos = 0;
	int links = 0;

	if (fd < 0)
		return fd;
	buf_str(&rest, path);
	buf_char(&rest, '\0');
	while (!rest.err && (pos += strspn(rest.data + pos, "/"), rest.data[pos])) {
		int r = realpath_step(root, &real, &rest, &pos);

		if (r < 0)
			return r;
		links += r;
		if (links > LINKS_MAX)
			return -ELOOP;
	}
	buf_char(&real, '\0');
	if (rest.err || real.err)
		return -ENOMEM;
	*ret = TAKE_PTR(real.data);
	return 0;
}

/* RESOLVE_NO_SYMLINKS by hand. */
static int plain_walk(int dirfd, const char *path, int flags)
{
	_cleanup_(closep) int at = -1;

	for (;;) {
		size_t n = strcspn(path, "/");
		char name[NAME_MAX + 1];
		int fd;

		if (!path[n]) {
			fd = openat(at < 0 ? dirfd : at, path,
				flags | O_NOFOLLOW | O_CLOEXEC);
			return fd < 0 ? neg_errno() : fd;
		}
		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, n);
		name[n] = '\0';
		fd = openat(at < 0 ? dirfd : at, name,
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return neg_errno();
		closep(&at);
		at = fd;
		path += n + 1;
	}
}

int fs_open_plain(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	if (fd >= 0)
		return (int)fd;
	return errno == ENOSYS || errno == EPERM ? plain_walk(dirfd, path, flags)
						 : neg_errno();
}

int fs_open_parent(int dirfd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(freep) char *parent =
		slash ? strndup(path, (size_t)(slash - path)) : strdup(".");

	*ret_name = slash ? slash + 1 : path;
	return parent ? fs_open_plain(dirfd, parent, O_PATH | O_DIRECTORY) : -ENOMEM;
}

int fs_remove(int dirfd, const char *path, int flags)
{
	const char *name;
	_cleanup_(closep) int parent = fs_open_parent(dirfd, path, &name);

	return parent < 0 ? parent : unlinkat(parent, name, flags) < 0 ? neg_errno() : 0;
}

unsigned char fs_entry_type(int dirfd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	return fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0
		       ? DT_UNKNOWN
		       : IFTODT(st.st_mode);
}

bool fs_is_own(const struct stat *st)
{
	return !(st->st_mode & 022) && (st->st_uid == geteuid() || st->st_uid == 0);
}

int root_mkdirs(const struct root *root, const char *path, mode_t mode)
{
	_cleanup_(freep) char *copy = NULL;

	while (*path == '/')
		path++;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	for (char *slash = copy;; *slash++ = '/') {
		_cleanup_(closep) int parent = -1;
		char *name;

		slash += strcspn(slash, "/");
		bool last = *slash == '\0';

		*slash = '\0';
		name = strrchr(copy, '/');
		if (name)
			*name = '\0';
		parent = root_openat(root, name ? copy : "", O_PATH | O_DIRECTORY, 0);
		if (name)
			*name = '/';
		if (parent < 0)
			return parent;
		if (mkdirat(parent, name ? name + 1 : copy, mode) < 0 && errno != EEXIST)
			return neg_errno();
		if (last)
			return 0;
	}
}

int fs_read_all(int fd, size_t max, struct buf *b)
{
	size_t start = b->len;

	for (;;) {
		char *to = buf_reserve(b, 65536);
		ssize_t n;

		if (!to)
			return -ENOMEM;
		n = read(fd, to, b->cap - b->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return neg_errno();
		if (n == 0)
			return 0;
		b->len += (size_t)n;
		if (b->len - start > max)
			return -EFBIG;
	}
}

int fs_read_file(const struct root *root, const char *path, size_t max, struct buf *b)
{
	_cleanup_(closep) int fd = root_openat(root, path, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return neg_errno();
	if (!S_ISREG(st.st_mode))
		/* /dev/null is an empty file */
		return S_ISCHR(st.st_mode) ? 0 : S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > 0 && (uint64_t)st.st_size < max &&
		!buf_reserve(b, (size_t)st.st_size + 1))
		return -ENOMEM;
	return fs_read_all(fd, max, b);
}

bool root_is_mask(const struct root *root, const char *path)
{
	_cleanup_(closep) int fd = root_openat(root, path, O_PATH | O_NOFOLLOW, 0);
	char target[sizeof("/dev/null")];
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target));

	return n == (ssize_t)sizeof(target) - 1 &&
	       memcmp(target, "/dev/null", (size_t)n) == 0;
}

/*
 * A file is compared through a small window: one as large as an index would be all page
 * faults.
 */
int fs_same_bytes(int fd, const void *data, size_t n)
{
	const char *want = data;
	char window[32768];

	for (size_t at = 0;;) {
		ssize_t got = read(fd, window, sizeof(window));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return neg_errno();
		if (got == 0)
			return at == n;
		if ((size_t)got > n - at || memcmp(window, want + at, (size_t)got) != 0)
			return 0;
		at += (size_t)got;
	}
}

ssize_t fs_pread(int fd, void *data, size_t n, off_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got =
			pread(fd, (char *)data + done, n - done, offset + (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return neg_errno();
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int fs_write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return neg_errno();
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

bool fs_err_is_files_own(int err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
	case -EISDIR:
	case -ELOOP:
	case -EACCES:
	case -EPERM:
	case -ENAMETOOLONG:
	case -EFBIG: /* beyond a limit of ours */
	case -ENXIO:
	case -EINVAL:
		return true;
	default:
		return false;
	}
}

bool fs_stats_trusted(int fd)
{
	static const long trusted[] = {
		EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
		F2FS_SUPER_MAGIC, 0xca451a4e, /* bcachefs */
		0x2fc12fc1,                   /* ZFS */
		0x3153464a,                   /* JFS */
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(trusted); i++)
		if ((uint32_t)fs.f_type == (uint32_t)trusted[i])
			return true;
	return false;
}
