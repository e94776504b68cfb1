// SPDX-License-Identifier: GPL-2.0-or-later
/* modules.order, modules.builtin and modules.builtin.modinfo: each text as all three. */

#include <limits.h>

#include "formats/lists.h"
#include "fuzz.h"

static int take_line(void *arg, const char *line, size_t len)
{
	PROMISE(len < PATH_MAX && !memchr(line, '\n', len));
	*(size_t *)arg += len + 1;
	return 0;
}

static int take_name(void *arg, const char *name, size_t len)
{
	(void)arg;
	PROMISE(strlen(name) == len && !strpbrk(name, "-./"));
	return 0;
}

static int take_bad(void *arg, const char *line, size_t len)
{
	(void)arg;
	PROMISE(len > 0);
	use_bytes(line, len);
	return 0;
}

static int take_alias(
	void *arg, const char *module, size_t module_len, const char *alias, size_t len)
{
	(void)arg;
	PROMISE(module_len > 0 && module_len < PATH_MAX &&
		!memchr(module, '\0', module_len));
	PROMISE(len > 0 && len < PATH_MAX && !memchr(alias, '\0', len));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = exact(data, len);
	unsigned line = 0;
	size_t sum = 0;

	/* all lines, or none and the number of the bad one */
	if (lists_order(text, len, take_line, &sum, &line) == 0)
		PROMISE(sum == len);
	else
		PROMISE(sum == 0 && line > 0);
	PROMISE(lists_builtin(text, len, take_name, take_bad, NULL) == 0);
	PROMISE(lists_builtin_aliases(text, len, take_alias, NULL) == 0);
	free(text);
	return 0;
}
