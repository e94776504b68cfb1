// SPDX-License-Identifier: GPL-2.0-or-later
/* xxhash is compiled in: one function of it is used, on the hottest paths. */

#include <errno.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/digest.h"

struct digest digest_bytes(const void *data, size_t len)
{
	XXH128_hash_t h = XXH3_128bits(data, len);

	return (struct digest){.lo = h.low64, .hi = h.high64};
}

int digest_file(int fd, struct digest *ret)
{
	XXH3_state_t state;
	char window[32768];

	XXH3_128bits_reset(&state);
	for (;;) {
		ssize_t n = read(fd, window, sizeof(window));
		XXH128_hash_t h;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return neg_errno();
		if (n > 0) {
			XXH3_128bits_update(&state, window, (size_t)n);
			continue;
		}
		h = XXH3_128bits_digest(&state);
		*ret = (struct digest){.lo = h.low64, .hi = h.high64};
		return 0;
	}
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
