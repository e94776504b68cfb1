// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The list of changed paths. What is taken is normalised, below a kernel's directory, and
 * comes out the same when it is read again.
 */

#include <limits.h>

#include "fuzz.h"
#include "model/changeset.h"

static void check_path(const char *path)
{
	const char *kver;
	size_t len;

	PROMISE(changeset_kernel(path, &kver, &len) == 0);
	PROMISE(len > 0 && *kver != '.' && kver > path && kver[-1] == '/');
	PROMISE(kver + len == strchrnul(kver, '/'));
	PROMISE(*path == '/' && strlen(path) < PATH_MAX);
	for (const char *p = path; *p; p += strcspn(p, "/")) {
		size_t n = strcspn(++p, "/");

		PROMISE(n > 0 && !(n == 1 && *p == '.') &&
			!(n == 2 && p[0] == '.' && p[1] == '.'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *bytes = exact(data, len);
	struct changeset a, b;
	size_t n = 0;
	int r;

	changeset_init(&a);
	changeset_init(&b);
	r = changeset_parse(&a, bytes, len);
	PROMISE(r == 0 || r == CHANGESET_CONFIG || r == -EINVAL || r == -ENAMETOOLONG);
	for (const char *p = NULL; (p = changeset_next(&a, p)); n++)
		check_path(p);
	PROMISE(n == a.n);
	PROMISE(changeset_parse(&b, a.len ? a.wire : "", a.len) == 0);
	PROMISE(a.len == b.len && a.n == b.n &&
		(!a.len || memcmp(a.wire, b.wire, a.len) == 0));
	changeset_done(&a);
	changeset_done(&b);
	free(bytes);
	return 0;
}
