// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdio.h>

#include "program/show.h"

/* A line with names in it. */
static void say(const char *fmt, ...) _printf_(1, 2);
static void say(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	clean_text(text, (size_t)n);
	puts(text);
	free(text);
}

static void show_modules(const char *what, const struct buf *list)
{
	const struct plan_module *m = vec_data(list, struct plan_module);

	for (size_t i = 0; i < plan_count(list); i++)
		say("  %-9s %s%s%s%s", what, m[i].path, m[i].by ? " (by " : "",
			m[i].by ? m[i].by : "", m[i].by ? ")" : "");
}

static void show_dependencies(const struct buf *list)
{
	const struct plan_dependency *d = vec_data(list, struct plan_dependency);

	for (size_t i = 0; i < vec_len(list, struct plan_dependency); i++) {
		say("  depends   %s", d[i].path);
		say("            before: %s", *d[i].before ? d[i].before : "nothing");
		say("            after:  %s", *d[i].after ? d[i].after : "nothing");
	}
}

static void show_symbols(const struct buf *list)
{
	const struct plan_symbol *s = vec_data(list, struct plan_symbol);

	for (size_t i = 0; i < vec_len(list, struct plan_symbol); i++)
		if (s[i].crc)
			say("  crc       %s: %s is wanted as 0x%08x and there as 0x%08x",
				s[i].path, s[i].symbol, s[i].want, s[i].have);
		else
			say("  missing   %s: nothing exports %s", s[i].path, s[i].symbol);
}

static void show_files(const struct update *u)
{
	const char *between = "  write     ";

	for (unsigned i = 0; i < OUT_MAX; i++) {
		if (!u->differs[i])
			continue;
		printf("%s%s", between, output_names[i]);
		between = " ";
	}
	if (*between == ' ' && between[1] == '\0')
		putchar('\n');
}

static bool is_empty(const struct plan *p)
{
	return !p->added.len && !p->removed.len && !p->changed.len && !p->hidden.len &&
	       !p->unhidden.len && !p->dependencies.len && !p->symbols.len;
}

static const char *what_goes(const struct session *s)
{
	return s->outdir ? "its indexes there" : "its indexes and facts";
}

void show_plan(const struct session *s, const struct result *r)
{
	const struct update *u = r->update;

	if (r->err)
		return;
	if (u->outcome == UPDATE_NO_KERNEL) {
		say("%s: no modules; %s would be removed", r->kernel->kver, what_goes(s));
		return;
	}
	if (u->outcome == UPDATE_CHANGED)
		say("%s: %s", r->kernel->kver,
			s->o->dry_run ? "would change" : "changed");
	else
		say("%s: %s", r->kernel->kver,
			is_empty(&r->plan) ? "up to date" : "no index would change");
	show_modules("add", &r->plan.added);
	show_modules("remove", &r->plan.removed);
	show_modules("change", &r->plan.changed);
	show_modules("hide", &r->plan.hidden);
	show_modules("unhide", &r->plan.unhidden);
	show_dependencies(&r->plan.dependencies);
	show_symbols(&r->plan.symbols);
	show_files(u);
}

/* "3 modules added, 1 removed; " */
static void count(struct buf *b, size_t n, const char *what)
{
	if (n)
		buf_printf(b, "%s%zu %s", b->len ? ", " : "", n, what);
}

void show_summary(struct session *s, const struct result *r)
{
	const struct plan *p = &r->plan;
	_cleanup_(buf_done) struct buf b = {0};

	if (r->err)
		return;
	count(&b, plan_count(&p->added), "added");
	count(&b, plan_count(&p->removed), "removed");
	count(&b, plan_count(&p->changed), "changed");
	count(&b, plan_count(&p->hidden), "hidden");
	count(&b, plan_count(&p->unhidden), "unhidden");
	buf_char(&b, '\0');
	if (r->update->outcome == UPDATE_CHANGED)
		note(&s->m, "%s: %u index files written; modules: %s", r->kernel->kver,
			r->update->pub.n_written,
			b.len > 1 ? b.data : "none added or removed");
	else if (r->update->outcome == UPDATE_NO_KERNEL)
		note(&s->m, "%s: no modules; %s were removed", r->kernel->kver,
			what_goes(s));
	else
		note(&s->m, "%s: up to date", r->kernel->kver);
}

static const char *const why_names[WHY_MAX] = {
	[WHY_NEW] = "new",
	[WHY_SIZE] = "another size",
	[WHY_STAT] = "another inode or time",
	[WHY_RACY] = "too young when it was read",
	[WHY_TOUCHED] = "named by --touched-from",
	[WHY_UNTRUSTED] = "on a file system whose times prove nothing",
};

void show_stats(const struct session *s, const struct result *r)
{
	const struct update *u = r->update;
	const struct read_stats *read = &u->reading.stats;
	unsigned why[WHY_MAX] = {0};
	int64_t total = 0;

	(void)s;
	for (uint32_t i = 0; i < u->scan.n_files; i++)
		why[u->scan.files[i].why]++;
	for (unsigned p = 0; p < PHASE_MAX; p++)
		total += u->ns[p];
	printf("%s: %.2f ms:", r->kernel->kver, (double)total / 1e6);
	for (unsigned p = 0; p < PHASE_MAX; p++)
		if (u->ns[p])
			printf(" %s %.2f", phase_names[p], (double)u->ns[p] / 1e6);
	printf("\n  modules: %u; facts remembered: %llu (%llu proven by digest); read: "
	       "%llu "
	       "(%llu decompressed, %.1f MB from %.1f MB)\n",
		u->scan.n_files,
		(unsigned long long)(u->scan.n_files - read->modules_read),
		(unsigned long long)read->digested,
		(unsigned long long)read->modules_read,
		(unsigned long long)read->modules_decompressed,
		(double)read->bytes_decompressed / 1e6, (double)read->bytes_read / 1e6);
	for (unsigned w = WHY_NEW; w < WHY_MAX; w++)
		if (why[w])
			printf("  not taken as remembered, %s: %u\n", why_names[w],
				why[w]);
	printf("  index files written: %u; device flushes: %u\n", u->pub.n_written,
		u->pub.device_flushes);
}
