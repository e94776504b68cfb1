// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A graph for Graphviz: an arrow goes from a module to what it needs. The packages'
 * modules stand out, around them stand what they need and who needs them; what is wrong
 * is red. Format: the DOT language of Graphviz.
 */

#include <stdio.h>

#include "program/dryrun.h"

static const char style[] =
	"  graph [rankdir=LR, fontname=\"sans-serif\", labelloc=t];\n"
	"  node [shape=box, style=\"rounded,filled\", fillcolor=\"#f4f4f4\", "
	"color=\"#888888\",\n"
	"        fontname=\"sans-serif\", fontsize=11];\n"
	"  edge [color=\"#888888\", fontname=\"sans-serif\", fontsize=9];\n";

#define OURS "fillcolor=\"#cfe3ff\", color=\"#2b62a8\", penwidth=2"
#define HIDDEN "style=\"rounded,dashed\", fontcolor=\"#777777\""
#define WRONG "color=\"#c00000\", fontcolor=\"#c00000\""
#define MISSING "shape=ellipse, style=filled, fillcolor=\"#ffd9d9\", " WRONG

/* A quoted string: only quotes and backslashes are special in it. */
static void quote(const char *prefix, const char *s)
{
	printf("\"%s", prefix);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar((unsigned char)*s < ' ' ? '?' : *s);
	}
	putchar('"');
}

struct drawing {
	const struct forecast *f;
	char prefix[24]; /* of node names: of one kernel */
	uint8_t *drawn;  /* [row] */
};

static bool breaks_at(const struct forecast *f, const char *path)
{
	const struct trouble *t = vec_data(&f->troubles, struct trouble);

	for (size_t i = 0; i < vec_len(&f->troubles, struct trouble); i++)
		if (t[i].breaks && t[i].path && str_eq(t[i].path, path))
			return true;
	return false;
}

static void draw_module(struct drawing *d, mod_row row)
{
	const struct forecast *f = d->f;
	const char *path = f->paths[row];

	if (d->drawn[row])
		return;
	d->drawn[row] = 1;
	fputs("    ", stdout);
	quote(d->prefix, path);
	fputs(" [label=", stdout);
	quote("", f->over.origin[row] == ID_NONE
			  ? str_of(&f->over.t, f->over.t.mods[row].name)
			  : path);
	if (f->over.origin[row] != ID_NONE)
		fputs(", " OURS, stdout);
	if (f->is.idx[row] == ID_NONE)
		fputs(", " HIDDEN, stdout);
	if (breaks_at(f, path))
		fputs(", " WRONG, stdout);
	puts("];");
}

static void draw_edge(
	const struct drawing *d, const char *from, const char *to, const char *how)
{
	fputs("    ", stdout);
	quote(d->prefix, from);
	fputs(" -> ", stdout);
	quote(d->prefix, to);
	printf("%s;\n", how);
}

static void draw_needs(struct drawing *d, mod_row row)
{
	const struct forecast *f = d->f;
	struct id_range direct;

	if (f->is.idx[row] == ID_NONE || f->cycle)
		return;
	direct = resolved_direct(&f->is, f->is.idx[row]);
	for (uint32_t i = 0; i < direct.n; i++) {
		mod_row to = f->is.row[direct.ids[i]];

		draw_module(d, to);
		draw_edge(d, f->paths[row], f->paths[to], "");
	}
}

static void draw_users(struct drawing *d, mod_row row)
{
	const struct forecast *f = d->f;

	for (mod_idx i = 0; !f->cycle && i < f->is.n; i++) {
		struct id_range direct = resolved_direct(&f->is, i);
		mod_row user = f->is.row[i];

		if (f->over.origin[user] != ID_NONE)
			continue; /* draws its needs itself */
		for (uint32_t k = 0; k < direct.n; k++)
			if (f->is.row[direct.ids[k]] == row) {
				draw_module(d, user);
				draw_edge(d, f->paths[user], f->paths[row], "");
			}
	}
}

static void draw_hidden(struct drawing *d, mod_row row)
{
	const struct forecast *f = d->f;
	mod_row by = f->is.first_of[row];

	if (by == row ||
		(f->over.origin[row] == ID_NONE && f->over.origin[by] == ID_NONE))
		return;
	draw_module(d, row);
	draw_module(d, by);
	draw_edge(d, f->paths[by], f->paths[row],
		" [style=dashed, arrowhead=none, label=\"hides\"]");
}

static mod_row row_of(const struct forecast *f, const char *path)
{
	for (mod_row m = 0; m < f->over.t.n.mods; m++)
		if (str_eq(f->paths[m], path))
			return m;
	return ID_NONE;
}

static void draw_trouble(struct drawing *d, const struct trouble *t)
{
	mod_row row = t->path ? row_of(d->f, t->path) : ID_NONE;

	if (!t->breaks || row == ID_NONE)
		return;
	draw_module(d, row);
	fputs("    ", stdout);
	quote(d->prefix, t->subject ? t->subject : problem_names[t->kind]);
	fputs(" [label=", stdout);
	if (t->kind == PROBLEM_CRC)
		printf("\"%s\\nwanted %s\\nthere %s\"", t->subject, t->wanted, t->found);
	else
		quote("", t->subject ? t->subject : problem_names[t->kind]);
	puts(", " MISSING "];");
	fputs("    ", stdout);
	quote(d->prefix, t->path);
	fputs(" -> ", stdout);
	quote(d->prefix, t->subject ? t->subject : problem_names[t->kind]);
	printf(" [color=\"#c00000\", fontcolor=\"#c00000\", label=\"%s\"];\n",
		problem_names[t->kind]);
}

static int draw_kernel(const struct prospect *p, size_t number)
{
	const struct forecast *f = p->f;
	struct drawing d = {.f = f, .drawn = calloc((size_t)f->over.t.n.mods + 1, 1)};

	if (!d.drawn)
		return -ENOMEM;
	snprintf(d.prefix, sizeof(d.prefix), "%zu:", number);
	printf("  subgraph cluster_%zu {\n    label=", number);
	quote("", p->kernel->kver);
	puts(";");
	for (mod_row m = 0; m < f->over.t.n.mods; m++) {
		if (f->over.origin[m] != ID_NONE) {
			draw_module(&d, m);
			draw_needs(&d, m);
			draw_users(&d, m);
		}
		draw_hidden(&d, m);
	}
	for (size_t i = 0; i < vec_len(&f->troubles, struct trouble); i++)
		draw_trouble(&d, &vec_data(&f->troubles, struct trouble)[i]);
	puts("  }");
	free(d.drawn);
	return 0;
}

int prospect_dot(const struct packages *p, const struct prospect *list, size_t n)
{
	int r = 0;

	fputs("digraph ", stdout);
	quote("", p->list.len ? package_label(package_of(p, 0)) : "modules");
	printf(" {\n%s", style);
	for (size_t i = 0; i < n && r == 0; i++)
		r = draw_kernel(&list[i], i);
	puts("}");
	return r;
}
