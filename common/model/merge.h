/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * merge.h: a new table out of an old one and what was read anew.
 *
 * The result depends only on the modules it is told of, not on where their facts came
 * from: nothing of the old table remains that no module refers to.
 */

#include "model/intake.h"
#include "model/tables.h"

struct merge_dir {
	const char *path;
	uint32_t flags;
	uint32_t first; /* of its modules in merge_input.mods */
	struct stamp stamp;
};

struct merge_mod {
	const char *file;
	uint16_t flags; /* ROW_RACY, ROW_LINK; the others come with the facts */
	int16_t intake; /* where its facts are, or -1: they are row in the old table */
	uint32_t row;   /* in the intake's mods, or in the old table */
	struct stamp stamp;
};

struct merge_input {
	const struct tables *old; /* NULL: there is none */
	struct intake *intakes;   /* finished */
	unsigned n_intakes;
	struct merge_dir *dirs; /* sorted by path; one more than n_dirs, a sentinel */
	uint32_t n_dirs;
	struct merge_mod *mods; /* by directory and file name */
	uint32_t n_mods;
};

/*
 * Build the table. *ret points into *ret_image, at ret_image + head: head bytes, a
 * multiple of 8, are left free in front of it. The caller frees *ret_image. Returns 0,
 * -ENOMEM, or
 * -E2BIG where ids overflow.
 */
int merge_tables(
	struct merge_input *in, size_t head, struct tables *ret, void **ret_image);
