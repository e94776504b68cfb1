/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * overlay.h: a kernel's table as it would be with other files: modules laid over it from
 * memory, paths taken away. Nothing on disk is looked at or changed.
 */

#include "engine/target.h"
#include "model/tables.h"

struct overlay_file {
	const char *path; /* below the kernel's directory */
	const void *data; /* the file's bytes */
	size_t len;
	int64_t mtime;
};

struct overlay {
	struct overlay_file *files; /* of two with one path the later one counts */
	size_t n_files;
	const char **removed; /* paths below the kernel's directory */
	size_t n_removed;
};

struct overlaid {
	struct tables t;
	void *image;
	/* of each row: the row in the table that was laid over, or ID_NONE */
	mod_row *base;
	/* of each row: which of overlay.files it is, or ID_NONE */
	uint32_t *origin;
	unsigned n_modules; /* of the overlay that were read */
};

/* Lay o over base. 0, -ENOMEM or -E2BIG. Release with overlaid_done(). */
int overlay_apply(const struct target *t, const struct tables *base,
	const struct overlay *o, struct overlaid *ret);
void overlaid_done(struct overlaid *d);
