// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <limits.h>

#include "formats/lists.h"
#include "formats/modname.h"

/*
 * A line that depmod's buffer would not hold whole, with its newline, cuts the list off.
 */
static bool is_cut(const char *line, const char *nl)
{
	return !nl || nl - line > PATH_MAX - 2 ||
	       (*line && memchr(line, '\0', (size_t)(nl - line)));
}

int lists_order(
	const char *text, size_t len, lists_line_fn fn, void *arg, unsigned *ret_line)
{
	const char *end = text + len;
	unsigned number = 0;

	for (const char *p = text, *nl; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		number++;
		if (is_cut(p, nl)) {
			*ret_line = number;
			return -EBADMSG;
		}
	}
	for (const char *nl; text < end; text = nl + 1) {
		int r;

		nl = memchr(text, '\n', (size_t)(end - text));
		r = fn(arg, text, (size_t)(nl - text));
		if (r)
			return r;
	}
	return 0;
}

int lists_builtin(
	const char *text, size_t len, lists_line_fn fn, lists_line_fn bad, void *arg)
{
	const char *end = text + len;

	for (const char *next; text < end; text = next) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		char line[PATH_MAX], name[PATH_MAX];
		const char *base;
		size_t n;
		int r;

		next = nl ? nl + 1 : end;
		n = (size_t)(next - text);
		if (!isalpha((unsigned char)text[0]) || n >= sizeof(line)) {
			r = bad(arg, text, n);
			if (r)
				return r;
			continue;
		}
		memcpy(line, text, n);
		line[n] = '\0';
		base = strrchr(line, '/');
		base = base ? base + 1 : line;
		if (!*base)
			continue;
		r = fn(arg, name, modname_copy(name, base));
		if (r)
			return r;
	}
	return 0;
}

/* The length of a field up to its end mark; -1 if a NUL or the end comes first. */
static ssize_t field(const char *p, const char *end, char mark)
{
	for (const char *q = p; q < end; q++)
		if (*q == mark || *q == '\0')
			return *q == mark ? q - p : -1;
	return -1;
}

static const char *after_nul(const char *p, const char *end)
{
	const char *nul = p < end ? memchr(p, '\0', (size_t)(end - p)) : NULL;

	return nul ? nul + 1 : end;
}

int lists_builtin_aliases(const char *text, size_t len, lists_alias_fn fn, void *arg)
{
	const char *end = text + len;

	while (text < end) {
		ssize_t module_len = field(text, end, '.'), key_len, value_len;
		const char *module = text, *key, *value;
		int r;

		if (module_len <= 0) {
			text = module_len == 0 ? text + 1 : after_nul(text, end);
			continue;
		}
		key = text + module_len + 1;
		key_len = field(key, end, '=');
		if (key_len != 5 || memcmp(key, "alias", 5) != 0) {
			/*
			 * depmod passes over the next record, too, if this one has no '='
			 */
			text = after_nul(key_len < 0 ? after_nul(key, end) : key, end);
			continue;
		}
		value = key + key_len + 1;
		value_len = field(value, end, '\0');
		text = after_nul(value, end);
		if (value_len <= 0 || value_len >= PATH_MAX || module_len >= PATH_MAX)
			continue;
		r = fn(arg, module, (size_t)module_len, value, (size_t)value_len);
		if (r)
			return r;
	}
	return 0;
}
