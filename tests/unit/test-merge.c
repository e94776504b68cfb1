// SPDX-License-Identifier: GPL-2.0-or-later

#include "table.h"

#define ALL ((1u << N_SAMPLES) - 1)

/* A module's facts as text. */
static void describe(const struct tables *t, mod_row r, struct buf *b)
{
	const struct mod *m = &t->mods[r];

	tables_path(t, r, b);
	buf_printf(b, " %s", str_of(t, m->name));
	if (m->vermagic != ID_NONE)
		buf_printf(b, " vermagic=%s", str_of(t, m->vermagic));
	if (m->devnode != ID_NONE)
		buf_printf(b, " node%s=%s", m->flags & ROW_NODE_ONLY ? "-only" : "",
			str_of(t, m->devnode));
	for (uint32_t i = m->values; i < m[1].values; i++)
		buf_printf(b, " %s=%s",
			i < m->softdeps   ? "alias"
			: i < m->weakdeps ? "softdep"
					  : "weakdep",
			str_of(t, t->values[i]));
	for (uint32_t i = m->exports; i < m[1].exports; i++)
		buf_printf(b, " +%s:%x", str_of(t, t->exports[i].sym), t->exports[i].crc);
	for (uint32_t i = m->needs; i < m[1].needs; i++) {
		struct sym_crc p = t->pairs[NEED_PAIR(t->needs[i])];

		buf_printf(b, " -%s:%x%s", str_of(t, p.sym), p.crc,
			t->needs[i] & NEED_WEAK ? "?" : "");
	}
	buf_char(b, '\n');
}

static void has_all_facts(void **state)
{
	struct made m = make_table(ALL, NULL, 0, 1, 0);
	struct buf b = {0};

	(void)state;
	assert_int_equal(tables_check(&m.t), 0);
	for (mod_row r = 0; r < m.t.n.mods; r++)
		describe(&m.t, r, &b);
	assert_text(&b, "top.ko top alias=pci:* -shared:1001 -b_get:1001\n"
			"kernel/a.ko a vermagic=6.1 alias=a alias=pci:* softdep=pre: b "
			"+shared:1001 +a_get:1001\n"
			"kernel/b-c.ko.xz b_c node=b c1:2 alias=devname:b "
			"alias=char-major-1-2 weakdep=a "
			"+b_get:1002 -a_get:1001 -shared:1001?\n"
			"kernel/empty.ko empty\n"
			"updates/a.ko a vermagic=6.2 node-only=lonely alias=a "
			"alias=devname:lonely "
			"+shared:1004\n"
			"updates/x/z.ko z -nothing:1001 -a_get:1001 -b_get:1001\n");
	buf_done(&b);
	made_done(&m);
}

static void strings_are_sorted_and_unique(void **state)
{
	struct made m = make_table(ALL, NULL, 0, 3, 1);

	(void)state;
	for (str_id s = 1; s < m.t.n.strings; s++)
		assert_true(strcmp(str_of(&m.t, s - 1), str_of(&m.t, s)) < 0);
	for (str_id s = 0; s < m.t.n.strings; s++) {
		bool equal;

		assert_int_equal(
			tables_find_str(&m.t, str_of(&m.t, s), str_len(&m.t, s), &equal),
			s);
		assert_true(equal);
	}
	made_done(&m);
}

static void same(const struct made *a, const struct made *b)
{
	assert_int_equal(a->size, b->size);
	assert_memory_equal((char *)a->image + sizeof(struct store_head),
		(char *)b->image + sizeof(struct store_head),
		a->size - sizeof(struct store_head));
}

/* Whatever threads read what in which order, the bytes are the same. */
static void any_order_of_reading(void **state)
{
	struct made want = make_table(ALL, NULL, 0, 1, 0);

	(void)state;
	for (unsigned n = 1; n <= 4; n++)
		for (unsigned seed = 0; seed < 12; seed++) {
			struct made have = make_table(ALL, NULL, 0, n, seed);

			same(&want, &have);
			made_done(&have);
		}
	made_done(&want);
}

/*
 * From any set of modules to any other, with any of the old ones read anew: nothing of
 * the old table remains that is not in one that was made at once.
 */
static void any_old_table(void **state)
{
	(void)state;
	for (unsigned before = 0; before <= ALL; before += 3) {
		struct made old = make_table(before, NULL, 0, 2, before);

		for (unsigned now = 0; now <= ALL; now++) {
			struct made want = make_table(now, NULL, 0, 1, 0);
			struct made have =
				make_table(now, &old, now * 5 & ALL, 1 + now % 4, now);

			assert_int_equal(tables_check(&have.t), 0);
			same(&want, &have);
			made_done(&want);
			made_done(&have);
		}
		made_done(&old);
	}
}

static void a_long_way_back(void **state)
{
	struct made want = make_table(ALL, NULL, 0, 1, 0),
		    at = make_table(0, NULL, 0, 1, 0);

	(void)state;
	for (unsigned step = 1; step <= 100; step++) {
		unsigned set = step == 100 ? ALL : step * 37 & ALL;
		struct made next =
			make_table(set, &at, step * 11 & ALL, 1 + step % 4, step);

		made_done(&at);
		at = next;
	}
	same(&want, &at);
	made_done(&want);
	made_done(&at);
}

static void unreadable_modules(void **state)
{
	struct intake in;
	struct merge_dir dirs[2] = {{.path = ""}, {.first = 2}};
	struct merge_mod mods[2] = {{.file = "bad.ko"}, {.file = "good.ko"}};
	struct merge_input input = {.intakes = &in,
		.n_intakes = 1,
		.dirs = dirs,
		.n_dirs = 1,
		.mods = mods,
		.n_mods = 2};
	struct buf file = {0}, b = {0};
	struct elf_memory m;
	struct tables t;
	void *image;
	int err;

	(void)state;
	intake_init(&in);
	/* damaged behind some facts: they belong to nobody */
	sample_file(1, &file);
	m = elf_memory(&file);
	m.fail_at = 5;
	m.err = -EIO;
	intake_module(&in, &m.in, &err);
	assert_int_equal(err, -EIO);
	elf_memory_done(&m);
	buf_done(&file);
	mods[0].row = intake_unreadable(&in, ELFMOD_CORRUPT);
	mods[1].row = sample_read(&in, 3);
	assert_int_equal(intake_finish(&in), 0);
	assert_int_equal(merge_tables(&input, 0, &t, &image), 0);
	assert_int_equal(t.mods[0].status, ELFMOD_CORRUPT);
	describe(&t, 0, &b);
	describe(&t, 1, &b);
	assert_text(&b, "bad.ko bad\ngood.ko good\n");
	assert_int_equal(t.n.strings, 5); /* "", and the names of two files and modules */
	buf_done(&b);
	intake_done(&in);
	free(image);
}

static void empty(void **state)
{
	struct made m = make_table(0, NULL, 0, 1, 0);

	(void)state;
	assert_int_equal(m.t.n.mods, 0);
	assert_int_equal(tables_check(&m.t), 0);
	assert_int_equal(tables_find_dir(&m.t, ""), ID_NONE);
	made_done(&m);
}

static void finds_rows(void **state)
{
	struct made m = make_table(ALL, NULL, 0, 1, 0);
	dir_row d = tables_find_dir(&m.t, "kernel");
	bool equal;

	(void)state;
	assert_int_equal(tables_find_dir(&m.t, ""), 0);
	assert_int_equal(d, 1);
	assert_int_equal(tables_find_dir(&m.t, "kerne"), ID_NONE);
	assert_int_equal(tables_find_dir(&m.t, "kernel/"), ID_NONE);
	assert_int_equal(tables_find_mod(&m.t, d, "b-c.ko.xz"), 2);
	assert_int_equal(tables_find_mod(&m.t, d, "b-c.ko"), ID_NONE);
	assert_int_equal(tables_find_mod(&m.t, d, "top.ko"), ID_NONE);
	assert_int_equal(tables_find_str(&m.t, "\xff", 1, &equal), m.t.n.strings);
	assert_false(equal);
	made_done(&m);
}

/* A directory's files come where its name comes among the files beside it. */
static void walk_order(void **state)
{
	struct made m = make_table(ALL, NULL, 0, 1, 0);

	(void)state;
	for (mod_row a = 0; a < m.t.n.mods; a++)
		for (mod_row b = 0; b < m.t.n.mods; b++) {
			int c = tables_walk_order(&m.t, a, b);

			if (a == b)
				assert_int_equal(c, 0);
			else
				assert_true(
					(c < 0) == (tables_walk_order(&m.t, b, a) > 0));
		}
	assert_true(tables_walk_order(&m.t, 1, 0) < 0); /* kernel/a.ko before top.ko */
	assert_true(tables_walk_order(&m.t, 0, 4) < 0); /* top.ko before updates/a.ko */
	/* updates/a.ko before updates/x/z.ko */
	assert_true(tables_walk_order(&m.t, 4, 5) < 0);
	made_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_all_facts),
		cmocka_unit_test(strings_are_sorted_and_unique),
		cmocka_unit_test(any_order_of_reading),
		cmocka_unit_test(any_old_table),
		cmocka_unit_test(a_long_way_back),
		cmocka_unit_test(unreadable_modules),
		cmocka_unit_test(empty),
		cmocka_unit_test(finds_rows),
		cmocka_unit_test(walk_order),
	};

	return RUN(tests);
}
