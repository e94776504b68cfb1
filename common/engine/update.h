/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * update.h: one kernel from disk to disk: scan, read, resolve, emit, publish, store.
 *
 * The caller holds the lock if there is one, and says where the facts store is. What was
 * found stays in struct update, for reports.
 */

#include "engine/check.h"
#include "engine/config.h"
#include "engine/emit.h"
#include "engine/publish.h"
#include "engine/read.h"
#include "model/store.h"

enum phase {
	PHASE_LOAD, /* configuration, lists, store */
	PHASE_SCAN,
	PHASE_READ,
	PHASE_MERGE,
	PHASE_RESOLVE,
	PHASE_EMIT,
	PHASE_PUBLISH,
	PHASE_STORE,
	PHASE_MAX,
};

extern const char *const phase_names[PHASE_MAX];

struct update_options {
	bool full;         /* believe no remembered fact */
	bool write;        /* publish and store; false: only find out */
	bool want_outputs; /* emit even where nothing changed */
	bool facts_only;   /* leave it at update.t: write, resolve and compare nothing */
	bool only_if_kernel; /* write nothing where neither modules nor lists are */
	bool sync;
	bool warn_duplicates;
	int store_dir; /* -1: no store */
	const char *store_name;
	const char *const *touched; /* see scan_options */
	size_t n_touched;
	const struct vmlinux *check; /* check symbols against it; NULL: do not */
	bool unlocked;               /* see publish_options */
	bool keep_store;             /* use the store but leave it as it is */
	/* do not prove idleness where making the indexes warned of something */
	bool repeat_warnings;
	const char *const *files; /* index just these (absolute paths); NULL: the tree */
	size_t n_files;
	/* where stores of other trees are; -1: the store's own directory */
	int donor_dir;
};

enum update_outcome {
	UPDATE_IDLE,      /* proven: there was nothing to do */
	UPDATE_SAME,      /* the indexes on disk were right already */
	UPDATE_CHANGED,   /* indexes were written, or would be */
	UPDATE_NO_KERNEL, /* neither modules nor lists; see only_if_kernel */
};

struct update {
	enum update_outcome outcome;
	struct depmodd config;
	struct store store; /* what was remembered; head is NULL if nothing was */
	int store_outcome;  /* why not */
	struct buf order, builtin, builtin_modinfo;
	int order_err, builtin_err, modinfo_err; /* why a list was not read, or 0 */
	struct store_inputs inputs;
	struct scan scan;
	struct reading reading;
	struct tables t; /* the kernel as it is now */
	void *image;
	bool resolved_valid;
	struct resolved r;
	bool outputs_valid;
	struct outputs out;
	struct published pub;
	bool differs[OUT_MAX]; /* from what was on disk */
	struct buf problems;   /* struct problem */
	bool aged;             /* modules.dep got a new mtime, its bytes stayed */
	bool stored;
	unsigned warnings; /* events while the indexes were made */
	size_t bad_file;   /* which of update_options.files an error is about */
	int64_t ns[PHASE_MAX];
};

/*
 * Bring one kernel up to date. Returns 0; RESOLVE_CYCLE (reported; nothing was written);
 * -ENOENT if there is no such directory; -EFBIG; or the errno of what failed, reported as
 * EVENT_OUTPUT if it was an index. The indexes are whole, old or new, in every case.
 * Release with update_done() in every case.
 */
int update_run(
	const struct target *t, const struct update_options *o, struct update *ret);
void update_done(struct update *u);

/*
 * Open the directory that the target's indexes are in, made if make. A descriptor or
 * -errno.
 */
int update_open_outdir(const struct target *t, bool make);
