/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * read.h: get the facts of the files that a scan could not settle, over all threads.
 */

#include "engine/donors.h"
#include "engine/scan.h"
#include "formats/decompress.h"
#include "model/intake.h"

/* What became of one file of the scan that was not FILE_SAME. */
struct read_file {
	int16_t intake; /* where its facts are; -1: the remembered ones proved true */
	bool gone;      /* it vanished */
	uint16_t flags; /* ROW_RACY */
	uint32_t row;   /* in that intake */
	struct stamp stamp;
};

struct read_stats {
	uint64_t modules_read; /* parsed anew */
	uint64_t digested;     /* settled by the digest of their bytes */
	uint64_t donated;      /* of these: facts came from elsewhere */
	uint64_t bytes_read;   /* from disk */
	uint64_t bytes_decompressed;
	uint64_t modules_decompressed;
};

struct reading {
	struct read_file *files; /* as scan.files; only of those not FILE_SAME */
	struct intake *intakes;  /* finished */
	unsigned n_intakes;
	struct read_stats stats;
};

/*
 * Read every file of s that is not FILE_SAME. old is the table that s was scanned
 * against; donors may be empty. A module that cannot be read is reported and has no
 * facts. Returns 0 or a negative errno that says nothing about a module (-ENOMEM,
 * -E2BIG).
 */
int read_modules(const struct target *t, const struct scan *s, const struct tables *old,
	const struct donors *donors, struct reading *ret);
void reading_done(struct reading *r);

/*
 * Read one module from memory, compressed or not. 0 with its row in the intake, or
 * -errno.
 */
int read_bytes(struct intake *in, struct decoder *d, const void *data, size_t len,
	uint32_t *ret_row);
