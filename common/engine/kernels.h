/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* kernels.h: which kernels there are below a root. */

#include "base/fs.h"
#include "engine/report.h"

struct kernel {
	char *kver;
	char *dir; /* its module directory, a real path relative to the root */
	/* the same as depmod names it: absolute, within the root, links in it */
	char *name;
};

struct kernels {
	struct kernel *list; /* by dir */
	size_t n;
};

/*
 * All directories in lib/modules and usr/lib/modules below the root (or in moduledir, if
 * that is not NULL) whose names do not begin with a dot. Two names of one directory count
 * once. A missing directory is an empty one; an entry that cannot be looked into is left
 * out, and told to report, if that is not NULL. 0 or -errno. Release with kernels_done().
 */
int kernels_list(const struct root *root, const char *moduledir,
	const struct report *report, struct kernels *ret);
/* The directory of one kernel, wherever it is. -ENOENT if there is none. */
int kernels_find(const struct root *root, const char *moduledir, const char *kver,
	struct kernels *ret);
void kernels_done(struct kernels *k);
