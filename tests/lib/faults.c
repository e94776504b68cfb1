// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded, lets a call of the program fail, or something happen just before it:
 *
 *   KMP_TEST_FAULT="CALL N ERRNO"   the N-th CALL fails. CALL is write, sync, rename, create,
 *                                   stat or memory
 *   KMP_TEST_AT="CALL NAME COMMAND" before the first CALL (open, read) on a file of that base
 *                                   name, the shell runs COMMAND
 *   KMP_TEST_HIT=FILE               is made when it happens
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static char fault_call[16], at_call[16], at_name[256], at_command[1024];
static const char *hit_file;
static long fault_number;
static int fault_errno, started, at_fd = -1;

static void hit(void)
{
	long fd = hit_file ? syscall(SYS_open, hit_file, O_WRONLY | O_CREAT, 0644) : -1;

	if (fd >= 0)
		syscall(SYS_close, fd);
}

__attribute__((constructor)) static void start(void)
{
	const char *fault = getenv("KMP_TEST_FAULT"), *at = getenv("KMP_TEST_AT");

	hit_file = getenv("KMP_TEST_HIT");
	if (fault)
		sscanf(fault, "%15s %ld %d", fault_call, &fault_number, &fault_errno);
	if (at)
		sscanf(at, "%15s %255s %1023[^\n]", at_call, at_name, at_command);
	unsetenv("LD_PRELOAD");
	started = 1;
}

static int fails(const char *call)
{
	if (!started || strcmp(call, fault_call) != 0 ||
		__atomic_sub_fetch(&fault_number, 1, __ATOMIC_SEQ_CST) != 0)
		return 0;
	hit();
	errno = fault_errno;
	return 1;
}

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
	if (fd >= 0 && !(flags & O_PATH) && !strcmp(at_call, "read") && is_name(path))
		at_fd = (int)fd;
	return fd;
}

static void opening(const char *path, unsigned long flags)
{
	if (started && !(flags & O_PATH) && !strcmp(at_call, "open") && is_name(path))
		happens();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if ((flags & O_CREAT) && fails("create"))
		return -1;
	opening(path, (unsigned long)flags);
	return (int)opened(REAL(openat)(dirfd, path, flags, mode), path, (unsigned long)flags);
}

long syscall(long number, ...)
{
	static __typeof__(&syscall) real;
	long a[6];
	va_list ap;

	if (!real)
		real = REAL(syscall);
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2) {
		unsigned long flags = ((struct open_how *)a[2])->flags;

		opening((char *)a[1], flags);
		return opened(real(number, a[0], a[1], a[2], a[3], a[4], a[5]), (char *)a[1], flags);
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

ssize_t write(int fd, const void *data, size_t n)
{
	return fd > 2 && fails("write") ? -1 : REAL(write)(fd, data, n);
}

int fdatasync(int fd)
{
	return fails("sync") ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
	return fails("sync") ? -1 : REAL(fsync)(fd);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return fails("rename") ? -1 : REAL(renameat)(from_fd, from, to_fd, to);
}

int fstatat(int fd, const char *path, struct stat *st, int flags)
{
	return fails("stat") ? -1 : REAL(fstatat)(fd, path, st, flags);
}

static void reading(int fd)
{
	if (fd >= 0 && fd == at_fd && !strcmp(at_call, "read"))
		happens();
}

ssize_t pread(int fd, void *data, size_t n, off_t off)
{
	reading(fd);
	return REAL(pread)(fd, data, n, off);
}

ssize_t read(int fd, void *data, size_t n)
{
	reading(fd);
	return REAL(read)(fd, data, n);
}

void *malloc(size_t n)
{
	return fails("memory") ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails("memory") ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails("memory") ? NULL : __libc_realloc(p, n);
}
