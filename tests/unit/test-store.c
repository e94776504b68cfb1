// SPDX-License-Identifier: GPL-2.0-or-later

#include "table.h"

#define ALL ((1u << N_SAMPLES) - 1)

static const struct digest where = {1, 2};

static struct made sample(void)
{
	struct made m = make_table(ALL, NULL, 0, 1, 0);
	struct store_head *h = m.image;

	h->inputs.where = where;
	h->inputs.config = (struct digest){3, 4};
	h->valid_outputs = 1;
	h->outputs[0].stamp.ino = 99;
	return m;
}

static int open_and_close(int fd, const struct digest *at)
{
	struct store s = {0};
	int r = store_open(fd, "s", at, &s);

	if (r == 0)
		store_close(&s);
	return r;
}

static size_t read_store(int dirfd, char **ret)
{
	int fd = openat(dirfd, "s", O_RDONLY);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	*ret = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, *ret, (size_t)st.st_size), st.st_size);
	close(fd);
	return (size_t)st.st_size;
}

static void comes_back_as_it_was(void **state)
{
	const struct scratch *d = *state;
	struct made m = sample();
	struct store s;
	struct stat st;

	assert_int_equal(store_write(d->fd, "s", m.image, &m.t.n), 0);
	assert_int_equal(store_open(d->fd, "s", &where, &s), 0);
	assert_int_equal(s.len, m.size);
	assert_memory_equal(s.map, m.image, m.size);
	assert_int_equal(s.head->outputs[0].stamp.ino, 99);
	assert_int_equal(s.t.n.mods, N_SAMPLES);
	assert_string_equal(str_of(&s.t, s.t.mods[0].file), "top.ko");
	assert_true(store_same(&s, m.image, &m.t.n));
	((struct store_head *)m.image)->outputs[10].racy = 1;
	assert_false(store_same(&s, m.image, &m.t.n));
	store_close(&s);
	assert_null(s.head);
	assert_int_equal(fstatat(d->fd, "s", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(faccessat(d->fd, "s.new", F_OK, 0), -1);
	made_done(&m);
}

static void replaces(void **state)
{
	const struct scratch *d = *state;
	struct made m = sample(), less = make_table(1, NULL, 0, 1, 0);
	struct store s;

	put_file(d->fd, "s.new", "left behind", 11, 0600);
	assert_int_equal(store_write(d->fd, "s", m.image, &m.t.n), 0);
	((struct store_head *)less.image)->inputs.where = where;
	assert_int_equal(store_write(d->fd, "s", less.image, &less.t.n), 0);
	assert_int_equal(store_open(d->fd, "s", &where, &s), 0);
	assert_int_equal(s.t.n.mods, 1);
	assert_false(store_same(&s, m.image, &m.t.n));
	store_close(&s);
	made_done(&m);
	made_done(&less);
}

static void outcomes(void **state)
{
	const struct scratch *d = *state;
	struct made m = sample();
	const struct digest other = {1, 3};

	assert_int_equal(open_and_close(d->fd, &where), STORE_ABSENT);
	assert_int_equal(store_write(d->fd, "s", m.image, &m.t.n), 0);
	assert_int_equal(open_and_close(d->fd, &other), STORE_FOREIGN);
	assert_int_equal(open_and_close(d->fd, NULL), 0);
	assert_int_equal(fchmodat(d->fd, "s", 0644, 0), 0);
	assert_int_equal(open_and_close(d->fd, &where), 0);
	assert_int_equal(fchmodat(d->fd, "s", 0620, 0), 0);
	assert_int_equal(open_and_close(d->fd, &where), STORE_UNSAFE);
	assert_int_equal(fchmodat(d->fd, "s", 0602, 0), 0);
	assert_int_equal(open_and_close(d->fd, &where), STORE_UNSAFE);
	assert_int_equal(fchmodat(d->fd, "s", 0600, 0), 0);
	assert_int_equal(renameat(d->fd, "s", d->fd, "t"), 0);
	assert_int_equal(symlinkat("t", d->fd, "s"), 0);
	assert_int_equal(open_and_close(d->fd, &where), STORE_UNSAFE);
	assert_int_equal(unlinkat(d->fd, "s", 0), 0);
	assert_int_equal(mkdirat(d->fd, "s", 0700), 0);
	assert_int_equal(open_and_close(d->fd, &where), STORE_UNSAFE);
	assert_int_equal(unlinkat(d->fd, "s", AT_REMOVEDIR), 0);
	assert_int_equal(mkfifoat(d->fd, "s", 0600), 0);
	/* and does not wait */
	assert_int_equal(open_and_close(d->fd, &where), STORE_UNSAFE);
	if (geteuid() == 0) {
		assert_int_equal(unlinkat(d->fd, "s", 0), 0);
		assert_int_equal(renameat(d->fd, "t", d->fd, "s"), 0);
		assert_int_equal(fchownat(d->fd, "s", 65534, 0, 0), 0);
		assert_int_equal(open_and_close(d->fd, &where), STORE_UNSAFE);
	}
	made_done(&m);
}

static void any_bit_wrong(void **state)
{
	const struct scratch *d = *state;
	struct made m = sample();
	char *good;
	size_t n;

	assert_int_equal(store_write(d->fd, "s", m.image, &m.t.n), 0);
	n = read_store(d->fd, &good);
	for (size_t at = 0; at < n; at++) {
		int r;

		good[at] ^= (char)(1 << at % 8);
		put_file(d->fd, "s", good, n, 0600);
		r = open_and_close(d->fd, &where);
		assert_true(r == STORE_DAMAGED || r == STORE_VERSION);
		good[at] ^= (char)(1 << at % 8);
	}
	put_file(d->fd, "s", good, n, 0600);
	assert_int_equal(open_and_close(d->fd, &where), 0);
	free(good);
	made_done(&m);
}

static void any_other_size(void **state)
{
	const struct scratch *d = *state;
	struct made m = sample();
	char *good;
	size_t n;

	assert_int_equal(store_write(d->fd, "s", m.image, &m.t.n), 0);
	n = read_store(d->fd, &good);
	for (size_t k = 0; k < n; k += k < 1000 || k > n - 50 ? 1 : 13) {
		put_file(d->fd, "s", good, k, 0600);
		assert_int_equal(open_and_close(d->fd, &where), STORE_DAMAGED);
	}
	good = realloc(good, n + 8);
	memset(good + n, 0, 8);
	put_file(d->fd, "s", good, n + 8, 0600);
	assert_int_equal(open_and_close(d->fd, &where), STORE_DAMAGED);
	free(good);
	made_done(&m);
}

/* Touch everything that a table says is there. */
static uint64_t use_all(const struct tables *t)
{
	uint64_t sum = 0;

	for (str_id s = 0; s < t->n.strings; s++)
		sum += strlen(str_of(t, s)) + str_len(t, s);
	for (dir_row d = 0; d < t->n.dirs; d++) {
		sum += str_len(t, t->dirs[d].path);
		assert_true(t->dirs[d].first <= t->dirs[d + 1].first);
		for (mod_row r = t->dirs[d].first; r < t->dirs[d + 1].first; r++)
			sum += t->mods[r].file;
	}
	for (mod_row r = 0; r < t->n.mods; r++) {
		const struct mod *m = &t->mods[r];
		const str_id own[] = {m->vermagic, m->modinfo_name, m->devnode};

		sum += str_len(t, m->file) + str_len(t, m->name) + t->dirs[m->dir].path;
		assert_true(m->status < ELFMOD_STATUS_MAX);
		for (size_t i = 0; i < ARRAY_SIZE(own); i++)
			sum += own[i] == ID_NONE ? 0 : str_len(t, own[i]);
		for (uint32_t i = m->exports; i < m[1].exports; i++)
			sum += str_len(t, t->exports[i].sym);
		for (uint32_t i = m->needs; i < m[1].needs; i++)
			sum += str_len(t, t->pairs[NEED_PAIR(t->needs[i])].sym);
		for (uint32_t i = m->values; i < m->softdeps; i++)
			sum += str_len(t, t->values[i]);
		for (uint32_t i = m->softdeps; i < m->weakdeps; i++)
			sum += str_len(t, t->values[i]);
		for (uint32_t i = m->weakdeps; i < m[1].values; i++)
			sum += str_len(t, t->values[i]);
	}
	return sum;
}

/*
 * Whoever can make a checksum can make any table: each word of one is each of some
 * numbers, and either the table is refused or all that it leads to lies within it, as a
 * sanitizer sees.
 */
static void tables_that_lie(void **state)
{
	static const uint32_t lies[] = {
		0, 1, 2, 3, 7, 20, 50, 1000, INT32_MAX, 0x80000000u, UINT32_MAX};
	struct made m = make_table(ALL, NULL, 0, 1, 0);
	size_t n = tables_size(&m.t.n);
	unsigned refused = 0, taken = 0;

	(void)state;
	for (size_t at = 0; at + 4 <= n; at += 4)
		for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
			char *copy =
				exact((char *)m.image + sizeof(struct store_head), n);
			struct tables t;

			memcpy(copy + at, &lies[i], 4);
			tables_place(&t, &m.t.n, copy);
			if (tables_check(&t) < 0) {
				refused++;
			} else {
				taken += use_all(&t) > 0;
			}
			free(copy);
		}
	assert_true(refused > 1000);
	assert_true(taken > 100);
	made_done(&m);
}

/* The checksum is right, too: a head alone whose counts no table can have. */
static void a_head_that_lies(void **state)
{
	const struct scratch *d = *state;
	struct store_head h = {.inputs.where = where};

	assert_int_equal(
		store_write(d->fd, "s", &h, &(struct counts){.mods = UINT32_MAX}), 0);
	assert_int_equal(open_and_close(d->fd, &where), STORE_DAMAGED);
}

static void sizes(void **state)
{
	struct counts n = {0};

	(void)state;
	assert_true(tables_size(&n) > 0);
	assert_int_equal(tables_size(&n) % 8, 0);
	n.mods = INT32_MAX;
	assert_true(tables_size(&n) > (uint64_t)INT32_MAX * sizeof(struct mod));
	n.mods = 0x80000000u;
	assert_int_equal(tables_size(&n), 0);
	n = (struct counts){.text = UINT32_MAX};
	assert_int_equal(tables_size(&n), 0);
}

static void a_directory_that_cannot_be_written(void **state)
{
	const struct scratch *d = *state;
	struct made m = sample();

	assert_int_equal(mkdirat(d->fd, "s.new", 0700), 0);
	assert_int_equal(store_write(d->fd, "s", m.image, &m.t.n), -EISDIR);
	assert_int_equal(unlinkat(d->fd, "s.new", AT_REMOVEDIR), 0);
	assert_int_equal(mkdirat(d->fd, "s", 0700), 0);
	assert_int_equal(store_write(d->fd, "s", m.image, &m.t.n), -EISDIR);
	assert_int_equal(faccessat(d->fd, "s.new", F_OK, 0), -1);
	made_done(&m);
}

static void words_for_every_outcome(void **state)
{
	(void)state;
	for (int i = 1; i < STORE_OUTCOMES; i++)
		assert_non_null(store_outcome_text(i));
	assert_non_null(store_outcome_text(-1));
	assert_non_null(store_outcome_text(STORE_OUTCOMES));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_make, scratch_remove)
	const struct CMUnitTest tests[] = {
		TEST(comes_back_as_it_was),
		TEST(replaces),
		TEST(outcomes),
		TEST(any_bit_wrong),
		TEST(any_other_size),
		cmocka_unit_test(tables_that_lie),
		TEST(a_head_that_lies),
		cmocka_unit_test(sizes),
		TEST(a_directory_that_cannot_be_written),
		cmocka_unit_test(words_for_every_outcome),
	};

	return RUN(tests);
}
