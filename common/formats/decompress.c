// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each codec writes into one output buffer that grows by doubling and is kept. Several
 * frames, streams or members behind one another are decoded as one file, as kmod does
 * through the same libraries. After a huge module the buffer is given back.
 */

#include "config.h"

#if WITH_ZSTD
#include <zstd.h>
#endif
#if WITH_XZ
#include <lzma.h>
#endif
#if WITH_GZIP
#include <libdeflate.h>
#endif

#include "formats/decompress.h"

#define KEEP_MAX ((size_t)4 << 20) /* few modules are larger */
#define CLAIM_FACTOR 16u /* a claimed size is believed up to so many times the input */

struct decoder {
	uint8_t *out;
	size_t cap;
#if WITH_ZSTD
	ZSTD_DCtx *zstd;
#endif
#if WITH_XZ
	lzma_stream xz;
#endif
#if WITH_GZIP
	struct libdeflate_decompressor *gzip;
#endif
};

struct decoder *decoder_new(void)
{
	return calloc(1, sizeof(struct decoder));
}

void decoder_free(struct decoder *d)
{
	if (!d)
		return;
#if WITH_ZSTD
	ZSTD_freeDCtx(d->zstd);
#endif
#if WITH_XZ
	lzma_end(&d->xz);
#endif
#if WITH_GZIP
	libdeflate_free_decompressor(d->gzip);
#endif
	free(d->out);
	free(d);
}

enum codec codec_of(const void *data, size_t len)
{
	if (len >= 4 && memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0)
		return CODEC_ZSTD;
	if (len >= 6 && memcmp(data,
				"\xfd"
				"7zXZ",
				6) == 0)
		return CODEC_XZ;
	if (len >= 2 && memcmp(data, "\x1f\x8b", 2) == 0)
		return CODEC_GZIP;
	return CODEC_NONE;
}

const char *codec_name(enum codec c)
{
	static const char *const names[] = {"none", "zstd", "xz", "gzip"};

	return names[c];
}

/* Make the output at least want bytes large, within the cap. */
static int out_grow(struct decoder *d, size_t want)
{
	uint8_t *out;

	if (want <= d->cap)
		return 0;
	if (want > DECOMPRESS_MAX)
		return DECOMPRESS_TOO_LARGE;
	out = realloc(d->out, want);
	if (!out)
		return -ENOMEM;
	d->out = out;
	d->cap = want;
	return 0;
}

static int out_double(struct decoder *d)
{
	if (d->cap >= DECOMPRESS_MAX)
		return DECOMPRESS_TOO_LARGE;
	return out_grow(d, MIN(MAX(d->cap * 2, (size_t)1 << 18), DECOMPRESS_MAX));
}

/*
 * Make room for the size that the input claims: right, it saves growing; a lie costs
 * little.
 */
static inline int out_claim(struct decoder *d, uint64_t claim, size_t len)
{
	return out_grow(
		d, (size_t)MIN(claim, MIN((uint64_t)len * CLAIM_FACTOR, DECOMPRESS_MAX)));
}

#if WITH_ZSTD
static int decode_zstd(struct decoder *d, const void *data, size_t len, size_t *ret_len)
{
	unsigned long long claim = ZSTD_getFrameContentSize(data, len);
	ZSTD_inBuffer in = {data, len, 0};
	ZSTD_outBuffer out = {0};
	size_t hint = 1;

	if (claim < ZSTD_CONTENTSIZE_ERROR && claim < DECOMPRESS_MAX) {
		int r = out_claim(d, claim + 1, len);

		if (r)
			return r;
	}
	out.dst = d->out;
	out.size = d->cap;

	if (!d->zstd)
		d->zstd = ZSTD_createDCtx();
	if (!d->zstd)
		return -ENOMEM;
	ZSTD_DCtx_reset(d->zstd, ZSTD_reset_session_only);
	while (in.pos < in.size || hint != 0) {
		size_t in_before = in.pos, out_before = out.pos;

		if (out.pos == out.size) {
			int r = out_double(d);

			if (r)
				return r;
			out.dst = d->out;
			out.size = d->cap;
		}
		hint = ZSTD_decompressStream(d->zstd, &out, &in);
		if (ZSTD_isError(hint))
			return DECOMPRESS_CORRUPT;
		if (in.pos == in_before && out.pos == out_before && out.pos < out.size)
			return DECOMPRESS_CORRUPT; /* it wants bytes that are not there */
	}
	*ret_len = out.pos;
	return 0;
}
#endif

#if WITH_XZ
static int decode_xz(struct decoder *d, const void *data, size_t len, size_t *ret_len)
{
	lzma_ret r = lzma_stream_decoder(&d->xz, DECOMPRESS_MAX, LZMA_CONCATENATED);

	if (r != LZMA_OK)
		return -ENOMEM;
	d->xz.next_in = data;
	d->xz.avail_in = len;
	d->xz.next_out = d->out;
	d->xz.avail_out = d->cap;
	for (;;) {
		size_t done = d->cap - d->xz.avail_out;
		int grown;

		if (d->xz.avail_out == 0) {
			grown = out_double(d);
			if (grown)
				return grown;
			d->xz.next_out = d->out + done;
			d->xz.avail_out = d->cap - done;
		}
		r = lzma_code(&d->xz, LZMA_FINISH);
		if (r == LZMA_STREAM_END)
			break;
		if (r == LZMA_MEM_ERROR)
			return -ENOMEM;
		if (r == LZMA_MEMLIMIT_ERROR)
			return DECOMPRESS_TOO_LARGE;
		if (r != LZMA_OK)
			return DECOMPRESS_CORRUPT;
	}
	*ret_len = d->cap - d->xz.avail_out;
	return 0;
}
#endif

#if WITH_GZIP
static int decode_gzip_member(struct decoder *d, const uint8_t *data, size_t len,
	size_t done, size_t *ret_in, size_t *ret_out)
{
	for (;;) {
		enum libdeflate_result r;
		int grown;

		r = libdeflate_gzip_decompress_ex(d->gzip, data, len, d->out + done,
			d->cap - done, ret_in, ret_out);
		if (r == LIBDEFLATE_SUCCESS)
			return 0;
		if (r != LIBDEFLATE_INSUFFICIENT_SPACE)
			return DECOMPRESS_CORRUPT;
		grown = out_double(d);
		if (grown)
			return grown;
	}
}

static int decode_gzip(
	struct decoder *d, const uint8_t *data, size_t len, size_t *ret_len)
{
	size_t done = 0;
	uint32_t claim = 0;
	int r;

	if (!d->gzip)
		d->gzip = libdeflate_alloc_decompressor();
	if (!d->gzip)
		return -ENOMEM;
	/* the last four bytes claim the size */
	if (len >= 18)
		memcpy(&claim, data + len - 4, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	claim = __builtin_bswap32(claim);
#endif
	r = out_claim(d, claim, len);
	if (r)
		return r;
	while (len > 0) {
		size_t in, out;

		/* What follows the last member and is not gzip is padding: left out. */
		if (done > 0 && codec_of(data, len) != CODEC_GZIP)
			break;
		r = decode_gzip_member(d, data, len, done, &in, &out);
		if (r)
			return r;
		done += out;
		data += in;
		len -= in;
	}
	*ret_len = done;
	return 0;
}
#endif

int decompress(struct decoder *d, const void *data, size_t len, const uint8_t **ret,
	size_t *ret_len)
{
	int r = DECOMPRESS_UNSUPPORTED;

	if (d->cap > KEEP_MAX) {
		free(d->out);
		d->out = NULL;
		d->cap = 0;
	}
	if (d->cap == 0 && out_double(d))
		return -ENOMEM;
	switch (codec_of(data, len)) {
#if WITH_ZSTD
	case CODEC_ZSTD:
		r = decode_zstd(d, data, len, ret_len);
		break;
#endif
#if WITH_XZ
	case CODEC_XZ:
		r = decode_xz(d, data, len, ret_len);
		break;
#endif
#if WITH_GZIP
	case CODEC_GZIP:
		r = decode_gzip(d, data, len, ret_len);
		break;
#endif
	default:
		*ret_len = 0;
		break;
	}
	if (r == 0)
		*ret = d->out;
	return r;
}
