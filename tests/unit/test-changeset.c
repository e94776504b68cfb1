// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "model/changeset.h"

static void normalises_and_sorts_out(void **state)
{
	static const struct {
		const char *path;
		int r;
		const char *kept;
	} cases[] = {
		{"/lib/modules/6.1/kernel/a.ko", 0, "/lib/modules/6.1/kernel/a.ko"},
		{"/usr/lib/modules/6.1/a.ko", 0, "/usr/lib/modules/6.1/a.ko"},
		{"//lib///modules/./6.1//a.ko/", 0, "/lib/modules/6.1/a.ko"},
		{"/lib/modules/6.1/.", 0, "/lib/modules/6.1"},
		{"/lib/modules/6.1/.hidden.ko", 0, "/lib/modules/6.1/.hidden.ko"},
		{"/lib/modules/6.1/..a.ko", 0, "/lib/modules/6.1/..a.ko"},
		{"/lib/modules/6.1/new\nline.ko", 0, "/lib/modules/6.1/new\nline.ko"},
		{"/lib/modules/", CHANGESET_ELSEWHERE, NULL},
		{"/lib/modules", CHANGESET_ELSEWHERE, NULL},
		{"/lib/modules/.tmp/a.ko", CHANGESET_ELSEWHERE, NULL},
		{"/lib/modules2/6.1/a.ko", CHANGESET_ELSEWHERE, NULL},
		{"/srv/lib/modules/6.1/a.ko", CHANGESET_ELSEWHERE, NULL},
		{"/", CHANGESET_ELSEWHERE, NULL},
		{"/etc/depmod.d/a.conf", CHANGESET_CONFIG, NULL},
		{"/usr//lib/depmod.d/a.conf", CHANGESET_CONFIG, NULL},
		{"/etc/modprobe.d/a.conf", CHANGESET_ELSEWHERE, NULL},
		{"/lib/modules/6.1/../a.ko", -EINVAL, NULL},
		{"/..", -EINVAL, NULL},
		{"lib/modules/6.1/a.ko", -EINVAL, NULL},
		{"", -EINVAL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct changeset cs;
		const char *kept;

		changeset_init(&cs);
		assert_int_equal(changeset_add(&cs, cases[i].path), cases[i].r);
		kept = changeset_next(&cs, NULL);
		if (cases[i].kept)
			assert_string_equal(kept, cases[i].kept);
		else
			assert_null(kept);
		assert_int_equal(cs.n, cases[i].kept ? 1 : 0);
		changeset_done(&cs);
	}
}

static void refuses_what_is_too_long(void **state)
{
	struct changeset cs;
	char path[PATH_MAX + 1];

	(void)state;
	memset(path, 'a', sizeof(path));
	memcpy(path, "/lib/modules/", 13);
	path[PATH_MAX] = '\0';
	changeset_init(&cs);
	assert_int_equal(changeset_add(&cs, path), -ENAMETOOLONG);
	path[PATH_MAX - 1] = '\0';
	assert_int_equal(changeset_add(&cs, path), 0);
	changeset_done(&cs);
}

static void tells_the_kernel(void **state)
{
	const char *kver;
	size_t len;

	(void)state;
	assert_int_equal(
		changeset_kernel("/usr/lib/modules/6.1-x/k/a.ko", &kver, &len), 0);
	assert_int_equal(len, strlen("6.1-x"));
	assert_memory_equal(kver, "6.1-x", len);
	assert_int_equal(changeset_kernel("/lib/modules/6.1", &kver, &len), 0);
	assert_int_equal(len, 3);
	assert_int_equal(changeset_kernel("/boot/a", &kver, &len), CHANGESET_ELSEWHERE);
}

static void reads_its_own_wire_form(void **state)
{
	struct changeset from, to;
	const char *a = NULL, *b = NULL;
	char path[64];

	(void)state;
	changeset_init(&from);
	changeset_init(&to);
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/lib/modules/6.%d/with\nnewline-%d.ko",
			i % 3, i);
		assert_int_equal(changeset_add(&from, path), 0);
	}
	assert_int_equal(changeset_parse(&to, from.wire, from.len), 0);
	assert_int_equal(to.n, 1000);
	while ((a = changeset_next(&from, a))) {
		b = changeset_next(&to, b);
		assert_string_equal(a, b);
	}
	assert_null(changeset_next(&to, b));
	changeset_clear(&to);
	assert_null(changeset_next(&to, NULL));
	changeset_done(&from);
	changeset_done(&to);
}

static void reads_lists(void **state)
{
	struct changeset cs;
	const char *path;

	(void)state;
	changeset_init(&cs);
	assert_int_equal(changeset_parse(&cs, "", 0), 0);
	assert_int_equal(changeset_parse(&cs,
				 "\n/boot/x\n\n/lib/modules/1/a\n/lib/modules/1/b", 43),
		0);
	path = changeset_next(&cs, NULL);
	assert_string_equal(path, "/lib/modules/1/a");
	path = changeset_next(&cs, path);
	assert_string_equal(path, "/lib/modules/1/b");
	assert_null(changeset_next(&cs, path));
	assert_int_equal(
		changeset_parse(&cs, "/run/depmod.d/x\n/boot/x\n", 24), CHANGESET_CONFIG);
	assert_int_equal(
		changeset_parse(&cs, "/lib/modules/1/c\nrelative\n", 26), -EINVAL);
	assert_int_equal(cs.n, 3);
	changeset_done(&cs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalises_and_sorts_out),
		cmocka_unit_test(refuses_what_is_too_long),
		cmocka_unit_test(tells_the_kernel),
		cmocka_unit_test(reads_its_own_wire_form),
		cmocka_unit_test(reads_lists),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
