// SPDX-License-Identifier: GPL-2.0-or-later
/*
 *   image  dirs | mods | exports | pairs | needs | values | str_off | text
 *
 * in this order, each array aligned to 8 bytes, gaps zeroed.
 */

#include "base/buf.h"
#include "model/tables.h"

static uint64_t place(uint64_t *at, uint64_t n, size_t size)
{
	uint64_t here = *at;

	*at = (here + n * size + 7) & ~(uint64_t)7;
	return here;
}

struct layout {
	uint64_t dirs, mods, exports, pairs, needs, values, str_off, text, end;
};

static struct layout layout_of(const struct counts *n)
{
	struct layout l;
	uint64_t at = 0;

	l.dirs = place(&at, (uint64_t)n->dirs + 1, sizeof(struct dir));
	l.mods = place(&at, (uint64_t)n->mods + 1, sizeof(struct mod));
	l.exports = place(&at, n->exports, sizeof(struct sym_crc));
	l.pairs = place(&at, n->pairs, sizeof(struct sym_crc));
	l.needs = place(&at, n->needs, sizeof(uint32_t));
	l.values = place(&at, n->values, sizeof(str_id));
	l.str_off = place(&at, (uint64_t)n->strings + 1, sizeof(uint32_t));
	l.text = place(&at, n->text, 1);
	l.end = at;
	return l;
}

/* Ids up to 2^31 leave room for flags and ID_NONE, and keep every size within 64 bits. */
#define COUNT_MAX 0x7fffffffu

size_t tables_size(const struct counts *n)
{
	const uint32_t all[] = {n->dirs, n->mods, n->exports, n->pairs, n->needs,
		n->values, n->strings, n->text};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] > COUNT_MAX)
			return 0;
	return layout_of(n).end <= SIZE_MAX / 2 ? (size_t)layout_of(n).end : 0;
}

void tables_place(struct tables *ret, const struct counts *n, void *image)
{
	struct layout l = layout_of(n);
	char *p = image;

	*ret = (struct tables){
		.n = *n,
		.dirs = (void *)(p + l.dirs),
		.mods = (void *)(p + l.mods),
		.exports = (void *)(p + l.exports),
		.pairs = (void *)(p + l.pairs),
		.needs = (void *)(p + l.needs),
		.values = (void *)(p + l.values),
		.str_off = (void *)(p + l.str_off),
		.text = p + l.text,
	};
}

/* Branches would cost more than the comparisons: collect the verdict in one bit. */
static bool strings_ok(const struct tables *t)
{
	bool bad = t->str_off[0] != 0 || t->str_off[t->n.strings] != t->n.text;

	for (uint32_t i = 0; i < t->n.strings; i++)
		bad |= t->str_off[i] >= t->str_off[i + 1] ||
		       t->str_off[i + 1] > t->n.text;
	if (bad)
		return false;
	for (uint32_t i = 0; i < t->n.strings; i++)
		bad |= t->text[t->str_off[i + 1] - 1] != '\0';
	return !bad;
}

static bool ids_ok(const struct tables *t)
{
	uint32_t s = t->n.strings, p = t->n.pairs;
	bool bad = false;

	for (uint32_t i = 0; i < t->n.exports; i++)
		bad |= t->exports[i].sym >= s;
	for (uint32_t i = 0; i < p; i++)
		bad |= t->pairs[i].sym >= s;
	for (uint32_t i = 0; i < t->n.needs; i++)
		bad |= NEED_PAIR(t->needs[i]) >= p;
	for (uint32_t i = 0; i < t->n.values; i++)
		bad |= t->values[i] >= s;
	return !bad;
}

static bool optional_ok(const struct tables *t, str_id id)
{
	return id == ID_NONE || id < t->n.strings;
}

static bool mods_ok(const struct tables *t)
{
	const struct mod *m = t->mods, *end = m + t->n.mods;
	bool bad = m->exports || m->needs || m->values;

	for (; m < end; m++) {
		bad |= m->file >= t->n.strings || m->name >= t->n.strings;
		bad |= m->dir >= t->n.dirs || m->status >= ELFMOD_STATUS_MAX;
		bad |= !optional_ok(t, m->vermagic) || !optional_ok(t, m->modinfo_name) ||
		       !optional_ok(t, m->devnode);
		bad |= m->exports > m[1].exports || m->needs > m[1].needs;
		bad |= m->values > m->softdeps || m->softdeps > m->weakdeps ||
		       m->weakdeps > m[1].values;
	}
	return !bad && end->exports == t->n.exports && end->needs == t->n.needs &&
	       end->values == t->n.values;
}

static bool dirs_ok(const struct tables *t)
{
	const struct dir *d = t->dirs, *end = d + t->n.dirs;
	bool bad = d->first != 0 || end->first != t->n.mods;

	for (; d < end; d++)
		bad |= d->path >= t->n.strings || d->first > d[1].first ||
		       d[1].first > t->n.mods;
	if (bad)
		return false;
	for (d = t->dirs; d < end; d++)
		for (mod_row m = d->first; m < d[1].first; m++)
			bad |= t->mods[m].dir != (dir_row)(d - t->dirs);
	return !bad;
}

int tables_check(const struct tables *t)
{
	return strings_ok(t) && ids_ok(t) && mods_ok(t) && dirs_ok(t) ? 0 : -EBADMSG;
}

bool tables_same_facts(const struct tables *a, const struct tables *b)
{
	const uint16_t of_facts = ROW_LINK | ROW_NODE_ONLY;
	struct layout l = layout_of(&a->n);

	if (memcmp(&a->n, &b->n, sizeof(a->n)) != 0 ||
		memcmp(a->exports, b->exports, (size_t)(l.end - l.exports)) != 0)
		return false;
	for (uint32_t i = 0; i <= a->n.dirs; i++)
		if (a->dirs[i].path != b->dirs[i].path ||
			a->dirs[i].first != b->dirs[i].first)
			return false;
	for (uint32_t i = 0; i <= a->n.mods; i++) {
		const struct mod *m = &a->mods[i], *n = &b->mods[i];

		if (m->file != n->file || m->name != n->name || m->dir != n->dir ||
			((m->flags ^ n->flags) & of_facts) || m->status != n->status ||
			m->vermagic != n->vermagic ||
			m->modinfo_name != n->modinfo_name || m->devnode != n->devnode ||
			m->exports != n->exports || m->needs != n->needs ||
			m->values != n->values || m->softdeps != n->softdeps ||
			m->weakdeps != n->weakdeps)
			return false;
	}
	return true;
}

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, MIN(a_len, b_len));

	return c ? c : (a_len > b_len) - (a_len < b_len);
}

str_id tables_find_str(const struct tables *t, const char *s, size_t len, bool *ret_equal)
{
	str_id lo = 0, hi = t->n.strings;

	*ret_equal = false;
	while (lo < hi) {
		str_id mid = lo + (hi - lo) / 2;
		int c = compare(str_of(t, mid), str_len(t, mid), s, len);

		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
		*ret_equal |= c == 0;
	}
	return lo;
}

static str_id dir_path(const struct tables *t, uint32_t row)
{
	return t->dirs[row].path;
}

static str_id mod_file(const struct tables *t, uint32_t row)
{
	return t->mods[row].file;
}

/* The row in [lo, hi) that has this string, or ID_NONE. They are sorted by it. */
static inline uint32_t find_row(const struct tables *t, uint32_t lo, uint32_t hi,
	str_id (*string)(const struct tables *t, uint32_t row), const char *s)
{
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = strcmp(str_of(t, string(t, mid)), s);

		if (c == 0)
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return ID_NONE;
}

dir_row tables_find_dir(const struct tables *t, const char *path)
{
	return find_row(t, 0, t->n.dirs, dir_path, path);
}

mod_row tables_find_mod(const struct tables *t, dir_row dir, const char *file)
{
	return find_row(t, t->dirs[dir].first, t->dirs[dir + 1].first, mod_file, file);
}

/*
 * Between a directory and a file, also where its path ends with one; of "/" that is
 * enough.
 */
static bool has_slash(const struct tables *t, str_id dir)
{
	return str_len(t, dir) > 0 && !str_eq(str_of(t, dir), "/");
}

void tables_path(const struct tables *t, mod_row m, struct buf *to)
{
	const struct dir *d = &t->dirs[t->mods[m].dir];

	buf_add(to, str_of(t, d->path), str_len(t, d->path));
	if (has_slash(t, d->path))
		buf_char(to, '/');
	buf_add(to, str_of(t, t->mods[m].file), str_len(t, t->mods[m].file));
}

/*
 * The bytes of a path, one after the other, without putting it together: nothing can
 * fail.
 */
struct path_reader {
	const char *parts[3]; /* directory, slash, file */
	unsigned part;
};

static struct path_reader path_reader(const struct tables *t, mod_row m)
{
	str_id dir = t->dirs[t->mods[m].dir].path;

	return (struct path_reader){{str_of(t, dir), has_slash(t, dir) ? "/" : "",
					    str_of(t, t->mods[m].file)},
		0};
}

/* A '/' ends a name: it sorts before every character. */
static int path_next(struct path_reader *r)
{
	unsigned char c;

	while (r->part < 2 && !*r->parts[r->part])
		r->part++;
	c = (unsigned char)*r->parts[r->part];
	if (c)
		r->parts[r->part]++;
	return c == '/' ? 1 : c ? c + 1 : 0;
}

int tables_walk_order(const struct tables *t, mod_row a, mod_row b)
{
	struct path_reader x = path_reader(t, a), y = path_reader(t, b);
	int p = path_next(&x), q = path_next(&y);

	/* externals come after the tree */
	if ((p == 1) != (q == 1))
		return p == 1 ? 1 : -1;
	while (p && p == q) {
		p = path_next(&x);
		q = path_next(&y);
	}
	return p - q;
}
