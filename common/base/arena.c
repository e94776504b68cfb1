// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/arena.h"

#define CHUNK ((size_t)256 << 10)
#define KEEP_MAX ((size_t)8 << 20) /* a larger chunk is not kept over a reset */

struct arena_chunk {
	struct arena_chunk *next;
	size_t cap;
	max_align_t data[];
};

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_chunk *c;
	size_t cap;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + 7) & ~(size_t)7;
	if (!a->chunk || n > a->cap - a->used) {
		cap = MAX(n, CHUNK);
		c = malloc(sizeof(*c) + cap);
		if (!c)
			return NULL;
		c->next = a->chunk;
		c->cap = cap;
		a->chunk = c;
		a->used = 0;
		a->cap = cap;
	}
	a->used += n;
	return (char *)a->chunk->data + a->used - n;
}

char *arena_strdup(struct arena *a, const char *s, size_t len)
{
	char *to = arena_alloc(a, len + 1);

	if (to) {
		memcpy(to, s, len);
		to[len] = '\0';
	}
	return to;
}

void arena_reset(struct arena *a)
{
	struct arena_chunk *keep = NULL;

	while (a->chunk) {
		struct arena_chunk *c = a->chunk;

		a->chunk = c->next;
		if (c->cap <= KEEP_MAX && (!keep || c->cap > keep->cap)) {
			struct arena_chunk *less = keep;

			keep = c;
			c = less;
		}
		free(c);
	}
	if (keep)
		keep->next = NULL;
	*a = (struct arena){.chunk = keep, .cap = keep ? keep->cap : 0};
}

void arena_done(struct arena *a)
{
	while (a->chunk) {
		struct arena_chunk *c = a->chunk;

		a->chunk = c->next;
		free(c);
	}
	*a = (struct arena){0};
}
