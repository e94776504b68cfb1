/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * refresh.h: keep remembered facts true while hard links are made and removed, which
 * moves the ctime of a file though no byte of it changes.
 *
 * Under the lock: open, tell of each file before a link of it is made or removed, and of
 * each directory when that is done with its files, finish. Several threads may tell at
 * once, each of other directories. A file that was not as remembered then stays in doubt;
 * so does one that changed in another way meanwhile.
 */

#include <stdatomic.h>

#include "base/fs.h"
#include "model/store.h"

enum was_true {
	IN_DOUBT, /* not as remembered, and so it stays */
	WAS_TRUE, /* its stat is to be taken */
	TO_PROVE, /* an index so young when it was published that its bytes decide */
	SETTLED,
};

struct refresh {
	struct store store; /* head is NULL: nothing is remembered */
	void *image;        /* the store's, to be changed and written; NULL as head is */
	struct tables t;
	uint8_t *was_true; /* enum was_true, of each module; then of each output */
	int64_t *done;     /* of each directory, see refresh_done(); 0: not yet */
	/* every file of the kernel's directory was told of: what is in doubt is marked so */
	bool all_told;
	atomic_bool moved; /* what is remembered was changed */
	bool begun;        /* writer: see refresh_prepare() */
	struct store_writer writer;
	int store_dir;    /* borrowed */
	const char *name; /* borrowed */
};

/* A store that cannot be used is no error: there is nothing to do then. 0 or -ENOMEM. */
int refresh_open(int store_dir, const char *name, struct refresh *ret);
void refresh_close(struct refresh *r);

/* Was any file as it is remembered? */
bool refresh_any(const struct refresh *r);

/* The directory of the files to come, or ID_NONE. */
dir_row refresh_dir(const struct refresh *r, const char *path);
/*
 * A file of that directory had this stamp before it gets or loses a link; what was said of
 * it earlier does not count any more. is_top: the
 * directory is the kernel's own. moved: its ctime is known to have moved since it was
 * remembered, for the same reason.
 */
void refresh_before(struct refresh *r, dir_row dir, bool is_top, const char *file,
	const struct stamp *before, bool moved);
/* Nanoseconds by the clock of the system. */
int64_t refresh_clock(void);
/*
 * Since then (by that clock) nothing may have changed a file of that directory: one with a
 * later ctime stays in doubt.
 */
void refresh_done(struct refresh *r, dir_row dir, int64_t since);
/* All links were removed again: every stat is to be taken anew. */
void refresh_again(struct refresh *r);
/* Every link in the tree that leads to a file elsewhere, as it is now. */
void refresh_before_links(struct refresh *r, const struct root *root, const char *dir);

/*
 * Remember the present stats of the files of a directory, all links of which are made or
 * removed. One can have changed so lately that another change could have the same ctime:
 * then that is waited for, unless *over.
 */
void refresh_settle(
	struct refresh *r, dir_row dir, bool is_top, int fd, const atomic_bool *over);
void refresh_pause(void);

/*
 * Write now what will not change of the store that refresh_finish() leaves: in a thread
 * that has nothing else to do. The name is borrowed.
 */
void refresh_prepare(struct refresh *r, int to_dir, const char *to_name);
/*
 * Remember the present stats of all that is left. dir is the kernel's directory below the
 * root. The store is written to to_dir under that name. 0 or -errno; a failure costs time
 * later.
 */
int refresh_finish(struct refresh *r, const struct root *root, const char *dir,
	int to_dir, const char *to_name);
