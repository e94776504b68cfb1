/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * digest.h: XXH3, 128 bits, over bytes. It tells equal contents from different ones; it
 * is no protection against somebody who may write modules: he owns the machine anyway.
 */

#include "base/util.h"

struct digest {
	uint64_t lo;
	uint64_t hi;
};

struct digest digest_bytes(const void *data, size_t len);
/* Of all bytes from here to the end of a file. 0 or -errno. */
int digest_file(int fd, struct digest *ret);
/* One digest of two: for lists of contents. Order matters. */
struct digest digest_join(struct digest a, struct digest b);
/* 64 bits, for hash tables and checksums. */
uint64_t digest_hash(const void *data, size_t len);

static inline bool digest_eq(struct digest a, struct digest b)
{
	return a.lo == b.lo && a.hi == b.hi;
}
