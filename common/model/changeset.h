/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The paths below the module directories that a package transaction touched, and their
 * wire form. Depends on libc alone: the rpm plugin links it too.
 *
 * Paths are absolute within the root, and normalised as text: no empty component, no ".",
 * no "/" at the end. A path with ".." is refused. Nothing here looks at a disk, so "/lib"
 * and "/usr/lib" stay what they were.
 *
 * Wire form: the paths in the order they came, each followed by a NUL. What `kmp-depmod
 * --touched-from -` reads.
 */

#include <stddef.h>

enum {
	CHANGESET_ELSEWHERE = 1, /* not below a kernel's directory; nothing kept */
	CHANGESET_CONFIG,        /* depmod's configuration: concerns every kernel */
};

struct changeset {
	char *wire; /* the wire form; owned, NULL while empty */
	size_t len; /* bytes in @wire */
	size_t cap;
	size_t n; /* paths in @wire */
};

void changeset_init(struct changeset *cs);
void changeset_done(struct changeset *cs);

/* Forgets the paths, keeps the memory. */
void changeset_clear(struct changeset *cs);

/*
 * Adds one path. Returns 0 if it was kept, CHANGESET_ELSEWHERE or CHANGESET_CONFIG if it
 * was not, -EINVAL for a path that is relative or has "..", -ENAMETOOLONG, -ENOMEM. The
 * same path may be added twice and then is there twice.
 */
int changeset_add(struct changeset *cs, const char *path);

/*
 * Adds each path of a list in which they are separated by NULs or, where there is no NUL,
 * by newlines; the separator after the last may be missing, and empty entries do not
 * count. Paths elsewhere are passed over. Returns 0, CHANGESET_CONFIG if one of the paths
 * was of depmod's configuration, or what changeset_add() returns for the first path it
 * refuses; the paths before that one stay added.
 */
int changeset_parse(struct changeset *cs, const char *bytes, size_t len);

/* The path after @prev, the first after NULL, NULL after the last. Valid until the next
 * add. */
const char *changeset_next(const struct changeset *cs, const char *prev);

/*
 * The kernel that a normalised path belongs to: a pointer into @path, and its length.
 * Returns 0, or CHANGESET_ELSEWHERE for a path outside of every kernel's directory and
 * for names that begin with a dot, which are no kernels.
 */
int changeset_kernel(const char *path, const char **ret_kver, size_t *ret_len);
