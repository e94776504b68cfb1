// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of depmod.d, two of them with a line of NULs between. */

#include "formats/depmodd.h"
#include "fuzz.h"

static void ignore(void *arg, unsigned line, const char *command)
{
	PROMISE(line > 0);
	use_bytes(command, strlen(command));
	++*(unsigned *)arg;
}

static void check_list(char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		PROMISE(*list[i] && !strpbrk(list[i], "\n\t "));
}

/* Of two files one wins, whichever of their places it came from. */
static void check_rank(const struct depmodd *c)
{
	static const char *const paths[] = {
		"updates/a", "kernel/x/a", "a", "weak-updates/a"};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		for (size_t k = 0; k < ARRAY_SIZE(paths) + c->n_override; k++) {
			const char *other = k < ARRAY_SIZE(paths)
						    ? paths[k]
						    : c->override[k - ARRAY_SIZE(paths)];
			struct modpath a = {.rel = paths[i], .rel_len = strlen(paths[i])};
			struct modpath b = {.rel = other, .rel_len = strlen(other)};
			struct modpath e = {.abs = "/opt/modules/a", .abs_len = 14};
			const char *rule = NULL;

			depmodd_replaces(c, &a, &b, &rule);
			use_bytes(rule ? rule : "", rule ? strlen(rule) : 0);
			PROMISE(depmodd_meets(c, 0, &b) || k >= ARRAY_SIZE(paths) ||
				c->n_exclude);
			for (size_t walk = 0; walk <= c->n_external; walk++)
				depmodd_meets(c, walk, &e);
			depmodd_replaces(c, &a, &e, NULL);
			depmodd_replaces(c, &e, &b, NULL);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *nul = len ? memchr(data, '\0', len) : NULL;
	size_t first = nul ? (size_t)(nul - data) : len;
	char *a = exact(data, first), *b = exact(data + first, len - first);
	struct depmodd c = {0};
	unsigned bad = 0;

	PROMISE(depmodd_parse(&c, "6.1.0-test", a, first, ignore, &bad) == 0);
	PROMISE(depmodd_parse(&c, "6.1.0-test", b, len - first, ignore, &bad) == 0);
	PROMISE(depmodd_finish(&c) == 0);
	free(a);
	free(b);
	PROMISE(c.n_search > 0);
	check_list(c.search, c.n_search);
	check_list(c.exclude, c.n_exclude);
	check_list(c.external, c.n_external);
	for (size_t i = 0; i < c.n_exclude; i++)
		PROMISE(depmodd_excluded(&c, c.exclude[i]));
	check_rank(&c);
	depmodd_done(&c);
	return 0;
}
