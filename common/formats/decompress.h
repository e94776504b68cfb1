/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * decompress.h: bytes of a .ko.zst, .ko.xz or .ko.gz -> bytes of a .ko.
 *
 * The codec is told by the magic bytes. A decoder keeps its contexts and its output from
 * module to module; one decoder serves one thread.
 * Formats: RFC 8878 (zstd), the .xz file format 1.1, RFC 1952 (gzip).
 */

#include "base/util.h"

/* No module is larger decompressed: a cap on memory, whatever a frame claims. */
#define DECOMPRESS_MAX ((size_t)512 << 20)

enum codec {
	CODEC_NONE,
	CODEC_ZSTD,
	CODEC_XZ,
	CODEC_GZIP,
};

enum {
	DECOMPRESS_CORRUPT = 1, /* damaged or cut short */
	DECOMPRESS_TOO_LARGE,   /* beyond DECOMPRESS_MAX */
	DECOMPRESS_UNSUPPORTED, /* this build lacks the codec */
};

struct decoder;

struct decoder *decoder_new(void);
void decoder_free(struct decoder *d);

enum codec codec_of(const void *data, size_t len);
const char *codec_name(enum codec c); /* "zstd", ... */
/*
 * On 0, *ret points at the decompressed bytes, which d owns until its next use. Otherwise
 * an enumerator above, or -ENOMEM.
 */
int decompress(struct decoder *d, const void *data, size_t len, const uint8_t **ret,
	size_t *ret_len);
