// SPDX-License-Identifier: GPL-2.0-or-later
/* A growing run of bytes. It doubles, so that n appended bytes cost O(n). */

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

char *buf_reserve_slow(struct buf *b, size_t n)
{
	size_t need, cap;
	char *data;

	if (b->err)
		return NULL;
	if (__builtin_add_overflow(b->len, n, &need))
		goto fail;
	if (b->data && need <= b->cap)
		return b->data + b->len;
	cap = b->cap < 256 ? 256 : b->cap;
	while (cap < need)
		if (__builtin_mul_overflow(cap, (size_t)2, &cap))
			goto fail;
	data = realloc(b->data, cap);
	if (!data)
		goto fail;
	b->data = data;
	b->cap = cap;
	return data + b->len;
fail:
	b->err = -ENOMEM;
	b->cap = b->len; /* no append finds room any more */
	return NULL;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !(to = buf_reserve(b, (size_t)n + 1)))
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}
