/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * trie.h: write a .bin index, the trie that libkmod reads.
 *
 * Format: kmod's libkmod/libkmod-index.c; drawn in trie.c. The layout of nodes is kmod
 * 34's.
 */

#include "base/buf.h"

struct trie_entry {
	const char *key; /* 7-bit, not necessarily ended by a NUL */
	const char *value;
	uint32_t key_len;
	uint32_t value_len;
	uint32_t priority;
};

/* An index can address this many bytes. */
#define TRIE_SIZE_MAX 0x0fffffffu

/*
 * Append the index of entries to out. They are sorted by key, as bytes; entries of one
 * key stand in the order in which their values are written. n may be 0. Returns 0,
 * -ENOMEM, or
 * -EFBIG if the index would be larger than its format allows, or nested absurdly.
 */
int trie_write(const struct trie_entry *entries, size_t n, struct buf *out);

/*
 * Read an index: call fn for each value, keys in byte order, values of a key in the
 * file's order. Any bytes may be given: -EBADMSG if they are not an index. A result of fn
 * other than 0 stops and is passed on. key is NUL-ended.
 */
typedef int (*trie_fn)(
	void *arg, const char *key, size_t key_len, uint32_t priority, const char *value);
int trie_walk(const void *data, size_t len, trie_fn fn, void *arg);
