// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "Before" is what the published modules.dep says: that is what modprobe knows. The facts
 * store tells apart a file that is new from one that was there and hidden, and which
 * symbols could be found.
 */

#include <fcntl.h>

#include "formats/modname.h"
#include "program/plan.h"

#define DEP_MAX ((size_t)1 << 30)

struct line {
	const char *path;
	const char *deps; /* behind "PATH: ", or "" */
};

struct planning {
	const struct target *t;
	const struct update *u;
	struct plan *p;
	struct line *lines; /* of the old modules.dep, by path */
	size_t n_lines;
	const char **paths; /* [row]: of the new table */
};

int plan_read_before(const struct target *t, struct buf *ret)
{
	_cleanup_(closep) int dir = update_open_outdir(t, false);
	_cleanup_(closep) int fd =
		dir < 0 ? -1
			: openat(dir, output_names[OUT_DEP],
				  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && fs_read_all(fd, DEP_MAX, ret) == -ENOMEM)
		return -ENOMEM;
	buf_char(ret, '\0');
	return ret->err;
}

static int line_cmp(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->path, ((const struct line *)b)->path);
}

/* Cut a copy of modules.dep into lines. */
static int parse_before(struct planning *pl, const struct buf *before)
{
	char *text = arena_strdup(&pl->p->mem, before->data, before->len - 1);
	struct buf lines = {0};

	if (!text)
		return -ENOMEM;
	for (char *next; *text; text = next) {
		struct line l = {.path = text, .deps = ""};
		char *colon;

		next = text + strcspn(text, "\n");
		if (*next)
			*next++ = '\0';
		colon = strchr(text, ':');
		if (!colon)
			continue;
		*colon = '\0';
		if (colon[1] == ' ')
			l.deps = colon + 2;
		buf_add(&lines, &l, sizeof(l));
	}
	pl->lines = vec_data(&lines, struct line);
	pl->n_lines = vec_len(&lines, struct line);
	if (pl->n_lines)
		qsort(pl->lines, pl->n_lines, sizeof(*pl->lines), line_cmp);
	return lines.err;
}

static const struct line *find_line(const struct planning *pl, const char *path)
{
	struct line key = {.path = path};

	return pl->n_lines ? bsearch(&key, pl->lines, pl->n_lines, sizeof(*pl->lines),
				     line_cmp)
			   : NULL;
}

static const char *path_of(struct planning *pl, const struct tables *t, mod_row m)
{
	struct buf b = {0};
	const char *copy = NULL;

	tables_path(t, m, &b);
	if (!b.err)
		copy = arena_strdup(&pl->p->mem, b.data, b.len);
	buf_done(&b);
	return copy;
}

static int list_paths(struct planning *pl)
{
	pl->paths = arena_alloc(&pl->p->mem, (pl->u->t.n.mods + 1) * sizeof(*pl->paths));
	for (mod_row m = 0; pl->paths && m < pl->u->t.n.mods; m++) {
		pl->paths[m] = path_of(pl, &pl->u->t, m);
		if (!pl->paths[m])
			return -ENOMEM;
	}
	return pl->paths ? 0 : -ENOMEM;
}

static void add_module(
	struct buf *list, const char *name, const char *path, const char *by)
{
	struct plan_module m = {name, path, by};

	buf_add(list, &m, sizeof(m));
}

/* A row of the old table by path, or ID_NONE. */
static mod_row old_row(const struct planning *pl, mod_row m)
{
	const struct tables *t = &pl->u->t, *old = &pl->u->store.t;
	dir_row d;

	if (!pl->u->store.head)
		return ID_NONE;
	d = tables_find_dir(old, str_of(t, t->dirs[t->mods[m].dir].path));
	return d == ID_NONE ? ID_NONE
			    : tables_find_mod(old, d, str_of(t, t->mods[m].file));
}

/* --- are the facts of two rows the same? --- */

static bool same_str(const struct tables *a, str_id x, const struct tables *b, str_id y)
{
	if (x == ID_NONE || y == ID_NONE)
		return x == y;
	return str_eq(str_of(a, x), str_of(b, y));
}

static bool same_facts(
	const struct tables *a, mod_row x, const struct tables *b, mod_row y)
{
	const struct mod *m = &a->mods[x], *n = &b->mods[y];
	bool same = m->status == n->status && same_str(a, m->vermagic, b, n->vermagic) &&
		    same_str(a, m->devnode, b, n->devnode) &&
		    m[1].exports - m->exports == n[1].exports - n->exports &&
		    m[1].needs - m->needs == n[1].needs - n->needs &&
		    m[1].values - m->values == n[1].values - n->values &&
		    m->softdeps - m->values == n->softdeps - n->values &&
		    m->weakdeps - m->values == n->weakdeps - n->values;

	for (uint32_t i = 0; same && i < m[1].exports - m->exports; i++) {
		struct sym_crc p = a->exports[m->exports + i],
			       q = b->exports[n->exports + i];

		same = p.crc == q.crc && same_str(a, p.sym, b, q.sym);
	}
	for (uint32_t i = 0; same && i < m[1].needs - m->needs; i++) {
		uint32_t k = a->needs[m->needs + i], l = b->needs[n->needs + i];
		struct sym_crc p = a->pairs[NEED_PAIR(k)], q = b->pairs[NEED_PAIR(l)];

		same = (k & NEED_WEAK) == (l & NEED_WEAK) && p.crc == q.crc &&
		       same_str(a, p.sym, b, q.sym);
	}
	for (uint32_t i = 0; same && i < m[1].values - m->values; i++)
		same = same_str(a, a->values[m->values + i], b, b->values[n->values + i]);
	return same;
}

bool plan_rows_differ(
	const struct tables *t, mod_row m, const struct tables *o, mod_row old)
{
	const struct mod *a = &t->mods[m], *b = &o->mods[old];

	if ((a->flags & b->flags & ROW_COMPRESSED))
		return !digest_eq(a->digest, b->digest);
	return a->stamp.size != b->stamp.size || a->stamp.mtime != b->stamp.mtime ||
	       !same_facts(t, m, o, old);
}

/* --- modules --- */

/* Was a file there before, and another one of its name, too? */
static bool was_hidden(const struct planning *pl, mod_row old)
{
	const struct tables *t = &pl->u->store.t;
	unsigned of_name = 0;

	for (mod_row m = 0; old != ID_NONE && m < t->n.mods; m++)
		of_name += t->mods[m].name == t->mods[old].name;
	return of_name > 1;
}

static void compare_present(struct planning *pl)
{
	const struct update *u = pl->u;

	for (mod_row m = 0; m < u->t.n.mods; m++) {
		const char *name = str_of(&u->t, u->t.mods[m].name), *path = pl->paths[m];
		bool listed = find_line(pl, path) != NULL, wins = u->r.idx[m] != ID_NONE;
		mod_row old = old_row(pl, m);

		if (wins && !listed)
			add_module(was_hidden(pl, old) ? &pl->p->unhidden : &pl->p->added,
				name, path, NULL);
		else if (!wins && (listed || old == ID_NONE))
			add_module(
				&pl->p->hidden, name, path, pl->paths[u->r.first_of[m]]);
		else if (wins && old != ID_NONE &&
			 plan_rows_differ(&u->t, m, &u->store.t, old))
			add_module(&pl->p->changed, name, path, NULL);
	}
}

static int path_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int find_removed(struct planning *pl)
{
	uint32_t n = pl->u->t.n.mods;
	const char **sorted = arena_alloc(&pl->p->mem, (n + 1) * sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, pl->paths, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), path_cmp);
	for (size_t i = 0; i < pl->n_lines; i++) {
		const char *path = pl->lines[i].path, *slash = strrchr(path, '/');
		const char *file = slash ? slash + 1 : path;
		char *name;

		if (bsearch(&path, sorted, n, sizeof(*sorted), path_cmp))
			continue;
		name = arena_alloc(&pl->p->mem, strlen(file) + 1);
		if (!name)
			return -ENOMEM;
		modname_copy(name, file);
		add_module(&pl->p->removed, name, path, NULL);
	}
	return 0;
}

static int compare_dependencies(struct planning *pl)
{
	const struct update *u = pl->u;

	for (mod_idx i = 0; i < u->r.n; i++) {
		const struct line *l = find_line(pl, pl->paths[u->r.row[i]]);
		struct id_range deps = resolved_deps(&u->r, i);
		_cleanup_(buf_done) struct buf now = {0};
		struct plan_dependency d;

		if (!l)
			continue;
		for (uint32_t k = 0; k < deps.n; k++) {
			if (k)
				buf_char(&now, ' ');
			buf_str(&now, pl->paths[u->r.row[deps.ids[k]]]);
		}
		buf_char(&now, '\0');
		if (now.err)
			return now.err;
		if (str_eq(now.data, l->deps))
			continue;
		d = (struct plan_dependency){pl->paths[u->r.row[i]], l->deps,
			arena_strdup(&pl->p->mem, now.data, now.len - 1)};
		if (!d.after)
			return -ENOMEM;
		buf_add(&pl->p->dependencies, &d, sizeof(d));
	}
	return 0;
}

/* --- symbols --- */

/* How a need fared before: the remembered facts, resolved as they would be now. */
struct old_state {
	bool known;
	struct resolved r;
	struct buf problems; /* struct problem */
};

static void no_event(void *arg, const struct event *e)
{
	(void)arg;
	(void)e;
}

static int resolve_old(
	struct planning *pl, const struct vmlinux *check, struct old_state *old)
{
	static const struct report silent = {.event = no_event};
	const struct update *u = pl->u;
	struct target t = *pl->t;
	int r;

	if (!u->store.head)
		return 0;
	t.report = &silent;
	r = resolve(
		&t, &u->store.t, &u->config, u->order_err ? NULL : &u->order, &old->r);
	if (r < 0)
		return r;
	old->known = true;
	return check ? check_symbols(&old->r, check, &old->problems) : 0;
}

static void add_symbol(
	struct planning *pl, mod_idx mod, str_id sym, const struct problem *p)
{
	struct plan_symbol s = {
		.path = pl->paths[pl->u->r.row[mod]], .symbol = str_of(&pl->u->t, sym)};

	if (p) {
		s.crc = p->crc;
		s.want = p->want;
		s.have = p->have;
	}
	buf_add(&pl->p->symbols, &s, sizeof(s));
}

/* A problem by what it is about, wherever the module's file is. */
static uint64_t problem_key(const struct resolved *r, const struct problem *p)
{
	const struct tables *t = r->t;
	str_id name = t->mods[r->row[p->mod]].name;
	struct digest d = digest_join(digest_bytes(str_of(t, name), str_len(t, name)),
		digest_bytes(str_of(t, p->sym), str_len(t, p->sym)));

	return (d.lo & ~(uint64_t)1) | p->crc;
}

static int key_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int compare_problems(struct planning *pl, const struct old_state *old)
{
	const struct problem *p = vec_data(&old->problems, struct problem);
	size_t n = vec_len(&old->problems, struct problem);
	_cleanup_(freep) uint64_t *before = calloc(n + 1, sizeof(*before));

	if (!before)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		before[i] = problem_key(&old->r, &p[i]);
	qsort(before, n, sizeof(*before), key_cmp);
	p = vec_data(&pl->u->problems, struct problem);
	for (size_t i = 0; i < vec_len(&pl->u->problems, struct problem); i++, p++) {
		uint64_t key = problem_key(&pl->u->r, p);

		if (!bsearch(&key, before, n, sizeof(key), key_cmp))
			add_symbol(pl, p->mod, p->sym, p);
	}
	return 0;
}

/* Could a module meet this need before, and none can now, or only with another CRC? */
static bool is_lost(const struct resolved *before, const struct resolved *now,
	struct sym_crc want, struct problem *ret)
{
	const char *name = str_of(now->t, want.sym);
	sym_key key = resolved_look(now, want.sym);
	bool equal;
	str_id o;

	*ret = (struct problem){.want = want.crc,
		.crc = now->owner[key] != ID_NONE,
		.have = now->owner_crc[key]};
	if (ret->crc && (!want.crc || ret->have == want.crc))
		return false;
	o = tables_find_str(before->t, name, str_len(now->t, want.sym), &equal);
	if (!equal)
		return false;
	key = resolved_look(before, o);
	return before->owner[key] != ID_NONE &&
	       (!ret->crc || before->owner_crc[key] == want.crc);
}

/*
 * Without a list of the kernel's symbols: what a module had and none has now. Modules
 * share most of their needs, so each pair is looked at once.
 */
static int find_lost(struct planning *pl, const struct old_state *old)
{
	const struct resolved *r = &pl->u->r;
	const struct tables *t = &pl->u->t;
	_cleanup_(freep) uint8_t *lost = calloc((size_t)t->n.pairs + 1, 1);
	struct problem p;

	if (!lost)
		return -ENOMEM;
	for (uint32_t k = 0; old->known && k < t->n.pairs; k++)
		lost[k] = is_lost(&old->r, r, t->pairs[k], &p);
	for (mod_idx i = 0; i < r->n; i++) {
		const struct mod *m = &t->mods[r->row[i]];

		for (uint32_t n = m->needs; n < m[1].needs; n++) {
			uint32_t k = NEED_PAIR(t->needs[n]);

			if (lost[k] && !(t->needs[n] & NEED_WEAK) &&
				is_lost(&old->r, r, t->pairs[k], &p))
				add_symbol(pl, i, t->pairs[k].sym, &p);
		}
	}
	return 0;
}

static int compare_symbols(struct planning *pl, const struct vmlinux *check)
{
	struct old_state old = {0};
	int r = resolve_old(pl, check, &old);

	if (r >= 0 && check)
		r = compare_problems(pl, &old);
	else if (r >= 0)
		r = find_lost(pl, &old);
	resolved_done(&old.r);
	buf_done(&old.problems);
	return r < 0 ? r : pl->p->symbols.err;
}

/* Lists are appended to freely: did any lack memory? */
static int plan_error(const struct plan *p)
{
	const struct buf *all[] = {&p->added, &p->removed, &p->changed, &p->hidden,
		&p->unhidden, &p->dependencies, &p->symbols};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->err)
			return all[i]->err;
	return 0;
}

int plan_make(const struct target *t, const struct update *u, const struct buf *before,
	const struct vmlinux *check, struct plan *ret)
{
	struct planning pl = {.t = t, .u = u, .p = ret};
	int r;

	*ret = (struct plan){0};
	if (!u->resolved_valid)
		return 0; /* nothing to do: nothing changes */
	r = parse_before(&pl, before);
	if (r == 0)
		r = list_paths(&pl);
	if (r == 0) {
		compare_present(&pl);
		r = find_removed(&pl);
	}
	if (r == 0)
		r = compare_dependencies(&pl);
	if (r == 0)
		r = compare_symbols(&pl, check);
	if (r == 0)
		r = plan_error(ret);
	free(pl.lines);
	return r;
}

void plan_done(struct plan *p)
{
	buf_done(&p->added);
	buf_done(&p->removed);
	buf_done(&p->changed);
	buf_done(&p->hidden);
	buf_done(&p->unhidden);
	buf_done(&p->dependencies);
	buf_done(&p->symbols);
	arena_done(&p->mem);
}
