/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * donors.h: facts of the same bytes from elsewhere: from another kernel's store (a link
 * below weak-updates), from the real kernel's (a copy in a scratch tree), or from another
 * path (a module that moved). Compressed modules are known by the digest of their bytes.
 */

#include "model/store.h"

struct donor_slot;

struct donors {
	struct store *stores; /* owned */
	size_t n;
	struct donor_slot *slots; /* by digest */
	struct donor_slot *files; /* by inode */
	uint32_t mask;
};

/*
 * Open the stores in a directory, all but the named one, whose tables are own (either may
 * be NULL). Stores that cannot be used are passed over. 0 or -ENOMEM. Release with
 * donors_done().
 */
int donors_open(int store_dir, const char *own_name, const struct tables *own,
	struct donors *ret);
void donors_done(struct donors *d);

/*
 * A module with these bytes: its table, and its row in *ret_row. NULL if there is none.
 */
const struct tables *donors_find(
	const struct donors *d, struct digest digest, mod_row *ret_row);
/*
 * The very file that a store knows, by its stat: what a link leads to. Only where the
 * file system's stats prove something.
 */
const struct tables *donors_find_file(
	const struct donors *d, const struct stamp *stamp, mod_row *ret_row);
