// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lists are kept in the order of the files and walked backwards, since depmod puts
 * each new entry in front. The rank of a file is the place in that walk of the last
 * search word that it matches.
 */

#include <limits.h>

#include "formats/depmodd.h"

static void list_free(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void depmodd_done(struct depmodd *c)
{
	list_free(c->search, c->n_search);
	list_free(c->override, c->n_override);
	list_free(c->external, c->n_external);
	list_free(c->exclude, c->n_exclude);
	*c = (struct depmodd){0};
}

static int list_add(char ***list, size_t *n, const char *word)
{
	char **grown = realloc(*list, (*n + 1) * sizeof(**list));

	if (!grown)
		return -ENOMEM;
	*list = grown;
	grown[*n] = strdup(word);
	if (!grown[*n])
		return -ENOMEM;
	++*n;
	return 0;
}

/* How many copies the C library makes of what a '{' or '+' repeats. */
static unsigned long copies_at(const char *pattern, const char *p)
{
	const unsigned long too_many = DEPMODD_REPEAT_MAX + 1;
	unsigned long first, last;
	char *end;

	if (*p == '+') /* of a repetition: of a character one more does not matter */
		return p > pattern && strchr(")}+*?", p[-1]) ? 2 : 1;
	first = MIN(strtoul(p + 1, &end, 10), too_many);
	last = first;
	if (end[0] == ',')
		last = end[1] == '}' ? first + 1
				     : MIN(strtoul(end + 1, NULL, 10), too_many);
	return MAX(MAX(first, last), 1ul);
}

/*
 * Can a pattern be compiled within bounds? The C library takes a stack's depth for each
 * parenthesis, and memory for what repetitions within each other make of it.
 */
static bool is_bounded(const char *pattern)
{
	unsigned long long copies = 1;

	if (strlen(pattern) > DEPMODD_PATTERN_MAX)
		return false;
	for (const char *p = pattern; (p = strpbrk(p, "{+")); p++) {
		copies *= copies_at(pattern, p);
		if (copies > DEPMODD_REPEAT_MAX)
			return false;
	}
	return true;
}

static bool kernel_matches(const char *kver, const char *pattern)
{
	regex_t re;
	bool match;

	if (str_eq(pattern, "*"))
		return true;
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	match = regexec(&re, kver, 0, NULL, 0) == 0;
	regfree(&re);
	return match;
}

static int add_override(struct depmodd *c, const char *name, const char *dir)
{
	_cleanup_(buf_done) struct buf path = {0};

	buf_printf(&path, "%s/%s", dir, name);
	return path.err ? path.err : list_add(&c->override, &c->n_override, path.data);
}

#define BLANKS "\t "

/* 0, -ENOMEM, or 1 for a bad line. */
static int parse_line(
	struct depmodd *c, const char *kver, const char *command, char *rest)
{
	const char *word, *pattern, *dir;
	char *save = rest;
	int r = 0;

	if (str_eq(command, "search")) {
		while (r == 0 && (word = strtok_r(NULL, BLANKS, &save)))
			r = list_add(&c->search, &c->n_search, word);
		return r;
	}
	if (str_eq(command, "exclude")) {
		while (r == 0 && (word = strtok_r(NULL, BLANKS, &save)))
			r = list_add(&c->exclude, &c->n_exclude, word);
		return r;
	}
	if (str_eq(command, "override")) {
		word = strtok_r(NULL, BLANKS, &save);
		pattern = word ? strtok_r(NULL, BLANKS, &save) : NULL;
		dir = pattern ? strtok_r(NULL, BLANKS, &save) : NULL;
		if (!dir || !is_bounded(pattern))
			return 1;
		return kernel_matches(kver, pattern) ? add_override(c, word, dir) : 0;
	}
	if (str_eq(command, "external")) {
		pattern = strtok_r(NULL, BLANKS, &save);
		dir = pattern ? strtok_r(NULL, BLANKS, &save) : NULL;
		if (!dir || !is_bounded(pattern))
			return 1;
		return kernel_matches(kver, pattern)
			       ? list_add(&c->external, &c->n_external, dir)
			       : 0;
	}
	/* accepted and without effect in every kmod */
	return str_eq(command, "include") || str_eq(command, "make_map_files") ? 0 : 1;
}

/*
 * Cut the next line out of text: a backslash before a newline joins two lines, before
 * anything else it vanishes. Returns what is left of text.
 */
static const char *next_line(
	const char *text, const char *end, struct buf *line, unsigned *number)
{
	line->len = 0;
	while (text < end && *text != '\n') {
		if (*text == '\\' && ++text < end && *text == '\n')
			++*number;
		else if (text < end)
			buf_char(line, *text);
		if (text < end)
			text++;
	}
	++*number;
	buf_char(line, '\0');
	return text < end ? text + 1 : end;
}

int depmodd_parse(struct depmodd *c, const char *kver, const char *text, size_t len,
	depmodd_bad_fn bad, void *arg)
{
	_cleanup_(buf_done) struct buf line = {0};
	const char *end = text + len;
	unsigned number = 0;

	while (text < end) {
		char *command, *save;
		int r;

		text = next_line(text, end, &line, &number);
		if (line.err)
			return line.err;
		if (line.data[0] == '#')
			continue;
		command = strtok_r(line.data, BLANKS, &save);
		if (!command)
			continue;
		r = parse_line(c, kver, command, save);
		if (r < 0)
			return r;
		if (r > 0 && bad)
			bad(arg, number, command);
	}
	return 0;
}

int depmodd_finish(struct depmodd *c)
{
	return c->n_search ? 0 : list_add(&c->search, &c->n_search, "updates");
}

static bool is_always_excluded(const char *name)
{
	return str_eq(name, "build") || str_eq(name, "source");
}

bool depmodd_excluded(const struct depmodd *c, const char *name)
{
	return is_always_excluded(name) || depmodd_excluded_by_line(c, name);
}

bool depmodd_excluded_by_line(const struct depmodd *c, const char *name)
{
	if (is_always_excluded(name))
		return false;
	for (size_t i = 0; i < c->n_exclude; i++)
		if (str_eq(name, c->exclude[i]))
			return true;
	return false;
}

static bool below(const char *path, size_t len, const char *dir)
{
	size_t n = strlen(dir);

	return path && len > n && path[n] == '/' && memcmp(path, dir, n) == 0;
}

/* Is a directory on the way one that no walk enters? */
static bool is_passed_by(const struct depmodd *c, const char *name, size_t len)
{
	char copy[NAME_MAX + 1];

	if (len == 0 ||
		len > NAME_MAX) /* of 0: a path with two slashes is another path */
		return true;
	memcpy(copy, name, len);
	copy[len] = '\0';
	return str_eq(copy, ".") || str_eq(copy, "..") || depmodd_excluded(c, copy);
}

bool depmodd_meets(const struct depmodd *c, size_t walk, const struct modpath *path)
{
	const char *dir = walk ? c->external[c->n_external - walk] : NULL;
	const char *at = path->rel, *slash;
	size_t len = path->rel_len;

	if (dir) {
		at = below(path->abs, path->abs_len, dir) ? path->abs + strlen(dir) + 1
							  : NULL;
		len = path->abs_len - strlen(dir) - 1;
	}
	if (!at)
		return false;
	for (const char *end = at + len; (slash = memchr(at, '/', (size_t)(end - at)));
		at = slash + 1)
		if (is_passed_by(c, at, (size_t)(slash - at)))
			return false;
	return true;
}

static bool is_path(const char *path, size_t len, const char *other)
{
	return path && len == strlen(other) && memcmp(path, other, len) == 0;
}

struct rank {
	int at; /* -1: no word matched */
	const char *word;
};

/*
 * The word "external" stands for all external directories, each with a rank of its own.
 */
static int rank_externals(const struct depmodd *c, int at, const struct modpath *new,
	const struct modpath *old, struct rank *new_rank, struct rank *old_rank)
{
	for (size_t i = c->n_external; i-- > 0; at++) {
		if (below(new->abs, new->abs_len, c->external[i]))
			*new_rank = (struct rank){at, c->external[i]};
		if (below(old->abs, old->abs_len, c->external[i]))
			*old_rank = (struct rank){at, c->external[i]};
	}
	return at;
}

bool depmodd_replaces(const struct depmodd *c, const struct modpath *new,
	const struct modpath *old, const char **ret_rule)
{
	struct rank builtin = {-1, NULL}, new_rank = {-1, NULL}, old_rank = {-1, NULL};
	int at = 0;

	for (size_t i = c->n_override; i-- > 0;) {
		bool is_new = is_path(new->rel, new->rel_len, c->override[i]);

		if (is_new || is_path(old->rel, old->rel_len, c->override[i])) {
			if (ret_rule)
				*ret_rule = c->override[i];
			return is_new;
		}
	}
	for (size_t i = c->n_search; i-- > 0; at++) {
		const char *word = c->search[i];

		if (str_eq(word, SEARCH_BUILTIN))
			builtin = (struct rank){at, word};
		else if (str_eq(word, SEARCH_EXTERNAL))
			at = rank_externals(c, at, new, old, &new_rank, &old_rank);
		else if (below(new->rel, new->rel_len, word))
			new_rank = (struct rank){at, word};
		else if (below(old->rel, old->rel_len,
				 word)) /* not looked at if new matched */
			old_rank = (struct rank){at, word};
	}
	if (new_rank.at < 0)
		new_rank = builtin;
	if (old_rank.at < 0)
		old_rank = builtin;
	if (ret_rule)
		*ret_rule = new_rank.at > old_rank.at ? new_rank.word : old_rank.word;
	return new_rank.at > old_rank.at;
}
