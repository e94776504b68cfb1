// SPDX-License-Identifier: GPL-2.0-or-later
#include "formats/symvers.h"

#define LINE_MAX_LEN 10240u /* longer lines are cut, as depmod does */

/* Copy the next line with its newline. Returns what is left of text. */
static const char *next_line(const char *text, const char *end, char line[LINE_MAX_LEN])
{
	const char *nl = memchr(text, '\n', (size_t)(end - text));
	size_t n = (size_t)((nl ? nl + 1 : end) - text),
	       keep = MIN(n, (size_t)LINE_MAX_LEN - 1);

	memcpy(line, text, keep);
	line[keep] = '\0';
	return nl ? nl + 1 : end;
}

int symvers_parse(
	const char *text, size_t len, symvers_fn fn, symvers_bad_fn bad, void *arg)
{
	const char *end = text + len;
	char line[LINE_MAX_LEN];
	unsigned number = 0;

	while (text < end) {
		char *save, *crc, *name, *where, *rest;
		unsigned long long value;
		int r;

		text = next_line(text, end, line);
		number++;
		crc = strtok_r(line, " \t", &save);
		name = crc ? strtok_r(NULL, " \t", &save) : NULL;
		where = name ? strtok_r(NULL, " \t", &save) : NULL;
		/*
		 * a place that ends its line is not depmod's vmlinux: older formats lack
		 * the rest
		 */
		if (!where || !str_eq(where, "vmlinux"))
			continue;
		value = strtoull(crc, &rest, 16);
		if (*rest) {
			bad(arg, number, crc);
			continue;
		}
		r = fn(arg, name, strlen(name), (uint32_t)value);
		if (r)
			return r;
	}
	return 0;
}

int sysmap_parse(const char *text, size_t len, char prefix, symvers_fn fn,
	symvers_bad_fn bad, void *arg)
{
	static const char mark[] = "__ksymtab_";
	const char *end = text + len;
	char line[LINE_MAX_LEN];
	unsigned number = 0;

	while (text < end) {
		char *name;
		int r;

		text = next_line(text, end, line);
		number++;
		name = strchr(line, ' ');
		name = name ? strchr(name + 1, ' ') : NULL;
		if (!name) {
			line[strcspn(line, "\n")] = '\0';
			bad(arg, number, line);
			continue;
		}
		name++;
		if (prefix && *name == prefix)
			name++;
		if (!str_starts(name, mark))
			continue;
		name += sizeof(mark) - 1;
		name[strcspn(name, "\n")] = '\0';
		r = fn(arg, name, strlen(name), 0);
		if (r)
			return r;
	}
	return 0;
}
