// SPDX-License-Identifier: GPL-2.0-or-later

#include "unit.h"

#include "formats/modname.h"

static void module_files(void **state)
{
	static const char *const yes[] = {"a.ko", "a.ko.gz", "a.ko.xz", "a.ko.zst",
		"a.b.ko", ".a.ko", "..ko", ".ko.ko"};
	static const char *const no[] = {"", "a", "ko", ".ko", ".ko.gz.", "a.ko~", "a.KO",
		"a.ko.bz2", "a.o", "a.ko.", "xko", ".k"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(modname_is_module_file(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(modname_is_module_file(no[i], strlen(no[i])));
	assert_false(modname_is_module_file(".ko.zst", 7));
}

static void names(void **state)
{
	static const struct {
		const char *file, *name;
	} cases[] = {
		{"ext4.ko", "ext4"},
		{"snd-hda-intel.ko.zst", "snd_hda_intel"},
		{"a.b-c.ko", "a"},
		{"no_dot", "no_dot"},
		{".ko", ""},
		{"", ""},
		{"\xff-.ko", "\xff_"},
	};
	char name[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			modname_copy(name, cases[i].file), strlen(cases[i].name));
		assert_string_equal(name, cases[i].name);
		assert_int_equal(modname_len(cases[i].file), strlen(cases[i].name));
	}
}

/* Of SuperFastHash as kmod has it, computed independently of this code. */
static void hashes(void **state)
{
	static const struct {
		const char *key;
		uint32_t hash;
	} vectors[] = {
		{"a", 0x115ea782},
		{"ab", 0x516b8b44},
		{"abc", 0xd2be198a},
		{"ext4", 0xe679ab16},
		{"snd_hda_intel", 0x6e4028a1},
		{"usb_storage", 0x9f9b2fab},
		{"drm_display_helper", 0x06d59bf6},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		size_t n = strlen(vectors[i].key);
		char *key = exact(vectors[i].key, n);

		assert_int_equal(kmod_hash(key, n), vectors[i].hash);
		free(key);
	}
}

static void aliases(void **state)
{
	static const struct {
		const char *alias;
		int r;
		const char *to;
	} cases[] = {
		{"", ALIAS_SAME, NULL},
		{"plain_alias:*?", ALIAS_SAME, NULL},
		{"one-two-three", 0, "one_two_three"},
		{"-", 0, "_"},
		{"a[-]b", ALIAS_SAME, NULL},
		{"a-[a-z]-b", 0, "a_[a-z]_b"},
		{"[[-]", ALIAS_SAME, NULL},
		{"[]", ALIAS_SAME, NULL},
		{"[", ALIAS_UNBALANCED, NULL},
		{"]", ALIAS_UNBALANCED, NULL},
		{"a-b]", ALIAS_UNBALANCED, NULL},
		{"[a]]", ALIAS_UNBALANCED, NULL},
		{"x-[abc", ALIAS_UNBALANCED, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(cases[i].alias), len = 0;
		char *alias = exact(cases[i].alias, n), *to = malloc(n + 1);

		assert_int_equal(alias_normalise(alias, n, to, &len), cases[i].r);
		if (cases[i].to) {
			assert_int_equal(len, strlen(cases[i].to));
			assert_string_equal(to, cases[i].to);
		}
		free(alias);
		free(to);
	}
}

static void plain_aliases(void **state)
{
	static const char *const yes[] = {
		"", "a", "pci:v0000*d*", "12345678", "1234567890123456", "\x7f"};
	static const char bad[] = "-[]\x80\xff";
	char text[40];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(alias_is_plain(yes[i], strlen(yes[i])));
	/* each bad character at each place, in each length */
	for (size_t len = 1; len < sizeof(text); len++)
		for (size_t at = 0; at < len; at++)
			for (size_t c = 0; c < sizeof(bad) - 1; c++) {
				char *copy;

				memset(text, 'x', len);
				text[at] = bad[c];
				copy = exact(text, len);
				assert_false(alias_is_plain(copy, len));
				free(copy);
			}
	/* their neighbours are not */
	assert_true(alias_is_plain(",.Z\\^_`/", 8));
	assert_true(alias_is_plain(",.Z\\^_`/,.Z\\^_`/", 16));
}

static void ascii(void **state)
{
	(void)state;
	assert_true(key_is_ascii("", 0));
	assert_true(key_is_ascii("abc\x7f", 4));
	assert_false(key_is_ascii("abc\x80", 4));
	assert_true(key_is_ascii("abc\x80", 3));
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(module_files),
		cmocka_unit_test(names),
		cmocka_unit_test(hashes),
		cmocka_unit_test(aliases),
		cmocka_unit_test(plain_aliases),
		cmocka_unit_test(ascii),
	};

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		LEAVE_OUT(tests, hashes,
			"its vectors are of a little-endian machine, as kmod's hash is "
			"of each");
	return RUN(tests);
}
