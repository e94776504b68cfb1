// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <fcntl.h>

#include "base/buf.h"
#include "engine/donors.h"

#define STORES_MAX 16u

struct donor_slot {
	const struct tables *t; /* NULL: empty */
	mod_row row;
};

static int open_stores(int store_dir, const char *own_name, struct buf *stores)
{
	int copy = openat(store_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		closep(&copy);
		return 0;
	}
	while ((e = readdir(d)) && vec_len(stores, struct store) < STORES_MAX) {
		struct store s;

		if (!str_ends(e->d_name, strlen(e->d_name), STORE_SUFFIX) ||
			(own_name && str_eq(e->d_name, own_name)) ||
			store_open(store_dir, e->d_name, NULL, &s) != 0)
			continue;
		buf_add(stores, &s, sizeof(s));
		if (stores->err)
			store_close(&s);
	}
	closedir(d);
	return stores->err;
}

static bool can_donate(const struct mod *m)
{
	return (m->flags & ROW_COMPRESSED) && m->status != ELFMOD_UNSUPPORTED;
}

static void add_tables(struct donors *d, const struct tables *t)
{
	for (mod_row m = 0; m < t->n.mods; m++) {
		uint32_t at = (uint32_t)t->mods[m].digest.lo & d->mask;

		if (!can_donate(&t->mods[m]))
			continue;
		while (d->slots[at].t)
			at = (at + 1) & d->mask;
		d->slots[at] = (struct donor_slot){t, m};
	}
}

static uint32_t inode_slot(const struct donors *d, const struct stamp *s)
{
	return (uint32_t)(s->ino * 0x9E3779B97F4A7C15u >> 32) & d->mask;
}

static void add_files(struct donors *d, const struct tables *t)
{
	for (mod_row m = 0; m < t->n.mods; m++) {
		uint32_t at = inode_slot(d, &t->mods[m].stamp);

		if ((t->mods[m].flags & ROW_RACY) ||
			t->mods[m].status == ELFMOD_UNSUPPORTED)
			continue;
		while (d->files[at].t)
			at = (at + 1) & d->mask;
		d->files[at] = (struct donor_slot){t, m};
	}
}

int donors_open(
	int store_dir, const char *own_name, const struct tables *own, struct donors *ret)
{
	struct donors d = {.mask = 1023};
	struct buf stores = {0};
	size_t total = own ? own->n.mods : 0;
	int r = store_dir < 0 ? 0 : open_stores(store_dir, own_name, &stores);

	d.stores = vec_data(&stores, struct store);
	d.n = vec_len(&stores, struct store);
	for (size_t i = 0; i < d.n; i++)
		total += d.stores[i].t.n.mods;
	while (d.mask < total * 2)
		d.mask = d.mask * 2 + 1;
	d.slots = calloc((size_t)d.mask + 1, sizeof(*d.slots));
	d.files = calloc((size_t)d.mask + 1, sizeof(*d.files));
	if (r < 0 || !d.slots || !d.files) {
		donors_done(&d);
		return -ENOMEM;
	}
	if (own)
		add_tables(&d, own);
	for (size_t i = 0; i < d.n; i++) {
		add_tables(&d, &d.stores[i].t);
		add_files(&d, &d.stores[i].t);
	}
	*ret = d;
	return 0;
}

void donors_done(struct donors *d)
{
	for (size_t i = 0; i < d->n; i++)
		store_close(&d->stores[i]);
	free(d->stores);
	free(d->slots);
	free(d->files);
	*d = (struct donors){0};
}

const struct tables *donors_find(
	const struct donors *d, struct digest digest, mod_row *ret_row)
{
	if (!d->slots)
		return NULL;
	for (uint32_t at = (uint32_t)digest.lo & d->mask; d->slots[at].t;
		at = (at + 1) & d->mask) {
		const struct donor_slot *s = &d->slots[at];

		if (digest_eq(s->t->mods[s->row].digest, digest)) {
			*ret_row = s->row;
			return s->t;
		}
	}
	return NULL;
}

const struct tables *donors_find_file(
	const struct donors *d, const struct stamp *stamp, mod_row *ret_row)
{
	/* whole seconds could be the same on another file system of the same history */
	if (!d->files || stamp->ctime % 1000000000 == 0)
		return NULL;
	for (uint32_t at = inode_slot(d, stamp); d->files[at].t;
		at = (at + 1) & d->mask) {
		const struct donor_slot *s = &d->files[at];

		if (stamp_eq(&s->t->mods[s->row].stamp, stamp)) {
			*ret_row = s->row;
			return s->t;
		}
	}
	return NULL;
}
