// SPDX-License-Identifier: GPL-2.0-or-later

#include "unit.h"

#include "base/arena.h"

static void grows(void **state)
{
	struct buf b = {0};

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		buf_char(&b, (char)i);
	assert_int_equal(b.len, 100000);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal((uint8_t)b.data[i], (uint8_t)i);
	buf_done(&b);
	assert_null(b.data);
}

static void appends(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_add(&b, NULL, 0);
	buf_lit(&b, "a\0b");
	buf_str(&b, "c");
	buf_printf(&b, "%d-%s", 42, "x");
	buf_be32(&b, 0x01020304);
	assert_bytes(&b, BYTES("a\0bc42-x\1\2\3\4"));
	buf_done(&b);
}

static void printf_longer_than_the_buffer(void **state)
{
	struct buf b = {0};
	char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	buf_printf(&b, "%s", text);
	assert_bytes(&b, text, sizeof(text) - 1);
	buf_done(&b);
}

static void errors_stick(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_lit(&b, "kept");
	assert_null(buf_reserve(&b, SIZE_MAX - 2)); /* overflows */
	assert_int_equal(b.err, -ENOMEM);
	buf_lit(&b, "ignored, though there is room");
	buf_printf(&b, "this, %s", "too");
	buf_char(&b, 'x');
	assert_int_equal(b.err, -ENOMEM);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "kept", 4);
	buf_done(&b);
	assert_int_equal(b.err, 0);
}

static void arrays(void **state)
{
	struct buf b = {0};

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t *p = vec_push(&b, uint64_t);

		assert_non_null(p);
		assert_int_equal(*p, 0);
		*p = i;
	}
	assert_int_equal(vec_len(&b, uint64_t), 1000);
	assert_int_equal(vec_data(&b, uint64_t)[999], 999);
	buf_done(&b);
}

static void arena(void **state)
{
	struct arena a = {0};
	char *p[1000];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		p[i] = arena_alloc(&a, i * 7 % 5000);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % 8, 0);
		memset(p[i], (int)i, i * 7 % 5000);
	}
	for (unsigned i = 0; i < 1000; i++)
		for (unsigned k = 0; k < i * 7 % 5000; k++)
			assert_int_equal((uint8_t)p[i][k], (uint8_t)i);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 3));
	assert_string_equal(arena_strdup(&a, "with an end beyond", 4), "with");
	arena_reset(&a);
	assert_int_equal(a.used, 0);
	assert_non_null(arena_alloc(&a, 20 << 20)); /* larger than any chunk */
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 1));
	arena_done(&a);
	assert_null(a.chunk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(appends),
		cmocka_unit_test(printf_longer_than_the_buffer),
		cmocka_unit_test(errors_stick),
		cmocka_unit_test(arrays),
		cmocka_unit_test(arena),
	};

	return RUN(tests);
}
