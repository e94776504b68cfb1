// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Four steps: mark which strings and pairs of the old table are still referred to; unite
 * them, in order, with those of the intakes, which gives a map from every old and local
 * id to a new one; count; copy the rows through the maps. Everything is linear but the
 * look-up of each new string among the old ones.
 */

#include "base/buf.h"
#include "base/pages.h"
#include "formats/modname.h"
#include "model/merge.h"

/* A string that some intake brought. */
struct fresh {
	const char *s;
	uint32_t len;
	str_id id; /* in the new table */
};

struct merge {
	struct merge_input *in;
	const struct tables *old;
	/* of files, modules and directories that the old table lacks */
	struct intake names;
	unsigned n_intakes; /* with names as the last one */
	/* by module and directory: an id in names, or in the old table */
	str_id *file, *name, *dir_path;
	uint8_t *old_used, *old_pair_used;
	uint8_t **str_used, **pair_used; /* [intake][local id] */
	str_id *old_map;                 /* old string -> new */
	uint32_t *old_pair_map;
	struct fresh *fresh;
	size_t n_fresh;
	uint32_t **fresh_of; /* [intake][local string] -> fresh */
	uint32_t **pair_map; /* [intake][local pair] -> new */
	struct buf pairs;    /* struct sym_crc, new ids, sorted */
	struct counts n;
	struct tables out;
};

#define IN_OLD 0x80000000u /* an id of the old table rather than of names */

static struct intake *intake_at(struct merge *m, unsigned i)
{
	return i + 1 < m->n_intakes ? &m->in->intakes[i] : &m->names;
}

static void *array(size_t n, size_t size)
{
	return calloc(n ? n : 1, size);
}

/* --- names --- */

static str_id name_id(struct merge *m, const char *s, size_t len)
{
	if (m->old) {
		bool equal;
		str_id id = tables_find_str(m->old, s, len, &equal);

		if (equal)
			return id | IN_OLD;
	}
	return intake_string(&m->names, s, len);
}

static int collect_names(struct merge *m)
{
	char name[256];

	for (uint32_t i = 0; i < m->in->n_dirs; i++)
		m->dir_path[i] =
			name_id(m, m->in->dirs[i].path, strlen(m->in->dirs[i].path));
	for (uint32_t i = 0; i < m->in->n_mods; i++) {
		const struct merge_mod *mod = &m->in->mods[i];

		if (mod->intake < 0 &&
			str_eq(str_of(m->old, m->old->mods[mod->row].file), mod->file)) {
			m->file[i] = m->old->mods[mod->row].file | IN_OLD;
			m->name[i] = m->old->mods[mod->row].name | IN_OLD;
			continue;
		}
		if (strlen(mod->file) >= sizeof(name))
			return -ENAMETOOLONG;
		m->file[i] = name_id(m, mod->file, strlen(mod->file));
		m->name[i] = name_id(m, name, modname_copy(name, mod->file));
	}
	return intake_finish(&m->names);
}

/* --- what of the old table stays --- */

static void use(struct merge *m, str_id id)
{
	if (id != ID_NONE)
		m->old_used[id] = 1;
}

/* What a damaged module brought before its fault belongs to nobody. */
static void mark_raw(struct merge *m, unsigned i, uint32_t row)
{
	const struct intake *in = &m->in->intakes[i];
	const struct raw_mod *r = vec_data(&in->mods, struct raw_mod) + row;
	uint8_t *used = m->str_used[i];
	str_id own[] = {r->vermagic, r->modinfo_name, r->devnode};

	for (size_t k = 0; k < ARRAY_SIZE(own); k++)
		if (own[k] != ID_NONE)
			used[own[k]] = 1;
	for (uint32_t k = r->exports; k < r[1].exports; k++)
		used[vec_data(&in->exports, struct sym_crc)[k].sym] = 1;
	for (uint32_t k = r->needs; k < r[1].needs; k++)
		m->pair_used[i][NEED_PAIR(vec_data(&in->needs, uint32_t)[k])] = 1;
	for (uint32_t k = r->values; k < r[1].values; k++)
		used[vec_data(&in->values, str_id)[k]] = 1;
}

static int mark_intakes(struct merge *m)
{
	for (unsigned i = 0; i < m->n_intakes; i++) {
		const struct intake *in = intake_at(m, i);

		m->str_used[i] = array(intake_n_strings(in), 1);
		m->pair_used[i] = array(vec_len(&in->pairs, struct sym_crc), 1);
		if (!m->str_used[i] || !m->pair_used[i])
			return -ENOMEM;
	}
	memset(m->str_used[m->n_intakes - 1], 1, intake_n_strings(&m->names));
	for (uint32_t i = 0; i < m->in->n_mods; i++)
		if (m->in->mods[i].intake >= 0)
			mark_raw(m, (unsigned)m->in->mods[i].intake, m->in->mods[i].row);
	for (unsigned i = 0; i + 1 < m->n_intakes; i++) {
		const struct buf *pairs = &m->in->intakes[i].pairs;

		for (size_t k = 0; k < vec_len(pairs, struct sym_crc); k++)
			if (m->pair_used[i][k])
				m->str_used[i][vec_data(pairs, struct sym_crc)[k].sym] =
					1;
	}
	return 0;
}

static void mark_module(struct merge *m, const struct mod *row)
{
	const struct tables *old = m->old;

	use(m, row->vermagic);
	use(m, row->modinfo_name);
	use(m, row->devnode);
	for (uint32_t i = row->exports; i < row[1].exports; i++)
		m->old_used[old->exports[i].sym] = 1;
	for (uint32_t i = row->needs; i < row[1].needs; i++)
		m->old_pair_used[NEED_PAIR(old->needs[i])] = 1;
	for (uint32_t i = row->values; i < row[1].values; i++)
		m->old_used[old->values[i]] = 1;
}

static void mark_old(struct merge *m)
{
	for (uint32_t i = 0; i < m->in->n_dirs; i++)
		if (m->dir_path[i] & IN_OLD)
			m->old_used[m->dir_path[i] & ~IN_OLD] = 1;
	for (uint32_t i = 0; i < m->in->n_mods; i++) {
		if (m->file[i] & IN_OLD)
			m->old_used[m->file[i] & ~IN_OLD] = 1;
		if (m->name[i] & IN_OLD)
			m->old_used[m->name[i] & ~IN_OLD] = 1;
		if (m->in->mods[i].intake < 0)
			mark_module(m, &m->old->mods[m->in->mods[i].row]);
	}
	for (uint32_t i = 0; m->old && i < m->old->n.pairs; i++)
		if (m->old_pair_used[i])
			m->old_used[m->old->pairs[i].sym] = 1;
}

/* --- strings --- */

static int str_cmp(const char *a, uint32_t a_len, const char *b, uint32_t b_len)
{
	int c = memcmp(a, b, MIN(a_len, b_len));

	return c ? c : (a_len > b_len) - (a_len < b_len);
}

/* Unite the sorted strings of one more intake with those so far. */
static int add_intake(struct merge *m, unsigned i)
{
	const struct intake *in = intake_at(m, i);
	const str_id *order = vec_data(&in->order, str_id);
	size_t n = intake_n_strings(in), a = 0, b = 0, out = 0;
	struct fresh *both = array(m->n_fresh + n, sizeof(*both));
	uint32_t *moved = array(m->n_fresh, sizeof(*moved));

	if (!both || !moved) {
		free(both);
		free(moved);
		return -ENOMEM;
	}
	while (a < m->n_fresh || b < n) {
		uint32_t len = 0;
		const char *s;
		int c;

		if (b < n && !m->str_used[i][order[b]]) {
			b++;
			continue;
		}
		s = b < n ? intake_str(in, order[b], &len) : NULL;
		c = a == m->n_fresh ? 1
		    : !s            ? -1
				    : str_cmp(m->fresh[a].s, m->fresh[a].len, s, len);
		if (c <= 0) {
			both[out] = m->fresh[a];
			moved[a++] = (uint32_t)out;
		} else {
			both[out] = (struct fresh){.s = s, .len = len};
		}
		if (c >= 0)
			m->fresh_of[i][order[b++]] = (uint32_t)out;
		out++;
	}
	for (unsigned j = 0; j < i; j++)
		for (size_t k = 0; k < intake_n_strings(intake_at(m, j)); k++)
			if (m->str_used[j][k])
				m->fresh_of[j][k] = moved[m->fresh_of[j][k]];
	free(moved);
	free(m->fresh);
	m->fresh = both;
	m->n_fresh = out;
	return 0;
}

/*
 * Where each fresh string goes among the old ones. One that the old table has marks it as
 * used; place[] then has IN_OLD.
 */
static void find_places(struct merge *m, uint32_t *place)
{
	for (size_t i = 0; i < m->n_fresh; i++) {
		bool equal = false;

		place[i] = 0;
		if (m->old)
			place[i] = tables_find_str(
				m->old, m->fresh[i].s, m->fresh[i].len, &equal);
		if (equal) {
			m->old_used[place[i]] = 1;
			place[i] |= IN_OLD;
		}
	}
}

/* Number the united strings, old and fresh, in order. */
static int number_strings(struct merge *m, const uint32_t *place)
{
	uint32_t n_old = m->old ? m->old->n.strings : 0;
	uint64_t text = 0;
	uint32_t id = 0;
	size_t f = 0;

	for (uint32_t o = 0; o <= n_old; o++) {
		for (; f < m->n_fresh && place[f] == o; f++) {
			m->fresh[f].id = id++;
			text += (uint64_t)m->fresh[f].len + 1;
		}
		if (o < n_old && m->old_used[o]) {
			m->old_map[o] = id++;
			text += (uint64_t)str_len(m->old, o) + 1;
		}
		if (f < m->n_fresh && place[f] == (o | IN_OLD))
			m->fresh[f++].id = m->old_map[o];
	}
	if (text > INT32_MAX)
		return -E2BIG;
	m->n.strings = id;
	m->n.text = (uint32_t)text;
	return 0;
}

static void copy_old_strings(struct merge *m)
{
	uint32_t n = m->old ? m->old->n.strings : 0;

	for (uint32_t o = 0; o < n; o++)
		if (m->old_used[o])
			m->out.str_off[m->old_map[o] + 1] = str_len(m->old, o) + 1;
}

/* Offsets from lengths, then the bytes; runs of old strings are copied as one. */
static void copy_text(struct merge *m)
{
	uint32_t n_old = m->old ? m->old->n.strings : 0;

	m->out.str_off[0] = 0;
	copy_old_strings(m);
	for (size_t f = 0; f < m->n_fresh; f++)
		m->out.str_off[m->fresh[f].id + 1] = m->fresh[f].len + 1;
	for (uint32_t i = 0; i < m->n.strings; i++)
		m->out.str_off[i + 1] += m->out.str_off[i];
	for (uint32_t o = 0; o < n_old;) {
		uint32_t end = o + 1;

		if (!m->old_used[o]) {
			o++;
			continue;
		}
		while (end < n_old && m->old_used[end] &&
			m->old_map[end] == m->old_map[o] + (end - o))
			end++;
		memcpy(m->out.text + m->out.str_off[m->old_map[o]], str_of(m->old, o),
			m->old->str_off[end] - m->old->str_off[o]);
		o = end;
	}
	for (size_t f = 0; f < m->n_fresh; f++)
		memcpy(m->out.text + m->out.str_off[m->fresh[f].id], m->fresh[f].s,
			(size_t)m->fresh[f].len + 1);
}

static str_id new_id(const struct merge *m, unsigned intake, str_id local)
{
	return local == ID_NONE ? ID_NONE : m->fresh[m->fresh_of[intake][local]].id;
}

static str_id new_name(const struct merge *m, str_id id)
{
	return id & IN_OLD ? m->old_map[id & ~IN_OLD] : new_id(m, m->n_intakes - 1, id);
}

static str_id map_old(const struct merge *m, str_id id)
{
	return id == ID_NONE ? ID_NONE : m->old_map[id];
}

/* --- pairs --- */

struct pair_ref {
	struct sym_crc pair;
	uint32_t local;
	uint32_t intake;
};

static int pair_cmp(const void *pa, const void *pb)
{
	const struct sym_crc *a = pa, *b = pb;

	if (a->sym != b->sym)
		return a->sym < b->sym ? -1 : 1;
	return (a->crc > b->crc) - (a->crc < b->crc);
}

/* By counting symbols, since there is room for each; then the CRCs of one. */
static int sort_pairs(const struct merge *m, struct buf *refs)
{
	_cleanup_(freep) uint32_t *at = array((size_t)m->n.strings + 1, sizeof(*at));
	struct pair_ref *from = vec_data(refs, struct pair_ref);
	size_t n = vec_len(refs, struct pair_ref);
	struct pair_ref *to = array(n, sizeof(*to));

	if (!at || !to) {
		free(to);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		at[from[i].pair.sym + 1]++;
	for (uint32_t s = 0; s < m->n.strings; s++)
		at[s + 1] += at[s];
	for (size_t i = 0; i < n; i++)
		to[at[from[i].pair.sym]++] = from[i];
	memcpy(from, to, n * sizeof(*to));
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && from[end].pair.sym == from[i].pair.sym;
			end++)
			;
		if (end - i > 1)
			qsort(from + i, end - i, sizeof(*from), pair_cmp);
	}
	free(to);
	return 0;
}

static int collect_pairs(struct merge *m, struct buf *refs)
{
	for (unsigned i = 0; i + 1 < m->n_intakes; i++) {
		const struct buf *pairs = &m->in->intakes[i].pairs;

		for (uint32_t k = 0; k < vec_len(pairs, struct sym_crc); k++) {
			struct sym_crc p = vec_data(pairs, struct sym_crc)[k];
			struct pair_ref ref = {.local = k, .intake = i};

			if (!m->pair_used[i][k])
				continue;
			ref.pair = (struct sym_crc){new_id(m, i, p.sym), p.crc};
			buf_add(refs, &ref, sizeof(ref));
		}
	}
	if (refs->err)
		return refs->err;
	return refs->len ? sort_pairs(m, refs) : 0;
}

static int unite_pairs(struct merge *m)
{
	_cleanup_(buf_done) struct buf refs = {0};
	uint32_t n_old = m->old ? m->old->n.pairs : 0, o = 0;
	int r = collect_pairs(m, &refs);
	const struct pair_ref *ref = vec_data(&refs, struct pair_ref);
	const struct pair_ref *end = ref + vec_len(&refs, struct pair_ref);

	if (r < 0)
		return r;
	for (;;) {
		struct sym_crc p, q;
		uint32_t id = (uint32_t)vec_len(&m->pairs, struct sym_crc);
		int c;

		while (o < n_old && !m->old_pair_used[o])
			o++;
		if (o == n_old && ref == end)
			break;
		if (o < n_old)
			p = (struct sym_crc){
				m->old_map[m->old->pairs[o].sym], m->old->pairs[o].crc};
		c = o == n_old ? 1 : ref == end ? -1 : pair_cmp(&p, &ref->pair);
		q = c <= 0 ? p : ref->pair;
		buf_add(&m->pairs, &q, sizeof(q));
		if (c <= 0)
			m->old_pair_map[o++] = id;
		for (; ref < end && pair_cmp(&ref->pair, &q) == 0; ref++)
			m->pair_map[ref->intake][ref->local] = id;
	}
	m->n.pairs = (uint32_t)vec_len(&m->pairs, struct sym_crc);
	return m->pairs.err;
}

/* --- rows --- */

struct lengths {
	uint32_t exports, needs, values;
};

static struct lengths lengths_of(const struct merge *m, const struct merge_mod *mod)
{
	if (mod->intake < 0) {
		const struct mod *r = &m->old->mods[mod->row];

		return (struct lengths){r[1].exports - r->exports, r[1].needs - r->needs,
			r[1].values - r->values};
	} else {
		const struct raw_mod *r =
			vec_data(&m->in->intakes[mod->intake].mods, struct raw_mod) +
			mod->row;

		return (struct lengths){r[1].exports - r->exports, r[1].needs - r->needs,
			r[1].values - r->values};
	}
}

static int count_rows(struct merge *m)
{
	uint64_t exports = 0, needs = 0, values = 0;

	for (uint32_t i = 0; i < m->in->n_mods; i++) {
		struct lengths l = lengths_of(m, &m->in->mods[i]);

		exports += l.exports;
		needs += l.needs;
		values += l.values;
	}
	if (exports > INT32_MAX || needs > INT32_MAX || values > INT32_MAX)
		return -E2BIG;
	m->n.dirs = m->in->n_dirs;
	m->n.mods = m->in->n_mods;
	m->n.exports = (uint32_t)exports;
	m->n.needs = (uint32_t)needs;
	m->n.values = (uint32_t)values;
	return 0;
}

static void copy_old_facts(struct merge *m, const struct mod *from, struct mod *to)
{
	const struct tables *old = m->old;
	struct sym_crc *export = m->out.exports + to->exports;
	uint32_t *need = m->out.needs + to->needs;
	str_id *value = m->out.values + to->values;

	to->flags |= from->flags & (ROW_COMPRESSED | ROW_NODE_ONLY);
	to->status = from->status;
	to->vermagic = map_old(m, from->vermagic);
	to->modinfo_name = map_old(m, from->modinfo_name);
	to->devnode = map_old(m, from->devnode);
	to->digest = from->digest;
	to->softdeps = to->values + (from->softdeps - from->values);
	to->weakdeps = to->values + (from->weakdeps - from->values);
	for (uint32_t i = from->exports; i < from[1].exports; i++)
		*export ++ = (struct sym_crc){
			m->old_map[old->exports[i].sym], old->exports[i].crc};
	for (uint32_t i = from->needs; i < from[1].needs; i++)
		*need++ = m->old_pair_map[NEED_PAIR(old->needs[i])] |
			  (old->needs[i] & NEED_WEAK);
	for (uint32_t i = from->values; i < from[1].values; i++)
		*value++ = m->old_map[old->values[i]];
}

static void copy_raw_facts(
	struct merge *m, unsigned i, const struct raw_mod *from, struct mod *to)
{
	const struct intake *in = &m->in->intakes[i];
	struct sym_crc *export = m->out.exports + to->exports;
	uint32_t *need = m->out.needs + to->needs;
	str_id *value = m->out.values + to->values;

	to->flags |= from->flags & (ROW_COMPRESSED | ROW_NODE_ONLY);
	to->status = from->status;
	to->vermagic = new_id(m, i, from->vermagic);
	to->modinfo_name = new_id(m, i, from->modinfo_name);
	to->devnode = new_id(m, i, from->devnode);
	to->digest = from->digest;
	to->softdeps = to->values + (from->softdeps - from->values);
	to->weakdeps = to->values + (from->weakdeps - from->values);
	for (uint32_t k = from->exports; k < from[1].exports; k++) {
		struct sym_crc e = vec_data(&in->exports, struct sym_crc)[k];

		*export ++ = (struct sym_crc){new_id(m, i, e.sym), e.crc};
	}
	for (uint32_t k = from->needs; k < from[1].needs; k++) {
		uint32_t n = vec_data(&in->needs, uint32_t)[k];

		*need++ = m->pair_map[i][NEED_PAIR(n)] | (n & NEED_WEAK);
	}
	for (uint32_t k = from->values; k < from[1].values; k++)
		*value++ = new_id(m, i, vec_data(&in->values, str_id)[k]);
}

static void copy_rows(struct merge *m)
{
	struct lengths at = {0, 0, 0};
	dir_row dir = 0;

	for (uint32_t i = 0; i < m->in->n_dirs; i++) {
		const struct merge_dir *d = &m->in->dirs[i];

		m->out.dirs[i] = (struct dir){.path = new_name(m, m->dir_path[i]),
			.flags = d->flags,
			.first = d->first,
			.stamp = d->stamp};
	}
	m->out.dirs[m->in->n_dirs].first = m->in->n_mods;
	for (uint32_t i = 0; i <= m->in->n_mods; i++) {
		const struct merge_mod *mod = &m->in->mods[i];
		struct mod *to = &m->out.mods[i];
		struct lengths l;

		to->exports = at.exports;
		to->needs = at.needs;
		to->values = to->softdeps = to->weakdeps = at.values;
		if (i == m->in->n_mods)
			break;
		while (m->in->dirs[dir + 1].first <= i)
			dir++;
		to->dir = dir;
		to->file = new_name(m, m->file[i]);
		to->name = new_name(m, m->name[i]);
		to->flags = mod->flags & (ROW_RACY | ROW_LINK);
		to->stamp = mod->stamp;
		l = lengths_of(m, mod);
		if (mod->intake < 0)
			copy_old_facts(m, &m->old->mods[mod->row], to);
		else
			copy_raw_facts(m, (unsigned)mod->intake,
				vec_data(&m->in->intakes[mod->intake].mods,
					struct raw_mod) +
					mod->row,
				to);
		at.exports += l.exports;
		at.needs += l.needs;
		at.values += l.values;
	}
	if (m->pairs.len)
		memcpy(m->out.pairs, m->pairs.data, m->pairs.len);
}

/* --- all of it --- */

static int merge_alloc(struct merge *m)
{
	uint32_t n_str = m->old ? m->old->n.strings : 0,
		 n_pair = m->old ? m->old->n.pairs : 0;

	m->n_intakes = m->in->n_intakes + 1;
	intake_init(&m->names);
	m->file = array(m->in->n_mods, sizeof(str_id));
	m->name = array(m->in->n_mods, sizeof(str_id));
	m->dir_path = array(m->in->n_dirs, sizeof(str_id));
	m->old_used = array(n_str, 1);
	m->old_pair_used = array(n_pair, 1);
	m->old_map = array(n_str, sizeof(str_id));
	m->old_pair_map = array(n_pair, sizeof(uint32_t));
	m->str_used = array(m->n_intakes, sizeof(*m->str_used));
	m->pair_used = array(m->n_intakes, sizeof(*m->pair_used));
	m->fresh_of = array(m->n_intakes, sizeof(*m->fresh_of));
	m->pair_map = array(m->n_intakes, sizeof(*m->pair_map));
	if (!m->file || !m->name || !m->dir_path || !m->old_used || !m->old_pair_used ||
		!m->old_map || !m->old_pair_map || !m->str_used || !m->pair_used ||
		!m->fresh_of || !m->pair_map)
		return -ENOMEM;
	return 0;
}

static void free_each(void **list, unsigned n)
{
	for (unsigned i = 0; list && i < n; i++)
		free(list[i]);
	free(list);
}

static void merge_done(struct merge *m)
{
	free_each((void **)m->str_used, m->n_intakes);
	free_each((void **)m->pair_used, m->n_intakes);
	free_each((void **)m->fresh_of, m->n_intakes);
	free_each((void **)m->pair_map, m->n_intakes);
	intake_done(&m->names);
	buf_done(&m->pairs);
	free(m->file);
	free(m->name);
	free(m->dir_path);
	free(m->old_used);
	free(m->old_pair_used);
	free(m->old_map);
	free(m->old_pair_map);
	free(m->fresh);
}

static int unite_strings(struct merge *m)
{
	_cleanup_(freep) uint32_t *place = NULL;
	int err = mark_intakes(m);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < m->n_intakes; i++) {
		const struct intake *in = intake_at(m, i);
		int r;

		m->fresh_of[i] = array(intake_n_strings(in), sizeof(uint32_t));
		m->pair_map[i] =
			array(vec_len(&in->pairs, struct sym_crc), sizeof(uint32_t));
		if (!m->fresh_of[i] || !m->pair_map[i])
			return -ENOMEM;
		r = add_intake(m, i);
		if (r < 0)
			return r;
	}
	place = array(m->n_fresh, sizeof(*place));
	if (!place)
		return -ENOMEM;
	mark_old(m);
	find_places(m, place);
	return number_strings(m, place);
}

static int merge_run(struct merge *m, size_t head, void **ret_image)
{
	size_t size;
	char *image;
	int r;

	r = merge_alloc(m);
	if (!r)
		r = collect_names(m);
	if (!r)
		r = unite_strings(m);
	if (!r)
		r = unite_pairs(m);
	if (!r)
		r = count_rows(m);
	if (r < 0)
		return r;
	size = tables_size(&m->n);
	if (!size)
		return -E2BIG;
	image = pages_alloc(head + size);
	if (!image)
		return -ENOMEM;
	tables_place(&m->out, &m->n, image + head);
	copy_text(m);
	copy_rows(m);
	*ret_image = image;
	return 0;
}

int merge_tables(
	struct merge_input *in, size_t head, struct tables *ret, void **ret_image)
{
	struct merge m = {.in = in, .old = in->old};
	int r = merge_run(&m, head, ret_image);

	if (r == 0)
		*ret = m.out;
	merge_done(&m);
	return r;
}
