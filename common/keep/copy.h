/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * copy.h: make a kernel's directory again, of hard links.
 *
 * Links that lead out of it become links of what they lead to. What vanishes meanwhile is
 * left out, and what comes in a file's place is kept instead of it.
 */

#include "keep/keep.h"
#include "keep/refresh.h"

/* Directories of the kernel may be writable by others; those that are kept are not. */
#define KEPT_DIR_MODE 0755u

struct copied {
	struct buf manifest; /* owned by the caller, in each case */
	uint64_t modules;
};

/*
 * src is k's kernel's directory, of which *top is the stat; dst an empty one. The store of
 * that name is opened as *refresh and told of each file; it is to be finished and closed
 * in each case. 0 or -errno.
 */
int copy_tree(struct keep *k, int src, int dst, const struct stat *top, const char *store,
	struct refresh *refresh, struct copied *ret);
