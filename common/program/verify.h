/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* verify.h: are the indexes on disk what the tree demands, and does libkmod see that? */

#include "engine/update.h"
#include "program/messages.h"

struct verify_result {
	unsigned differences; /* each was named with message() */
	bool other_layout;    /* right, with the nodes of another kmod's order */
	unsigned modules, aliases, symbols; /* that libkmod was asked for */
	bool libkmod;                       /* it could be asked */
};

/*
 * Compare the indexes on disk with u's, which were made from the tree without remembered
 * facts. 0 or -errno.
 */
int verify_indexes(struct messages *m, const struct target *t, const struct update *u,
	struct verify_result *ret);
