// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>

#include "program/host.h"

char *host_absolute(const char *path)
{
	_cleanup_(freep) char *cwd = NULL;
	char *abs = NULL;

	if (*path == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	return cwd && asprintf(&abs, "%s/%s", cwd, path) >= 0 ? abs : NULL;
}

unsigned host_processors(unsigned max)
{
	cpu_set_t set;
	long n = sched_getaffinity(0, sizeof(set), &set) == 0
			 ? CPU_COUNT(&set)
			 : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (unsigned)MIN(n, (long)max);
}

bool host_wants_sync(void)
{
	const char *s = getenv("PKGSYSTEM_ENABLE_FSYNC");

	return !s || !str_eq(s, "0");
}

const char *host_libexecdir(void)
{
	const char *s = secure_getenv("KMP_DEPMOD_LIBEXECDIR");

	return s && *s == '/' ? s : LIBEXECDIR;
}

int host_open_store(const struct root *root, const char *path, bool make)
{
	int fd = root_openat(root, path, O_RDONLY | O_DIRECTORY, 0), r = 0;
	struct stat st;

	if (fd == -ENOENT && make) {
		r = root_mkdirs(root, path, 0755);
		fd = r < 0 ? r : root_openat(root, path, O_RDONLY | O_DIRECTORY, 0);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		r = neg_errno();
	else
		r = fs_is_own(&st) ? 0 : -EPERM;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}
