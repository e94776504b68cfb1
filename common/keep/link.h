/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * link.h: a second name for a file, or where that cannot be, a copy that shares its
 * blocks.
 */

#include "base/fs.h"

struct link_source {
	const struct root *root;
	int dirfd;
	const char *name;
	const char *path; /* of the same file, within the root: to follow a link there */
	bool follow;      /* it is a symbolic link: its target is meant */
};

/* No hard link can be made of this file there, but a copy can. */
static inline bool link_is_refused(int err)
{
	return err == -EXDEV || err == -EMLINK || err == -EPERM || err == -ENOTSUP;
}

enum {
	/* no hard link could be made, but a copy with the same attributes */
	LINK_COPIED = 1,
};

/*
 * Make dst in dstdir. Returns 0, LINK_COPIED (then *ret_ino, unless NULL, is the copy's
 * inode),
 * -EEXIST if there is such a file, or another errno; then nothing was made.
 */
int link_file(const struct link_source *src, int dstdir, const char *dst, ino_t *ret_ino);
