// SPDX-License-Identifier: GPL-2.0-or-later
/* Two aliases of modules, with a NUL between them: in words, in an index, as patterns. */

#include "formats/hwalias.h"
#include "formats/modname.h"
#include "fuzz.h"

static void check_index_form(const char *alias, size_t len)
{
	char *to = malloc(len + 1), *again = malloc(len + 1);
	size_t n, m;
	int r;

	PROMISE(to && again);
	r = alias_normalise(alias, len, to, &n);
	if (alias_is_plain(alias, len))
		PROMISE(r == ALIAS_SAME);
	if (r == 0) {
		PROMISE(n <= len && n <= ALIAS_MAX && strlen(to) == n);
		PROMISE(alias_normalise(to, n, again, &m) == ALIAS_SAME);
	}
	free(to);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t first = len ? strnlen((const char *)data, len) : 0;
	char *a = exact_text(data, first);
	char *b = first < len ? strndup((const char *)data + first + 1, len - first - 1)
			      : strdup("");
	struct buf words = {0};

	PROMISE(a && b);
	check_index_form(a, first);
	check_index_form(b, strlen(b));
	hwalias_describe(a, &words);
	PROMISE(!words.err && (words.len > 0 || first == 0));
	use_bytes(words.data, words.len);
	PROMISE(!memchr(words.data ? words.data : "", '\0', words.len));
	hwalias_overlap(a, b);
	hwalias_overlap(b, a);
	if (!strpbrk(a, "*?["))
		PROMISE(hwalias_overlap(a, a));
	buf_done(&words);
	free(a);
	free(b);
	return 0;
}
