// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded, lets calls of a program fail, kills it at one of them, or has something
 * happen just before one:
 *
 *   KMP_TEST_FAULT="CALLS N WHAT"   at the N-th of the CALLS: WHAT is an errno, "short" (half of
 *                                   a write is done), "kill", "killall" (its process group), or
 *                                   "at": before it the shell runs the COMMAND of KMP_TEST_AT.
 *                                   CALLS are kinds with commas between them, or "all"
 *   KMP_TEST_POINTS="CALLS FILE"    FILE gets a line for each of the CALLS: "N KIND FUNCTION WHAT"
 *   KMP_TEST_AT="CALL NAME COMMAND" before the first CALL (open, read, mmap) on a file of that
 *                                   base name, the shell runs COMMAND
 *   KMP_TEST_HIT=/DIR/FILE          is made when one of these happens
 *   KMP_TEST_CALLER=OBJECT          only calls that come from this shared object count
 *   KMP_TEST_COUNTER=FILE           calls of all children count, too, in the 8 bytes of FILE
 *
 * Kinds: write, sync, rename, create, remove, change, lock, process, memory, and what
 * only looks: open, read, stat. Without KMP_TEST_COUNTER children are left alone.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

enum outcome {
	GOES_ON,
	FAILS, /* errno is set */
	SHORT,
};

static char fault_calls[128], fault_what[16], points_calls[128], points_file[512];
static char at_call[16], at_name[256], at_command[1024];
static const char *hit_name, *only_caller;
static uint64_t fault_number, own_counters[2],
	*counters = own_counters; /* faults, points */
static int started, at_fd = -1, points_fd = -1, hit_dir = -1;
static pid_t own_pid;

/* The real one; other libraries' constructors may need it before ours ran. */
static long (*real_syscall(void))(long number, ...)
{
	static long (*real)(long number, ...);

	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "syscall");
	return real;
}

#define RAW(...) real_syscall()(__VA_ARGS__)

static void hit(void)
{
	long fd = hit_dir >= 0 ? RAW(SYS_openat, (long)hit_dir, hit_name,
					 O_WRONLY | O_CREAT, 0644)
			       : -1;

	if (fd >= 0)
		RAW(SYS_close, fd);
}

/*
 * The program may be in a chroot by then, and its descriptors closed up to the usual
 * ones.
 */
static int opened_early(const char *path, int flags)
{
	long fd = RAW(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0644);
	long high = RAW(SYS_fcntl, fd, (long)F_DUPFD_CLOEXEC, 700L);

	RAW(SYS_close, fd);
	return (int)high;
}

static void open_hit(const char *file)
{
	char dir[512];

	hit_name = strrchr(file, '/') + 1;
	snprintf(dir, sizeof(dir), "%.*s", (int)(hit_name - file), file);
	hit_dir = opened_early(dir, O_PATH);
}

static void share_counters(const char *file)
{
	long fd = RAW(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC);
	void *map =
		fd < 0 ? MAP_FAILED
		       : (void *)RAW(SYS_mmap, 0L, 16L, (long)(PROT_READ | PROT_WRITE),
				 (long)MAP_SHARED, fd, 0L);

	if (map == MAP_FAILED)
		abort();
	counters = map;
	RAW(SYS_close, fd);
}

__attribute__((constructor)) static void start(void)
{
	const char *fault = getenv("KMP_TEST_FAULT"), *at = getenv("KMP_TEST_AT");
	const char *points = getenv("KMP_TEST_POINTS"),
		   *counter = getenv("KMP_TEST_COUNTER");

	if (getenv("KMP_TEST_HIT"))
		open_hit(getenv("KMP_TEST_HIT"));
	only_caller = getenv("KMP_TEST_CALLER");
	if (fault)
		sscanf(fault, "%127s %lu %15s", fault_calls, &fault_number, fault_what);
	if (points && sscanf(points, "%127s %511s", points_calls, points_file) == 2)
		points_fd = opened_early(points_file, O_WRONLY | O_APPEND | O_CREAT);
	if (at)
		sscanf(at, "%15s %255s %1023[^\n]", at_call, at_name, at_command);
	if (counter)
		share_counters(counter);
	else
		unsetenv("LD_PRELOAD");
	own_pid = getpid();
	started = 1;
}

/* --- counting --- */

static int listed(const char *calls, const char *kind)
{
	size_t n = strlen(kind);

	if (!strcmp(calls, "all"))
		return 1;
	for (const char *p = calls; (p = strstr(p, kind)); p += n)
		if ((p == calls || p[-1] == ',') && (p[n] == ',' || p[n] == '\0'))
			return 1;
	return 0;
}

static int is_callers(const void *from)
{
	const char *slash;
	Dl_info info;

	if (!only_caller)
		return 1;
	if (!dladdr(from, &info) || !info.dli_fname)
		return 0;
	slash = strrchr(info.dli_fname, '/');
	return !strcmp(slash ? slash + 1 : info.dli_fname, only_caller);
}

static void list_point(
	uint64_t number, const char *kind, const char *function, const char *path, int fd)
{
	char line[700];
	int n = path ? snprintf(line, sizeof(line), "%lu %s %s %s\n", number, kind,
			       function, path)
		     : snprintf(line, sizeof(line), "%lu %s %s %d\n", number, kind,
			       function, fd);

	RAW(SYS_write, (long)points_fd, line, (long)n);
}

static void happens(void);

static enum outcome point(const void *from, const char *kind, const char *function,
	const char *path, int fd)
{
	int error = errno;

	if (!started || (counters == own_counters && getpid() != own_pid))
		return GOES_ON;
	if (points_fd >= 0 && listed(points_calls, kind) && is_callers(from))
		list_point(__atomic_add_fetch(&counters[1], 1, __ATOMIC_SEQ_CST), kind,
			function, path, fd);
	errno = error;
	if (!fault_number || !listed(fault_calls, kind) || !is_callers(from) ||
		__atomic_add_fetch(&counters[0], 1, __ATOMIC_SEQ_CST) != fault_number)
		return GOES_ON;
	if (!strcmp(fault_what, "at")) {
		happens();
		errno = error;
		return GOES_ON;
	}
	hit();
	if (!strcmp(fault_what, "kill"))
		RAW(SYS_kill, (long)getpid(), (long)SIGKILL);
	if (!strcmp(fault_what, "killall"))
		RAW(SYS_kill, 0L, (long)SIGKILL);
	errno = error;
	if (!strcmp(fault_what, "short"))
		return SHORT;
	errno = atoi(fault_what);
	return FAILS;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define POINT(kind, name, path, fd)                                                      \
	point(__builtin_return_address(0), kind, #name, path, fd)

/* A function that counts, and then does what it always does. */
#define COUNTED(kind, type, failed, name, parameters, arguments, path, fd)               \
	type name parameters                                                             \
	{                                                                                \
		static __typeof__(&name) real;                                           \
                                                                                         \
		if (!real)                                                               \
			real = REAL(name);                                               \
		return POINT(kind, name, path, fd) == FAILS ? (type)(failed)             \
							    : real arguments;            \
	}

/* --- something happens --- */

static void happens(void)
{
	char *argv[] = {"/bin/sh", "-c", at_command, NULL};
	extern char **environ;
	pid_t pid;

	at_call[0] = '\0';
	hit();
	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) == 0)
		waitpid(pid, NULL, 0);
}

static int is_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, at_name) == 0;
}

static long opened(long fd, const char *path, unsigned long flags)
{
	if (fd >= 0 && !(flags & O_PATH) && is_name(path) &&
		(!strcmp(at_call, "read") || !strcmp(at_call, "mmap")))
		at_fd = (int)fd;
	return fd;
}

static void opening(const char *path, unsigned long flags)
{
	if (started && !(flags & O_PATH) && !strcmp(at_call, "open") && is_name(path))
		happens();
}

static void using(const char *call, int fd)
{
	if (fd >= 0 && fd == at_fd && !strcmp(at_call, call))
		happens();
}

/* --- files: made, opened --- */

static int open_counted(const void *from, const char *function, int dirfd,
	const char *path, int flags, mode_t mode)
{
	if (point(from, flags & O_CREAT ? "create" : "open", function, path, dirfd) ==
		FAILS)
		return -1;
	opening(path, (unsigned long)flags);
	return (int)opened(RAW(SYS_openat, (long)dirfd, path, (long)flags, (long)mode),
		path, (unsigned long)flags);
}

#define OPEN(name, parameters, dirfd, last)                                              \
	int name parameters                                                              \
	{                                                                                \
		mode_t mode = 0;                                                         \
		va_list ap;                                                              \
                                                                                         \
		va_start(ap, last);                                                      \
		if (flags & O_CREAT)                                                     \
			mode = va_arg(ap, mode_t);                                       \
		va_end(ap);                                                              \
		return open_counted(                                                     \
			__builtin_return_address(0), #name, dirfd, path, flags, mode);   \
	}

OPEN(open, (const char *path, int flags, ...), AT_FDCWD, flags)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, flags)
OPEN(openat, (int dirfd, const char *path, int flags, ...), dirfd, flags)
OPEN(openat64, (int dirfd, const char *path, int flags, ...), dirfd, flags)

long syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2) {
		unsigned long flags = ((struct open_how *)a[2])->flags;

		if (POINT(flags & O_CREAT ? "create" : "open", openat2, (char *)a[1],
			    (int)a[0]) == FAILS)
			return -1;
		opening((char *)a[1], flags);
		return opened(RAW(number, a[0], a[1], a[2], a[3], a[4], a[5]),
			(char *)a[1], flags);
	}
	return RAW(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

COUNTED("create", int, -1, mkdir, (const char *path, mode_t mode), (path, mode), path, 0)
COUNTED("create", int, -1, mkdirat, (int fd, const char *path, mode_t mode),
	(fd, path, mode), path, fd)
COUNTED("create", int, -1, link, (const char *from, const char *to), (from, to), to, 0)
COUNTED("create", int, -1, linkat,
	(int fd, const char *from, int to_fd, const char *to, int flags),
	(fd, from, to_fd, to, flags), to, fd)
COUNTED("create", int, -1, symlink, (const char *from, const char *to), (from, to), to, 0)
COUNTED("create", int, -1, symlinkat, (const char *from, int fd, const char *to),
	(from, fd, to), to, fd)
COUNTED("create", int, -1, memfd_create, (const char *name, unsigned flags),
	(name, flags), name, 0)
COUNTED("create", int, -1, mkostemp, (char *path, int flags), (path, flags), path, 0)
COUNTED("open", DIR *, NULL, opendir, (const char *path), (path), path, 0)
COUNTED("open", DIR *, NULL, fdopendir, (int fd), (fd), NULL, fd)

/* --- written, flushed, renamed, removed, changed, locked --- */

ssize_t write(int fd, const void *data, size_t n)
{
	/* what a program says on its standard error is not held against it */
	enum outcome o = fd == 2 ? GOES_ON : POINT("write", write, NULL, fd);

	if (o == FAILS)
		return -1;
	return RAW(SYS_write, (long)fd, data, o == SHORT && n > 1 ? n / 2 : n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t off)
{
	enum outcome o = POINT("write", pwrite, NULL, fd);

	return o == FAILS ? -1
			  : REAL(pwrite)(fd, data, o == SHORT && n > 1 ? n / 2 : n, off);
}

COUNTED("write", ssize_t, -1, writev, (int fd, const struct iovec *v, int n), (fd, v, n),
	NULL, fd)
COUNTED("write", ssize_t, -1, sendfile, (int out, int in, off_t *off, size_t n),
	(out, in, off, n), NULL, out)
COUNTED("write", ssize_t, -1, copy_file_range,
	(int in, off64_t *in_off, int out, off64_t *off, size_t n, unsigned flags),
	(in, in_off, out, off, n, flags), NULL, out)
COUNTED("sync", int, -1, fsync, (int fd), (fd), NULL, fd)
COUNTED("sync", int, -1, fdatasync, (int fd), (fd), NULL, fd)
COUNTED("sync", int, -1, syncfs, (int fd), (fd), NULL, fd)
COUNTED("sync", int, -1, sync_file_range,
	(int fd, off64_t off, off64_t n, unsigned flags), (fd, off, n, flags), NULL, fd)
COUNTED("rename", int, -1, rename, (const char *from, const char *to), (from, to), to, 0)
COUNTED("rename", int, -1, renameat,
	(int fd, const char *from, int to_fd, const char *to), (fd, from, to_fd, to), to,
	fd)
COUNTED("rename", int, -1, renameat2,
	(int fd, const char *from, int to_fd, const char *to, unsigned flags),
	(fd, from, to_fd, to, flags), to, fd)
COUNTED("remove", int, -1, unlink, (const char *path), (path), path, 0)
COUNTED("remove", int, -1, unlinkat, (int fd, const char *path, int flags),
	(fd, path, flags), path, fd)
COUNTED("remove", int, -1, rmdir, (const char *path), (path), path, 0)
COUNTED("change", int, -1, fchmod, (int fd, mode_t mode), (fd, mode), NULL, fd)
COUNTED("change", int, -1, chmod, (const char *path, mode_t mode), (path, mode), path, 0)
COUNTED("change", int, -1, fchmodat, (int fd, const char *path, mode_t mode, int flags),
	(fd, path, mode, flags), path, fd)
COUNTED("change", int, -1, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid), NULL,
	fd)
COUNTED("change", int, -1, fchownat,
	(int fd, const char *path, uid_t uid, gid_t gid, int flags),
	(fd, path, uid, gid, flags), path, fd)
COUNTED("change", int, -1, futimens, (int fd, const struct timespec t[2]), (fd, t), NULL,
	fd)
COUNTED("change", int, -1, utimensat,
	(int fd, const char *path, const struct timespec t[2], int flags),
	(fd, path, t, flags), path, fd)
COUNTED("change", int, -1, ftruncate, (int fd, off_t n), (fd, n), NULL, fd)
COUNTED("change", int, -1, fsetxattr,
	(int fd, const char *name, const void *value, size_t n, int flags),
	(fd, name, value, n, flags), name, fd)
COUNTED("lock", int, -1, flock, (int fd, int operation), (fd, operation), NULL, fd)

static int fcntl_counted(const void *from, int fd, int command, void *argument)
{
	const char *kind = command == F_SETLK || command == F_SETLKW ||
					   command == F_OFD_SETLK ||
					   command == F_OFD_SETLKW
				   ? "lock"
			   : command == F_DUPFD || command == F_DUPFD_CLOEXEC ? "open"
									      : NULL;

	if (kind && point(from, kind, "fcntl", NULL, fd) == FAILS)
		return -1;
	return (int)RAW(SYS_fcntl, (long)fd, (long)command, argument);
}

#define FCNTL(name)                                                                      \
	int name(int fd, int command, ...)                                               \
	{                                                                                \
		void *argument;                                                          \
		va_list ap;                                                              \
                                                                                         \
		va_start(ap, command);                                                   \
		argument = va_arg(ap, void *);                                           \
		va_end(ap);                                                              \
		return fcntl_counted(                                                    \
			__builtin_return_address(0), fd, command, argument);             \
	}

FCNTL(fcntl)
FCNTL(fcntl64)

/* --- only looked at --- */

ssize_t pread(int fd, void *data, size_t n, off_t off)
{
	using("read", fd);
	return POINT("read", pread, NULL, fd) == FAILS ? -1
						       : REAL(pread)(fd, data, n, off);
}

ssize_t read(int fd, void *data, size_t n)
{
	using("read", fd);
	return POINT("read", read, NULL, fd) == FAILS ? -1
						      : RAW(SYS_read, (long)fd, data, n);
}

COUNTED("read", struct dirent *, NULL, readdir, (DIR * d), (d), NULL, dirfd(d))
COUNTED("read", ssize_t, -1, readlinkat, (int fd, const char *path, char *to, size_t n),
	(fd, path, to, n), path, fd)
COUNTED("stat", int, -1, stat, (const char *path, struct stat *st), (path, st), path, 0)
COUNTED("stat", int, -1, fstat, (int fd, struct stat *st), (fd, st), NULL, fd)
COUNTED("stat", int, -1, fstatat, (int fd, const char *path, struct stat *st, int flags),
	(fd, path, st, flags), path, fd)
COUNTED("stat", int, -1, fstatfs, (int fd, struct statfs *fs), (fd, fs), NULL, fd)
COUNTED("stat", int, -1, faccessat, (int fd, const char *path, int mode, int flags),
	(fd, path, mode, flags), path, fd)
COUNTED("stat", ssize_t, -1, fgetxattr, (int fd, const char *name, void *value, size_t n),
	(fd, name, value, n), name, fd)

/* --- processes and memory --- */

int pipe2(int fds[2], int flags)
{
	return POINT("process", pipe2, "", 0) == FAILS ? -1 : REAL(pipe2)(fds, flags);
}

/* These two return what others leave in errno. */
int pthread_create(
	pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return POINT("process", pthread_create, "", 0) == FAILS
		       ? errno
		       : REAL(pthread_create)(t, attr, run, arg);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attr, char *const argv[], char *const environment[])
{
	return POINT("process", posix_spawn, path, 0) == FAILS
		       ? errno
		       : REAL(posix_spawn)(pid, path, actions, attr, argv, environment);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t off)
{
	if (POINT("memory", mmap, NULL, fd) == FAILS)
		return MAP_FAILED;
	using("mmap", fd);
	return (void *)RAW(SYS_mmap, at, n, (long)protection, (long)flags, (long)fd, off);
}

void *malloc(size_t n)
{
	return POINT("memory", malloc, "", 0) == FAILS ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return POINT("memory", calloc, "", 0) == FAILS ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return POINT("memory", realloc, "", 0) == FAILS ? NULL : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (POINT("memory", reallocarray, "", 0) == FAILS)
		return NULL;
	if (!__builtin_mul_overflow(n, size, &bytes))
		return __libc_realloc(p, bytes);
	errno = ENOMEM;
	return NULL;
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return POINT("memory", aligned_alloc, "", 0) == FAILS
		       ? NULL
		       : __libc_memalign(alignment, n);
}

/* By themselves, so that it is seen who called them. */
char *strndup(const char *s, size_t n)
{
	char *copy;

	n = strnlen(s, n);
	copy = POINT("memory", strndup, "", 0) == FAILS ? NULL : __libc_malloc(n + 1);
	if (copy) {
		memcpy(copy, s, n);
		copy[n] = '\0';
	}
	return copy;
}

char *strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = POINT("memory", strdup, "", 0) == FAILS ? NULL : __libc_malloc(n);

	return copy ? memcpy(copy, s, n) : NULL;
}
