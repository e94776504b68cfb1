/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * wire.h: what the package inspector tells kmp-depmod, on its standard output.
 *
 * Records behind one another, the last one is WIRE_END: a header in the machine's own
 * byte order, then its three byte strings without NULs. Both ends come from one build;
 * the reader believes no length and no count all the same, since the other end has looked
 * at strange files.
 */

#include <stdint.h>

enum wire_type {
	WIRE_END = 0x4b4d5031,
	WIRE_PACKAGE, /* file, name-version, kind: what follows is in it */
	WIRE_SCRIPT,  /* name, what it calls */
	WIRE_FILE,    /* path within the root, "", bytes */
	/* path within the root, what it leads to; WIRE_HARD: another path */
	WIRE_LINK,
	/* path within the root, name-version: goes with an installed package */
	WIRE_OLD,
	WIRE_NOTE,  /* text, for people */
	WIRE_ERROR, /* file, text: the operand cannot be used */
};

enum wire_flags {
	WIRE_HARD = 1 << 0,
	WIRE_BESIDE = 1 << 1, /* a package that is installed beside others of its name */
	WIRE_BARE = 1 << 2,   /* a module of which only the file name is known */
};

struct wire {
	uint32_t type;
	uint32_t flags;
	uint32_t len[3];
	uint32_t pad;
	int64_t mtime; /* of a file, in nanoseconds */
};

/* Of one record's strings: a name or path, and the bytes of a file. */
#define WIRE_NAME_MAX 8192u
#define WIRE_BYTES_MAX ((uint32_t)512 << 20)
/* Of all files together. */
#define WIRE_TOTAL_MAX ((uint64_t)1 << 30)
