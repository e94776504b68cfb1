// SPDX-License-Identifier: GPL-2.0-or-later
/* xxhash is compiled in: one function of it is used, on the hottest paths. */

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/digest.h"

struct digest digest_bytes(const void *data, size_t len)
{
	XXH128_hash_t h = XXH3_128bits(data, len);

	return (struct digest){.lo = h.low64, .hi = h.high64};
}

struct digest digest_join(struct digest a, struct digest b)
{
	struct digest both[2] = {a, b};

	return digest_bytes(both, sizeof(both));
}

uint64_t digest_hash(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}
