/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * dangling.h: symbolic links to nothing, where a file or directory is to be put back.
 *
 * One that led to one of the kernels' modules, which a transaction may remove, makes
 * room; any other stays: what it leads to may be back one day, mounted say.
 */

#include "keep/keep.h"

/* Paths are below the root. */

/* 0 if a link that makes room was removed; -EEXIST, or another errno. */
int dangling_remove(const struct keep *k, const char *link);
/* Is there one that stays? */
bool dangling_stays(const struct keep *k, const char *link);
/*
 * A directory of the kernel (below its own, or "") cannot be opened as one of its own: is
 * that for good, since a link leads away, or there is a file?
 */
bool dangling_blocks(const struct keep *k, const char *below);
