// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All numbers are big-endian, 32 bits:
 *
 *   file  magic 0xB007F457 | version 0x00020001 | root | nodes ...
 *   node  [prefix NUL]                            if PREFIX
 *         [first last child{last - first + 1}]    if CHILDREN; a child is 0 or a node
 *         [count {priority value NUL}{count}]     if VALUES
 *
 * A reference to a node is its place in the file and, in the upper four bits, which parts
 * it has. A node is followed by the whole subtrees of its children in the order of their
 * characters. The character that leads to a child is not repeated in the child's prefix.
 * The root never has a prefix.
 *
 * There is no tree in memory: the nodes are ranges of the sorted keys. With common[i],
 * the length of what key i shares with key i - 1, the keys of a range agree up to the
 * smallest common[] in it; the keys that end there are the node's values, and a child
 * starts at the next key and wherever common[] is that length again.
 */

#include "formats/trie.h"

#define TRIE_MAGIC 0xB007F457u
#define TRIE_VERSION 0x00020001u
#define PREFIX 0x80000000u
#define VALUES 0x40000000u
#define CHILDREN 0x20000000u
#define NODE_GUESS                                                                       \
	40u /* bytes for a key beside its own and its value's, in kernels' indexes */
#define DEPTH_MAX                                                                        \
	8192u /* of nodes: ten times a kernel's longest symbol name, and no stack's end */

struct writer {
	const struct trie_entry *e;
	const uint32_t *common;
	struct buf *out;
	size_t start;   /* of the file within out */
	unsigned level; /* of nodes above this one */
	bool too_deep;
};

static char *put_be32(char *to, uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	memcpy(to, &v, 4);
	return to + 4;
}

static char *put_bytes(char *to, const char *bytes, size_t n)
{
	memcpy(to, bytes, n);
	to[n] = '\0';
	return to + n + 1;
}

static size_t values_size(const struct writer *w, size_t from, size_t to)
{
	size_t size = to > from ? 4 : 0;

	for (size_t i = from; i < to; i++)
		size += 4 + (size_t)w->e[i].value_len + 1;
	return size;
}

static char *put_values(const struct writer *w, char *at, size_t from, size_t to)
{
	at = put_be32(at, (uint32_t)(to - from));
	for (size_t i = from; i < to; i++) {
		at = put_be32(at, w->e[i].priority);
		at = put_bytes(at, w->e[i].value, w->e[i].value_len);
	}
	return at;
}

/*
 * Write the keys [lo, hi), which agree up to end, as a node whose prefix starts at depth.
 * Returns the reference to it; out->err tells of a failure.
 */
static uint32_t write_node(
	struct writer *w, size_t lo, size_t hi, uint32_t depth, uint32_t end)
{
	uint32_t ref = (uint32_t)(w->out->len - w->start);
	size_t values = lo, size = end - depth + 1, table = 0;
	uint8_t first = 0, last = 0;
	char *at;

	while (values < hi && w->e[values].key_len == end)
		values++;
	if (values < hi) {
		first = (uint8_t)w->e[values].key[end];
		last = (uint8_t)w->e[hi - 1].key[end];
		size += 2 + 4 * ((size_t)last - first + 1);
	}
	size += values_size(w, lo, values);
	at = w->level < DEPTH_MAX ? buf_reserve(w->out, size) : NULL;
	if (!at) {
		w->too_deep |= !w->out->err;
		return 0;
	}
	w->level++;
	if (end > depth) {
		at = put_bytes(at, w->e[lo].key + depth, end - depth);
		ref |= PREFIX;
	}
	if (values < hi) {
		*at++ = (char)first;
		*at++ = (char)last;
		table = (size_t)(at - w->out->data);
		memset(at, 0, 4 * ((size_t)last - first + 1));
		at += 4 * ((size_t)last - first + 1);
		ref |= CHILDREN;
	}
	if (values > lo) {
		at = put_values(w, at, lo, values);
		ref |= VALUES;
	}
	w->out->len = (size_t)(at - w->out->data);
	for (size_t i = values, next; i < hi && !w->out->err && !w->too_deep; i = next) {
		uint32_t child = w->e[i].key_len;
		uint8_t c = (uint8_t)w->e[i].key[end];

		/* keys agree beyond end while they share the character there */
		for (next = i + 1; next < hi && w->common[next] > end; next++)
			child = MIN(child, w->common[next]);
		child = write_node(w, i, next, end + 1, child);
		if (!w->out->err && !w->too_deep)
			put_be32(w->out->data + table + 4 * (size_t)(c - first), child);
	}
	w->level--;
	return ref;
}

static uint32_t common_length(const struct trie_entry *a, const struct trie_entry *b)
{
	uint32_t n = 0, max = MIN(a->key_len, b->key_len);

	while (n + 8 <= max) {
		uint64_t x, y;

		memcpy(&x, a->key + n, 8);
		memcpy(&y, b->key + n, 8);
		if (x != y)
			break;
		n += 8;
	}
	while (n < max && a->key[n] == b->key[n])
		n++;
	return n;
}

int trie_write(const struct trie_entry *entries, size_t n, struct buf *out)
{
	_cleanup_(freep) uint32_t *common = malloc((n + 1) * sizeof(*common));
	struct writer w = {.e = entries, .common = common, .out = out, .start = out->len};
	size_t guess = 12;
	uint32_t root;

	if (!common)
		return -ENOMEM;
	common[0] = 0;
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			common[i] = common_length(&entries[i - 1], &entries[i]);
		guess += entries[i].key_len - common[i] + entries[i].value_len +
			 NODE_GUESS;
	}
	/* often enough: moving what is written costs as much as writing it */
	buf_reserve(out, guess);
	buf_be32(out, TRIE_MAGIC);
	buf_be32(out, TRIE_VERSION);
	buf_be32(out, 0);
	root = write_node(&w, 0, n, 0, 0);
	if (out->err)
		return out->err;
	if (w.too_deep || out->len - w.start > TRIE_SIZE_MAX)
		return -EFBIG;
	put_be32(out->data + w.start + 8, root);
	return 0;
}

/* --- reading --- */

struct reader {
	const uint8_t *p;
	size_t len;
	trie_fn fn;
	void *arg;
	struct buf key;
	/* nodes and values left: a hostile file may refer to a node often */
	size_t budget;
};

static bool read_be32(const struct reader *r, size_t at, uint32_t *ret)
{
	if (at > r->len || r->len - at < 4)
		return false;
	*ret = (uint32_t)r->p[at] << 24 | (uint32_t)r->p[at + 1] << 16 |
	       (uint32_t)r->p[at + 2] << 8 | r->p[at + 3];
	return true;
}

/* The length of the string at a place, or -1 if it does not end within the file. */
static ssize_t string_length(const struct reader *r, size_t at)
{
	const void *end = at < r->len ? memchr(r->p + at, '\0', r->len - at) : NULL;

	return end ? (const uint8_t *)end - (r->p + at) : -1;
}

static int read_values(struct reader *r, size_t at)
{
	uint32_t count, priority;

	if (!read_be32(r, at, &count))
		return -EBADMSG;
	at += 4;
	while (count-- > 0) {
		ssize_t n;
		int err;

		if (!read_be32(r, at, &priority) || r->budget-- == 0)
			return -EBADMSG;
		n = string_length(r, at + 4);
		if (n < 0)
			return -EBADMSG;
		buf_char(&r->key, '\0');
		r->key.len--;
		if (r->key.err)
			return r->key.err;
		err = r->fn(r->arg, r->key.data, r->key.len, priority,
			(const char *)r->p + at + 4);
		if (err)
			return err;
		at += 4 + (size_t)n + 1;
	}
	return 0;
}

static int read_node(struct reader *r, uint32_t ref, unsigned depth)
{
	size_t at = ref & TRIE_SIZE_MAX, key_len = r->key.len, table = 0;
	uint8_t first = 0, last = 0;
	int err = 0;

	if (depth > DEPTH_MAX || r->budget-- == 0)
		return -EBADMSG;
	if (ref & PREFIX) {
		ssize_t n = string_length(r, at);

		if (n < 0)
			return -EBADMSG;
		buf_add(&r->key, r->p + at, (size_t)n);
		at += (size_t)n + 1;
	}
	if (ref & CHILDREN) {
		if (at + 2 > r->len)
			return -EBADMSG;
		first = r->p[at];
		last = r->p[at + 1];
		table = at + 2;
		if (last < first)
			return -EBADMSG;
		at = table + 4 * ((size_t)last - first + 1);
	}
	if (ref & VALUES)
		err = read_values(r, at);
	for (unsigned c = first; table && c <= last && !err; c++) {
		uint32_t child;

		if (!read_be32(r, table + 4 * (c - first), &child))
			return -EBADMSG;
		if (child == 0)
			continue;
		buf_char(&r->key, (char)c);
		err = read_node(r, child, depth + 1);
		r->key.len--;
	}
	r->key.len = key_len;
	return r->key.err ? r->key.err : err;
}

int trie_walk(const void *data, size_t len, trie_fn fn, void *arg)
{
	_cleanup_(buf_done) struct buf key = {0};
	struct reader r = {.p = data, .len = len, .fn = fn, .arg = arg, .budget = len};
	uint32_t magic, version, root;
	int err;

	if (!read_be32(&r, 0, &magic) || !read_be32(&r, 4, &version) ||
		!read_be32(&r, 8, &root))
		return -EBADMSG;
	if (magic != TRIE_MAGIC || version >> 16 != TRIE_VERSION >> 16)
		return -EBADMSG;
	if ((root & ~TRIE_SIZE_MAX) == 0)
		return 0; /* an empty root */
	err = read_node(&r, root, 0);
	key = r.key;
	return err;
}
