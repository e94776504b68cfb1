// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpm-plugin/options.h"

#define BLANKS " \t\n"

#ifndef PROGRAM_PATH
#define PROGRAM_PATH "/usr/sbin/kmp-depmod"
#endif
#ifndef DROP_IN_PATH
#define DROP_IN_PATH "/usr/libexec/kmp-depmod/depmod"
#endif

/* A first run over thousands of xz modules on a small board takes minutes. */
#define DEFAULT_TIMEOUT 600
#define MAX_TIMEOUT 86400

static int set_path(char **path, const char *value)
{
	char *copy;

	if (value[0] != '/')
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*path);
	*path = copy;
	return 0;
}

static int set_timeout(unsigned *seconds, const char *value)
{
	unsigned long n;
	char *end;

	if (*value < '0' || *value > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno != 0 || *end != '\0' || n < 1 || n > MAX_TIMEOUT)
		return -EINVAL;
	*seconds = (unsigned)n;
	return 0;
}

static int set_intercept(bool *intercept, const char *value)
{
	if (strcmp(value, "mount") != 0 && strcmp(value, "none") != 0)
		return -EINVAL;
	*intercept = value[0] == 'm';
	return 0;
}

static int set(struct options *o, const char *word)
{
	const char *value = strchr(word, '=');
	size_t len;

	if (!value)
		return -EINVAL;
	len = value++ - word;
	if (len == 7 && strncmp(word, "program", len) == 0)
		return set_path(&o->program, value);
	if (len == 6 && strncmp(word, "depmod", len) == 0)
		return set_path(&o->depmod, value);
	if (len == 6 && strncmp(word, "system", len) == 0)
		return set_path(&o->system, value);
	if (len == 7 && strncmp(word, "timeout", len) == 0)
		return set_timeout(&o->timeout, value);
	if (len == 9 && strncmp(word, "intercept", len) == 0)
		return set_intercept(&o->intercept, value);
	return -EINVAL;
}

int options_parse(struct options *o, const char *text, const char **ret_bad)
{
	const char *at = text ? text : "";
	int r;

	*ret_bad = at;
	*o = (struct options){.timeout = DEFAULT_TIMEOUT};
	r = set_path(&o->program, PROGRAM_PATH);
	if (r == 0)
		r = set_path(&o->depmod, DROP_IN_PATH);
	while (r == 0 && *(at += strspn(at, BLANKS))) {
		size_t len = strcspn(at, BLANKS);
		char *word = strndup(at, len);

		*ret_bad = at;
		r = word ? set(o, word) : -ENOMEM;
		free(word);
		at += len;
	}
	return r;
}

void options_done(struct options *o)
{
	free(o->program);
	free(o->depmod);
	free(o->system);
	*o = (struct options){};
}
