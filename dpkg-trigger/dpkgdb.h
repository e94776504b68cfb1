/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * dpkgdb.h: what only dpkg knows: which package a file belongs to, diversions, and
 * packages that were interrupted while they were unpacked.
 *
 * It is read, never written, and takes no lock: it can be used while dpkg runs. The
 * library behind it has one database a process, so there is nothing to pass around;
 * dpkgdb.c is the only file that knows it. All strings live until dpkgdb_close().
 */

#include <stdbool.h>
#include <stddef.h>

enum {
	DPKGDB_DAMAGED = 1, /* cannot be read, for the reason in dpkgdb_error() */
};

/*
 * Open the database in admindir (dpkg's "/var/lib/dpkg"); one that does not exist is an
 * empty one. Only files below /lib/modules and /usr/lib/modules are known afterwards. If
 * it was opened before, this only repeats the answer: 0, DPKGDB_DAMAGED (and nothing
 * below may be asked), or -errno.
 */
int dpkgdb_open(const char *admindir);
void dpkgdb_close(void);

/*
 * Why the database, or with 0 from dpkgdb_open() its diversions, could not be read; or
 * NULL.
 */
const char *dpkgdb_error(void);

struct dpkgdb_owner {
	const char *package; /* NULL: no package has it */
	bool incomplete;     /* that package was only half unpacked or removed */
	/* the path by which the package knows the file, or NULL */
	const char *diverted_from;
	/* the package that asked for that; NULL: the administrator */
	const char *diverted_by;
};

/*
 * To whom the file with this path (absolute within the root, as packages spell it)
 * belongs.
 */
struct dpkgdb_owner dpkgdb_owner(const char *path);

/* Does any package list this path, installed or only with its configuration left? */
bool dpkgdb_listed(const char *path);

/*
 * The packages that were interrupted and have modules, or whose files are not known at
 * all. Returns the i-th name, NULL after the last.
 */
const char *dpkgdb_incomplete(size_t i);
