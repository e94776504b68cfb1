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

struct outputs {
	struct buf file[OUT_MAX];
};

/* The kernel's own lists, as they are on disk. NULL: there is no such file. */
struct kernel_lists {
	const struct buf *builtin;
	const struct buf *builtin_modinfo;
};

/*
 * Fill ret->file[]. warn_duplicates reports keys that are twice in an index (-w). Returns 0,
 * -ENOMEM, or -EFBIG (an index beyond what its format can address). Release with
 * outputs_done() in every case.
 */
int emit(const struct target *target, const struct resolved *r, const struct kernel_lists *lists,
	bool warn_duplicates, struct outputs *ret);
void outputs_done(struct outputs *o);
