/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * plan.h: what an update changes, as a person thinks of it: modules that come, go, change
 * or hide one another, dependencies that change, symbols that get lost.
 */

#include "base/arena.h"
#include "engine/update.h"

struct plan_module {
	const char *name;
	const char *path; /* below the kernel's directory, or absolute */
	const char *by;   /* the file that hides it; NULL elsewhere */
};

struct plan_dependency {
	const char *path;
	/* dependencies as modules.dep has them, "" for none */
	const char *before, *after;
};

struct plan_symbol {
	const char *path; /* of the module that needs it */
	const char *symbol;
	bool crc; /* it is there, with another CRC */
	uint32_t want, have;
};

struct plan {
	/* struct plan_module */
	struct buf added, removed, changed, hidden, unhidden;
	struct buf dependencies; /* struct plan_dependency */
	/* struct plan_symbol: problems that were not there before */
	struct buf symbols;
	struct arena mem;
};

/* The modules.dep of a kernel before an update; empty if there is none. 0 or -ENOMEM. */
int plan_read_before(const struct target *t, struct buf *ret);

/*
 * Compare what u found with the modules.dep and the facts from before. check is what
 * symbols were checked against, or NULL: then symbols count as lost that some module had
 * before. 0 or
 * -ENOMEM. Release with plan_done() in every case.
 */
int plan_make(const struct target *t, const struct update *u, const struct buf *before,
	const struct vmlinux *check, struct plan *ret);
void plan_done(struct plan *p);

/* Another file under a path that was known: other bytes, as far as we can know. */
bool plan_rows_differ(
	const struct tables *t, mod_row m, const struct tables *o, mod_row old);

static inline size_t plan_count(const struct buf *list)
{
	return vec_len(list, struct plan_module);
}
