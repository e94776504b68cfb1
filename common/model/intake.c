// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The CRC of a need stands in another section than the need. Instead of searching that
 * section for each symbol (which is where depmod spends most of its time), each string
 * has a mark: the module that last needed it, and the CRC once it was seen.
 */

#include <stdio.h>

#include "model/intake.h"

#define CHUNKED_MAX 1024u /* bytes of a string that are looked at eight at a time */

struct mark {
	uint32_t serial; /* of the module that needs this string; 0: none did yet */
	uint32_t crc;
	bool versioned;
};

struct want {
	str_id sym;
	uint32_t crc;
	bool weak;
	bool from_versions; /* crc is already known */
};

void intake_init(struct intake *in)
{
	*in = (struct intake){0};
	vec_push(&in->str_off, uint32_t);
}

void intake_done(struct intake *in)
{
	struct buf *all[] = {&in->text, &in->str_off, &in->str_hash, &in->pairs,
		&in->exports, &in->needs, &in->values, &in->mods, &in->softdeps,
		&in->weakdeps, &in->wants, &in->marks, &in->order};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		buf_done(all[i]);
	free(in->str_set.slots);
	free(in->pair_set.slots);
	*in = (struct intake){0};
}

static int intake_error(struct intake *in)
{
	const struct buf *all[] = {&in->text, &in->str_off, &in->str_hash, &in->pairs,
		&in->exports, &in->needs, &in->values, &in->mods, &in->softdeps,
		&in->weakdeps, &in->wants, &in->marks};

	for (size_t i = 0; i < ARRAY_SIZE(all) && !in->err; i++)
		in->err = all[i]->err;
	/* offsets and ids are 32 bits */
	if (!in->err &&
		(in->text.len > INT32_MAX || vec_len(&in->needs, uint32_t) > INT32_MAX ||
			vec_len(&in->values, uint32_t) > INT32_MAX))
		in->err = -E2BIG;
	return in->err;
}

static uint64_t pair_key(struct sym_crc p)
{
	uint64_t key;

	memcpy(&key, &p, sizeof(key));
	return key * 0x9E3779B97F4A7C15u;
}

static uint32_t str_hash_of(struct intake *in, uint32_t id)
{
	return vec_data(&in->str_hash, uint32_t)[id];
}

static uint32_t pair_hash_of(struct intake *in, uint32_t id)
{
	return (uint32_t)(pair_key(vec_data(&in->pairs, struct sym_crc)[id]) >> 32);
}

/* Keep the set at most half full. */
static bool set_room(struct intake *in, struct id_set *set,
	uint32_t (*hash_of)(struct intake *in, uint32_t id))
{
	uint32_t mask = set->mask ? set->mask * 4 + 3 : 4095;
	uint32_t *slots;

	if (set->slots && set->n * 2 <= set->mask)
		return true;
	slots = calloc((size_t)mask + 1, sizeof(*slots));
	if (!slots) {
		in->err = -ENOMEM;
		return false;
	}
	for (uint32_t id = 0; id < set->n; id++) {
		uint32_t at = hash_of(in, id) & mask;

		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = id + 1;
	}
	free(set->slots);
	set->slots = slots;
	set->mask = mask;
	return true;
}

str_id intake_string(struct intake *in, const char *s, size_t len)
{
	uint32_t hash = (uint32_t)digest_hash(s, len), at, *end;

	if (!set_room(in, &in->str_set, str_hash_of))
		return 0;
	for (at = hash & in->str_set.mask; in->str_set.slots[at];
		at = (at + 1) & in->str_set.mask) {
		str_id id = in->str_set.slots[at] - 1;
		uint32_t n;
		const char *known;

		if (str_hash_of(in, id) != hash)
			continue;
		known = intake_str(in, id, &n);
		if (n == len && memcmp(known, s, len) == 0)
			return id;
	}
	buf_add(&in->text, s, len);
	buf_char(&in->text, '\0');
	end = vec_push(&in->str_off, uint32_t);
	buf_add(&in->str_hash, &hash, sizeof(hash));
	vec_push(&in->marks, struct mark);
	if (!end || in->text.err || in->str_hash.err || in->marks.err ||
		in->text.len > INT32_MAX) {
		intake_error(in);
		return 0;
	}
	*end = (uint32_t)in->text.len;
	in->str_set.slots[at] = ++in->str_set.n;
	return in->str_set.n - 1;
}

static uint32_t intake_pair(struct intake *in, struct sym_crc p)
{
	uint32_t at;

	if (!set_room(in, &in->pair_set, pair_hash_of))
		return 0;
	for (at = (uint32_t)(pair_key(p) >> 32) & in->pair_set.mask;
		in->pair_set.slots[at]; at = (at + 1) & in->pair_set.mask) {
		uint32_t id = in->pair_set.slots[at] - 1;
		struct sym_crc q = vec_data(&in->pairs, struct sym_crc)[id];

		if (q.sym == p.sym && q.crc == p.crc)
			return id;
	}
	buf_add(&in->pairs, &p, sizeof(p));
	if (in->pairs.err)
		return 0;
	in->pair_set.slots[at] = ++in->pair_set.n;
	return in->pair_set.n - 1;
}

/* --- one module --- */

/* The device node that udev may make before the module is loaded. */
struct node {
	const char *name;
	size_t name_len;
	char type;
	unsigned major, minor;
	bool complete;
};

struct reading {
	struct intake *in;
	struct raw_mod mod;
	struct node node;
};

static bool begins(const char *value, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(value, with, strlen(with)) == 0;
}

/* Whatever follows the numbers: 0, 1 for other aliases, or -ENOMEM. */
static int node_numbers(struct node *n, const char *value, size_t len)
{
	_cleanup_(buf_done) struct buf text = {0};
	unsigned major, minor;

	if (!begins(value, len, "char-major-") && !begins(value, len, "block-major-"))
		return 1;
	buf_add(&text, value, len);
	buf_char(&text, '\0');
	if (text.err)
		return text.err;
	if (sscanf(strchr(text.data, '-'), "-major-%u-%u", &major, &minor) != 2)
		return 1;
	n->type = *value;
	n->major = major;
	n->minor = minor;
	return 0;
}

/* The last name and the last number before both are known count. 0 or -ENOMEM. */
static int node_alias(struct node *n, const char *value, size_t len)
{
	if (n->complete)
		return 0;
	if (begins(value, len, "devname:")) {
		n->name = value + strlen("devname:");
		n->name_len = len - strlen("devname:");
	} else if (node_numbers(n, value, len) < 0) {
		return -ENOMEM;
	}
	n->complete = n->name && n->type;
	return 0;
}

static int take_info(void *arg, enum elfmod_key key, const char *value, size_t len)
{
	struct reading *r = arg;
	str_id id = intake_string(r->in, value, len);

	switch (key) {
	case ELFMOD_ALIAS:
		buf_add(&r->in->values, &id, sizeof(id));
		if (node_alias(&r->node, value, len) < 0)
			r->in->err = -ENOMEM;
		break;
	case ELFMOD_SOFTDEP:
		buf_add(&r->in->softdeps, &id, sizeof(id));
		break;
	case ELFMOD_WEAKDEP:
		buf_add(&r->in->weakdeps, &id, sizeof(id));
		break;
	case ELFMOD_NAME:
		r->mod.modinfo_name = id;
		break;
	case ELFMOD_VERMAGIC:
		r->mod.vermagic = id;
		break;
	default:
		break;
	}
	return r->in->err;
}

static int take_export(void *arg, const char *name, size_t len, uint32_t crc)
{
	struct reading *r = arg;
	struct sym_crc e = {intake_string(r->in, name, len), crc};

	buf_add(&r->in->exports, &e, sizeof(e));
	return r->in->err;
}

static int take_need(void *arg, const char *name, size_t len, bool weak)
{
	struct reading *r = arg;
	struct want w = {.sym = intake_string(r->in, name, len), .weak = weak};
	struct mark *m = vec_data(&r->in->marks, struct mark);

	if (r->in->err)
		return r->in->err;
	m += w.sym;
	if (m->serial != r->in->serial)
		*m = (struct mark){.serial = r->in->serial};
	buf_add(&r->in->wants, &w, sizeof(w));
	return r->in->err;
}

static int take_version(void *arg, const char *name, size_t len, uint32_t crc, bool ext)
{
	struct reading *r = arg;
	struct want w = {.sym = intake_string(r->in, name, len),
		.crc = crc,
		.from_versions = true};
	struct mark *m = vec_data(&r->in->marks, struct mark);

	if (r->in->err)
		return r->in->err;
	m += w.sym;
	if (m->serial == r->in->serial && !m->versioned) {
		m->crc = crc;
		m->versioned = true;
	} else if (!ext) {
		buf_add(&r->in->wants, &w, sizeof(w)); /* module_layout and the like */
	}
	return r->in->err;
}

static void store_wants(struct intake *in)
{
	const struct want *w = vec_data(&in->wants, struct want);
	const struct mark *marks = vec_data(&in->marks, struct mark);

	for (size_t i = 0; i < vec_len(&in->wants, struct want); i++) {
		struct sym_crc p = {
			w[i].sym, w[i].from_versions ? w[i].crc : marks[w[i].sym].crc};
		uint32_t need = intake_pair(in, p) | (w[i].weak ? NEED_WEAK : 0);

		buf_add(&in->needs, &need, sizeof(need));
	}
}

static void store_node(struct reading *r)
{
	_cleanup_(buf_done) struct buf text = {0};

	if (!r->node.name)
		return;
	buf_add(&text, r->node.name, r->node.name_len);
	if (r->node.complete)
		buf_printf(&text, " %c%u:%u", r->node.type, r->node.major, r->node.minor);
	else
		r->mod.flags |= ROW_NODE_ONLY;
	if (text.err)
		r->in->err = text.err;
	else
		r->mod.devnode =
			intake_string(r->in, text.len ? text.data : "", text.len);
}

static struct raw_mod raw_start(const struct intake *in)
{
	return (struct raw_mod){
		.vermagic = ID_NONE,
		.modinfo_name = ID_NONE,
		.devnode = ID_NONE,
		.exports = (uint32_t)vec_len(&in->exports, struct sym_crc),
		.needs = (uint32_t)vec_len(&in->needs, uint32_t),
		.values = (uint32_t)vec_len(&in->values, str_id),
	};
}

static uint32_t raw_add(struct intake *in, const struct raw_mod *mod)
{
	buf_add(&in->mods, mod, sizeof(*mod));
	return (uint32_t)vec_len(&in->mods, struct raw_mod) - 1;
}

uint32_t intake_module(struct intake *in, struct elf_input *elf, int *ret_err)
{
	static const struct elfmod_ops ops = {
		take_info, take_export, take_need, take_version};
	struct reading r = {.in = in, .mod = raw_start(in)};
	struct elfmod m;
	int err;

	in->serial++;
	in->softdeps.len = in->weakdeps.len = in->wants.len = 0;
	err = elfmod_open(elf, &m);
	if (err == 0)
		err = elfmod_walk(&m, &ops, &r);
	if (err == 0 || err == ELFMOD_BAD_EXPORTS)
		store_wants(in);
	store_node(&r);
	r.mod.softdeps = (uint32_t)vec_len(&in->values, str_id);
	buf_add(&in->values, in->softdeps.data, in->softdeps.len);
	r.mod.weakdeps = (uint32_t)vec_len(&in->values, str_id);
	buf_add(&in->values, in->weakdeps.data, in->weakdeps.len);
	r.mod.status = err > 0 ? (uint16_t)err : ELFMOD_OK;
	*ret_err = err < 0 ? err : 0;
	intake_error(in);
	return raw_add(in, &r.mod);
}

uint32_t intake_unreadable(struct intake *in, enum elfmod_status status)
{
	struct raw_mod mod = raw_start(in);

	mod.softdeps = mod.weakdeps = mod.values;
	mod.status = (uint16_t)status;
	return raw_add(in, &mod);
}

static str_id import_str(struct intake *in, const struct tables *t, str_id s)
{
	return s == ID_NONE ? ID_NONE : intake_string(in, str_of(t, s), str_len(t, s));
}

uint32_t intake_import(struct intake *in, const struct tables *t, mod_row row)
{
	const struct mod *from = &t->mods[row];
	struct raw_mod mod = raw_start(in);

	mod.flags = from->flags & (ROW_COMPRESSED | ROW_NODE_ONLY);
	mod.status = from->status;
	mod.digest = from->digest;
	mod.vermagic = import_str(in, t, from->vermagic);
	mod.modinfo_name = import_str(in, t, from->modinfo_name);
	mod.devnode = import_str(in, t, from->devnode);
	mod.softdeps = mod.values + (from->softdeps - from->values);
	mod.weakdeps = mod.values + (from->weakdeps - from->values);
	for (uint32_t i = from->exports; i < from[1].exports; i++) {
		struct sym_crc e = {
			import_str(in, t, t->exports[i].sym), t->exports[i].crc};

		buf_add(&in->exports, &e, sizeof(e));
	}
	for (uint32_t i = from->needs; i < from[1].needs; i++) {
		struct sym_crc p = t->pairs[NEED_PAIR(t->needs[i])];
		uint32_t need;

		p.sym = import_str(in, t, p.sym);
		need = intake_pair(in, p) | (t->needs[i] & NEED_WEAK);
		buf_add(&in->needs, &need, sizeof(need));
	}
	for (uint32_t i = from->values; i < from[1].values; i++) {
		str_id s = import_str(in, t, t->values[i]);

		buf_add(&in->values, &s, sizeof(s));
	}
	intake_error(in);
	return raw_add(in, &mod);
}

/*
 * --- sorting: eight bytes at a time, then each run of equal eight by the next eight ---
 */

struct chunk {
	uint64_t bytes; /* as a big-endian number, zeros after the end */
	str_id id;
};

static uint64_t chunk_at(const struct intake *in, str_id id, size_t depth)
{
	uint32_t len;
	const char *s = intake_str(in, id, &len);
	uint64_t v = 0;

	if (depth < len)
		memcpy(&v, s + depth, MIN(len - depth, (size_t)8));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static int chunk_cmp(const void *a, const void *b)
{
	uint64_t x = ((const struct chunk *)a)->bytes,
		 y = ((const struct chunk *)b)->bytes;

	return (x > y) - (x < y);
}

static int whole_cmp(const void *pa, const void *pb, void *arg)
{
	uint32_t a_len, b_len;
	const char *a = intake_str(arg, ((const struct chunk *)pa)->id, &a_len);
	const char *b = intake_str(arg, ((const struct chunk *)pb)->id, &b_len);
	int c = memcmp(a, b, MIN(a_len, b_len));

	return c ? c : (a_len > b_len) - (a_len < b_len);
}

static void sort_chunks(struct intake *in, struct chunk *c, size_t n, size_t depth)
{
	/* no names agree that far; made to, they would use up the stack */
	if (depth >= CHUNKED_MAX) {
		qsort_r(c, n, sizeof(*c), whole_cmp, in);
		return;
	}
	for (size_t i = 0; i < n; i++)
		c[i].bytes = chunk_at(in, c[i].id, depth);
	qsort(c, n, sizeof(*c), chunk_cmp);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && c[end].bytes == c[i].bytes; end++)
			;
		/*
		 * strings are unique: equal chunks have no end in them, but for what no
		 * module has, a NUL
		 */
		if (end - i > 1)
			sort_chunks(in, c + i, end - i, depth + 8);
	}
}

static int sort_strings(struct intake *in)
{
	size_t n = intake_n_strings(in);
	_cleanup_(freep) struct chunk *c = malloc((n + 1) * sizeof(*c));

	if (!c || !buf_reserve(&in->order, n * sizeof(str_id) + 1))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		c[i].id = (str_id)i;
	sort_chunks(in, c, n, 0);
	for (size_t i = 0; i < n; i++)
		buf_add(&in->order, &c[i].id, sizeof(str_id));
	return 0;
}

int intake_finish(struct intake *in)
{
	struct raw_mod end = raw_start(in);

	raw_add(in, &end);
	return intake_error(in) ? in->err : sort_strings(in);
}
