/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* unit.h: what all unit tests need; cmocka wants some headers before its own. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

#define RUN(tests)                                                                       \
	(cmocka_set_message_output(CM_OUTPUT_TAP),                                       \
		cmocka_run_group_tests(tests, NULL, NULL))

/*
 * Leave a test out of an array that is about to run, and say why. Not skip(): what cmocka
 * 1.1.5 prints then is a failure in TAP.
 */
#define LEAVE_OUT(tests, function, reason)                                               \
	leave_out(tests, sizeof(tests) / sizeof(*(tests)), #function, reason)

static inline void leave_out(
	struct CMUnitTest *tests, size_t n, const char *name, const char *reason)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(tests[i].name, name) == 0)
			tests[i] = (struct CMUnitTest){.name = name};
	printf("# left out: %s: %s\n", name, reason);
	fflush(stdout);
}

/*
 * A copy that ends where its memory ends: a sanitizer sees each byte that is read beyond.
 */
static inline void *exact(const void *p, size_t n)
{
	void *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, p, n);
	return copy;
}

/* A string literal with its length, for bytes with NULs in them. */
#define BYTES(s) ("" s), sizeof(s) - 1

static inline void assert_bytes(const struct buf *b, const char *want, size_t n)
{
	assert_int_equal(b->err, 0);
	assert_int_equal(b->len, n);
	assert_memory_equal(b->data, want, n);
}

static inline void assert_text(struct buf *b, const char *want)
{
	buf_char(b, '\0');
	assert_int_equal(b->err, 0);
	assert_string_equal(b->data, want);
	b->len = 0;
}

/* A directory of the test's own. */
struct scratch {
	char path[32];
	int fd;
};

static inline int scratch_make(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	strcpy(s->path, "/tmp/unit-XXXXXX");
	if (!mkdtemp(s->path))
		return -1;
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = s;
	return s->fd < 0 ? -1 : 0;
}

static inline int scratch_remove(void **state)
{
	struct scratch *s = *state;
	char command[64];

	close(s->fd);
	snprintf(command, sizeof(command), "rm -rf %s", s->path);
	free(s);
	return system(command);
}

static inline void put_file(
	int dirfd, const char *name, const void *data, size_t n, mode_t mode)
{
	int fd;

	unlinkat(dirfd, name, 0);
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}
