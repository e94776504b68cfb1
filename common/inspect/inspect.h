/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * inspect.h: look into packages without unpacking them. The parts of the inspector, a
 * program of its own: it alone links libarchive and librpm, and what a hostile package
 * does to these stays in a process that holds no lock and cannot write a file.
 */

#include "base/buf.h"
#include "base/fs.h"
#include "inspect/wire.h"

struct inspection {
	struct root root;
	uint64_t total; /* bytes of files sent */
	bool rpm_asked;
	/* rpm's database within the root; NULL: there is none, once asked */
	char *rpm_place;
	/* of the files that are looked at, while dpkg would install them */
	const char *owner;
	bool diversions_asked;
	struct buf diversions; /* dpkg's own text, once asked */
};

/* Records, see wire.h. They end the program if nobody reads them. */
void send_package(const char *file, const char *name, const char *kind, uint32_t flags);
void send_script(const char *name, const char *calls);
void send_link(const char *path, const char *to, bool hard);
void send_old(const char *path, const char *owner);
void send_note(const char *fmt, ...) _printf_(1, 2);
/* Say why an operand cannot be used. Returns -EBADMSG. */
int send_error(const char *file, const char *fmt, ...) _printf_(2, 3);
/* Send a file, or fail as send_error() does where it is beyond a limit. */
int send_file(struct inspection *in, const char *operand, const char *path,
	const void *data, size_t len, int64_t mtime, uint32_t flags);
/* Nothing follows. */
void send_end(void);

/* Whether a path within a root is of a module, of a kernel's lists or of depmod.d. */
bool is_wanted(const char *path);
/*
 * A member's path as it will be within the root: absolute, without ".". Returns false for
 * one that leads out of it or is empty.
 */
bool member_path(const char *member, struct buf *ret);

/*
 * Where dpkg puts a path of in->owner's, in its place: absolute, and ended by a NUL as it
 * is.
 */
void divert(struct inspection *in, struct buf *path);

/*
 * What a maintainer script calls of depmod and its callers: "depmod, weak-modules2"; or
 * "".
 */
void script_calls(const char *text, struct buf *ret);

/* One operand each. 0 or -EBADMSG after send_error(). */
int inspect_rpm(struct inspection *in, const char *file);
int inspect_deb(struct inspection *in, const char *file);
/* The members of an rpm's payload. */
int inspect_payload(struct inspection *in, const char *file);
