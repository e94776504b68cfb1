/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * arena.h: memory that is given back all at once. Pointers stay valid until then.
 * A zeroed struct is an empty arena. An arena serves one thread.
 */

#include "base/util.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunk; /* the newest one */
	size_t used, cap;          /* of that chunk */
};

/* n bytes, aligned to 8, not cleared. NULL without memory. */
void *arena_alloc(struct arena *a, size_t n);
char *arena_strdup(struct arena *a, const char *s, size_t len);
/* Forget all allocations but keep one chunk of ordinary size for the next ones. */
void arena_reset(struct arena *a);
void arena_done(struct arena *a);
