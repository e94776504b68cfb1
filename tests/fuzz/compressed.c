// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames of zstd, xz and gzip. A decoder that has seen others gives what a new one gives;
 * of gzip, what zlib gives, which kmod reads with.
 */

#include "config.h"

#include <sys/mman.h>
#include <zlib.h>

#include "formats/decompress.h"
#include "fuzz.h"

#define ENOUGH ((size_t)8 << 20) /* of what is compared */

/* What a program that links zlib reads from such a file: its length, or -1 */
static ssize_t by_zlib(const uint8_t *data, size_t len, uint8_t *to)
{
	int fd = memfd_create("gzip", MFD_CLOEXEC), n, err;
	gzFile f;

	PROMISE(fd >= 0 && write(fd, data, len) == (ssize_t)len &&
		lseek(fd, 0, SEEK_SET) == 0);
	f = gzdopen(fd, "rb");
	PROMISE(f);
	n = gzread(f, to, ENOUGH);
	err = gzclose(f);
	return n < 0 || err != Z_OK ? -1 : n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct decoder *used;
	struct decoder *d = decoder_new();
	const uint8_t *a = NULL, *b = NULL;
	size_t n = 0, m = 0;
	int r;

	if (!used)
		used = decoder_new();
	PROMISE(d && used);
	r = decompress(d, data, len, &a, &n);
	PROMISE(decompress(used, data, len, &b, &m) == r);
	PROMISE(r == 0 || r == DECOMPRESS_CORRUPT || r == DECOMPRESS_TOO_LARGE ||
		r == DECOMPRESS_UNSUPPORTED);
	PROMISE((codec_of(data, len) == CODEC_NONE) <= (r == DECOMPRESS_UNSUPPORTED));
	if (r == 0) {
		PROMISE(n == m && n <= DECOMPRESS_MAX && memcmp(a, b, n) == 0);
		use_bytes(a, n);
	}
	if (codec_of(data, len) == CODEC_GZIP && r != DECOMPRESS_UNSUPPORTED &&
		n < ENOUGH) {
		uint8_t *z = malloc(ENOUGH);
		ssize_t want;

		PROMISE(z);
		want = by_zlib(data, len, z);
		if (r == 0)
			PROMISE(want == (ssize_t)n && memcmp(a, z, n) == 0);
		free(z);
	}
	decoder_free(d);
	return 0;
}
