// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All sorting is by ids, since ids are in the order of their strings, and all sets are
 * arrays over ids with a stamp in them.
 */

#include <stdio.h>

#include "base/buf.h"
#include "engine/resolve.h"
#include "formats/lists.h"
#include "formats/modname.h"

#define NAME_BUCKETS                                                                     \
	512u /* of depmod's hash table of modules, which decides their order */
#define DEPS_MAX (64u << 20)

static uint32_t *ids_new(size_t n, uint32_t fill)
{
	uint32_t *a = malloc((n ? n : 1) * sizeof(*a));

	for (size_t i = 0; a && i < n; i++)
		a[i] = fill;
	return a;
}

/* --- one file for each name --- */

/* The text of b is what *ret points into. 0 or -ENOMEM. */
static int modpath(const struct target *target, const struct tables *t, mod_row row,
	struct buf *b, struct modpath *ret)
{
	const struct mod *m = &t->mods[row];
	bool external = *str_of(t, t->dirs[m->dir].path) == '/';
	size_t above = 0, len;

	if (!external && target->name) {
		buf_printf(b, "%s/", target->name);
		above = b->len;
	}
	tables_path(t, row, b);
	buf_char(b, '\0');
	if (b->err)
		return b->err;
	len = b->len - 1 - str_len(t, m->file) + modname_len(str_of(t, m->file));
	*ret = (struct modpath){0};
	if (external || above)
		*ret = (struct modpath){.abs = b->data, .abs_len = len};
	if (!external) {
		ret->rel = b->data + above;
		ret->rel_len = len - above;
	}
	return 0;
}

int resolve_replaces(const struct target *target, const struct tables *t,
	const struct depmodd *c, mod_row new, mod_row old, const char **ret_rule)
{
	_cleanup_(buf_done) struct buf a = {0}, b = {0};
	struct modpath x, y;
	int r;

	if (ret_rule)
		*ret_rule = NULL;
	r = modpath(target, t, new, &a, &x);
	if (r == 0)
		r = modpath(target, t, old, &b, &y);
	return r < 0 ? r : depmodd_replaces(c, &x, &y, ret_rule);
}

/* Two files that depmod would choose between by the order of readdir. */
static void report_duplicate(
	const struct target *target, const struct tables *t, mod_row won, mod_row lost)
{
	_cleanup_(buf_done) struct buf a = {0}, b = {0};

	tables_path(t, won, &a);
	tables_path(t, lost, &b);
	buf_char(&a, '\0');
	buf_char(&b, '\0');
	if (!a.err && !b.err)
		report_event(target->report, .kind = EVENT_DUPLICATE,
			.kver = target->kver, .path = a.data, .detail = b.data);
}

static int walk_order(const void *a, const void *b, void *t)
{
	return tables_walk_order(t, *(const mod_row *)a, *(const mod_row *)b);
}

/* What all walks, one after the other, end up with: its place in paths. */
static size_t walk_all(const struct depmodd *c, const struct modpath *paths, size_t n)
{
	size_t won = n;

	for (size_t walk = 0; walk <= c->n_external; walk++)
		for (size_t i = 0; i < n; i++)
			if (depmodd_meets(c, walk, &paths[i]) &&
				(won == n || depmodd_replaces(
						     c, &paths[i], &paths[won], NULL)))
				won = i;
	return won < n ? won : 0; /* no walk: they were named */
}

static int choose(const struct target *target, const struct tables *t,
	const struct depmodd *c, const mod_row *rows, size_t n, struct buf *texts,
	struct modpath *paths, mod_row *ret)
{
	size_t won;

	for (size_t i = 0; i < n; i++)
		if (modpath(target, t, rows[i], &texts[i], &paths[i]) < 0)
			return -ENOMEM;
	won = walk_all(c, paths, n);
	for (size_t i = 0; i < n; i++)
		if (i != won && depmodd_replaces(c, &paths[i], &paths[won], NULL) ==
					depmodd_replaces(c, &paths[won], &paths[i], NULL))
			report_duplicate(target, t, rows[won], rows[i]);
	*ret = rows[won];
	return 0;
}

/* Of all files of one name, linked through next[], the one that a walk ends up with. */
static int winner(const struct target *target, const struct tables *t,
	const struct depmodd *c, mod_row head, const mod_row *next, mod_row *ret)
{
	_cleanup_(buf_done) struct buf list = {0};
	_cleanup_(freep) struct modpath *paths = NULL;
	struct buf *texts;
	size_t n;
	int r = -ENOMEM;

	for (mod_row m = head; m != ID_NONE; m = next[m])
		buf_add(&list, &m, sizeof(m));
	if (list.err)
		return list.err;
	n = vec_len(&list, mod_row);
	qsort_r(list.data, n, sizeof(mod_row), walk_order, (void *)t);
	paths = calloc(n, sizeof(*paths));
	texts = calloc(n, sizeof(*texts));
	if (paths && texts)
		r = choose(target, t, c, vec_data(&list, mod_row), n, texts, paths, ret);
	for (size_t i = 0; texts && i < n; i++)
		buf_done(&texts[i]);
	free(texts);
	return r;
}

static int choose_files(const struct target *target, const struct tables *t,
	const struct depmodd *c, struct resolved *out)
{
	_cleanup_(freep) mod_row *head = ids_new(t->n.strings, ID_NONE);
	_cleanup_(freep) mod_row *next = ids_new(t->n.mods, ID_NONE);
	_cleanup_(freep) uint8_t *shared = calloc(t->n.strings + 1, 1);

	out->first_of = ids_new(t->n.mods, 0);
	out->idx = ids_new(t->n.mods, ID_NONE);
	out->row = ids_new(t->n.mods, ID_NONE);
	if (!head || !next || !shared || !out->first_of || !out->idx || !out->row)
		return -ENOMEM;
	for (mod_row r = 0; r < t->n.mods; r++) {
		str_id name = t->mods[r].name;

		shared[name] = head[name] != ID_NONE;
		next[r] = head[name];
		head[name] = r;
		out->first_of[r] = r;
	}
	for (str_id s = 0; s < t->n.strings; s++) {
		mod_row won;

		if (head[s] == ID_NONE)
			continue;
		won = head[s];
		if (shared[s] && winner(target, t, c, head[s], next, &won) < 0)
			return -ENOMEM;
		out->row[out->n++] = won; /* by name, for now */
		for (mod_row r = head[s]; shared[s] && r != ID_NONE; r = next[r])
			out->first_of[r] = won;
	}
	return 0;
}

/* --- order --- */

/* out->row is in order of names: distribute it over the buckets. */
static int base_order(const struct tables *t, struct resolved *out)
{
	_cleanup_(freep) uint32_t *bucket = ids_new(out->n, 0),
				  *sorted = ids_new(out->n, 0);
	uint32_t start[NAME_BUCKETS + 1] = {0};

	if (!bucket || !sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < out->n; i++) {
		str_id name = t->mods[out->row[i]].name;

		bucket[i] =
			kmod_hash(str_of(t, name), str_len(t, name)) & (NAME_BUCKETS - 1);
		start[bucket[i] + 1]++;
	}
	for (unsigned b = 0; b < NAME_BUCKETS; b++)
		start[b + 1] += start[b];
	for (uint32_t i = 0; i < out->n; i++)
		sorted[start[bucket[i]]++] = out->row[i];
	memcpy(out->row, sorted, out->n * sizeof(*sorted));
	return 0;
}

struct ordering {
	const struct tables *t;
	const struct resolved *out;
	uint32_t *listed; /* [row] -> place in the list, ID_NONE */
	uint32_t n_listed;
	char dir_path[4096]; /* the directory of the last line */
	size_t dir_len;
	dir_row dir;
};

/*
 * A line names a file without its compression suffix, as long as its module's name and
 * .ko.
 */
static bool names_file(const struct tables *t, mod_row r, const char *name, size_t len)
{
	const char *file = str_of(t, t->mods[r].file);

	return MIN(modname_len(file) + 3, str_len(t, t->mods[r].file)) == len &&
	       memcmp(file, name, len) == 0;
}

static mod_row find_listed(const struct ordering *o, const char *name, size_t len)
{
	const struct tables *t = o->t;
	mod_row lo = t->dirs[o->dir].first, end = t->dirs[o->dir + 1].first, hi = end;

	while (lo < hi) {
		mod_row mid = lo + (hi - lo) / 2;

		if (strncmp(str_of(t, t->mods[mid].file), name, len) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < end && strncmp(str_of(t, t->mods[lo].file), name, len) == 0; lo++)
		if (o->out->first_of[lo] == lo && names_file(t, lo, name, len))
			return lo;
	return ID_NONE;
}

static int order_line(void *arg, const char *line, size_t len)
{
	struct ordering *o = arg;
	const char *slash = len ? memrchr(line, '/', len) : NULL;
	size_t dir_len = slash ? (size_t)(slash - line) : 0;
	const char *name = slash ? slash + 1 : line;
	mod_row r;

	if (len >= sizeof(o->dir_path) || *line == '/')
		return 0;
	if (dir_len != o->dir_len || memcmp(o->dir_path, line, dir_len) != 0) {
		memcpy(o->dir_path, line, dir_len);
		o->dir_path[dir_len] = '\0';
		o->dir_len = dir_len;
		o->dir = tables_find_dir(o->t, o->dir_path);
	}
	if (o->dir == ID_NONE)
		return 0;
	r = find_listed(o, name, len - (size_t)(name - line));
	if (r != ID_NONE && o->listed[r] == ID_NONE)
		o->listed[r] = o->n_listed++;
	return 0;
}

/* The listed modules as they are listed, then the others in base order. */
static int apply_order(const struct target *target, const struct tables *t,
	const struct buf *order, struct resolved *out)
{
	_cleanup_(freep) uint32_t *listed = ids_new(t->n.mods, ID_NONE);
	_cleanup_(freep) uint32_t *sorted = ids_new(out->n, 0);
	struct ordering o = {.t = t, .out = out, .listed = listed};
	unsigned line = 0;
	uint32_t rest;

	if (!listed || !sorted)
		return -ENOMEM;
	o.dir = tables_find_dir(t, "");
	if (lists_order(order->data, order->len, order_line, &o, &line) == -EBADMSG) {
		report_event(target->report, .kind = EVENT_ORDER_CUT,
			.kver = target->kver, .path = "modules.order", .line = line);
		return 0;
	}
	rest = o.n_listed;
	for (uint32_t i = 0; i < out->n; i++) {
		mod_row r = out->row[i];

		sorted[listed[r] != ID_NONE ? listed[r] : rest++] = r;
	}
	memcpy(out->row, sorted, out->n * sizeof(*sorted));
	return 0;
}

/* --- symbols --- */

/* Strings that start with c, as a range of ids. */
static str_id first_with(const struct tables *t, unsigned char c)
{
	bool equal;
	char s = (char)c;

	return tables_find_str(t, &s, 1, &equal);
}

/*
 * The key of a string without its first character. Names of one range are unique without
 * it, too, so only the first n_others extra ones, of another range, can be the same.
 */
static sym_key key_behind(struct resolved *out, str_id s, uint32_t n_others)
{
	const char *rest = str_of(out->t, s) + 1;
	bool equal;
	str_id id = tables_find_str(out->t, rest, strlen(rest), &equal);

	if (equal)
		return id;
	for (uint32_t i = 0; i < n_others; i++)
		if (str_eq(out->extra[i], rest))
			return out->t->n.strings + i;
	out->extra[out->n_extra] = rest;
	return out->t->n.strings + out->n_extra++;
}

/*
 * A leading '.' is dropped when a symbol is looked up (the function descriptors of
 * ppc64), the prefix character of -P when it is looked up and when it is exported.
 */
static int symbol_keys(
	const struct target *target, struct resolved *out, sym_key **ret_add)
{
	const struct tables *t = out->t;
	unsigned char prefix = (unsigned char)target->symbol_prefix;
	str_id dot = first_with(t, '.'), dot_end = first_with(t, '.' + 1);
	str_id pre = prefix ? first_with(t, prefix) : 0;
	str_id pre_end = prefix == 0xff ? t->n.strings
			 : prefix       ? first_with(t, (unsigned char)(prefix + 1))
					: 0;
	uint32_t n_prefixed;
	sym_key *add;

	if (dot == dot_end && pre == pre_end)
		return 0;
	out->look = ids_new(t->n.strings, 0);
	add = *ret_add = ids_new(t->n.strings, 0);
	out->extra = calloc(
		(size_t)(pre_end - pre) + (dot_end - dot) + 1, sizeof(*out->extra));
	if (!out->look || !add || !out->extra)
		return -ENOMEM;
	for (str_id s = 0; s < t->n.strings; s++)
		out->look[s] = add[s] = s;
	for (str_id s = pre; s < pre_end; s++)
		out->look[s] = add[s] = key_behind(out, s, 0);
	n_prefixed = out->n_extra;
	for (str_id s = dot; s < dot_end; s++) {
		sym_key k = key_behind(out, s, n_prefixed);

		out->look[s] = k < t->n.strings ? out->look[k] : k;
	}
	return 0;
}

const char *resolved_key_name(const struct resolved *r, sym_key k)
{
	return k < r->t->n.strings ? str_of(r->t, k) : r->extra[k - r->t->n.strings];
}

/* The last module in index order that exports a symbol owns it. */
static int find_owners(const struct target *target, struct resolved *out)
{
	const struct tables *t = out->t;
	_cleanup_(freep) sym_key *add = NULL;
	int r = symbol_keys(target, out, &add);

	if (r < 0)
		return r;
	out->n_keys = t->n.strings + out->n_extra;
	out->owner = ids_new(out->n_keys, ID_NONE);
	out->owner_crc = ids_new(out->n_keys, 0);
	if (!out->owner || !out->owner_crc)
		return -ENOMEM;
	for (mod_idx i = 0; i < out->n; i++) {
		const struct mod *m = &t->mods[out->row[i]];

		for (uint32_t e = m->exports; e < m[1].exports; e++) {
			sym_key k = add ? add[t->exports[e].sym] : t->exports[e].sym;

			out->owner[k] = i;
			out->owner_crc[k] = t->exports[e].crc;
		}
	}
	return 0;
}

/* --- dependencies --- */

/*
 * Most needs are met by the kernel or by a module that is known already, which no
 * processor can predict: so each is written down, and stays if it is new. What no module
 * exports counts as exported by one more, which is known from the start.
 */
static int direct_deps(struct resolved *out)
{
	const struct tables *t = out->t;
	const mod_idx nobody = out->n;
	_cleanup_(freep) mod_idx *known_to = ids_new((size_t)out->n + 1, ID_NONE);
	_cleanup_(freep) mod_idx *pair_owner = ids_new(t->n.pairs, 0);
	struct buf direct = {0};

	out->direct_off = ids_new((size_t)out->n + 1, 0);
	if (!known_to || !pair_owner || !out->direct_off)
		return -ENOMEM;
	for (uint32_t p = 0; p < t->n.pairs; p++) {
		mod_idx owner = out->owner[resolved_look(out, t->pairs[p].sym)];

		pair_owner[p] = owner == ID_NONE ? nobody : owner;
	}
	for (mod_idx i = 0; i < out->n; i++) {
		const struct mod *m = &t->mods[out->row[i]];
		mod_idx *to = (mod_idx *)(void *)buf_reserve(
			&direct, (m[1].needs - m->needs + 1) * sizeof(*to));

		known_to[nobody] = i;
		for (uint32_t n = m->needs; n < m[1].needs && to; n++) {
			mod_idx d = pair_owner[NEED_PAIR(t->needs[n])];

			*to = d;
			to += known_to[d] != i;
			known_to[d] = i;
		}
		if (to)
			direct.len = (size_t)((char *)to - direct.data);
		out->direct_off[i + 1] = (uint32_t)vec_len(&direct, mod_idx);
	}
	out->direct = vec_data(&direct, mod_idx);
	return direct.err;
}

/*
 * Load order, last first: a module's rank is given when all its users have theirs.
 * Returns how many got one, all if there is no cycle; left[] is 0 for those. stack has
 * room for all.
 */
static uint32_t rank_modules(const struct resolved *r, uint32_t *rank, mod_idx *by_rank,
	uint32_t *left, mod_idx *stack)
{
	uint32_t top = 0, ranked = 0;

	for (uint32_t e = 0; e < r->direct_off[r->n]; e++)
		left[r->direct[e]]++;
	for (mod_idx i = 0; i < r->n; i++)
		if (left[i] == 0)
			stack[top++] = i;
	while (top > 0) {
		mod_idx i = stack[--top];
		struct id_range d = resolved_direct(r, i);

		by_rank[ranked] = i;
		rank[i] = ranked++;
		for (uint32_t k = 0; k < d.n; k++)
			if (--left[d.ids[k]] == 0)
				stack[top++] = d.ids[k];
	}
	return ranked;
}

static int rank_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void sort_ranks(uint32_t *v, uint32_t n)
{
	if (n > 64) {
		qsort(v, n, sizeof(*v), rank_cmp);
		return;
	}
	for (uint32_t i = 1; i < n; i++) {
		uint32_t x = v[i], j = i;

		for (; j > 0 && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
}

/* From the last rank up: all that a module needs is complete before the module. */
static int all_deps(struct resolved *out, const mod_idx *by_rank, const uint32_t *rank)
{
	_cleanup_(freep) uint32_t *start = ids_new((size_t)out->n + 1, 0);
	_cleanup_(freep) uint32_t *len = ids_new(out->n, 0),
				  *stamp = ids_new(out->n, ID_NONE);
	_cleanup_(buf_done) struct buf lists = {0}; /* of ranks */
	uint32_t at = 0;

	out->deps_off = ids_new((size_t)out->n + 1, 0);
	if (!start || !len || !stamp || !out->deps_off)
		return -ENOMEM;
	for (uint32_t k = out->n; k-- > 0;) {
		mod_idx i = by_rank[k];
		struct id_range d = resolved_direct(out, i);

		start[i] = (uint32_t)vec_len(&lists, uint32_t);
		for (uint32_t e = 0; e < d.n; e++) {
			uint32_t dep = d.ids[e], rk = rank[dep];

			if (stamp[rk] != i) {
				stamp[rk] = i;
				buf_add(&lists, &rk, sizeof(rk));
			}
			for (uint32_t j = 0; j < len[dep] && !lists.err; j++) {
				rk = vec_data(&lists, uint32_t)[start[dep] + j];
				if (stamp[rk] == i)
					continue;
				stamp[rk] = i;
				buf_add(&lists, &rk, sizeof(rk));
			}
		}
		if (lists.err)
			return lists.err;
		if (vec_len(&lists, uint32_t) > DEPS_MAX)
			return -E2BIG;
		len[i] = (uint32_t)vec_len(&lists, uint32_t) - start[i];
		sort_ranks(vec_data(&lists, uint32_t) + start[i], len[i]);
	}
	out->deps = ids_new(vec_len(&lists, uint32_t), 0);
	if (!out->deps)
		return -ENOMEM;
	for (mod_idx i = 0; i < out->n; i++) {
		out->deps_off[i] = at;
		for (uint32_t j = 0; j < len[i]; j++)
			out->deps[at++] =
				by_rank[vec_data(&lists, uint32_t)[start[i] + j]];
	}
	out->deps_off[out->n] = at;
	return 0;
}

/* --- cycles --- */

static void report_path(const struct target *target, const struct resolved *r,
	const mod_idx *path, uint32_t n)
{
	_cleanup_(buf_done) struct buf text = {0};

	for (uint32_t i = 0; i < n; i++)
		buf_printf(
			&text, "%s -> ", str_of(r->t, r->t->mods[r->row[path[i]]].name));
	buf_str(&text, str_of(r->t, r->t->mods[r->row[path[0]]].name));
	buf_char(&text, '\0');
	if (!text.err)
		report_event(target->report, .kind = EVENT_CYCLE, .kver = target->kver,
			.detail = text.data);
}

/*
 * Depth first from root over modules that are in or between cycles; each way back to root
 * is reported, and its modules are no roots any more. Returns how many were new in a
 * cycle.
 */
static uint32_t cycles_from(const struct target *target, const struct resolved *r,
	const uint32_t *left, mod_idx root, uint8_t *in_cycle, uint8_t *seen,
	mod_idx *path, uint32_t *next)
{
	uint32_t depth = 0, found = 0;

	memset(seen, 0, r->n);
	path[0] = root;
	next[0] = 0;
	for (;;) {
		struct id_range d = resolved_direct(r, path[depth]);
		mod_idx to;

		if (next[depth] == d.n) {
			if (depth-- == 0)
				return found;
			continue;
		}
		to = d.ids[d.n - 1 - next[depth]++];
		if (to == root) {
			report_path(target, r, path, depth + 1);
			for (uint32_t i = 0; i <= depth; i++) {
				found += !in_cycle[path[i]];
				in_cycle[path[i]] = 1;
			}
		} else if (left[to] && !seen[to]) {
			seen[to] = 1;
			path[++depth] = to;
			next[depth] = 0;
		}
	}
}

static int report_cycles(
	const struct target *target, const struct resolved *r, const uint32_t *left)
{
	_cleanup_(freep) uint8_t *in_cycle = calloc(r->n + 1, 1),
				 *seen = calloc(r->n + 1, 1);
	_cleanup_(freep) mod_idx *path = ids_new((size_t)r->n + 1, 0);
	_cleanup_(freep) uint32_t *next = ids_new((size_t)r->n + 1, 0);
	uint32_t found = 0;

	if (!in_cycle || !seen || !path || !next)
		return -ENOMEM;
	for (mod_idx i = 0; i < r->n; i++)
		if (left[i] && !in_cycle[i])
			found += cycles_from(
				target, r, left, i, in_cycle, seen, path, next);
	report_event(target->report, .kind = EVENT_CYCLES, .kver = target->kver,
		.number = found);
	return RESOLVE_CYCLE;
}

static int order_deps(const struct target *target, struct resolved *out)
{
	_cleanup_(freep) uint32_t *rank = ids_new(out->n, 0), *left = ids_new(out->n, 0);
	_cleanup_(freep) mod_idx *by_rank = ids_new(out->n, 0),
				 *stack = ids_new(out->n, 0);

	if (!rank || !left || !by_rank || !stack)
		return -ENOMEM;
	if (rank_modules(out, rank, by_rank, left, stack) < out->n)
		return report_cycles(target, out, left);
	return all_deps(out, by_rank, rank);
}

int resolve(const struct target *target, const struct tables *t, const struct depmodd *c,
	const struct buf *order, struct resolved *ret)
{
	int r;

	*ret = (struct resolved){.t = t};
	r = choose_files(target, t, c, ret);
	if (r == 0)
		r = base_order(t, ret);
	if (r == 0 && order)
		r = apply_order(target, t, order, ret);
	for (mod_idx i = 0; r == 0 && i < ret->n; i++)
		ret->idx[ret->row[i]] = i;
	if (r == 0)
		r = find_owners(target, ret);
	if (r == 0)
		r = direct_deps(ret);
	if (r == 0)
		r = order_deps(target, ret);
	return r;
}

void resolved_done(struct resolved *r)
{
	free(r->row);
	free(r->idx);
	free(r->first_of);
	free(r->extra);
	free(r->owner);
	free(r->owner_crc);
	free(r->look);
	free(r->direct_off);
	free(r->direct);
	free(r->deps_off);
	free(r->deps);
	*r = (struct resolved){0};
}
