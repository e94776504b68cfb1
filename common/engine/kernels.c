// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <fcntl.h>

#include "base/buf.h"
#include "engine/kernels.h"

static const char *const default_dirs[] = {"lib/modules", "usr/lib/modules"};

/*
 * Of several names of one directory its own is the kernel's; else the first in byte
 * order.
 */
static bool is_better_name(const char *dir, const char *name, const char *than)
{
	const char *slash = strrchr(dir, '/'), *own = slash ? slash + 1 : dir;

	if (str_eq(than, own))
		return false;
	return str_eq(name, own) || strcmp(name, than) < 0;
}

static int kernel_rename(struct kernel *k, const char *kver, const char *name)
{
	free(k->kver);
	free(k->name);
	k->kver = strdup(kver);
	k->name = strdup(name);
	return k->kver && k->name ? 0 : -ENOMEM;
}

static int kernels_add(
	struct kernels *k, const char *kver, const char *name, const char *dir)
{
	struct kernel *list;
	size_t at = 0;

	while (at < k->n && strcmp(k->list[at].dir, dir) < 0)
		at++;
	if (at < k->n && str_eq(k->list[at].dir, dir))
		return is_better_name(dir, kver, k->list[at].kver)
			       ? kernel_rename(&k->list[at], kver, name)
			       : 0;
	list = realloc(k->list, (k->n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	k->list = list;
	memmove(list + at + 1, list + at, (k->n - at) * sizeof(*list));
	list[at] = (struct kernel){.dir = strdup(dir)};
	k->n++;
	return list[at].dir ? kernel_rename(&list[at], kver, name) : -ENOMEM;
}

/* The kernel's own directory may be a link: its real path names it. */
static int add_one(
	const struct root *root, const char *modules, const char *kver, struct kernels *k)
{
	_cleanup_(buf_done) struct buf path = {0};
	_cleanup_(freep) char *real = NULL;
	int r;

	buf_printf(&path, "/%s/%s", modules + strspn(modules, "/"), kver);
	if (path.err)
		return path.err;
	r = root_realpath(root, path.data, &real);
	return r < 0 ? r : kernels_add(k, kver, path.data, real);
}

static int list_dir(const struct root *root, const char *modules,
	const struct report *report, struct kernels *k)
{
	int fd = root_openat(root, modules, O_RDONLY | O_DIRECTORY, 0), r = 0;
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return neg_errno();
	}
	while (r == 0 && (errno = 0, e = readdir(d))) {
		if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_LNK &&
						   e->d_type != DT_UNKNOWN))
			continue;
		r = add_one(root, modules, e->d_name, k);
		if (fs_err_is_files_own(r)) {
			/*
			 * a dangling link is nobody's kernel; of another entry it should
			 * be known
			 */
			if (report && r != -ENOENT && r != -ENOTDIR)
				report_event(report, .kind = EVENT_DIR_UNREADABLE,
					.kver = e->d_name, .err = r);
			r = 0;
		}
	}
	if (r == 0 && errno)
		r = neg_errno();
	closedir(d);
	return r;
}

static int for_dirs(const struct root *root, const char *moduledir, const char *kver,
	const struct report *report, struct kernels *k)
{
	size_t n = moduledir ? 1 : ARRAY_SIZE(default_dirs);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const char *dir = moduledir ? moduledir : default_dirs[i];

		r = kver ? add_one(root, dir, kver, k) : list_dir(root, dir, report, k);
		if (kver && (r == -ENOENT || r == -ENOTDIR))
			r = 0;
	}
	return r;
}

int kernels_list(const struct root *root, const char *moduledir,
	const struct report *report, struct kernels *ret)
{
	*ret = (struct kernels){0};
	return for_dirs(root, moduledir, NULL, report, ret);
}

int kernels_find(const struct root *root, const char *moduledir, const char *kver,
	struct kernels *ret)
{
	int r;

	*ret = (struct kernels){0};
	r = for_dirs(root, moduledir, kver, NULL, ret);
	return r ? r : ret->n ? 0 : -ENOENT;
}

void kernels_done(struct kernels *k)
{
	for (size_t i = 0; i < k->n; i++) {
		free(k->list[i].kver);
		free(k->list[i].dir);
		free(k->list[i].name);
	}
	free(k->list);
	*k = (struct kernels){0};
}
