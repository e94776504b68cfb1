// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file of remembered facts. The checksum is made right first: it is against
 * accidents, and whoever lies can make one. Then a store is either refused, or everything
 * that it leads to lies within it, whatever is made of it; written again it is the same
 * file. What an update makes of a table that is in order is in order, and made again is
 * the same.
 */

#include <fcntl.h>

#include "fuzz.h"
#include "model/merge.h"
#include "model/store.h"

static char place[] = "/tmp/fuzz-store-XXXXXX";

static void remove_place(void)
{
	char file[sizeof(place) + 2];

	snprintf(file, sizeof(file), "%s/s", place);
	unlink(file);
	rmdir(place);
}

/* Where the store is written. */
static int directory(void)
{
	static int fd = -1;

	if (fd < 0) {
		PROMISE(mkdtemp(place) && atexit(remove_place) == 0);
		fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		PROMISE(fd >= 0);
	}
	return fd;
}

static void use_string(const struct tables *t, str_id id)
{
	if (id != ID_NONE)
		PROMISE(strlen(str_of(t, id)) <= str_len(t, id));
}

static void use_table(const struct tables *t)
{
	for (dir_row d = 0; d < t->n.dirs; d++)
		use_string(t, t->dirs[d].path);
	for (mod_row r = 0; r < t->n.mods; r++) {
		const struct mod *m = &t->mods[r];
		_cleanup_(buf_done) struct buf path = {0};

		use_string(t, m->file);
		use_string(t, m->name);
		use_string(t, m->vermagic);
		use_string(t, m->modinfo_name);
		use_string(t, m->devnode);
		tables_path(t, r, &path);
		tables_walk_order(t, r, 0);
		for (uint32_t i = m->exports; i < m[1].exports; i++)
			use_string(t, t->exports[i].sym);
		for (uint32_t i = m->needs; i < m[1].needs; i++)
			use_string(t, t->pairs[NEED_PAIR(t->needs[i])].sym);
		for (uint32_t i = m->values; i < m[1].values; i++)
			use_string(t, t->values[i]);
	}
	/* searches in what is not sorted find anything, within bounds */
	for (dir_row d = 0; d < t->n.dirs; d++) {
		dir_row found = tables_find_dir(t, str_of(t, t->dirs[d].path));

		PROMISE(found == ID_NONE || found < t->n.dirs);
	}
}

/* The table of the same modules, as an update makes it of what it remembers. */
static void remake(const struct tables *t, struct tables *ret, void **ret_image)
{
	struct merge_dir *dirs = calloc((size_t)t->n.dirs + 1, sizeof(*dirs));
	struct merge_mod *mods = calloc((size_t)t->n.mods + 1, sizeof(*mods));
	struct merge_input in = {.old = t,
		.dirs = dirs,
		.n_dirs = t->n.dirs,
		.mods = mods,
		.n_mods = t->n.mods};

	PROMISE(dirs && mods);
	for (dir_row d = 0; d <= t->n.dirs; d++)
		dirs[d] = (struct merge_dir){
			.path = d < t->n.dirs ? str_of(t, t->dirs[d].path) : NULL,
			.flags = t->dirs[d].flags,
			.first = t->dirs[d].first,
			.stamp = t->dirs[d].stamp};
	for (mod_row m = 0; m < t->n.mods; m++)
		mods[m] = (struct merge_mod){.file = str_of(t, t->mods[m].file),
			.intake = -1,
			.row = m,
			.flags = t->mods[m].flags & (ROW_RACY | ROW_LINK),
			.stamp = t->mods[m].stamp};
	PROMISE(merge_tables(&in, 0, ret, ret_image) == 0);
	PROMISE(tables_check(ret) == 0);
	free(dirs);
	free(mods);
}

/* Is all sorted that is believed to be? */
static bool in_order(const struct tables *t)
{
	for (str_id s = 0; s < t->n.strings; s++)
		if (strlen(str_of(t, s)) != str_len(t, s) ||
			(s > 0 && strcmp(str_of(t, s - 1), str_of(t, s)) >= 0))
			return false;
	for (uint32_t p = 1; p < t->n.pairs; p++)
		if (t->pairs[p - 1].sym > t->pairs[p].sym ||
			(t->pairs[p - 1].sym == t->pairs[p].sym &&
				t->pairs[p - 1].crc >= t->pairs[p].crc))
			return false;
	for (dir_row d = 1; d < t->n.dirs; d++)
		if (t->dirs[d - 1].path >= t->dirs[d].path)
			return false;
	for (mod_row m = 1; m < t->n.mods; m++)
		if (t->mods[m - 1].dir == t->mods[m].dir &&
			t->mods[m - 1].file >= t->mods[m].file)
			return false;
	return true;
}

static void check_remade(const struct tables *t)
{
	struct tables once, twice;
	void *image_once, *image_twice;

	remake(t, &once, &image_once);
	remake(&once, &twice, &image_twice);
	if (in_order(t)) {
		PROMISE(in_order(&once));
		PROMISE(tables_same_facts(&once, &twice));
		PROMISE(memcmp(image_once, image_twice, tables_size(&once.n)) == 0);
	}
	free(image_once);
	free(image_twice);
}

static void check_import(const struct tables *t)
{
	struct intake in;

	intake_init(&in);
	for (mod_row m = 0; m < t->n.mods; m++)
		PROMISE(intake_import(&in, t, m) == m);
	PROMISE(intake_finish(&in) == 0);
	intake_done(&in);
}

/* Is a table with these counts taken? Then all that it leads to is looked at. */
static bool check_table(const struct counts *n, const void *body, size_t len)
{
	void *image = exact(body, len);
	struct tables t;
	int r;

	tables_place(&t, n, image);
	r = tables_check(&t);
	if (r == 0) {
		use_table(&t);
		check_import(&t);
		check_remade(&t);
	}
	free(image);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct store_head *file = exact(data, len);
	struct store s = {0};
	struct counts counts;
	bool taken;
	size_t body = len < sizeof(*file) ? 0 : tables_size(&file->counts);

	/* any other size is refused before anything else is looked at */
	if (len < sizeof(*file) || body != len - sizeof(*file)) {
		free(file);
		return -1;
	}
	counts = file->counts;
	taken = body > 0 && check_table(&file->counts, file + 1, body);
	PROMISE(store_write(directory(), "s", file, &counts) == 0);
	PROMISE((store_open(directory(), "s", &file->inputs.where, &s) == 0) == taken);
	if (taken) {
		PROMISE(s.len == len && memcmp(s.map, file, len) == 0);
		PROMISE(store_same(&s, file, &s.head->counts));
		store_close(&s);
	}
	free(file);
	return 0;
}
