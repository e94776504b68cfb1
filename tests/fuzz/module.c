// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A module's bytes: read in parts, as from a file, and at once, as from memory, with the
 * same facts; put into a table three times (hidden by its own copy, and needing itself),
 * and through to the indexes, each of which must be readable again.
 */

#include "engine/emit.h"
#include "engine/read.h"
#include "formats/modname.h"
#include "formats/trie.h"
#include "fuzz.h"
#include "model/merge.h"

/* Each part in memory of its own, to its very end. */
struct parts {
	struct elf_input in;
	const uint8_t *data;
	struct buf list; /* void * */
};

static const uint8_t *load_part(
	struct elf_input *in, uint64_t off, uint64_t len, int *err)
{
	struct parts *p = (struct parts *)in;
	void *part;

	(void)err;
	PROMISE(off <= in->size && len <= in->size - off);
	part = exact(p->data + off, (size_t)len);
	buf_add(&p->list, &part, sizeof(part));
	PROMISE(!p->list.err);
	return part;
}

static uint32_t read_parts(struct intake *in, const uint8_t *data, size_t len)
{
	struct parts p = {.in = {.size = len, .load = load_part}, .data = data};
	uint32_t row;
	int err;

	row = intake_module(in, &p.in, &err);
	PROMISE(err == 0 && in->err == 0);
	for (size_t i = 0; i < vec_len(&p.list, void *); i++)
		free(vec_data(&p.list, void *)[i]);
	buf_done(&p.list);
	return row;
}

/* The table of a kernel that has the module three times. */
static void make_table(struct intake *in, const uint32_t row[3], const struct tables *old,
	struct tables *ret, void **ret_image)
{
	struct merge_dir dirs[] = {
		{.path = "kernel"}, {.path = "updates", .first = 2}, {.first = 3}};
	struct merge_mod mods[] = {{.file = "a.ko", .row = row[0]},
		{.file = "b-c.ko", .row = row[1]}, {.file = "a.ko", .row = row[2]}};
	struct merge_input input = {.old = old,
		.intakes = in,
		.n_intakes = in ? 1 : 0,
		.dirs = dirs,
		.n_dirs = 2,
		.mods = mods,
		.n_mods = 3};

	for (size_t i = 0; i < 3; i++)
		mods[i].intake = in ? 0 : -1;
	PROMISE(merge_tables(&input, 0, ret, ret_image) == 0);
	PROMISE(tables_check(ret) == 0);
	for (str_id s = 0; s + 1 < ret->n.strings; s++)
		PROMISE(strcmp(str_of(ret, s), str_of(ret, s + 1)) < 0);
}

/* From the store, from another kernel's store, or read: all the same. */
static void check_copies(const struct tables *t)
{
	static const uint32_t rows[] = {0, 1, 2};
	size_t size = tables_size(&t->n);
	struct intake in;
	struct tables copy;
	void *image;

	make_table(NULL, rows, t, &copy, &image);
	PROMISE(tables_size(&copy.n) == size && memcmp(copy.dirs, t->dirs, size) == 0);
	free(image);
	intake_init(&in);
	for (mod_row m = 0; m < 3; m++)
		PROMISE(intake_import(&in, t, m) == m);
	PROMISE(intake_finish(&in) == 0);
	make_table(&in, rows, NULL, &copy, &image);
	PROMISE(tables_size(&copy.n) == size && memcmp(copy.dirs, t->dirs, size) == 0);
	free(image);
	intake_done(&in);
}

struct last_key {
	struct buf key;
	uint32_t priority;
};

static int check_key(
	void *arg, const char *key, size_t len, uint32_t priority, const char *value)
{
	struct last_key *last = arg;

	PROMISE(strlen(key) == len && key_is_ascii(key, len));
	use_bytes(value, strlen(value));
	if (last->key.data) {
		int c = strcmp(last->key.data, key);

		PROMISE(c < 0 || (c == 0 && last->priority <= priority));
	}
	last->key.len = 0;
	buf_add(&last->key, key, len + 1);
	last->priority = priority;
	return 0;
}

static int check_index(void *arg, enum output_id id, const struct buf *data)
{
	_cleanup_(buf_done) struct buf key = {0};
	struct last_key last = {0};

	(void)arg;
	use_bytes(data->data, data->len);
	/* without modules.builtin its indexes are empty files */
	if (!output_is_text[id] && data->len > 0)
		PROMISE(trie_walk(data->data, data->len, check_key, &last) == 0);
	key = last.key;
	return 0;
}

static void ignore(void *arg, const struct event *e)
{
	(void)arg;
	use_bytes(e->detail ? e->detail : "", e->detail ? strlen(e->detail) : 0);
}

static void check_indexes(const struct tables *t)
{
	const struct report report = {.event = ignore};
	const struct target target = {.kver = "6.1", .jobs = 1, .report = &report};
	const struct output_sink sink = {.take = check_index};
	const struct kernel_lists none = {0};
	struct depmodd c = {0};
	struct resolved r;
	int err;

	PROMISE(depmodd_finish(&c) == 0);
	err = resolve(&target, t, &c, NULL, &r);
	PROMISE(err == 0 || err == RESOLVE_CYCLE);
	if (err == 0)
		PROMISE(emit(&target, &r, &none, true, &sink) == 0);
	resolved_done(&r);
	depmodd_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct intake in;
	struct decoder *d = decoder_new();
	struct tables t;
	uint32_t row[3];
	void *image;

	PROMISE(d);
	intake_init(&in);
	if (codec_of(data, len) == CODEC_NONE) {
		const struct raw_mod *raw;

		row[0] = read_parts(&in, data, len);
		PROMISE(read_bytes(&in, d, data, len, &row[1]) == 0);
		row[2] = read_parts(&in, data, len);
		raw = vec_data(&in.mods, struct raw_mod);
		PROMISE(raw[row[0]].status == raw[row[1]].status);
		PROMISE(intake_finish(&in) == 0);
		make_table(&in, row, NULL, &t, &image);
		PROMISE(t.mods[1].exports - t.mods[0].exports ==
			t.mods[2].exports - t.mods[1].exports);
		PROMISE(t.mods[1].needs - t.mods[0].needs ==
			t.mods[2].needs - t.mods[1].needs);
		PROMISE(t.mods[1].values - t.mods[0].values ==
			t.mods[2].values - t.mods[1].values);
		check_copies(&t);
		check_indexes(&t);
		free(image);
	}
	intake_done(&in);
	decoder_free(d);
	return 0;
}
