// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file renamed into place keeps the label of the process that made it. The label of the
 * file that it replaces is plain extended-attribute data, so it survives in images that
 * are built where no policy is loaded. libselinux is asked only for a file without
 * predecessor, and loaded only then: it is not worth a millisecond of every run.
 */

#include "config.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include "base/label.h"
#include "base/util.h"

#define SELINUX_XATTR "security.selinux"

/*
 * Where labels cannot be set, in a container say, an index without one is better than
 * none.
 */
static int set_label(int fd, const char *label, size_t len)
{
	if (fsetxattr(fd, SELINUX_XATTR, label, len, 0) == 0 || errno == EPERM ||
		errno == EACCES || errno == ENOTSUP)
		return 0;
	return neg_errno();
}

#if WITH_SELINUX
#include <dlfcn.h>
#include <selinux/label.h>
#include <selinux/selinux.h>
#include <sys/stat.h>

struct selinux {
	__typeof__(is_selinux_enabled) *enabled;
	__typeof__(selabel_open) *open;
	__typeof__(selabel_close) *close;
	__typeof__(selabel_lookup_raw) *lookup;
	__typeof__(freecon) *freecon;
};

static bool load(void *lib, struct selinux *ret)
{
	ret->enabled = (__typeof__(ret->enabled))dlsym(lib, "is_selinux_enabled");
	ret->open = (__typeof__(ret->open))dlsym(lib, "selabel_open");
	ret->close = (__typeof__(ret->close))dlsym(lib, "selabel_close");
	ret->lookup = (__typeof__(ret->lookup))dlsym(lib, "selabel_lookup_raw");
	ret->freecon = (__typeof__(ret->freecon))dlsym(lib, "freecon");
	return ret->enabled && ret->open && ret->close && ret->lookup && ret->freecon;
}

static int label_from_policy(int fd, const char *path)
{
	void *lib = NULL;
	struct selabel_handle *handle;
	struct selinux s;
	char *context;
	int r = 0;

	if (access("/sys/fs/selinux/enforce", F_OK) < 0)
		return 0; /* what is_selinux_enabled() looks at, too */
	lib = dlopen("libselinux.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!lib || !load(lib, &s))
		return 0;
	handle = s.enabled() > 0 ? s.open(SELABEL_CTX_FILE, NULL, 0) : NULL;
	if (!handle)
		return 0;
	if (s.lookup(handle, &context, path, S_IFREG | 0644) == 0) {
		r = set_label(fd, context, strlen(context) + 1);
		s.freecon(context);
	}
	s.close(handle);
	return r;
}
#else
static int label_from_policy(int fd, const char *path)
{
	(void)fd;
	(void)path;
	return 0;
}
#endif

int label_copy(int fd, int dirfd, const char *name, const char *path)
{
	_cleanup_(closep) int old =
		openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char label[1024], now[1024];
	ssize_t n, m;

	if (old < 0)
		return path ? label_from_policy(fd, path) : 0;
	n = fgetxattr(old, SELINUX_XATTR, label, sizeof(label));
	if (n <= 0)
		return 0; /* no label, or no labels here */
	m = fgetxattr(fd, SELINUX_XATTR, now, sizeof(now));
	if (m == n && memcmp(label, now, (size_t)n) == 0)
		return 0;
	return set_label(fd, label, (size_t)n);
}
