// SPDX-License-Identifier: GPL-2.0-or-later
/* The expected bytes are written by hand from the format that trie.c draws. */

#include "unit.h"

#include "formats/trie.h"

#define HEAD "\xb0\x07\xf4\x57\x00\x02\x00\x01"

static struct trie_entry entry(const char *key, const char *value, uint32_t priority)
{
	return (struct trie_entry){.key = key,
		.key_len = (uint32_t)strlen(key),
		.value = value,
		.value_len = (uint32_t)strlen(value),
		.priority = priority};
}

static void written(const struct trie_entry *e, size_t n, const char *want, size_t len)
{
	struct buf b = {0};

	assert_int_equal(trie_write(e, n, &b), 0);
	assert_bytes(&b, want, len);
	buf_done(&b);
}

static void writes_an_empty_index(void **state)
{
	(void)state;
	written(NULL, 0, BYTES(HEAD "\x00\x00\x00\x0c"));
}

static void writes_one_key(void **state)
{
	const struct trie_entry e[] = {entry("key", "value", 7)};

	(void)state;
	/* the root has no prefix: a child for 'k', whose prefix is "ey" */
	written(e, 1,
		BYTES(HEAD "\x20\x00\x00\x0c"
			   "kk\xc0\x00\x00\x12"
			   "ey\0\x00\x00\x00\x01\x00\x00\x00\x07value\0"));
}

static void writes_keys_that_split(void **state)
{
	const struct trie_entry e[] = {
		entry("ab", "1", 1), entry("abc", "2", 2), entry("abe", "3", 3)};

	(void)state;
	/* root -a-> node with prefix "b", value 1 and children c, (d), e */
	written(e, 3,
		BYTES(HEAD "\x20\x00\x00\x0c"
			   "aa\xe0\x00\x00\x12"
			   "b\0"
			   "ce\x40\x00\x00\x2c\x00\x00\x00\x00\x40\x00\x00\x36"
			   "\x00\x00\x00\x01\x00\x00\x00\x01"
			   "1\0"
			   "\x00\x00\x00\x01\x00\x00\x00\x02"
			   "2\0"
			   "\x00\x00\x00\x01\x00\x00\x00\x03"
			   "3\0"));
}

static void writes_several_values(void **state)
{
	const struct trie_entry e[] = {
		entry("x", "one", 1), entry("x", "two", 1), entry("x", "", 9)};

	(void)state;
	written(e, 3,
		BYTES(HEAD "\x20\x00\x00\x0c"
			   "xx\x40\x00\x00\x12"
			   "\x00\x00\x00\x03"
			   "\x00\x00\x00\x01one\0"
			   "\x00\x00\x00\x01two\0"
			   "\x00\x00\x00\x09\0"));
}

static void writes_the_empty_key(void **state)
{
	const struct trie_entry e[] = {entry("", "v", 1)};

	(void)state;
	written(e, 1, BYTES(HEAD "\x40\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x01v\0"));
}

static void appends_behind_what_is_there(void **state)
{
	const struct trie_entry e[] = {entry("key", "value", 7)};
	struct buf alone = {0}, b = {0};

	(void)state;
	buf_lit(&b, "front");
	assert_int_equal(trie_write(e, 1, &alone), 0);
	assert_int_equal(trie_write(e, 1, &b), 0);
	assert_int_equal(b.len, 5 + alone.len);
	assert_memory_equal(b.data + 5, alone.data, alone.len);
	buf_done(&alone);
	buf_done(&b);
}

static int list(
	void *arg, const char *key, size_t key_len, uint32_t priority, const char *value)
{
	struct buf *b = arg;

	assert_int_equal(key[key_len], '\0');
	buf_add(b, key, key_len);
	buf_printf(b, " %u %s|", priority, value);
	return 0;
}

/* Walk a copy of exactly these bytes. */
static int walk(const void *data, size_t len, struct buf *b)
{
	char *copy = exact(data, len);
	int r = trie_walk(copy, len, list, b);

	free(copy);
	return r;
}

static void sample(struct buf *out)
{
	const struct trie_entry e[] = {entry("a", "one", 3), entry("ab", "two", 1),
		entry("abcd", "three", 2), entry("abce", "four", 2),
		entry("abce", "five", 4), entry("b\x7f", "", 0)};

	assert_int_equal(trie_write(e, ARRAY_SIZE(e), out), 0);
}

static void reads_what_it_wrote(void **state)
{
	struct buf index = {0}, b = {0};

	(void)state;
	sample(&index);
	assert_int_equal(walk(index.data, index.len, &b), 0);
	assert_text(
		&b, "a 3 one|ab 1 two|abcd 2 three|abce 2 four|abce 4 five|b\x7f 0 |");
	buf_done(&index);
	buf_done(&b);
}

static void reads_children_first(void **state)
{
	struct buf b = {0};

	(void)state;
	/* the same tree as an older kmod lays it out: root last */
	assert_int_equal(walk(BYTES(HEAD "\x20\x00\x00\x17"
					 "\x00\x00\x00\x01\x00\x00\x00\x05v\0"
					 "z"
					 "kk\x40\x00\x00\x0c"),
				 &b),
		0);
	assert_text(&b, "k 5 v|");
	buf_done(&b);
}

static int stop(
	void *arg, const char *key, size_t key_len, uint32_t priority, const char *value)
{
	(void)key, (void)key_len, (void)priority, (void)value;
	return --*(int *)arg ? 0 : 42;
}

static void stops_when_told(void **state)
{
	struct buf index = {0};

	(void)state;
	sample(&index);
	for (int i = 1; i <= 6; i++) {
		int left = i;

		assert_int_equal(trie_walk(index.data, index.len, stop, &left), 42);
	}
	buf_done(&index);
}

static void cut_anywhere(void **state)
{
	struct buf index = {0};

	(void)state;
	sample(&index);
	for (size_t n = 0; n < index.len; n++) {
		struct buf b = {0};

		assert_int_equal(walk(index.data, n, &b), -EBADMSG);
		buf_done(&b);
	}
	buf_done(&index);
}

/* Any byte may be anything: no crash, no endless walk, an error or some entries. */
static void any_byte_wrong(void **state)
{
	struct buf index = {0};

	(void)state;
	sample(&index);
	for (size_t at = 0; at < index.len; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct buf b = {0};
			int r;

			index.data[at] ^= (char)(1 << bit);
			r = walk(index.data, index.len, &b);
			assert_true(r == 0 || r == -EBADMSG);
			/* the version's lower half may be newer */
			if (at < 6)
				assert_int_equal(r, -EBADMSG);
			buf_done(&b);
			index.data[at] ^= (char)(1 << bit);
		}
	buf_done(&index);
}

static void references_in_circles(void **state)
{
	struct buf b = {0};

	(void)state;
	/* the root is its own child; two nodes are each other's */
	assert_int_equal(walk(BYTES(HEAD "\x20\x00\x00\x0c"
					 "aa\x20\x00\x00\x0c"),
				 &b),
		-EBADMSG);
	assert_int_equal(walk(BYTES(HEAD "\x20\x00\x00\x0c"
					 "aa\x20\x00\x00\x12"
					 "bb\x20\x00\x00\x0c"),
				 &b),
		-EBADMSG);
	buf_done(&b);
}

/*
 * 64 nodes whose 256 children are all the next node, and then a value: no circle, but
 * without number.
 */
static void paths_without_number(void **state)
{
	struct buf index = {0}, b = {0};

	(void)state;
	buf_add(&index, HEAD, 8);
	buf_be32(&index, 0x2000000c);
	for (unsigned node = 0; node < 64; node++) {
		buf_lit(&index, "\x00\xff");
		for (unsigned c = 0; c < 256; c++)
			buf_be32(&index, (node < 63 ? 0x20000000u : 0x40000000u) + 12 +
						 (node + 1) * 1026);
	}
	buf_lit(&index, "\0\0\0\1\0\0\0\1v\0");
	assert_int_equal(walk(index.data, index.len, &b), -EBADMSG);
	buf_done(&index);
	buf_done(&b);
}

static void bad_nodes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{BYTES("")},
		{BYTES(HEAD)},
		{BYTES(HEAD "\x20\x00\x00")},
		{BYTES("\xb0\x07\xf4\x58\x00\x02\x00\x01\x00\x00\x00\x0c")}, /* magic */
		{BYTES("\xb0\x07\xf4\x57\x00\x03\x00\x01\x00\x00\x00\x0c")}, /* version */
		{BYTES(HEAD "\x20\x00\x00\x0c")},                            /* outside */
		{BYTES(HEAD "\x2f\xff\xff\xff")},
		{BYTES(HEAD "\x20\x00\x00\x0c"
			    "ba\x00\x00\x00\x00")}, /* first beyond last */
		{BYTES(HEAD "\x20\x00\x00\x0c"
			    "az\x00\x00\x00\x00")}, /* table beyond the end */
		{BYTES(HEAD "\x40\x00\x00\x0c\xff\xff\xff\xff\x00\x00\x00\x01v"
			    "\0")}, /* count */
		{BYTES(HEAD "\x40\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x01"
			    "v")}, /* no NUL */
		{BYTES(HEAD "\x80\x00\x00\x0cprefix")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf b = {0};

		assert_int_equal(walk(cases[i].bytes, cases[i].len, &b), -EBADMSG);
		buf_done(&b);
	}
}

static void many_keys(void **state)
{
	enum { N = 5000 };
	struct trie_entry *e = calloc(N, sizeof(*e));
	struct buf index = {0}, b = {0}, want = {0};
	static char keys[N][16];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		snprintf(keys[i], sizeof(keys[i]), "key%05u", i);
		e[i] = entry(keys[i], "v", i);
		buf_printf(&want, "%s %u v|", keys[i], i);
	}
	buf_char(&want, '\0');
	assert_int_equal(trie_write(e, N, &index), 0);
	assert_int_equal(walk(index.data, index.len, &b), 0);
	assert_text(&b, want.data);
	buf_done(&index);
	buf_done(&b);
	buf_done(&want);
	free(e);
}

static void longest_keys(void **state)
{
	struct buf index = {0}, b = {0};
	char key[4096];
	struct trie_entry e[2];

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	e[0] = entry(key, "a", 1);
	e[0].key_len--; /* a key is told by its length */
	e[1] = entry(key, "b", 2);
	assert_int_equal(trie_write(e, 2, &index), 0);
	assert_int_equal(walk(index.data, index.len, &b), 0);
	assert_int_equal(b.len, 2 * 4095 - 1 + 2 * strlen(" 1 a|"));
	buf_done(&index);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_an_empty_index),
		cmocka_unit_test(writes_one_key),
		cmocka_unit_test(writes_keys_that_split),
		cmocka_unit_test(writes_several_values),
		cmocka_unit_test(writes_the_empty_key),
		cmocka_unit_test(appends_behind_what_is_there),
		cmocka_unit_test(reads_what_it_wrote),
		cmocka_unit_test(reads_children_first),
		cmocka_unit_test(stops_when_told),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(any_byte_wrong),
		cmocka_unit_test(references_in_circles),
		cmocka_unit_test(paths_without_number),
		cmocka_unit_test(bad_nodes),
		cmocka_unit_test(many_keys),
		cmocka_unit_test(longest_keys),
	};

	return RUN(tests);
}
