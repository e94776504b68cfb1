/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* keep.h: --keep-running, the command around the folder keep/. */

#include "keep/conf.h"
#include "keep/keep.h"
#include "program/messages.h"
#include "program/options.h"
#include "program/redirect.h"

struct keeping {
	const struct options *o;
	struct messages m;
	struct root root;
	struct conf conf;
	struct running running;
	struct keep keep;
	int store_dir;
	int lock;
	char *stale;      /* a kernel whose directory was cleaned, or NULL */
	bool needs_index; /* the running one */
};

/* Run the command. Returns the exit status. */
int keep_run(const struct options *o);

/* kept: the root to give to modprobe -d; borrowed. */
struct redirect keep_redirect(struct keeping *k, const char *kept);

/*
 * Print what --keep-running status found. 0 or -errno. kept may be NULL: nothing is kept.
 */
int keep_show(struct keeping *k, const struct keep_status *kept);
