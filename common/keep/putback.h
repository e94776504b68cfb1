/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* putback.h: hard links of kept files, where they are missing. */

#include "keep/keep.h"

/*
 * Put back modules that were added to the kernel and went with an upgrade; in_tree: also
 * the kernel's own, and its lists and indexes. *ret_linked: files that are there again;
 * *ret_missing: those that are gone from the kept tree, too. 0 or -errno.
 */
int put_back(struct keep *k, bool in_tree, unsigned *ret_linked, unsigned *ret_missing);
