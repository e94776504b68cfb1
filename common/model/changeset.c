// SPDX-License-Identifier: GPL-2.0-or-later

/*
 * The change set is its wire form: one growing buffer of NUL-terminated paths. A path is
 * normalised straight into the buffer's free end and only counts as part of the set once
 * it proved to belong there, so nothing is copied twice and handing the set to the
 * program is one write.
 *
 * Duplicates are kept. A package manager reports a file that one package drops and
 * another brings twice, which is rare, and the reader looks each path up anyway.
 */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "model/changeset.h"

static const char *const module_dirs[] = {"/lib/modules/", "/usr/lib/modules/"};

static const char *const config_dirs[] = {
	"/etc/depmod.d/",
	"/run/depmod.d/",
	"/usr/local/lib/depmod.d/",
	"/usr/lib/depmod.d/",
	"/lib/depmod.d/",
};

void changeset_init(struct changeset *cs)
{
	*cs = (struct changeset){};
}

void changeset_done(struct changeset *cs)
{
	free(cs->wire);
	changeset_init(cs);
}

void changeset_clear(struct changeset *cs)
{
	cs->len = 0;
	cs->n = 0;
}

static const char *skip_prefix(const char *path, const char *const *prefixes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(prefixes[i]);

		if (strncmp(path, prefixes[i], len) == 0)
			return path + len;
	}
	return NULL;
}

int changeset_kernel(const char *path, const char **ret_kver, size_t *ret_len)
{
	const char *kver = skip_prefix(path, module_dirs, ARRAY_SIZE(module_dirs));

	if (!kver || *kver == '\0' || *kver == '.')
		return CHANGESET_ELSEWHERE;
	*ret_kver = kver;
	*ret_len = strcspn(kver, "/");
	return 0;
}

/* Writes @path normalised to @out, which has room for strlen(@path) + 1 bytes. */
static int normalise(const char *path, char *out, size_t *ret_len)
{
	char *end = out;

	if (*path != '/')
		return -EINVAL;
	for (;;) {
		size_t n;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 0)
			break;
		if (n == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (!(n == 1 && path[0] == '.')) {
			*end++ = '/';
			memcpy(end, path, n);
			end += n;
		}
		path += n;
	}
	*end = '\0';
	*ret_len = end - out;
	return 0;
}

static int reserve(struct changeset *cs, size_t more)
{
	size_t need, cap;
	char *wire;

	if (__builtin_add_overflow(cs->len, more, &need))
		return -ENOMEM;
	if (need <= cs->cap)
		return 0;
	if (__builtin_mul_overflow(need, 2, &cap))
		return -ENOMEM;
	wire = realloc(cs->wire, cap);
	if (!wire)
		return -ENOMEM;
	cs->wire = wire;
	cs->cap = cap;
	return 0;
}

int changeset_add(struct changeset *cs, const char *path)
{
	size_t size = strlen(path) + 1, len, kver_len;
	const char *kver;
	char *added;
	int r;

	if (size > PATH_MAX)
		return -ENAMETOOLONG;
	r = reserve(cs, size);
	if (r < 0)
		return r;
	added = cs->wire + cs->len;
	r = normalise(path, added, &len);
	if (r < 0)
		return r;
	if (skip_prefix(added, config_dirs, ARRAY_SIZE(config_dirs)))
		return CHANGESET_CONFIG;
	r = changeset_kernel(added, &kver, &kver_len);
	if (r != 0)
		return r;
	cs->len += len + 1;
	cs->n++;
	return 0;
}

int changeset_parse(struct changeset *cs, const char *bytes, size_t len)
{
	const char *end = bytes + len;
	char separator = len > 0 && memchr(bytes, '\0', len) ? '\0' : '\n';
	int ret = 0;

	while (bytes < end) {
		const char *stop = memchr(bytes, separator, end - bytes);
		size_t n = (stop ? stop : end) - bytes;
		char path[PATH_MAX];
		int r;

		if (n >= sizeof(path))
			return -ENAMETOOLONG;
		if (n > 0) {
			memcpy(path, bytes, n);
			path[n] = '\0';
			r = changeset_add(cs, path);
			if (r < 0)
				return r;
			if (r == CHANGESET_CONFIG)
				ret = r;
		}
		if (!stop)
			break;
		bytes = stop + 1;
	}
	return ret;
}

const char *changeset_next(const struct changeset *cs, const char *prev)
{
	const char *next = prev ? prev + strlen(prev) + 1 : cs->wire;

	return next && next < cs->wire + cs->len ? next : NULL;
}
