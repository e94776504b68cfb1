// SPDX-License-Identifier: GPL-2.0-or-later

#include "config.h"

#include "unit.h"

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

/* Compresses n bytes behind what is in out. */
typedef void (*compress_fn)(const void *data, size_t n, struct buf *out);

#if WITH_ZSTD
static void with_zstd(const void *data, size_t n, struct buf *out)
{
	char *to = buf_reserve(out, ZSTD_compressBound(n));
	size_t r = ZSTD_compress(to, ZSTD_compressBound(n), data, n, 1);

	assert_false(ZSTD_isError(r));
	out->len += r;
}

/* As a pipe would: the frame does not tell its size. */
static void with_zstd_unsized(const void *data, size_t n, struct buf *out)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_outBuffer to = {
		buf_reserve(out, ZSTD_compressBound(n)), ZSTD_compressBound(n), 0};
	ZSTD_inBuffer in = {data, n, 0};

	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	assert_int_equal(ZSTD_compressStream2(c, &to, &in, ZSTD_e_end), 0);
	out->len += to.pos;
	ZSTD_freeCCtx(c);
}
#endif

#if WITH_XZ
static void with_xz(const void *data, size_t n, struct buf *out)
{
	char *to = buf_reserve(out, lzma_stream_buffer_bound(n));
	size_t len = 0;

	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, data, n,
				 (uint8_t *)to, &len, lzma_stream_buffer_bound(n)),
		LZMA_OK);
	out->len += len;
}
#endif

#if WITH_GZIP
static void with_gzip(const void *data, size_t n, struct buf *out)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(1);
	char *to = buf_reserve(out, libdeflate_gzip_compress_bound(c, n));
	size_t r = libdeflate_gzip_compress(
		c, data, n, to, libdeflate_gzip_compress_bound(c, n));

	assert_true(r > 0);
	out->len += r;
	libdeflate_free_compressor(c);
}
#endif

static const struct {
	enum codec codec;
	compress_fn compress;
} codecs[] = {
#if WITH_ZSTD
	{CODEC_ZSTD, with_zstd},
	{CODEC_ZSTD, with_zstd_unsized},
#endif
#if WITH_XZ
	{CODEC_XZ, with_xz},
#endif
#if WITH_GZIP
	{CODEC_GZIP, with_gzip},
#endif
	{CODEC_NONE, NULL},
};

/* Some of it compresses well, some does not. */
static char *sample(size_t n)
{
	char *data = malloc(n + 1);
	uint32_t random = 1;

	assert_non_null(data);
	for (size_t i = 0; i < n; i++) {
		random = random * 1664525 + 1013904223;
		data[i] = i / 1000 % 2 ? (char)(random >> 24) : (char)(i / 100);
	}
	return data;
}

static int unpack(struct decoder *d, const struct buf *in, size_t n, const uint8_t **ret,
	size_t *len)
{
	char *copy = exact(in->data, n);
	int r = decompress(d, copy, n, ret, len);

	free(copy);
	return r;
}

static void expect(struct decoder *d, const struct buf *in, const void *data, size_t n)
{
	const uint8_t *out = NULL;
	size_t len = 0;

	assert_int_equal(unpack(d, in, in->len, &out, &len), 0);
	assert_int_equal(len, n);
	assert_memory_equal(out, data, n);
}

static void tells_the_codec(void **state)
{
	(void)state;
	assert_int_equal(codec_of(BYTES("\x28\xb5\x2f\xfd")), CODEC_ZSTD);
	assert_int_equal(codec_of(BYTES("\x28\xb5\x2f")), CODEC_NONE);
	assert_int_equal(codec_of(BYTES("\xfd"
					"7zXZ\0")),
		CODEC_XZ);
	assert_int_equal(codec_of(BYTES("\xfd"
					"7zXZ")),
		CODEC_NONE);
	assert_int_equal(codec_of(BYTES("\xfd"
					"7zXZ\1")),
		CODEC_NONE);
	assert_int_equal(codec_of(BYTES("\x1f\x8b")), CODEC_GZIP);
	assert_int_equal(codec_of(BYTES("\x1f")), CODEC_NONE);
	assert_int_equal(codec_of(BYTES("\x7f"
					"ELF")),
		CODEC_NONE);
	assert_int_equal(codec_of("", 0), CODEC_NONE);
}

static void any_size(void **state)
{
	/* around the sizes of buffers, too */
	static const size_t sizes[] = {
		0, 1, 100, 65535, 65536, 131072, 262143, 262144, 262145, 524288, 3000000};
	struct decoder *d = decoder_new();

	(void)state;
	for (size_t c = 0; codecs[c].compress; c++)
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			char *data = sample(sizes[s]);
			struct buf in = {0};

			codecs[c].compress(data, sizes[s], &in);
			assert_int_equal(codec_of(in.data, in.len), codecs[c].codec);
			expect(d, &in, data, sizes[s]);
			buf_done(&in);
			free(data);
		}
	decoder_free(d);
}

static void several_in_one(void **state)
{
	struct decoder *d = decoder_new();
	char *data = sample(300000);

	(void)state;
	for (size_t c = 0; codecs[c].compress; c++) {
		struct buf in = {0};

		codecs[c].compress(data, 100000, &in);
		codecs[c].compress(data, 0, &in); /* an empty one */
		codecs[c].compress(data + 100000, 200000, &in);
		expect(d, &in, data, 300000);
		buf_done(&in);
	}
	free(data);
	decoder_free(d);
}

/* Cut at each byte: never success, never a look beyond the end. */
static void cut_anywhere(void **state)
{
	struct decoder *d = decoder_new();
	char *data = sample(3000);

	(void)state;
	for (size_t c = 0; codecs[c].compress; c++) {
		struct buf in = {0};

		codecs[c].compress(data, 3000, &in);
		for (size_t n = 0; n < in.len; n++) {
			const uint8_t *out;
			size_t len;
			int r = unpack(d, &in, n, &out, &len);

			if (codec_of(in.data, n) == CODEC_NONE)
				assert_int_equal(r, DECOMPRESS_UNSUPPORTED);
			else
				assert_int_equal(r, DECOMPRESS_CORRUPT);
		}
		expect(d, &in, data, 3000); /* and the decoder is none the worse for it */
		buf_done(&in);
	}
	free(data);
	decoder_free(d);
}

/* Any byte may be anything: it fails, or a codec without checksum gives other bytes. */
static void any_byte_wrong(void **state)
{
	struct decoder *d = decoder_new();
	char *data = sample(3000);

	(void)state;
	for (size_t c = 0; codecs[c].compress; c++) {
		bool checked = codecs[c].compress != codecs[0].compress ||
			       codecs[c].codec != CODEC_ZSTD;
		struct buf in = {0};

		codecs[c].compress(data, 3000, &in);
		for (size_t at = 0; at < in.len; at++) {
			const uint8_t *out;
			size_t len;
			int r;

			in.data[at] ^= 0x55;
			r = unpack(d, &in, in.len, &out, &len);
			assert_true(r >= 0);
			/* gzip's header has bytes that nobody checks */
			if (r == 0 && checked)
				assert_true(len == 3000 && memcmp(out, data, len) == 0);
			in.data[at] ^= 0x55;
		}
		expect(d, &in, data, 3000);
		buf_done(&in);
	}
	free(data);
	decoder_free(d);
}

static void what_follows(void **state)
{
	struct decoder *d = decoder_new();
	char *data = sample(1000);

	(void)state;
	for (size_t c = 0; codecs[c].compress; c++) {
		struct buf in = {0};
		const uint8_t *out;
		size_t len;

		codecs[c].compress(data, 1000, &in);
		buf_lit(&in, "text");
		/* gzip takes what is no gzip for padding, as its own tools do */
		if (codecs[c].codec == CODEC_GZIP)
			expect(d, &in, data, 1000);
		else
			assert_int_equal(
				unpack(d, &in, in.len, &out, &len), DECOMPRESS_CORRUPT);
		buf_done(&in);
	}
	free(data);
	decoder_free(d);
}

/* A few hundred kilobytes that become more than a module may be. */
static void a_bomb(void **state)
{
	size_t n = (size_t)64 << 20;
	char *zeros = calloc(1, n), *data = sample(1000);

	(void)state;
	assert_non_null(zeros);
	for (size_t c = 0; codecs[c].compress; c++) {
		struct decoder *d = decoder_new();
		struct buf one = {0}, in = {0};
		const uint8_t *out;
		size_t len;

		codecs[c].compress(zeros, n, &one);
		for (size_t i = 0; i <= DECOMPRESS_MAX / n; i++)
			buf_add(&in, one.data, one.len);
		assert_int_equal(
			unpack(d, &in, in.len, &out, &len), DECOMPRESS_TOO_LARGE);
		in.len = 0;
		codecs[c].compress(data, 1000, &in);
		expect(d, &in, data, 1000);
		buf_done(&one);
		buf_done(&in);
		decoder_free(d);
	}
	free(zeros);
	free(data);
}

/* A claim of size is no reason to take memory. */
static void a_lie(void **state)
{
	struct decoder *d = decoder_new();
	char *data = sample(1000);

	(void)state;
	for (size_t c = 0; codecs[c].compress; c++) {
		struct buf in = {0};
		const uint8_t *out;
		size_t len;

		codecs[c].compress(data, 1000, &in);
		if (codecs[c].codec == CODEC_GZIP)
			memset(in.data + in.len - 4, 0xff, 4);
		else if (codecs[c].compress == codecs[0].compress &&
			 codecs[c].codec == CODEC_ZSTD)
			memset(in.data + 5, 0xff, 2);
		else
			in.data[in.len / 2] ^= 1;
		assert_int_equal(unpack(d, &in, in.len, &out, &len), DECOMPRESS_CORRUPT);
		buf_done(&in);
	}
	free(data);
	decoder_free(d);
}

static void no_codec(void **state)
{
	struct decoder *d = decoder_new();
	const uint8_t *out;
	size_t len;

	(void)state;
	assert_int_equal(decompress(d, "text", 4, &out, &len), DECOMPRESS_UNSUPPORTED);
	assert_int_equal(decompress(d, "", 0, &out, &len), DECOMPRESS_UNSUPPORTED);
	if (!WITH_ZSTD)
		assert_int_equal(decompress(d, BYTES("\x28\xb5\x2f\xfd"), &out, &len),
			DECOMPRESS_UNSUPPORTED);
	if (!WITH_XZ)
		assert_int_equal(decompress(d,
					 BYTES("\xfd"
					       "7zXZ\0"),
					 &out, &len),
			DECOMPRESS_UNSUPPORTED);
	if (!WITH_GZIP)
		assert_int_equal(decompress(d, BYTES("\x1f\x8b"), &out, &len),
			DECOMPRESS_UNSUPPORTED);
	decoder_free(d);
	decoder_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_the_codec),
		cmocka_unit_test(any_size),
		cmocka_unit_test(several_in_one),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(any_byte_wrong),
		cmocka_unit_test(what_follows),
		cmocka_unit_test(a_bomb),
		cmocka_unit_test(a_lie),
		cmocka_unit_test(no_codec),
	};

	return RUN(tests);
}
