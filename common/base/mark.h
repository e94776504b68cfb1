/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Marks: ROOT/var/lib/kmp-depmod/dirty/KVER says that a transaction is changing the
 * modules of KVER, or was when it died. Depends on libc alone: the rpm plugin links it
 * too.
 *
 * Two sides use it. An owner sets marks before it changes files and clears them after its
 * last run of the program. Any run of the program lists the marks before its scan and
 * heals those that it found orphaned. mark.c says why that is enough.
 *
 * @root_fd is a descriptor (O_PATH will do) of the root directory. Everything is opened
 * below it; what var and var/lib are links to stays below it where the kernel knows
 * openat2(). Our own directories are never links, belong to the caller's user and are
 * closed to all others.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

enum {
	MARK_BUSY =
		1, /* somebody holds the lock as healers do, for longer than they do */
	MARK_LEFT, /* not removed: it is, or was meanwhile, somebody else's too */
};

/* What tells one state of a mark from a later one; each owner that sets it makes it
 * longer. */
struct mark_state {
	ino_t ino;
	off_t size;
	struct timespec ctime;
};

struct mark {
	int fd;     /* holds the lock; -1 when not held */
	bool alone; /* nobody else held it when it was set */
	struct mark_state state;
};

#define MARK_DIR "var/lib/kmp-depmod/dirty"

#define MARK_NONE ((struct mark){.fd = -1})

/*
 * Sets the mark of @kver and keeps its lock, which ends with the descriptor (closed on
 * exec). @who goes into the file, for whoever reads it. Several owners can hold one mark.
 * With @sync it is on disk when this returns. Returns 0, MARK_BUSY, -EINVAL if @kver can
 * be no kernel's name, -EPERM if a directory is not ours or files in it cannot be ours
 * alone, or another errno.
 */
int mark_set(int root_fd, const char *kver, const char *who, bool sync, struct mark *ret);

/*
 * For the owner, after a run of the program that began after its last change and
 * succeeded. Gives the lock up in any case. Returns 0 if the mark is gone, MARK_LEFT if a
 * later run has to heal it, or a negative errno.
 */
int mark_clear(int root_fd, const char *kver, struct mark *m);

/* For the owner whose run failed: gives the lock up; the mark stays and is healed later.
 */
void mark_leave(struct mark *m);

/* A mark as a run of the program found it. */
struct mark_found {
	char *kver;    /* owned */
	bool orphaned; /* nobody held its lock */
	struct mark_state state;
};

/*
 * Lists the marks, in no particular order; none is no error. To be called before the
 * scan. The caller frees the list with mark_list_free(). Returns 0 or a negative errno.
 */
int mark_list(int root_fd, struct mark_found **ret, size_t *ret_n);
void mark_list_free(struct mark_found *found, size_t n);

/*
 * Removes a mark that was orphaned when it was listed, and since then was not set again.
 * To be called when the indexes of its kernel are published, or need not be: the kernel
 * is gone. Returns 0, MARK_LEFT, or a negative errno.
 */
int mark_heal(int root_fd, const struct mark_found *found);
