// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Only aliases of modules that come, go or change are looked at, but the answers are
 * about all modules that win: who has such an alias after, and who had it before.
 */

#include "formats/hwalias.h"
#include "program/forecast.h"

/* Aliases that are compared as patterns with all others: beyond, only as strings. */
#define PATTERNS_MAX 2000u

const char *const alias_names[ALIAS_KINDS] = {
	[ALIAS_GAINED] = "gained",
	[ALIAS_MOVED] = "moved",
	[ALIAS_SHARED] = "shared",
	[ALIAS_OVERLAP] = "overlap",
	[ALIAS_LOST] = "lost",
};

/* One alias of one module that wins. */
struct holding {
	str_id alias;
	mod_row row;
};

struct side {
	const struct tables *t;
	const struct resolved *r;
	struct holding *list; /* by alias */
	size_t n;
};

/* All aliases of the side's winners: distributed by id, since there are many. */
static int list_side(struct side *s)
{
	const struct tables *t = s->t;
	_cleanup_(freep) uint32_t *start =
		calloc((size_t)t->n.strings + 2, sizeof(*start));

	s->list = malloc(((size_t)t->n.values + 1) * sizeof(*s->list));
	if (!start || !s->list)
		return -ENOMEM;
	for (mod_idx i = 0; i < s->r->n; i++)
		for (uint32_t v = t->mods[s->r->row[i]].values;
			v < t->mods[s->r->row[i]].softdeps; v++)
			start[t->values[v] + 1]++;
	for (str_id id = 0; id < t->n.strings; id++)
		start[id + 1] += start[id];
	s->n = start[t->n.strings];
	for (mod_idx i = 0; i < s->r->n; i++) {
		mod_row row = s->r->row[i];

		for (uint32_t v = t->mods[row].values; v < t->mods[row].softdeps; v++)
			s->list[start[t->values[v]]++] =
				(struct holding){t->values[v], row};
	}
	return 0;
}

/* The first holding of an alias; *ret_n is how many there are. */
static const struct holding *find(const struct side *s, str_id alias, size_t *ret_n)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->list[mid].alias < alias)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (*ret_n = 0; lo + *ret_n < s->n && s->list[lo + *ret_n].alias == alias;
		++*ret_n)
		;
	return s->list + lo;
}

static const struct holding *find_text(
	const struct side *s, const char *alias, size_t *ret_n)
{
	bool known;
	str_id id = tables_find_str(s->t, alias, strlen(alias), &known);

	*ret_n = 0;
	return known ? find(s, id, ret_n) : NULL;
}

static const char *name_of(const struct side *s, mod_row row)
{
	return str_of(s->t, s->t->mods[row].name);
}

static bool holds(
	const struct side *s, const struct holding *h, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(name_of(s, h[i].row), name))
			return true;
	return false;
}

static const char *keep(struct forecast *f, struct buf *b)
{
	const char *s =
		b->err ? NULL : arena_strdup(&f->mem, b->data ? b->data : "", b->len);

	buf_done(b);
	return s ? s : "";
}

/*
 * Names of holders but one, separated by blanks; only those that the other side lacks if
 * lost.
 */
static const char *others(struct forecast *f, const struct side *s,
	const struct holding *h, size_t n, const char *but, const struct side *not_in,
	const struct holding *g, size_t m)
{
	struct buf b = {0};

	for (size_t i = 0; i < n; i++) {
		const char *name = name_of(s, h[i].row);

		if ((but && str_eq(name, but)) || (not_in && holds(not_in, g, m, name)) ||
			(i > 0 && h[i - 1].row == h[i].row))
			continue;
		buf_printf(&b, "%s%s", b.len ? " " : "", name);
	}
	return keep(f, &b);
}

static void add(struct forecast *f, struct alias_change c)
{
	struct buf b = {0};

	hwalias_describe(c.alias, &b);
	c.meaning = keep(f, &b);
	buf_add(&f->aliases, &c, sizeof(c));
}

static bool is_new(const struct forecast *f, mod_row row)
{
	mod_row old = f->over.base[row];

	return f->over.origin[row] != ID_NONE || old == ID_NONE ||
	       f->was.idx[old] == ID_NONE;
}

/* Returns whether a module of this name had this alias before. */
static bool compare_alias(struct forecast *f, const struct side *was,
	const struct side *is, mod_row row, str_id alias)
{
	const char *text = str_of(is->t, alias), *name = name_of(is, row), *lost, *share;
	size_t n, m;
	const struct holding *h = find(is, alias, &n), *g = find_text(was, text, &m);
	bool had = holds(was, g, m, name);
	struct alias_change c = {.alias = text, .module = name, .others = ""};

	lost = others(f, was, g, m, name, is, h, n);
	share = others(f, is, h, n, name, NULL, NULL, 0);
	if (!had && *lost) {
		c.kind = ALIAS_MOVED;
		c.others = lost;
		add(f, c);
	} else if (!had && !*share) {
		c.kind = ALIAS_GAINED;
		add(f, c);
	}
	if (*share) {
		c.kind = ALIAS_SHARED;
		c.others = share;
		add(f, c);
	}
	return had;
}

static size_t literal(const char *alias)
{
	return strcspn(alias, "*?[");
}

/* Other modules' aliases that match some of what this one does. */
static void find_overlaps(
	struct forecast *f, const struct side *is, mod_row row, str_id alias)
{
	const char *text = str_of(is->t, alias);
	size_t len = literal(text), colon = strcspn(text, ":"), n;
	const struct holding *h;
	bool known;

	/*
	 * patterns that name no vendor, such as those of a class of devices, meet
	 * everything
	 */
	if (len <= colon + 2 || !text[colon])
		return;
	/* all aliases of one bus stand together */
	h = find(is, tables_find_str(is->t, text, colon + 1, &known), &n);
	for (size_t i = (size_t)(h - is->list); i < is->n; i++) {
		const char *other = str_of(is->t, is->list[i].alias);

		if (strncmp(other, text, colon + 1) != 0)
			break;
		if (is->list[i].alias == alias || literal(other) <= colon + 2 ||
			is->t->mods[is->list[i].row].name == is->t->mods[row].name)
			continue;
		if (hwalias_overlap(text, other))
			add(f, (struct alias_change){.kind = ALIAS_OVERLAP,
				       .alias = text,
				       .module = name_of(is, row),
				       .others = name_of(is, is->list[i].row),
				       .other_alias = other});
	}
}

/* Aliases that a module had which does not win any more, and nobody has now. */
static void find_lost(struct forecast *f, const struct side *was, const struct side *is)
{
	for (size_t i = 0; i < was->n; i++) {
		mod_row row = was->list[i].row, now = f->row_of_old[row];
		const char *text = str_of(was->t, was->list[i].alias);
		size_t n;

		/* untouched modules lose nothing */
		if (now != ID_NONE && f->is.idx[now] != ID_NONE &&
			f->over.origin[now] == ID_NONE)
			continue;
		find_text(is, text, &n);
		if (n == 0)
			add(f, (struct alias_change){.kind = ALIAS_LOST,
				       .alias = text,
				       .module = name_of(was, row),
				       .others = ""});
	}
}

static int change_cmp(const void *pa, const void *pb)
{
	const struct alias_change *a = pa, *b = pb;
	int c = (a->kind > b->kind) - (a->kind < b->kind);

	c = c ? c : strcmp(a->module, b->module);
	c = c ? c : strcmp(a->alias, b->alias);
	return c ? c : strcmp(a->others, b->others);
}

static void drop_repeated(struct buf *list)
{
	struct alias_change *c = vec_data(list, struct alias_change);
	size_t n = vec_len(list, struct alias_change), kept = 0;

	for (size_t i = 0; i < n; i++)
		if (kept == 0 || change_cmp(&c[kept - 1], &c[i]) != 0)
			c[kept++] = c[i];
	list->len = kept * sizeof(*c);
}

int forecast_compare_aliases(struct forecast *f)
{
	struct side was = {f->before, &f->was, NULL, 0},
		    is = {&f->over.t, &f->is, NULL, 0};
	unsigned patterns = 0;
	int r = list_side(&was);

	if (r == 0)
		r = list_side(&is);
	for (mod_idx i = 0; r == 0 && i < f->is.n; i++) {
		mod_row row = f->is.row[i];
		const struct mod *m = &is.t->mods[row];

		if (!is_new(f, row))
			continue;
		for (uint32_t v = m->values; v < m->softdeps; v++) {
			if (!compare_alias(f, &was, &is, row, is.t->values[v]) &&
				f->over.origin[row] != ID_NONE &&
				patterns++ < PATTERNS_MAX)
				find_overlaps(f, &is, row, is.t->values[v]);
		}
	}
	if (r == 0)
		find_lost(f, &was, &is);
	if (f->aliases.len)
		qsort(f->aliases.data, vec_len(&f->aliases, struct alias_change),
			sizeof(struct alias_change), change_cmp);
	drop_repeated(&f->aliases);
	free(was.list);
	free(is.list);
	return r ? r : f->aliases.err;
}
