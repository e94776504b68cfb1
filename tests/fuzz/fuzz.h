/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * fuzz.h: what all fuzz targets need. A target is one function, which takes any bytes and
 * aborts where a promise is broken. libFuzzer calls it, or replay.c with kept inputs.
 */

#include <stdio.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A promise, kept in every build. */
#define PROMISE(cond)                                                                    \
	do {                                                                             \
		if (!(cond)) {                                                           \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__,       \
				#cond);                                                  \
			abort();                                                         \
		}                                                                        \
	} while (0)

/*
 * A copy that ends where its memory ends: a sanitizer sees each byte that is read beyond.
 */
static inline void *exact(const void *p, size_t n)
{
	void *copy = malloc(n ? n : 1);

	PROMISE(copy);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

/* The same, with a NUL behind it. */
static inline char *exact_text(const void *p, size_t n)
{
	char *copy = malloc(n + 1);

	PROMISE(copy);
	if (n)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

/* Use each byte: one that was never written, or lies beyond its memory, is noticed. */
static inline void use_bytes(const void *p, size_t n)
{
	const unsigned char *b = p;
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += b[i];
	__asm__ volatile("" : : "r"(sum)); /* somebody may want it */
}
