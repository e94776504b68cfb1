// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rows of the two tables are tied by their paths, which the overlay knows; a module of
 * the tree that is in both has the same needs in the same order in both, so that a need
 * that fares worse is found by walking both lists at once.
 *
 * A symbol that no module exports is the kernel's own: looked up in Module.symvers if
 * there is one. Otherwise the kernel's other modules testify: they were built for it, so
 * what they need of it is there, with the CRC that they need it with.
 */

#include <stdarg.h>
#include <stdio.h>

#include "formats/lists.h"
#include "formats/modname.h"
#include "program/forecast.h"
#include "program/plan.h"

const char *const change_names[CHANGE_MAX] = {
	[CHANGE_ADDED] = "added",
	[CHANGE_REMOVED] = "removed",
	[CHANGE_CHANGED] = "changed",
	[CHANGE_HIDDEN] = "hidden",
	[CHANGE_UNHIDDEN] = "unhidden",
};

const char *const problem_names[PROBLEM_MAX] = {
	[PROBLEM_UNKNOWN] = "unknown-symbol",
	[PROBLEM_CRC] = "crc-mismatch",
	[PROBLEM_VERMAGIC] = "vermagic",
	[PROBLEM_MODULE] = "unreadable",
	[PROBLEM_COMPRESSION] = "compression",
	[PROBLEM_FILE] = "same-file",
	[PROBLEM_NAME] = "same-name",
	[PROBLEM_EXPORT] = "same-symbol",
	[PROBLEM_SOFTDEP] = "softdep",
	[PROBLEM_HIDDEN] = "hidden",
	[PROBLEM_CYCLE] = "cycle",
	[PROBLEM_UNCHECKED] = "unchecked-symbol",
};

/* --- small helpers --- */

static const char *format(struct forecast *f, const char *fmt, ...) _printf_(2, 3);
static const char *format(struct forecast *f, const char *fmt, ...)
{
	char text[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return arena_strdup(&f->mem, text, strlen(text));
}

static const struct package_file *file_of(const struct forecast *f, mod_row row)
{
	uint32_t o = f->over.origin[row];

	return o == ID_NONE ? NULL
			    : &vec_data(&f->packages->files,
				      struct package_file)[f->file_of[o]];
}

const struct package *forecast_package(const struct forecast *f, mod_row row)
{
	const struct package_file *file = file_of(f, row);

	return file ? package_of(f->packages, file->package) : NULL;
}

static const char *label_of(const struct forecast *f, mod_row row)
{
	const struct package *p = forecast_package(f, row);

	return p ? package_label(p) : NULL;
}

static const char *name_of(const struct tables *t, mod_row row)
{
	return str_of(t, t->mods[row].name);
}

static bool wins(const struct resolved *r, mod_row row)
{
	return r->idx[row] != ID_NONE;
}

static void trouble(struct forecast *f, enum problem_kind kind, bool breaks, mod_row row,
	struct trouble t)
{
	t.kind = kind;
	t.breaks = breaks;
	if (row != ID_NONE) {
		t.path = f->paths[row];
		t.package = label_of(f, row);
	}
	buf_add(&f->troubles, &t, sizeof(t));
}

/* --- setting up --- */

static const char **list_paths(struct forecast *f, const struct tables *t)
{
	const char **paths =
		arena_alloc(&f->mem, ((size_t)t->n.mods + 1) * sizeof(*paths));
	_cleanup_(buf_done) struct buf b = {0};

	for (mod_row m = 0; paths && m < t->n.mods; m++) {
		b.len = 0;
		tables_path(t, m, &b);
		paths[m] = b.err ? NULL : arena_strdup(&f->mem, b.data, b.len);
		if (!paths[m])
			return NULL;
	}
	return paths;
}

static void no_event(void *arg, const struct event *e)
{
	(void)arg;
	(void)e;
}

int forecast_resolve(struct forecast *f)
{
	static const struct report silent = {.event = no_event};
	struct target quiet = *f->t;
	int r;

	quiet.report = &silent;
	f->paths = list_paths(f, &f->over.t);
	f->old_paths = list_paths(f, f->before);
	f->row_of_old =
		arena_alloc(&f->mem, ((size_t)f->before->n.mods + 1) * sizeof(mod_row));
	if (!f->paths || !f->old_paths || !f->row_of_old)
		return -ENOMEM;
	memset(f->row_of_old, 0xff, f->before->n.mods * sizeof(mod_row));
	for (mod_row m = 0; m < f->over.t.n.mods; m++)
		if (f->over.base[m] != ID_NONE)
			f->row_of_old[f->over.base[m]] = m;
	r = resolve(&quiet, f->before, f->config_before, f->order_before, &f->was);
	if (r < 0)
		return r;
	r = resolve(f->t, &f->over.t, f->config, f->order, &f->is);
	f->cycle = r == RESOLVE_CYCLE;
	return MIN(r, 0);
}

/* --- modules --- */

const char *forecast_rule(struct forecast *f, mod_row won, mod_row lost)
{
	const char *rule, *words = NULL;
	int forward = resolve_replaces(f->t, &f->over.t, f->config, won, lost, &rule);

	if (forward > 0 && rule)
		words = rule;
	else if (resolve_replaces(f->t, &f->over.t, f->config, lost, won, &rule) == 0 &&
		 rule)
		words = rule;
	if (!words)
		return NULL;
	for (size_t i = 0; i < f->config->n_override; i++)
		if (f->config->override[i] == words)
			return format(f, "override %s", words);
	return format(f, "search %s", words);
}

static void add_change(
	struct forecast *f, enum change_kind kind, mod_row row, struct change c)
{
	c.kind = kind;
	if (row != ID_NONE) {
		c.name = name_of(&f->over.t, row);
		c.path = f->paths[row];
		c.package = label_of(f, row);
	}
	buf_add(&f->changes, &c, sizeof(c));
}

/* Who won before, of the name of a row that wins now, if that was another file. */
static mod_row former_winner(const struct forecast *f, mod_row row)
{
	const char *name = name_of(&f->over.t, row);

	for (mod_idx i = 0; i < f->was.n; i++)
		if (str_eq(name_of(f->before, f->was.row[i]), name))
			return f->was.row[i];
	return ID_NONE;
}

static void compare_winner(struct forecast *f, mod_row row)
{
	mod_row old = f->over.base[row];

	if (old == ID_NONE) {
		add_change(f, CHANGE_ADDED, row, (struct change){0});
	} else if (!wins(&f->was, old)) {
		mod_row former = former_winner(f, row);

		add_change(f, CHANGE_UNHIDDEN, row,
			(struct change){
				.by = former == ID_NONE ? NULL : f->old_paths[former]});
	} else if (f->over.origin[row] != ID_NONE &&
		   plan_rows_differ(&f->over.t, row, f->before, old)) {
		add_change(f, CHANGE_CHANGED, row, (struct change){0});
	}
}

static void compare_loser(struct forecast *f, mod_row row)
{
	mod_row old = f->over.base[row], by = f->is.first_of[row];
	struct change c = {.by = f->paths[by], .rule = forecast_rule(f, by, row)};

	if (old != ID_NONE && !wins(&f->was, old))
		return; /* it was hidden already */
	add_change(f, CHANGE_HIDDEN, row, c);
	if (f->over.origin[row] != ID_NONE && f->over.origin[by] == ID_NONE)
		trouble(f, PROBLEM_HIDDEN, true, row,
			(struct trouble){.subject = c.by,
				.hint = c.rule ? c.rule : "of equal rank"});
}

static int change_cmp(const void *pa, const void *pb)
{
	const struct change *a = pa, *b = pb;
	int c = (a->kind > b->kind) - (a->kind < b->kind);

	return c ? c : strcmp(a->path, b->path);
}

static void compare_modules(struct forecast *f)
{
	for (mod_row m = 0; m < f->over.t.n.mods; m++) {
		if (wins(&f->is, m))
			compare_winner(f, m);
		else
			compare_loser(f, m);
	}
	for (mod_row m = 0; m < f->before->n.mods; m++)
		if (f->row_of_old[m] == ID_NONE)
			add_change(f, CHANGE_REMOVED, ID_NONE,
				(struct change){.name = name_of(f->before, m),
					.path = f->old_paths[m]});
	if (f->changes.len)
		qsort(f->changes.data, vec_len(&f->changes, struct change),
			sizeof(struct change), change_cmp);
}

/* A dependency line, as modules.dep has it. */
static const char *line_of(
	struct forecast *f, const struct resolved *r, const char **paths, mod_row row)
{
	struct id_range deps = resolved_deps(r, r->idx[row]);
	struct buf b = {0};
	const char *copy;

	for (uint32_t i = 0; i < deps.n; i++)
		buf_printf(&b, "%s%s", i ? " " : "", paths[r->row[deps.ids[i]]]);
	copy = b.err ? NULL : arena_strdup(&f->mem, b.data ? b.data : "", b.len);
	buf_done(&b);
	return copy;
}

static bool same_line(const struct forecast *f, mod_row row, mod_row old)
{
	struct id_range a = resolved_deps(&f->is, f->is.idx[row]);
	struct id_range b = resolved_deps(&f->was, f->was.idx[old]);

	if (a.n != b.n)
		return false;
	for (uint32_t i = 0; i < a.n; i++)
		if (f->over.base[f->is.row[a.ids[i]]] != f->was.row[b.ids[i]])
			return false;
	return true;
}

static int compare_lines(struct forecast *f)
{
	for (mod_idx i = 0; i < f->is.n; i++) {
		mod_row row = f->is.row[i], old = f->over.base[row];
		struct line_change c = {.path = f->paths[row]};

		if (old == ID_NONE || !wins(&f->was, old) || same_line(f, row, old))
			continue;
		c.before = line_of(f, &f->was, f->old_paths, old);
		c.after = line_of(f, &f->is, f->paths, row);
		if (!c.before || !c.after)
			return -ENOMEM;
		buf_add(&f->lines, &c, sizeof(c));
	}
	return f->lines.err;
}

/* --- symbols --- */

/*
 * What the kernel's own modules need of it: [string of before] the CRC, and who says so.
 */
struct testimony {
	mod_row *who; /* ID_NONE: nobody */
	uint32_t *crc;
};

static int hear(const struct forecast *f, struct testimony *w)
{
	const struct tables *t = f->before;

	w->who = malloc(((size_t)t->n.strings + 1) * sizeof(*w->who));
	w->crc = malloc(((size_t)t->n.strings + 1) * sizeof(*w->crc));
	if (!w->who || !w->crc)
		return -ENOMEM;
	memset(w->who, 0xff, t->n.strings * sizeof(*w->who));
	for (mod_idx i = 0; i < f->was.n; i++) {
		mod_row row = f->was.row[i];
		const struct mod *m = &t->mods[row];

		/* what somebody added to the kernel is no witness */
		if (!str_starts(f->old_paths[row], "kernel/"))
			continue;
		for (uint32_t n = m->needs; n < m[1].needs; n++) {
			struct sym_crc p = t->pairs[NEED_PAIR(t->needs[n])];

			if (w->who[p.sym] != ID_NONE || (t->needs[n] & NEED_WEAK))
				continue;
			w->who[p.sym] = row;
			w->crc[p.sym] = p.crc;
		}
	}
	return 0;
}

/* Another file that exports a symbol: hidden, or taken away. */
static const char *candidate(struct forecast *f, const char *sym)
{
	const struct tables *tables[] = {&f->over.t, f->before};
	size_t len = strlen(sym);

	for (unsigned k = 0; k < 2; k++) {
		const struct tables *t = tables[k];
		bool equal;
		str_id id = tables_find_str(t, sym, len, &equal);

		for (mod_row m = 0; equal && m < t->n.mods; m++) {
			if (k == 0 ? wins(&f->is, m) : f->row_of_old[m] != ID_NONE)
				continue;
			for (uint32_t e = t->mods[m].exports; e < t->mods[m + 1].exports;
				e++)
				if (t->exports[e].sym == id)
					return k ? format(f, "'%s' has it, and goes",
							   f->old_paths[m])
						 : format(f,
							   "'%s' has it, and is hidden "
							   "by '%s'",
							   f->paths[m],
							   f->paths[f->is.first_of[m]]);
		}
	}
	return NULL;
}

static const char *hex(struct forecast *f, uint32_t crc)
{
	return format(f, "0x%08x", crc);
}

static void crc_trouble(struct forecast *f, mod_row row, const char *sym, uint32_t want,
	uint32_t have, const char *where)
{
	if (want && have && want != have)
		trouble(f, PROBLEM_CRC, true, row,
			(struct trouble){.subject = sym,
				.wanted = hex(f, want),
				.found = hex(f, have),
				.found_in = where});
}

/* A symbol that no module exports. */
static void check_kernel_symbol(struct forecast *f, const struct testimony *w,
	mod_row row, const char *sym, uint32_t want)
{
	const struct vmlinux_symbol *v = kernelinfo_symbol(f->info, sym);
	const char *list = f->info->vmlinux_path;
	bool known;
	str_id id = tables_find_str(f->before, sym, strlen(sym), &known);

	known = known && w->who[id] != ID_NONE;
	if (v && f->info->vmlinux.has_crcs) {
		crc_trouble(f, row, sym, want, v->crc, list);
	} else if (v || (known && !list)) {
		/*
		 * provided by the kernel, as far as is known; others say with which CRC
		 */
		if (known)
			crc_trouble(
				f, row, sym, want, w->crc[id], f->old_paths[w->who[id]]);
	} else if (list || candidate(f, sym)) {
		trouble(f, PROBLEM_UNKNOWN, true, row,
			(struct trouble){.subject = sym, .hint = candidate(f, sym)});
	} else if (!str_eq(sym, "__this_module")) {
		f->unchecked++;
		trouble(f, PROBLEM_UNCHECKED, false, row,
			(struct trouble){.subject = sym});
	}
}

static void check_need(
	struct forecast *f, const struct testimony *w, mod_row row, uint32_t need)
{
	const struct tables *t = &f->over.t;
	struct sym_crc p = t->pairs[NEED_PAIR(need)];
	sym_key k = resolved_look(&f->is, p.sym);

	if (need & NEED_WEAK)
		return;
	if (f->is.owner[k] == ID_NONE)
		check_kernel_symbol(f, w, row, str_of(t, p.sym), p.crc);
	else
		crc_trouble(f, row, str_of(t, p.sym), p.crc, f->is.owner_crc[k],
			f->paths[f->is.row[f->is.owner[k]]]);
}

/* Does a need of an untouched module fare worse than before? */
static bool fares_worse(const struct forecast *f, uint32_t need, uint32_t old_need)
{
	struct sym_crc p = f->over.t.pairs[NEED_PAIR(need)];
	sym_key now = resolved_look(&f->is, p.sym);
	sym_key then = resolved_look(&f->was, f->before->pairs[NEED_PAIR(old_need)].sym);

	if (f->was.owner[then] == ID_NONE)
		return f->is.owner[now] != ID_NONE && f->is.owner_crc[now] != p.crc;
	return f->is.owner[now] == ID_NONE ||
	       (f->is.owner_crc[now] != p.crc && f->was.owner_crc[then] == p.crc);
}

/*
 * A symbol that some module had and none has any more. The kernel might, after a rename.
 */
static void check_lost(
	struct forecast *f, const struct testimony *w, mod_row row, uint32_t need)
{
	struct sym_crc p = f->over.t.pairs[NEED_PAIR(need)];
	const char *sym = str_of(&f->over.t, p.sym);

	if (need & NEED_WEAK)
		return;
	if (f->is.owner[resolved_look(&f->is, p.sym)] == ID_NONE &&
		!kernelinfo_symbol(f->info, sym))
		trouble(f, PROBLEM_UNKNOWN, true, row,
			(struct trouble){.subject = sym, .hint = candidate(f, sym)});
	else
		check_need(f, w, row, need);
}

/* Is this module's file another one than before? */
static bool is_new(const struct forecast *f, mod_row row)
{
	mod_row old = f->over.base[row];

	return f->over.origin[row] != ID_NONE || old == ID_NONE || !wins(&f->was, old);
}

static int check_symbols_of_all(struct forecast *f)
{
	struct testimony w = {0};
	int r = hear(f, &w);

	for (mod_idx i = 0; r == 0 && i < f->is.n; i++) {
		mod_row row = f->is.row[i], old = f->over.base[row];
		const struct mod *m = &f->over.t.mods[row];
		bool fresh = is_new(f, row);

		for (uint32_t n = m->needs; n < m[1].needs; n++) {
			uint32_t need = f->over.t.needs[n];

			if (fresh)
				check_need(f, &w, row, need);
			else if (fares_worse(f, need,
					 f->before->needs[f->before->mods[old].needs + n -
							  m->needs]))
				check_lost(f, &w, row, need);
		}
	}
	free(w.who);
	free(w.crc);
	return r;
}

/* The kernel refuses a module that exports what is exported already. */
static int check_exports(struct forecast *f)
{
	const struct tables *t = &f->over.t;
	_cleanup_(freep) mod_row *first =
		malloc(((size_t)t->n.strings + 1) * sizeof(*first));

	if (!first)
		return -ENOMEM;
	memset(first, 0xff, t->n.strings * sizeof(*first));
	/* the tree's own first: it is the newcomer who is to blame */
	for (int fresh = 0; fresh < 2; fresh++)
		for (mod_idx i = 0; i < f->is.n; i++) {
			mod_row row = f->is.row[i];

			if (is_new(f, row) != fresh)
				continue;
			for (uint32_t e = t->mods[row].exports;
				e < t->mods[row + 1].exports; e++) {
				str_id sym = t->exports[e].sym;
				const char *name = str_of(t, sym);

				if (fresh && first[sym] != ID_NONE && first[sym] != row)
					trouble(f, PROBLEM_EXPORT, true, row,
						(struct trouble){.subject = name,
							.found_in =
								f->paths[first[sym]]});
				else if (fresh && kernelinfo_symbol(f->info, name))
					trouble(f, PROBLEM_EXPORT, true, row,
						(struct trouble){.subject = name,
							.found_in =
								f->info->vmlinux_path});
				if (first[sym] == ID_NONE)
					first[sym] = row;
			}
		}
	return 0;
}

/* --- one module by itself --- */

/* What most of the kernel's modules were built for. */
static int find_vermagic(struct forecast *f)
{
	const struct tables *t = f->before;
	_cleanup_(freep) uint32_t *count =
		calloc((size_t)t->n.strings + 1, sizeof(*count));
	uint32_t most = 0;

	if (!count)
		return -ENOMEM;
	for (mod_idx i = 0; i < f->was.n; i++) {
		str_id v = t->mods[f->was.row[i]].vermagic;

		if (v != ID_NONE && ++count[v] > most) {
			most = count[v];
			f->vermagic = str_of(t, v);
		}
	}
	return 0;
}

/* With CRCs of its needs a module may be of another release of the kernel. */
static bool has_versions(const struct tables *t, const struct mod *m)
{
	for (uint32_t n = m->needs; n < m[1].needs; n++) {
		struct sym_crc p = t->pairs[NEED_PAIR(t->needs[n])];

		if (p.crc && str_eq(str_of(t, p.sym), "module_layout"))
			return true;
	}
	return false;
}

static const char *behind_release(const char *vermagic)
{
	return vermagic + strcspn(vermagic, " ");
}

static void check_vermagic(struct forecast *f, mod_row row)
{
	const struct mod *m = &f->over.t.mods[row];
	const char *v = m->vermagic == ID_NONE ? "" : str_of(&f->over.t, m->vermagic);
	struct trouble t = {
		.wanted = v, .found = f->vermagic, .found_in = "the kernel's modules"};
	bool loads;

	if (!f->vermagic || str_eq(v, f->vermagic))
		return;
	loads = has_versions(&f->over.t, m) &&
		str_eq(behind_release(v), behind_release(f->vermagic));
	t.hint = loads ? "another release: its modversions decide whether it loads"
		       : "the kernel refuses it";
	trouble(f, PROBLEM_VERMAGIC, !loads, row, t);
}

static void check_softdeps(struct forecast *f, mod_row row, const uint8_t *exists)
{
	const struct tables *t = &f->over.t;
	const struct mod *m = &t->mods[row];

	for (uint32_t v = m->softdeps; v < m->weakdeps; v++) {
		_cleanup_(freep) char *copy = strdup(str_of(t, t->values[v]));
		char *save, *word = copy ? strtok_r(copy, " \t", &save) : NULL;

		for (; word; word = strtok_r(NULL, " \t", &save)) {
			char name[4096];
			bool known;
			str_id id;

			if (strlen(word) >= sizeof(name) || word[strlen(word) - 1] == ':')
				continue;
			modname_copy(name, word);
			id = tables_find_str(t, name, strlen(name), &known);
			if (known && exists[id])
				continue;
			id = tables_find_str(t, word, strlen(word), &known);
			if (known && exists[id])
				continue;
			trouble(f, PROBLEM_SOFTDEP, false, row,
				(struct trouble){.subject = arena_strdup(
							 &f->mem, word, strlen(word)),
					.hint = "no module, no built-in and no alias of "
						"that name"});
		}
	}
}

struct names {
	const struct tables *t;
	uint8_t *exists;
};

static int builtin_name(void *arg, const char *line, size_t len)
{
	struct names *n = arg;
	bool known;
	str_id id = tables_find_str(n->t, line, len, &known);

	if (known)
		n->exists[id] = 1;
	return 0;
}

static int ignore_line(void *arg, const char *line, size_t len)
{
	(void)arg, (void)line, (void)len;
	return 0;
}

/* Every string that modprobe would find something for: modules, aliases, built-ins. */
static uint8_t *existing_names(const struct forecast *f)
{
	const struct tables *t = &f->over.t;
	struct names n = {t, calloc((size_t)t->n.strings + 1, 1)};

	if (!n.exists)
		return NULL;
	for (mod_idx i = 0; i < f->is.n; i++) {
		const struct mod *m = &t->mods[f->is.row[i]];

		n.exists[m->name] = 1;
		for (uint32_t v = m->values; v < m->softdeps; v++)
			n.exists[t->values[v]] = 1;
	}
	if (f->builtin)
		lists_builtin(
			f->builtin->data, f->builtin->len, builtin_name, ignore_line, &n);
	return n.exists;
}

/* The names that an untouched module's softdeps lost are those of modules that went. */
static bool lost_names(const struct forecast *f)
{
	const struct change *c = vec_data(&f->changes, struct change);

	for (size_t i = 0; i < vec_len(&f->changes, struct change); i++)
		if (c[i].kind == CHANGE_REMOVED)
			return true;
	return false;
}

static bool had_name(const struct forecast *f, const char *word)
{
	for (mod_row m = 0; m < f->before->n.mods; m++)
		if (str_eq(name_of(f->before, m), word))
			return true;
	return false;
}

static int check_names(struct forecast *f)
{
	_cleanup_(freep) uint8_t *exists = existing_names(f);
	bool lost = lost_names(f);

	if (!exists)
		return -ENOMEM;
	for (mod_idx i = 0; i < f->is.n; i++) {
		mod_row row = f->is.row[i];
		size_t before = vec_len(&f->troubles, struct trouble), kept = before;
		struct trouble *t;

		if (!is_new(f, row) && !lost)
			continue;
		check_softdeps(f, row, exists);
		t = vec_data(&f->troubles, struct trouble);
		for (size_t k = before; k < vec_len(&f->troubles, struct trouble); k++)
			if (is_new(f, row) || had_name(f, t[k].subject))
				t[kept++] = t[k];
		f->troubles.len = kept * sizeof(*t);
	}
	return 0;
}

/* Who decompresses a module of this codec on that kernel. */
static const char *decompressor(const struct kernelinfo *k, enum codec c)
{
	if (k->decompress && k->codec == c)
		return "kernel";
	if (k->kmod_path && k->kmod_reads[c])
		return "modprobe";
	return k->kmod_path ? "nobody" : "unknown";
}

static void check_compression(struct forecast *f, mod_row row)
{
	const struct package_file *file = file_of(f, row);
	enum codec c = codec_of(file->data, file->len);

	if (c == CODEC_NONE)
		return;
	f->codecs[c].codec = c;
	f->codecs[c].by = decompressor(f->info, c);
	if (f->codecs[c].n++ == 0 && str_eq(f->codecs[c].by, "nobody"))
		trouble(f, PROBLEM_COMPRESSION, true, row,
			(struct trouble){.subject = codec_name(c),
				.found_in = f->info->kmod_path,
				.hint = f->info->config_path
						? "neither the kernel nor kmod can "
						  "decompress it"
						: "kmod cannot decompress it"});
}

static void check_file(struct forecast *f, mod_row row)
{
	const struct mod *m = &f->over.t.mods[row];

	if (m->status != ELFMOD_OK) {
		trouble(f, PROBLEM_MODULE, true, row,
			(struct trouble){.hint = elfmod_status_text(m->status)});
		return;
	}
	check_compression(f, row);
	if (wins(&f->is, row))
		check_vermagic(f, row);
}

/* --- packages among themselves --- */

static void check_conflicts(struct forecast *f, const struct overlay *o)
{
	const struct package_file *files =
		vec_data(&f->packages->files, struct package_file);

	for (size_t i = 0; i < o->n_files; i++)
		for (size_t k = 0; k < i; k++) {
			const struct package_file *a = &files[f->file_of[i]],
						  *b = &files[f->file_of[k]];

			if (a->package != b->package &&
				str_eq(o->files[i].path, o->files[k].path))
				trouble(f, PROBLEM_FILE,
					a->len != b->len ||
						memcmp(a->data, b->data, a->len) != 0,
					ID_NONE,
					(struct trouble){.path = o->files[i].path,
						.package = package_label(package_of(
							f->packages, a->package)),
						.subject = package_label(package_of(
							f->packages, b->package))});
		}
	for (mod_row m = 0; m < f->over.t.n.mods; m++) {
		mod_row by = f->is.first_of[m];
		const struct package *p = forecast_package(f, m),
				     *q = forecast_package(f, by);

		if (by != m && p && q && p != q)
			trouble(f, PROBLEM_NAME, true, m,
				(struct trouble){.subject = package_label(q),
					.found_in = f->paths[by]});
	}
}

/* --- all of it --- */

static int trouble_cmp(const void *pa, const void *pb)
{
	const struct trouble *a = pa, *b = pb;
	int c = (int)b->breaks - (int)a->breaks;

	c = c ? c : strcmp(a->path ? a->path : "", b->path ? b->path : "");
	c = c ? c : (a->kind > b->kind) - (a->kind < b->kind);
	return c ? c : strcmp(a->subject ? a->subject : "", b->subject ? b->subject : "");
}

int forecast_compare(struct forecast *f, const struct overlay *o)
{
	int r = find_vermagic(f);

	if (r < 0)
		return r;
	for (mod_row m = 0; m < f->over.t.n.mods; m++)
		if (f->over.origin[m] != ID_NONE)
			check_file(f, m);
	compare_modules(f);
	check_conflicts(f, o);
	if (f->cycle) {
		trouble(f, PROBLEM_CYCLE, true, ID_NONE,
			(struct trouble){.hint = "modules that depend on each other: no "
						 "index would be written"});
	} else {
		r = compare_lines(f);
	}
	if (r == 0)
		r = check_symbols_of_all(f);
	if (r == 0)
		r = check_exports(f);
	if (r == 0)
		r = check_names(f);
	if (r == 0)
		r = forecast_compare_aliases(f);
	if (f->troubles.len)
		qsort(f->troubles.data, vec_len(&f->troubles, struct trouble),
			sizeof(struct trouble), trouble_cmp);
	return r ? r : f->troubles.err ? f->troubles.err : f->changes.err;
}

bool forecast_breaks(const struct forecast *f)
{
	return f->troubles.len && vec_data(&f->troubles, struct trouble)[0].breaks;
}

void forecast_done(struct forecast *f)
{
	resolved_done(&f->was);
	resolved_done(&f->is);
	overlaid_done(&f->over);
	buf_done(&f->changes);
	buf_done(&f->troubles);
	buf_done(&f->aliases);
	buf_done(&f->lines);
	arena_done(&f->mem);
}
