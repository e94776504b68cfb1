// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines of a package's own words are cleaned of control characters, since nobody has
 * vouched for it yet. Colours only help the eye: the words say everything.
 */

#include <stdarg.h>
#include <stdio.h>

#include "formats/hwalias.h"
#include "program/dryrun.h"

#define ALIASES_SHOWN 10u /* of one module and kind, without -v */

enum colour { PLAIN, BOLD, RED, YELLOW, GREEN, DIM };

static bool coloured;

static void colour(enum colour c)
{
	static const char *const codes[] = {[PLAIN] = "\033[0m",
		[BOLD] = "\033[1m",
		[RED] = "\033[31m",
		[YELLOW] = "\033[33m",
		[GREEN] = "\033[32m",
		[DIM] = "\033[2m"};

	if (coloured)
		fputs(codes[c], stdout);
}

static void say(enum colour c, const char *fmt, ...) _printf_(2, 3);
static void say(enum colour c, const char *fmt, ...)
{
	char text[16384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clean_text(text, strlen(text));
	if (c != PLAIN)
		colour(c);
	fputs(text, stdout);
	if (c != PLAIN)
		colour(PLAIN);
}

static void begin(void)
{
	const char *no = getenv("NO_COLOR");

	coloured = isatty(STDOUT_FILENO) && !(no && *no);
}

static void header(const char *text)
{
	fputs("  ", stdout);
	say(BOLD, "%s", text);
	putchar('\n');
}

/* --- the packages --- */

static void show_package(const struct packages *p, unsigned i)
{
	const struct package *k = package_of(p, i);
	const struct package_script *s = vec_data(&k->scripts, struct package_script);

	say(BOLD, "%s", package_label(k));
	say(PLAIN, " (%s)", k->kind);
	putchar('\n');
	for (size_t n = 0; n < vec_len(&k->scripts, struct package_script); n++) {
		say(PLAIN, "  %s calls %s, which is not run here", s[n].name, s[n].calls);
		putchar('\n');
	}
}

/* --- one kernel --- */

static void show_changes(const struct forecast *f)
{
	static const enum colour colours[CHANGE_MAX] = {[CHANGE_ADDED] = GREEN,
		[CHANGE_REMOVED] = RED,
		[CHANGE_CHANGED] = YELLOW,
		[CHANGE_HIDDEN] = YELLOW,
		[CHANGE_UNHIDDEN] = GREEN};
	const struct change *c = vec_data(&f->changes, struct change);
	size_t n = vec_len(&f->changes, struct change);

	if (n)
		header("modules");
	for (size_t i = 0; i < n; i++) {
		fputs("    ", stdout);
		say(colours[c[i].kind], "%-9s", change_names[c[i].kind]);
		say(PLAIN, " %s", c[i].path);
		if (c[i].by && c[i].kind == CHANGE_HIDDEN)
			say(PLAIN, ", by %s (%s)", c[i].by,
				c[i].rule ? c[i].rule
					  : "of equal rank: the first or last in order");
		else if (c[i].by)
			say(PLAIN, ", %s hid it", c[i].by);
		putchar('\n');
	}
}

static void say_trouble(const struct trouble *t)
{
	switch (t->kind) {
	case PROBLEM_UNKNOWN:
		say(PLAIN, "needs %s, which nothing has", t->subject);
		break;
	case PROBLEM_CRC:
		say(PLAIN, "needs %s with CRC %s; it is %s according to %s", t->subject,
			t->wanted, t->found, t->found_in);
		break;
	case PROBLEM_VERMAGIC:
		say(PLAIN, "was built for '%s'; %s say '%s'", t->wanted, t->found_in,
			t->found);
		break;
	case PROBLEM_MODULE:
		break;
	case PROBLEM_COMPRESSION:
		say(PLAIN, "is compressed with %s", t->subject);
		break;
	case PROBLEM_FILE:
		say(PLAIN, "is in %s and in %s", t->package, t->subject);
		break;
	case PROBLEM_NAME:
		say(PLAIN, "has the name of %s of %s, which hides it", t->found_in,
			t->subject);
		break;
	case PROBLEM_EXPORT:
		say(PLAIN,
			"exports %s, which %s has already: they cannot be loaded "
			"together",
			t->subject, t->found_in);
		break;
	case PROBLEM_SOFTDEP:
		say(PLAIN, "has a softdep on %s", t->subject);
		break;
	case PROBLEM_HIDDEN:
		say(PLAIN, "would not be found: %s wins", t->subject);
		break;
	case PROBLEM_CYCLE:
		break;
	case PROBLEM_UNCHECKED:
		say(PLAIN, "needs %s", t->subject);
		break;
	case PROBLEM_MAX:
		break;
	}
	if (t->hint)
		say(PLAIN, "%s%s",
			t->kind == PROBLEM_MODULE || t->kind == PROBLEM_CYCLE ? "" : "; ",
			t->hint);
}

static void show_troubles(const struct forecast *f, bool breaks)
{
	const struct trouble *t = vec_data(&f->troubles, struct trouble);
	size_t n = vec_len(&f->troubles, struct trouble);
	bool first = true;

	for (size_t i = 0; i < n; i++) {
		if (t[i].breaks != breaks || t[i].kind == PROBLEM_UNCHECKED)
			continue;
		if (first) {
			fputs("  ", stdout);
			say(breaks ? RED : YELLOW, "%s",
				breaks ? "would break" : "worth knowing");
			putchar('\n');
		}
		first = false;
		fputs("    ", stdout);
		say(BOLD, "%s", t[i].path ? t[i].path : "");
		fputs(t[i].path ? ": " : "", stdout);
		say_trouble(&t[i]);
		putchar('\n');
	}
}

static void show_unchecked(const struct session *s, const struct forecast *f)
{
	const struct trouble *t = vec_data(&f->troubles, struct trouble);

	if (!f->unchecked)
		return;
	say(YELLOW, "  not checked");
	say(PLAIN,
		": %u symbols that nothing here tells of; -E Module.symvers would help",
		f->unchecked);
	putchar('\n');
	for (size_t i = 0; s->o->verbose && i < vec_len(&f->troubles, struct trouble);
		i++)
		if (t[i].kind == PROBLEM_UNCHECKED) {
			say(PLAIN, "    %s: %s", t[i].path, t[i].subject);
			putchar('\n');
		}
}

static void say_alias(const struct alias_change *a)
{
	switch (a->kind) {
	case ALIAS_GAINED:
		say(PLAIN, "%s gets %s", a->module, a->meaning);
		break;
	case ALIAS_MOVED:
		say(PLAIN, "%s takes %s from %s", a->module, a->meaning, a->others);
		break;
	case ALIAS_SHARED:
		say(PLAIN, "%s and %s share %s", a->module, a->others, a->meaning);
		break;
	case ALIAS_OVERLAP:
		say(PLAIN, "%s and %s meet at %s", a->module, a->others, a->meaning);
		break;
	case ALIAS_LOST:
		say(PLAIN, "nobody has %s any more (%s had)", a->meaning, a->module);
		break;
	case ALIAS_KINDS:
		break;
	}
	if (!str_eq(a->meaning, a->alias))
		say(DIM, " [%s]", a->alias);
}

static void show_aliases(const struct session *s, const struct forecast *f)
{
	const struct alias_change *a = vec_data(&f->aliases, struct alias_change);
	size_t n = vec_len(&f->aliases, struct alias_change), same = 0;

	if (n)
		header("hardware and other aliases");
	for (size_t i = 0; i < n; i++) {
		bool again = i > 0 && a[i].kind == a[i - 1].kind &&
			     str_eq(a[i].module, a[i - 1].module);
		bool last = i + 1 == n || a[i].kind != a[i + 1].kind ||
			    !str_eq(a[i].module, a[i + 1].module);

		same = again ? same + 1 : 0;
		if (same < ALIASES_SHOWN || s->o->verbose) {
			fputs("    ", stdout);
			say_alias(&a[i]);
			putchar('\n');
		} else if (last) {
			say(DIM, "    ... %zu more of %s (%s); -v shows them",
				same + 1 - ALIASES_SHOWN, a[i].module,
				alias_names[a[i].kind]);
			putchar('\n');
		}
	}
}

static void show_lines(const struct forecast *f)
{
	const struct line_change *l = vec_data(&f->lines, struct line_change);

	if (f->lines.len)
		header("dependencies");
	for (size_t i = 0; i < vec_len(&f->lines, struct line_change); i++) {
		say(PLAIN, "    %s", l[i].path);
		putchar('\n');
		say(PLAIN, "      before: %s", *l[i].before ? l[i].before : "nothing");
		putchar('\n');
		say(PLAIN, "      after:  %s", *l[i].after ? l[i].after : "nothing");
		putchar('\n');
	}
}

static void show_codecs(const struct forecast *f)
{
	const struct codec_use *u = f->codecs;

	for (unsigned c = 0; c < CODECS; c++) {
		if (!u[c].n)
			continue;
		say(PLAIN, "  %u module%s compressed with %s: ", u[c].n,
			u[c].n == 1 ? "" : "s", codec_name(c));
		if (str_eq(u[c].by, "kernel"))
			say(PLAIN, "the kernel decompresses them (%s)",
				f->info->config_path);
		else if (str_eq(u[c].by, "modprobe"))
			say(PLAIN, "modprobe decompresses them%s",
				f->info->config_path
					? ""
					: "; what the kernel can is not known");
		else if (str_eq(u[c].by, "nobody"))
			say(RED, "nobody decompresses them");
		else
			say(PLAIN, "no kmod below the root tells whether it can");
		putchar('\n');
	}
}

static void show_sources(const struct forecast *f)
{
	if (f->info->vmlinux_path)
		say(DIM, "  the kernel's symbols are those of %s%s",
			f->info->vmlinux_path,
			f->info->vmlinux.has_crcs ? "" : ", which has no CRCs");
	else
		say(DIM, "  no Module.symvers: what the kernel has is known from its "
			 "modules' needs");
	putchar('\n');
}

static void show_files(const struct prospect *p)
{
	const char *between = "  index files that change: ";

	for (unsigned i = 0; i < OUT_MAX; i++) {
		if (!p->differs[i])
			continue;
		printf("%s%s", between, output_names[i]);
		between = " ";
	}
	if (between[1] == '\0')
		putchar('\n');
}

static void show_prospect(const struct session *s, const struct prospect *p)
{
	bool breaks = forecast_breaks(p->f);

	say(BOLD, "%s", p->kernel->kver);
	fputs(": ", stdout);
	say(breaks           ? RED
		: p->changes ? YELLOW
			     : GREEN,
		"%s",
		breaks       ? "would break"
		: p->changes ? "would change"
			     : "would stay as it is");
	putchar('\n');
	show_changes(p->f);
	show_troubles(p->f, true);
	show_troubles(p->f, false);
	show_unchecked(s, p->f);
	show_aliases(s, p->f);
	show_lines(p->f);
	show_codecs(p->f);
	show_files(p);
	if (p->f->over.n_modules)
		show_sources(p->f);
}

void prospect_text(const struct session *s, const struct packages *p,
	const struct prospect *list, size_t n)
{
	begin();
	for (unsigned i = 0; i < vec_len(&p->list, struct package); i++)
		show_package(p, i);
	for (size_t i = 0; i < n; i++)
		show_prospect(s, &list[i]);
}

/* --- one module --- */

static mod_row find_winner(const struct forecast *f, const char *name)
{
	for (mod_idx i = 0; i < f->is.n; i++)
		if (str_eq(str_of(&f->over.t, f->over.t.mods[f->is.row[i]].name), name))
			return f->is.row[i];
	return ID_NONE;
}

static void explain_choice(const struct forecast *f, mod_row won)
{
	const struct tables *t = &f->over.t;

	for (mod_row m = 0; m < t->n.mods; m++) {
		const char *rule;

		if (m == won || f->is.first_of[m] != won)
			continue;
		rule = forecast_rule((struct forecast *)f, won, m);
		say(PLAIN, "  wins over %s: %s", f->paths[m],
			rule ? rule : "of equal rank, so the order of names decides");
		putchar('\n');
	}
}

/* The symbols through which one module needs another. */
static void say_symbols(const struct forecast *f, mod_row row, mod_idx dep)
{
	const struct tables *t = &f->over.t;
	const struct mod *m = &t->mods[row];
	unsigned n = 0;

	for (uint32_t i = m->needs; i < m[1].needs; i++) {
		str_id sym = t->pairs[NEED_PAIR(t->needs[i])].sym;

		if (f->is.owner[resolved_look(&f->is, sym)] != dep)
			continue;
		say(PLAIN, "%s%s", n ? ", " : ": ", str_of(t, sym));
		n++;
	}
}

static void explain_needs(const struct forecast *f, mod_row row)
{
	struct id_range direct = resolved_direct(&f->is, f->is.idx[row]);
	struct id_range deps = resolved_deps(&f->is, f->is.idx[row]);

	for (uint32_t i = 0; i < direct.n; i++) {
		say(PLAIN, "  needs %s", f->paths[f->is.row[direct.ids[i]]]);
		say_symbols(f, row, direct.ids[i]);
		putchar('\n');
	}
	if (deps.n)
		say(PLAIN, "  loads after:");
	for (uint32_t i = deps.n; i-- > 0;)
		say(PLAIN, " %s",
			str_of(&f->over.t, f->over.t.mods[f->is.row[deps.ids[i]]].name));
	if (deps.n)
		putchar('\n');
}

static void explain_users(const struct forecast *f, mod_row row)
{
	mod_idx self = f->is.idx[row];

	for (mod_idx i = 0; i < f->is.n; i++) {
		struct id_range direct = resolved_direct(&f->is, i);

		for (uint32_t k = 0; k < direct.n; k++) {
			if (direct.ids[k] != self)
				continue;
			say(PLAIN, "  needed by %s", f->paths[f->is.row[i]]);
			say_symbols(f, f->is.row[i], self);
			putchar('\n');
		}
	}
}

static void explain_values(const struct forecast *f, mod_row row)
{
	const struct tables *t = &f->over.t;
	const struct mod *m = &t->mods[row];

	for (uint32_t v = m->values; v < m[1].values; v++) {
		const char *value = str_of(t, t->values[v]);
		_cleanup_(buf_done) struct buf meaning = {0};

		if (v < m->softdeps)
			hwalias_describe(value, &meaning);
		buf_char(&meaning, '\0');
		say(PLAIN, "  %s %s",
			v < m->softdeps   ? "alias"
			: v < m->weakdeps ? "softdep"
					  : "weakdep",
			value);
		if (meaning.len > 1 && !str_eq(meaning.data, value))
			say(DIM, ": %s", meaning.data);
		putchar('\n');
	}
}

int prospect_explain(
	const struct session *s, const struct prospect *p, const char *module)
{
	const struct forecast *f = p->f;
	_cleanup_(freep) char *name = strdup(module);
	const struct package *k;
	const struct mod *m;
	mod_row row;

	(void)s;
	if (!name)
		return -ENOMEM;
	begin();
	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : *c;
	row = find_winner(f, name);
	say(BOLD, "%s: %s", p->kernel->kver, name);
	putchar('\n');
	if (row == ID_NONE) {
		say(PLAIN, "  no module of that name");
		putchar('\n');
		return 0;
	}
	k = forecast_package(f, row);
	m = &f->over.t.mods[row];
	say(PLAIN, "  is %s%s%s", f->paths[row], k ? " of " : "",
		k ? package_label(k) : "");
	putchar('\n');
	explain_choice(f, row);
	if (m->vermagic != ID_NONE) {
		say(PLAIN, "  was built for %s", str_of(&f->over.t, m->vermagic));
		putchar('\n');
	}
	if (!f->cycle) {
		explain_needs(f, row);
		explain_users(f, row);
	}
	explain_values(f, row);
	for (size_t i = 0; i < vec_len(&f->troubles, struct trouble); i++) {
		const struct trouble *t = &vec_data(&f->troubles, struct trouble)[i];

		if (!t->path || !str_eq(t->path, f->paths[row]))
			continue;
		fputs("  ", stdout);
		say(t->breaks ? RED : YELLOW,
			t->breaks ? "would break" : "worth knowing");
		fputs(": ", stdout);
		say_trouble(t);
		putchar('\n');
	}
	return 0;
}
