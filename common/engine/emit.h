/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * emit.h: the bytes of the eleven index files.
 */

#include "engine/resolve.h"

/* In the order in which depmod writes them. Kept in the facts store: do not reorder. */
enum output_id {
	OUT_DEP,
	OUT_DEP_BIN,
	OUT_ALIAS,
	OUT_ALIAS_BIN,
	OUT_SOFTDEP,
	OUT_WEAKDEP,
	OUT_SYMBOLS,
	OUT_SYMBOLS_BIN,
	OUT_BUILTIN_BIN,
	OUT_BUILTIN_ALIAS_BIN,
	OUT_DEVNAME,
	OUT_MAX,
};

extern const char *const output_names[OUT_MAX]; /* "modules.dep", ... */
extern const bool output_is_text[OUT_MAX];

/*
 * Takes each file as it is complete, on any thread and perhaps several files at once. A
 * result other than 0 is what emit() returns in the end, the first one in the order of
 * files.
 */
struct output_sink {
	int (*take)(void *arg, enum output_id id, const struct buf *data);
	void *arg;
};

/* All files in memory: a sink that copies. */
struct outputs {
	struct buf file[OUT_MAX];
};

/* The kernel's own lists, as they are on disk. NULL: there is no such file. */
struct kernel_lists {
	const struct buf *builtin;
	const struct buf *builtin_modinfo;
};

/*
 * Give the sink all files, in any order, on up to target->jobs threads; what there is to
 * report is said by the calling one, in the order of enum output_id. warn_duplicates
 * reports keys that are twice in an index (-w). Returns 0, what the sink said, -ENOMEM,
 * or -EFBIG (an index beyond what its format can address).
 */
int emit(const struct target *target, const struct resolved *r,
	const struct kernel_lists *lists, bool warn_duplicates,
	const struct output_sink *sink);

int outputs_take(void *outputs, enum output_id id, const struct buf *data);
void outputs_done(struct outputs *o);
