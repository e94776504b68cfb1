// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each file has one small writer. Those that share what they prepare are one task, and
 * tasks run side by side: each writes into a buffer of its own, and what it has to report
 * is kept until all are done. Keys of the .bin files are sorted by counting, since most
 * are strings of the table, whose ids are in order; only aliases that change when '-'
 * turns to '_' are sorted by comparing.
 */

#include <stdatomic.h>

#include "base/arena.h"
#include "base/pool.h"
#include "engine/emit.h"
#include "formats/lists.h"
#include "formats/modname.h"
#include "formats/trie.h"

#define SYMBOL_BUCKETS                                                                   \
	2048u /* of depmod's hash table of symbols, which decides their order */

const char *const output_names[OUT_MAX] = {
	[OUT_DEP] = "modules.dep",
	[OUT_DEP_BIN] = "modules.dep.bin",
	[OUT_ALIAS] = "modules.alias",
	[OUT_ALIAS_BIN] = "modules.alias.bin",
	[OUT_SOFTDEP] = "modules.softdep",
	[OUT_WEAKDEP] = "modules.weakdep",
	[OUT_SYMBOLS] = "modules.symbols",
	[OUT_SYMBOLS_BIN] = "modules.symbols.bin",
	[OUT_BUILTIN_BIN] = "modules.builtin.bin",
	[OUT_BUILTIN_ALIAS_BIN] = "modules.builtin.alias.bin",
	[OUT_DEVNAME] = "modules.devname",
};

const bool output_is_text[OUT_MAX] = {
	[OUT_DEP] = true,
	[OUT_ALIAS] = true,
	[OUT_SOFTDEP] = true,
	[OUT_WEAKDEP] = true,
	[OUT_SYMBOLS] = true,
	[OUT_DEVNAME] = true,
};

/* One task at work. */
struct emitting {
	const struct resolved *r;
	const struct tables *t;
	const struct kernel_lists *lists;
	const struct output_sink *sink;
	bool warn_duplicates;
	struct buf out;    /* the file being made; its memory serves all of the task's */
	struct buf events; /* struct event */
	struct arena text; /* of the events */
	int err;
};

static const struct mod *mod_at(const struct emitting *e, mod_idx i)
{
	return &e->t->mods[e->r->row[i]];
}

static void add_str(struct emitting *e, struct buf *b, str_id s)
{
	buf_add(b, str_of(e->t, s), str_len(e->t, s));
}

static char *put(char *to, const char *s, size_t n)
{
	memcpy(to, s, n);
	return to + n;
}

static char *put_str(const struct emitting *e, char *to, str_id s)
{
	return put(to, str_of(e->t, s), str_len(e->t, s));
}

/* Put a constant string, its length known at compile time. */
#define put_lit(to, s) put((to), "" s, sizeof(s) - 1)

/* Hand over a complete file. */
static int give(struct emitting *e, enum output_id id, struct buf *b)
{
	int r = b->err ? b->err : e->sink->take(e->sink->arg, id, b);

	e->out.len = 0;
	return r;
}

/* Write an index and hand it over. */
static int give_index(
	struct emitting *e, enum output_id id, const struct trie_entry *entries, size_t n)
{
	int r = trie_write(entries, n, &e->out);

	return r ? r : give(e, id, &e->out);
}

static const char *keep_text(struct emitting *e, const char *s)
{
	const char *copy = s ? arena_strdup(&e->text, s, strlen(s)) : NULL;

	if (s && !copy)
		e->events.err = -ENOMEM;
	return copy;
}

static void tell(
	struct emitting *e, enum event_kind kind, const char *path, const char *detail)
{
	struct event event = {
		.kind = kind, .path = keep_text(e, path), .detail = keep_text(e, detail)};

	buf_add(&e->events, &event, sizeof(event));
}

/* --- dependencies --- */

/* The modules' paths one behind another: path i is [at[i], at[i + 1]) of text. */
struct paths {
	struct buf text;
	uint32_t *at;
};

static void paths_done(struct paths *p)
{
	buf_done(&p->text);
	free(p->at);
}

static int all_paths(const struct emitting *e, struct paths *ret)
{
	ret->at = malloc(((size_t)e->r->n + 1) * sizeof(*ret->at));
	if (!ret->at)
		return -ENOMEM;
	for (mod_idx i = 0; i < e->r->n; i++) {
		ret->at[i] = (uint32_t)ret->text.len;
		tables_path(e->t, e->r->row[i], &ret->text);
		if (ret->text.len > INT32_MAX)
			return -EFBIG;
	}
	ret->at[e->r->n] = (uint32_t)ret->text.len;
	return ret->text.err;
}

static char *put_path(const struct paths *p, char *to, mod_idx i)
{
	return put(to, p->text.data + p->at[i], p->at[i + 1] - p->at[i]);
}

/* line[]: where each module's line starts, and the end. The text is kept in b. */
static int emit_dep(struct emitting *e, struct buf *b, uint32_t *line)
{
	_cleanup_(paths_done) struct paths paths = {0};
	int r = all_paths(e, &paths);
	uint64_t size = 0;
	char *to;

	for (mod_idx i = 0; i < e->r->n && r == 0; i++) {
		struct id_range d = resolved_deps(e->r, i);

		line[i] = (uint32_t)size;
		size += paths.at[i + 1] - paths.at[i] + 2;
		for (uint32_t k = 0; k < d.n; k++)
			size += paths.at[d.ids[k] + 1] - paths.at[d.ids[k]] + 1;
		r = size > INT32_MAX ? -EFBIG : 0;
	}
	if (r < 0)
		return r;
	line[e->r->n] = (uint32_t)size;
	to = buf_reserve(b, size);
	for (mod_idx i = 0; i < e->r->n && to; i++) {
		struct id_range d = resolved_deps(e->r, i);

		to = put_lit(put_path(&paths, to, i), ":");
		for (uint32_t k = 0; k < d.n; k++)
			to = put_path(&paths, put_lit(to, " "), d.ids[k]);
		to = put_lit(to, "\n");
	}
	b->len = to ? size : 0;
	return give(e, OUT_DEP, b);
}

static bool usable_key(struct emitting *e, const char *key, size_t len)
{
	if (key_is_ascii(key, len))
		return true;
	tell(e, EVENT_KEY_ASCII, NULL, key);
	return false;
}

/* The values of modules.dep.bin are the lines of modules.dep. */
static int emit_dep_bin(struct emitting *e, const char *lines, const uint32_t *line)
{
	_cleanup_(freep) mod_idx *by_name =
		malloc((e->t->n.strings + 1) * sizeof(*by_name));
	_cleanup_(freep) struct trie_entry *entries =
		malloc((e->r->n + 1) * sizeof(*entries));
	size_t n = 0;

	if (!by_name || !entries)
		return -ENOMEM;
	memset(by_name, 0xff, (e->t->n.strings + 1) * sizeof(*by_name));
	for (mod_idx i = 0; i < e->r->n; i++)
		by_name[mod_at(e, i)->name] = i;
	for (str_id s = 0; s < e->t->n.strings; s++) {
		mod_idx i = by_name[s];

		if (i == ID_NONE || !usable_key(e, str_of(e->t, s), str_len(e->t, s)))
			continue;
		entries[n++] = (struct trie_entry){
			.key = str_of(e->t, s),
			.key_len = str_len(e->t, s),
			.value = lines + line[i],
			.value_len = line[i + 1] - line[i] - 1,
			.priority = i,
		};
	}
	return give_index(e, OUT_DEP_BIN, entries, n);
}

static int emit_dependencies(struct emitting *e)
{
	_cleanup_(freep) uint32_t *line = malloc(((size_t)e->r->n + 1) * sizeof(*line));
	_cleanup_(buf_done) struct buf deps = {0};
	int r = line ? emit_dep(e, &deps, line) : -ENOMEM;

	return r ? r : emit_dep_bin(e, deps.data, line);
}

/* --- aliases --- */

static uint64_t aliases_size(const struct emitting *e)
{
	uint64_t size = 0;

	for (mod_idx i = 0; i < e->r->n; i++) {
		const struct mod *m = mod_at(e, i);

		size += (m->softdeps - m->values) *
			(sizeof("alias  \n") - 1 + str_len(e->t, m->name));
		for (uint32_t v = m->values; v < m->softdeps; v++)
			size += str_len(e->t, e->t->values[v]);
	}
	return size;
}

static int emit_alias(struct emitting *e)
{
	struct buf *b = &e->out;
	char *to;

	buf_lit(b, "# Aliases extracted from modules themselves.\n");
	to = buf_reserve(b, aliases_size(e));
	for (mod_idx i = 0; i < e->r->n && to; i++) {
		const struct mod *m = mod_at(e, i);

		for (uint32_t v = m->values; v < m->softdeps; v++) {
			to = put_str(e, put_lit(to, "alias "), e->t->values[v]);
			to = put_str(e, put_lit(to, " "), m->name);
			to = put_lit(to, "\n");
		}
	}
	if (to)
		b->len = (size_t)(to - b->data);
	return give(e, OUT_ALIAS, b);
}

/* Key, then rising priority. Of one key and priority values are the same. */
static int entry_cmp(const void *pa, const void *pb)
{
	const struct trie_entry *a = pa, *b = pb;
	int c = memcmp(a->key, b->key, MIN(a->key_len, b->key_len));

	if (c == 0)
		c = (a->key_len > b->key_len) - (a->key_len < b->key_len);
	return c ? c : (a->priority > b->priority) - (a->priority < b->priority);
}

struct alias_ref {
	str_id alias;
	mod_idx mod;
};

/* All aliases of all modules, by string and then by module. */
static struct alias_ref *sorted_aliases(const struct emitting *e, size_t *ret_n)
{
	_cleanup_(freep) uint32_t *at = calloc((size_t)e->t->n.strings + 2, sizeof(*at));
	struct alias_ref *refs;
	size_t n = 0;

	if (!at)
		return NULL;
	for (mod_idx i = 0; i < e->r->n; i++) {
		const struct mod *m = mod_at(e, i);

		n += m->softdeps - m->values;
		for (uint32_t v = m->values; v < m->softdeps; v++)
			at[e->t->values[v] + 1]++;
	}
	for (str_id s = 0; s < e->t->n.strings; s++)
		at[s + 1] += at[s];
	refs = malloc((n + 1) * sizeof(*refs));
	for (mod_idx i = 0; refs && i < e->r->n; i++) {
		const struct mod *m = mod_at(e, i);

		for (uint32_t v = m->values; v < m->softdeps; v++)
			refs[at[e->t->values[v]]++] =
				(struct alias_ref){e->t->values[v], i};
	}
	*ret_n = n;
	return refs;
}

struct alias_lists {
	struct alias_ref *same; /* keys as they are, sorted */
	size_t n_same;
	struct buf changed; /* struct trie_entry: normalised keys */
	struct arena keys;
};

static void alias_lists_done(struct alias_lists *l)
{
	free(l->same);
	buf_done(&l->changed);
	arena_done(&l->keys);
}

static struct trie_entry alias_entry(const struct emitting *e, struct alias_ref ref)
{
	str_id name = mod_at(e, ref.mod)->name;

	return (struct trie_entry){.key = str_of(e->t, ref.alias),
		.key_len = str_len(e->t, ref.alias),
		.value = str_of(e->t, name),
		.value_len = str_len(e->t, name),
		.priority = ref.mod};
}

static int add_alias(struct emitting *e, struct alias_lists *l, struct alias_ref ref)
{
	struct trie_entry entry = alias_entry(e, ref);
	char key[ALIAS_MAX + 1];
	size_t len;
	int r = ALIAS_SAME;

	if (!alias_is_plain(entry.key, entry.key_len)) {
		if (!usable_key(e, entry.key, entry.key_len))
			return 0;
		r = alias_normalise(entry.key, entry.key_len, key, &len);
	}
	if (r == ALIAS_UNBALANCED) {
		tell(e, EVENT_ALIAS_BRACKETS, entry.value, entry.key);
		return 0;
	}
	if (r == ALIAS_SAME) {
		l->same[l->n_same++] = ref;
		return 0;
	}
	entry.key = arena_strdup(&l->keys, key, len);
	entry.key_len = (uint32_t)len;
	buf_add(&l->changed, &entry, sizeof(entry));
	return entry.key ? l->changed.err : -ENOMEM;
}

/* How many of the unchanged ones from here on come before a changed one. */
static size_t n_before(const struct emitting *e, const struct alias_ref *same, size_t n,
	const struct trie_entry *changed)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;
		struct trie_entry at = alias_entry(e, same[mid]);

		if (entry_cmp(&at, changed) <= 0)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

/* All entries, the changed aliases at their places among the others. */
static int merge_aliases(
	const struct emitting *e, const struct alias_lists *l, struct buf *ret)
{
	struct trie_entry *b = vec_data(&l->changed, struct trie_entry), *to;
	size_t nb = vec_len(&l->changed, struct trie_entry), a = 0;

	if (nb)
		qsort(b, nb, sizeof(*b), entry_cmp);
	if (!buf_reserve(ret, (l->n_same + nb + 1) * sizeof(*b)))
		return ret->err;
	to = vec_data(ret, struct trie_entry);
	for (size_t i = 0; i <= nb; i++) {
		size_t run = l->n_same - a;

		if (i < nb)
			run = n_before(e, l->same + a, run, &b[i]);
		for (; run > 0; run--)
			*to++ = alias_entry(e, l->same[a++]);
		if (i < nb)
			*to++ = b[i];
	}
	ret->len = (l->n_same + nb) * sizeof(*b);
	return 0;
}

static void report_twice(struct emitting *e, const struct trie_entry *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		_cleanup_(buf_done) struct buf text = {0};

		if (entry_cmp(&v[i - 1], &v[i]) != 0)
			continue;
		buf_printf(&text, "%.*s %s", (int)v[i].key_len, v[i].key, v[i].value);
		tell(e, EVENT_KEY_DUPLICATE, "alias", text.data);
	}
}

static int emit_alias_bin(struct emitting *e)
{
	_cleanup_(alias_lists_done) struct alias_lists l = {0};
	_cleanup_(buf_done) struct buf all = {0};
	size_t n;
	int r = 0;

	l.same = sorted_aliases(e, &n);
	if (!l.same)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		/* those that stay move up to the front */
		r = add_alias(e, &l, l.same[i]);
	if (r == 0)
		r = merge_aliases(e, &l, &all);
	if (r < 0)
		return r;
	if (e->warn_duplicates)
		report_twice(e, vec_data(&all, struct trie_entry),
			vec_len(&all, struct trie_entry));
	return give_index(e, OUT_ALIAS_BIN, vec_data(&all, struct trie_entry),
		vec_len(&all, struct trie_entry));
}

/* --- soft and weak dependencies, device nodes --- */

static int emit_values(struct emitting *e, enum output_id id, const char *word)
{
	struct buf *b = &e->out;

	for (mod_idx i = 0; i < e->r->n; i++) {
		const struct mod *m = mod_at(e, i);
		uint32_t from = id == OUT_SOFTDEP ? m->softdeps : m->weakdeps;
		uint32_t to = id == OUT_SOFTDEP ? m->weakdeps : m[1].values;

		for (uint32_t v = from; v < to; v++) {
			buf_str(b, word);
			buf_char(b, ' ');
			add_str(e, b, m->name);
			buf_char(b, ' ');
			add_str(e, b, e->t->values[v]);
			buf_char(b, '\n');
		}
	}
	return give(e, id, b);
}

static int emit_softdep(struct emitting *e)
{
	buf_lit(&e->out, "# Soft dependencies extracted from modules themselves.\n");
	return emit_values(e, OUT_SOFTDEP, "softdep");
}

static int emit_weakdep(struct emitting *e)
{
	buf_lit(&e->out, "# Weak dependencies extracted from modules themselves.\n");
	return emit_values(e, OUT_WEAKDEP, "weakdep");
}

static int emit_aliases(struct emitting *e)
{
	int r = emit_alias(e);

	r = r ? r : emit_alias_bin(e);
	r = r ? r : emit_softdep(e);
	return r ? r : emit_weakdep(e);
}

static int emit_devname(struct emitting *e)
{
	struct buf *b = &e->out;

	for (mod_idx i = 0; i < e->r->n; i++) {
		const struct mod *m = mod_at(e, i);

		if (m->devnode == ID_NONE)
			continue;
		if (m->flags & ROW_NODE_ONLY) {
			tell(e, EVENT_DEVNODE, str_of(e->t, m->name),
				str_of(e->t, m->devnode));
			continue;
		}
		if (b->len == 0)
			buf_lit(b,
				"# Device nodes to trigger on-demand module loading.\n");
		add_str(e, b, m->name);
		buf_char(b, ' ');
		add_str(e, b, m->devnode);
		buf_char(b, '\n');
	}
	return give(e, OUT_DEVNAME, b);
}

/* --- symbols --- */

struct symbol_ref {
	const char *name;
	uint32_t len;
	uint32_t bucket;
	mod_idx owner;
};

static int symbol_cmp(const void *a, const void *b)
{
	return strcmp(((const struct symbol_ref *)a)->name,
		((const struct symbol_ref *)b)->name);
}

/* All symbols that a module owns, by name. */
static struct symbol_ref *sorted_symbols(const struct emitting *e, size_t *ret_n)
{
	const struct resolved *r = e->r;
	struct symbol_ref *refs = malloc(((size_t)r->n_keys + 1) * sizeof(*refs));
	size_t n = 0;

	for (sym_key k = 0; refs && k < r->n_keys; k++) {
		struct symbol_ref *s = &refs[n];

		if (r->owner[k] == ID_NONE)
			continue;
		s->name = resolved_key_name(r, k);
		s->len = k < e->t->n.strings ? str_len(e->t, k)
					     : (uint32_t)strlen(s->name);
		s->owner = r->owner[k];
		s->bucket = kmod_hash(s->name, s->len) & (SYMBOL_BUCKETS - 1);
		n++;
	}
	if (refs && r->n_extra)
		qsort(refs, n, sizeof(*refs), symbol_cmp);
	*ret_n = n;
	return refs;
}

static int emit_symbols(struct emitting *e, const struct symbol_ref *refs, size_t n)
{
	_cleanup_(freep) uint32_t *order = malloc((n + 1) * sizeof(*order));
	uint32_t start[SYMBOL_BUCKETS + 1] = {0};
	struct buf *b = &e->out;
	uint64_t size = 0;
	char *to;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		start[refs[i].bucket + 1]++;
		size += sizeof("alias symbol: \n") - 1 + refs[i].len +
			str_len(e->t, mod_at(e, refs[i].owner)->name);
	}
	for (unsigned k = 0; k < SYMBOL_BUCKETS; k++)
		start[k + 1] += start[k];
	for (size_t i = 0; i < n; i++)
		order[start[refs[i].bucket]++] = (uint32_t)i;
	buf_lit(b, "# Aliases for symbols, used by symbol_request().\n");
	to = buf_reserve(b, size);
	for (size_t i = 0; i < n && to; i++) {
		const struct symbol_ref *s = &refs[order[i]];

		to = put(put_lit(to, "alias symbol:"), s->name, s->len);
		to = put_str(e, put_lit(to, " "), mod_at(e, s->owner)->name);
		to = put_lit(to, "\n");
	}
	if (to)
		b->len = (size_t)(to - b->data);
	return give(e, OUT_SYMBOLS, b);
}

static int emit_symbols_bin(struct emitting *e, const struct symbol_ref *refs, size_t n)
{
	static const char prefix[] = "symbol:";
	_cleanup_(freep) struct trie_entry *entries = malloc((n + 1) * sizeof(*entries));
	_cleanup_(freep) char *keys = NULL;
	size_t size = 1, used = 0;
	char *at;

	for (size_t i = 0; i < n; i++)
		size += sizeof(prefix) - 1 + refs[i].len;
	at = keys = malloc(size);
	if (!entries || !keys)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct mod *m = mod_at(e, refs[i].owner);

		if (!usable_key(e, refs[i].name, refs[i].len))
			continue;
		memcpy(at, prefix, sizeof(prefix) - 1);
		memcpy(at + sizeof(prefix) - 1, refs[i].name, refs[i].len);
		entries[used] = (struct trie_entry){.key = at,
			.key_len = (uint32_t)(sizeof(prefix) - 1 + refs[i].len),
			.value = str_of(e->t, m->name),
			.value_len = str_len(e->t, m->name),
			.priority = refs[i].owner};
		at += entries[used++].key_len;
	}
	return give_index(e, OUT_SYMBOLS_BIN, entries, used);
}

static int emit_symbol_files(struct emitting *e)
{
	_cleanup_(freep) struct symbol_ref *refs = NULL;
	size_t n;
	int r;

	refs = sorted_symbols(e, &n);
	if (!refs)
		return -ENOMEM;
	r = emit_symbols(e, refs, n);
	return r ? r : emit_symbols_bin(e, refs, n);
}

/* --- built-in modules --- */

/* Entries all of priority 0, in the order in which they were inserted. */
struct builtin {
	struct emitting *e;
	struct buf entries; /* struct trie_entry */
	struct arena mem;
};

static void builtin_done(struct builtin *b)
{
	buf_done(&b->entries);
	arena_done(&b->mem);
}

static int add_builtin(struct builtin *b, const char *key, size_t key_len,
	const char *value, size_t value_len)
{
	struct trie_entry entry = {
		.key_len = (uint32_t)key_len, .value_len = (uint32_t)value_len};

	entry.key = arena_strdup(&b->mem, key, key_len);
	entry.value = arena_strdup(&b->mem, value, value_len);
	if (!entry.key || !entry.value)
		return -ENOMEM;
	if (!usable_key(b->e, entry.key, key_len))
		return 0;
	entry.priority = (uint32_t)vec_len(&b->entries, struct trie_entry); /* for now */
	buf_add(&b->entries, &entry, sizeof(entry));
	return b->entries.err;
}

static int builtin_module(void *arg, const char *name, size_t len)
{
	return add_builtin(arg, name, len, "", 0);
}

static int builtin_bad(void *arg, const char *line, size_t len)
{
	struct builtin *b = arg;
	char *text = arena_strdup(&b->mem, line, len);

	if (!text)
		return -ENOMEM;
	tell(b->e, EVENT_BUILTIN_LINE, "modules.builtin", text);
	return 0;
}

static int builtin_alias(
	void *arg, const char *module, size_t module_len, const char *alias, size_t len)
{
	struct builtin *b = arg;
	char key[ALIAS_MAX + 1];
	int r = alias_normalise(alias, len, key, &len);

	if (r == ALIAS_UNBALANCED) {
		char *text = arena_strdup(&b->mem, alias, len);

		tell(b->e, EVENT_ALIAS_BRACKETS, "modules.builtin.modinfo",
			text ? text : "");
		return 0;
	}
	return add_builtin(b, r == ALIAS_SAME ? alias : key, len, module, module_len);
}

/* A value goes before those that were inserted under its key earlier. */
static int builtin_cmp(const void *pa, const void *pb)
{
	const struct trie_entry *a = pa, *b = pb;
	int c = memcmp(a->key, b->key, MIN(a->key_len, b->key_len));

	if (c == 0)
		c = (a->key_len > b->key_len) - (a->key_len < b->key_len);
	return c ? c : (a->priority < b->priority) - (a->priority > b->priority);
}

static int write_builtin(struct builtin *b, enum output_id id)
{
	struct trie_entry *entries = vec_data(&b->entries, struct trie_entry);
	size_t n = vec_len(&b->entries, struct trie_entry);

	if (n)
		qsort(entries, n, sizeof(*entries), builtin_cmp);
	for (size_t i = 0; i < n; i++)
		entries[i].priority = 0;
	return give_index(b->e, id, entries, n);
}

/* Without the kernel's list the index is a file of 0 bytes. */
static int emit_builtin(struct emitting *e)
{
	_cleanup_(builtin_done) struct builtin b = {.e = e};
	const struct buf *list = e->lists->builtin;
	int r;

	if (!list)
		return give(e, OUT_BUILTIN_BIN, &e->out);
	r = lists_builtin(list->data, list->len, builtin_module, builtin_bad, &b);
	return r ? r : write_builtin(&b, OUT_BUILTIN_BIN);
}

static int emit_builtin_alias(struct emitting *e)
{
	_cleanup_(builtin_done) struct builtin b = {.e = e};
	const struct buf *list = e->lists->builtin_modinfo;
	int r;

	if (!list)
		return give(e, OUT_BUILTIN_ALIAS_BIN, &e->out);
	r = lists_builtin_aliases(list->data, list->len, builtin_alias, &b);
	return r ? r : write_builtin(&b, OUT_BUILTIN_ALIAS_BIN);
}

/* --- all of it --- */

enum task {
	TASK_DEPENDENCIES,
	TASK_ALIASES,
	TASK_SYMBOLS,
	TASK_BUILTIN,
	TASK_BUILTIN_ALIAS,
	TASK_DEVNAME,
	TASK_MAX,
};

static int (*const writers[TASK_MAX])(struct emitting *e) = {
	[TASK_DEPENDENCIES] = emit_dependencies,
	[TASK_ALIASES] = emit_aliases,
	[TASK_SYMBOLS] = emit_symbol_files,
	[TASK_BUILTIN] = emit_builtin,
	[TASK_BUILTIN_ALIAS] = emit_builtin_alias,
	[TASK_DEVNAME] = emit_devname,
};

/* The longest ones first: two threads then end at about the same time. */
static const enum task agenda[TASK_MAX] = {TASK_ALIASES, TASK_SYMBOLS, TASK_DEPENDENCIES,
	TASK_BUILTIN, TASK_BUILTIN_ALIAS, TASK_DEVNAME};

struct emission {
	struct emitting task[TASK_MAX];
	_Atomic unsigned taken;
};

static void emit_worker(void *arg, unsigned i)
{
	struct emission *em = arg;

	(void)i;
	/*
	 * one that fails does not stop the others: which error is told does not depend on
	 * luck
	 */
	for (unsigned at; (at = atomic_fetch_add(&em->taken, 1)) < TASK_MAX;) {
		struct emitting *e = &em->task[agenda[at]];

		e->err = writers[agenda[at]](e);
		buf_done(&e->out);
	}
}

/* What the tasks had to say, in the order of the files. */
static int report_events(const struct target *t, struct emission *em)
{
	int r = 0;

	for (enum task k = 0; k < TASK_MAX; k++) {
		struct emitting *e = &em->task[k];
		struct event *event = vec_data(&e->events, struct event);

		for (size_t i = 0; i < vec_len(&e->events, struct event); i++) {
			event[i].kver = t->kver;
			t->report->event(t->report->arg, &event[i]);
		}
		r = r ? r : e->err ? e->err : e->events.err;
		buf_done(&e->events);
		arena_done(&e->text);
	}
	return r;
}

int emit(const struct target *target, const struct resolved *r,
	const struct kernel_lists *lists, bool warn_duplicates,
	const struct output_sink *sink)
{
	struct emission em = {0};

	for (enum task k = 0; k < TASK_MAX; k++)
		em.task[k] = (struct emitting){.r = r,
			.t = r->t,
			.lists = lists,
			.sink = sink,
			.warn_duplicates = warn_duplicates};
	pool_run(MIN(target->jobs, TASK_DEVNAME), emit_worker, &em);
	return report_events(target, &em);
}

int outputs_take(void *outputs, enum output_id id, const struct buf *data)
{
	struct buf *b = &((struct outputs *)outputs)->file[id];

	buf_add(b, data->data, data->len);
	return b->err;
}

void outputs_done(struct outputs *o)
{
	for (unsigned i = 0; i < OUT_MAX; i++)
		buf_done(&o->file[i]);
}
