/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * buf.h: a growing run of bytes.
 *
 * Errors stick: after a failed allocation every further append is ignored and buf.err is
 * -ENOMEM, so that a writer appends freely and looks once, at its end. A zeroed struct is
 * an empty buffer; buf_done() frees what it owns. Pointers into data are valid until the
 * next append.
 */

#include "base/util.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	int err; /* 0, or -ENOMEM */
};

void buf_done(struct buf *b);
/* Make room for n more bytes. Returns where they go, NULL without memory (err is set). */
char *buf_reserve_slow(struct buf *b, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);

static inline char *buf_reserve(struct buf *b, size_t n)
{
	if (b->data && n <= b->cap - b->len)
		return b->data + b->len;
	return buf_reserve_slow(b, n);
}

static inline void buf_add(struct buf *b, const void *p, size_t n)
{
	char *to = buf_reserve(b, n);

	if (to && n) {
		memcpy(to, p, n);
		b->len += n;
	}
}

static inline void buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

static inline void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

/* Append a constant string: its length is known at compile time. */
#define buf_lit(b, s) buf_add((b), "" s, sizeof(s) - 1)

static inline void buf_be32(struct buf *b, uint32_t v)
{
	v = __builtin_bswap32(v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	buf_add(b, &v, 4);
}

/*
 * Typed arrays on a buf: vec_push(&b, struct foo) returns a pointer to a new zeroed
 * element, or NULL without memory.
 */
static inline void *vec_push_size(struct buf *b, size_t size)
{
	char *p = buf_reserve(b, size);

	if (!p)
		return NULL;
	memset(p, 0, size);
	b->len += size;
	return p;
}
#define vec_push(b, type) ((type *)vec_push_size((b), sizeof(type)))
#define vec_len(b, type) ((b)->len / sizeof(type))
#define vec_data(b, type) ((type *)(void *)(b)->data)
