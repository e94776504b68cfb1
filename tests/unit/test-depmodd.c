// SPDX-License-Identifier: GPL-2.0-or-later

#include "unit.h"

#include "formats/depmodd.h"

static void list_bad(void *arg, unsigned line, const char *command)
{
	buf_printf(arg, "%u %s|", line, command);
}

static void list_words(struct buf *b, const char *what, char **words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? " " : what, words[i]);
	if (n)
		buf_char(b, '|');
}

/* All that was understood, and then what was not. */
static void parsed(const char *text, const char *want, const char *want_bad)
{
	char *copy = exact(text, strlen(text));
	struct buf b = {0}, bad = {0};
	struct depmodd c = {0};

	assert_int_equal(
		depmodd_parse(&c, "6.1.0-test", copy, strlen(text), list_bad, &bad), 0);
	list_words(&b, "search=", c.search, c.n_search);
	list_words(&b, "override=", c.override, c.n_override);
	list_words(&b, "external=", c.external, c.n_external);
	list_words(&b, "exclude=", c.exclude, c.n_exclude);
	assert_text(&b, want);
	assert_text(&bad, want_bad);
	buf_done(&b);
	buf_done(&bad);
	depmodd_done(&c);
	free(copy);
}

static void lines(void **state)
{
	(void)state;
	parsed("", "", "");
	parsed("search updates built-in", "search=updates built-in|", "");
	parsed("search a\nsearch b c\n", "search=a b c|", "");
	parsed("search\n", "", "");
	parsed("exclude a b\nexclude c", "exclude=a b c|", "");
	parsed("override mod * dir", "override=dir/mod|", "");
	parsed("override mod 6.1 dir extra words", "override=dir/mod|", "");
	parsed("override mod 5.4 dir\nexternal 5.4 /x", "", "");
	parsed("external * /opt/x\nexternal ^6\\\\. /y\nexternal [ /z",
		"external=/opt/x /y|", "");
	parsed("include x\nmake_map_files yes\n", "", "");
	parsed("override mod *\noverride\nexternal *\nexternal\nnonsense a\n", "",
		"1 override|2 override|3 external|4 external|5 nonsense|");
}

static void blanks_and_comments(void **state)
{
	(void)state;
	parsed("# search x\n\n   \n\t\n  search\ta \t b  \n", "search=a b|", "");
	/* only in the first column is it a comment */
	parsed(" # search x\n", "", "1 #|");
	parsed("search a # b\n", "search=a # b|", "");
	parsed("search a\r\n", "search=a\r|", "");
}

static void continuation(void **state)
{
	(void)state;
	parsed("search a\\\nb \\\nc\n", "search=ab c|", "");
	parsed("sea\\\nrch a\n", "search=a|", "");
	parsed("bad\\\n\\\n x\nworse\n", "", "3 bad|4 worse|");
	/* elsewhere a backslash vanishes */
	parsed("search a\\b\n", "search=ab|", "");
	parsed("search a\\", "search=a|", "");
	parsed("search a\\\n", "search=a|", "");
	parsed("# comment \\\nsearch a\n", "", "");
}

/* Compiled, these would end the program: for its stack, or for its memory. */
static void patterns_beyond_measure(void **state)
{
	static char deep[200100];

	(void)state;
	parsed("external 6{1,4}.{1,250} /a\nexternal ((6{1,250}){1,4}) /b\n",
		"external=/a /b|", "");
	parsed("external ((((6{1,255}){1,255}){1,255}){1,255}) /a\n", "", "1 external|");
	parsed("override x 6{1001} a\noverride x 6{2,501}.{2} a\n", "",
		"1 override|2 override|");
	parsed("external ^6+[.]+(.+)+ /a\nexternal 6++++++++++ /b\n", "external=/a /b|",
		"");
	parsed("external 6+++++++++++ /a\nexternal 6+*+?+*+?+*+?+*+?+*+?+ /a\n", "",
		"1 external|2 external|");
	parsed("external (((6{1,}){1,}){1,}){1,} /a\n", "external=/a|", "");
	parsed("override x ((((((((((6{1,}){1,}){1,}){1,}){1,}){1,}){1,}){1,}){1,}){1,} "
	       "a\n"
	       "override x (a){2}[{9223372036854775808]((((b{100}){100}){100}){100}) a\n",
		"", "1 override|2 override|");
	parsed("override x ((((((((((6+)+)+)+)+)+)+)+)+)+)+ a\n", "", "1 override|");
	strcpy(deep, "override x ");
	memset(deep + strlen(deep), '(', 200000);
	strcat(deep, " a\nsearch b\n");
	parsed(deep, "search=b|", "1 override|");
}

static void nul_ends_a_line(void **state)
{
	struct depmodd c = {0};

	(void)state;
	assert_int_equal(
		depmodd_parse(&c, "6.1", BYTES("search a\0 b\nsearch c\n"), NULL, NULL),
		0);
	assert_int_equal(c.n_search, 2);
	assert_string_equal(c.search[1], "c");
	depmodd_done(&c);
}

static void without_search(void **state)
{
	struct depmodd c = {0};

	(void)state;
	assert_int_equal(depmodd_finish(&c), 0);
	assert_int_equal(c.n_search, 1);
	assert_string_equal(c.search[0], "updates");
	assert_int_equal(depmodd_finish(&c), 0);
	assert_int_equal(c.n_search, 1);
	depmodd_done(&c);
}

static void excluded(void **state)
{
	struct depmodd c = {0};

	(void)state;
	assert_int_equal(
		depmodd_parse(&c, "6.1", BYTES("exclude one two"), NULL, NULL), 0);
	assert_true(depmodd_excluded(&c, "build"));
	assert_true(depmodd_excluded(&c, "source"));
	assert_true(depmodd_excluded(&c, "one"));
	assert_true(depmodd_excluded(&c, "two"));
	assert_false(depmodd_excluded(&c, "three"));
	assert_false(depmodd_excluded(&c, "on"));
	assert_false(depmodd_excluded(&c, ".hidden"));
	assert_true(depmodd_excluded_by_line(&c, "two"));
	assert_false(depmodd_excluded_by_line(&c, "three"));
	assert_false(depmodd_excluded_by_line(&c, "build"));
	depmodd_done(&c);
}

static struct modpath modpath(const char *path)
{
	if (*path == '/')
		return (struct modpath){.abs = path, .abs_len = strlen(path)};
	return (struct modpath){.rel = path, .rel_len = strlen(path)};
}

/* Paths up to the end of the module's name, as depmodd_replaces() wants them. */
static void ranks(void **state)
{
	static const struct {
		const char *config, *new, *old;
		bool replaces;
		const char *rule;
	} cases[] = {
		{"search updates built-in", "updates/a", "kernel/a", true, "updates"},
		{"search updates built-in", "kernel/a", "updates/a", false, "updates"},
		/* under no word, the first that was seen stays */
		{"search updates built-in", "kernel/b/a", "kernel/a/a", false,
			"built-in"},
		{"search updates", "kernel/b/a", "kernel/a/a", false, NULL},
		/*
		 * under one word, the last: the old path is not looked at for the word of
		 * the new one
		 */
		{"search updates built-in", "updates/b/a", "updates/a/a", true,
			"updates"},
		{"search updates", "updates/b/a", "updates/a/a", true, "updates"},
		/* ... but then it counts as built-in, which may rank higher */
		{"search built-in updates", "updates/b/a", "updates/a/a", false,
			"built-in"},
		{"search built-in updates", "updates/a", "kernel/a", false, "built-in"},
		{"search built-in updates", "kernel/a", "updates/a", true, "built-in"},
		{"search a b c", "c/x", "b/x", false, "b"},
		{"search a b c", "a/x", "b/x", true, "a"},
		{"search a\nsearch b", "b/x", "a/x", false, "a"},
		/* a word is whole directories */
		{"search up", "updates/a", "kernel/a", false, NULL},
		{"search kernel/fs", "kernel/fs/a", "kernel/net/a", true, "kernel/fs"},
		{"search updates", "updates", "kernel/a", false, NULL},
		/* the word that is met last counts, which is the highest rank */
		{"search kernel/fs kernel", "kernel/fs/a", "kernel/net/a", true,
			"kernel/fs"},
		{"override a * kernel\nsearch updates", "updates/a", "kernel/a", false,
			"kernel/a"},
		{"override a * kernel\nsearch updates", "kernel/a", "updates/a", true,
			"kernel/a"},
		{"override b * kernel\nsearch updates", "kernel/a", "updates/a", false,
			"updates"},
		{"override a * one\noverride a * two", "one/a", "two/a", false, "two/a"},
		{"override a * one\noverride a * two", "two/a", "one/a", true, "two/a"},
		{"search external built-in\nexternal * /x", "/x/a", "kernel/a", true,
			"/x"},
		{"search built-in external\nexternal * /x", "/x/a", "kernel/a", false,
			"built-in"},
		{"external * /x", "/x/a", "updates/a", false, "updates"},
		{"search external\nexternal * /x\nexternal * /y", "/x/a", "/y/a", true,
			"/x"},
		{"search external\nexternal * /x", "/xx/a", "kernel/a", false, NULL},
		{"search /x", "/x/a", "kernel/a", false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct modpath new = modpath(cases[i].new), old = modpath(cases[i].old);
		const char *rule = "unset";
		struct depmodd c = {0};

		assert_int_equal(depmodd_parse(&c, "6.1", cases[i].config,
					 strlen(cases[i].config), NULL, NULL),
			0);
		assert_int_equal(depmodd_finish(&c), 0);
		if (depmodd_replaces(&c, &new, &old, &rule) != cases[i].replaces)
			fail_msg("%s: %s over %s", cases[i].config, cases[i].new,
				cases[i].old);
		if ((rule == NULL) != (cases[i].rule == NULL) ||
			(rule && strcmp(rule, cases[i].rule) != 0))
			fail_msg("%s: %s over %s: by %s", cases[i].config, cases[i].new,
				cases[i].old, rule ? rule : "nothing");
		assert_int_equal(
			depmodd_replaces(&c, &new, &old, NULL), cases[i].replaces);
		depmodd_done(&c);
	}
}

/*
 * Walk 0 is the kernel's directory /k, 1 and on are the external ones, from the last line
 * up.
 */
static void walks(void **state)
{
	static const char config[] =
		"external * /k/in\nexternal * /x\nexternal * /x/build\n"
		"external * /y/\nexclude no";
	static const struct {
		const char *path; /* with /k in front where it is relative */
		const char *met_in;
	} cases[] = {
		{"/k/a", "0"},
		{"/k/in/b/a", "04"},
		{"/k/in/build/a", ""},
		{"/k/no/a", ""},
		{"/k/in//a", ""},
		{"/k/../a", ""},
		{"/k/./a", ""},
		{"/x/a", "3"},
		{"/x/build/a", "2"},
		{"/x/build/no/a", ""},
		{"/xx/a", ""},
		{"/y//a", "1"},
		{"/y/a", ""},
		{"/y///a", ""},
	};
	struct depmodd c = {0};

	(void)state;
	assert_int_equal(depmodd_parse(&c, "6.1", config, strlen(config), NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct modpath p = {
			.abs = cases[i].path, .abs_len = strlen(cases[i].path)};
		char met[8] = "";

		if (str_starts(p.abs, "/k/")) {
			p.rel = p.abs + 3;
			p.rel_len = p.abs_len - 3;
		}
		for (size_t walk = 0; walk <= c.n_external; walk++)
			if (depmodd_meets(&c, walk, &p))
				met[strlen(met)] = (char)('0' + walk);
		if (strcmp(met, cases[i].met_in) != 0)
			fail_msg("%s is met in '%s', not in '%s'", p.abs, met,
				cases[i].met_in);
	}
	depmodd_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(blanks_and_comments),
		cmocka_unit_test(continuation),
		cmocka_unit_test(patterns_beyond_measure),
		cmocka_unit_test(nul_ends_a_line),
		cmocka_unit_test(without_search),
		cmocka_unit_test(excluded),
		cmocka_unit_test(ranks),
		cmocka_unit_test(walks),
	};

	return RUN(tests);
}
