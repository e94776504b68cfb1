/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * resolve.h: which files are the kernel's modules, in which order, and which needs which.
 *
 * Tables in, tables out: nothing is read. An index (mod_idx) is a module's place in
 * depmod's order, and its priority in the .bin files.
 */

#include "engine/target.h"
#include "formats/depmodd.h"
#include "model/tables.h"

typedef uint32_t mod_idx;
/* A symbol as it is looked up: a string's id, or n.strings + i for extra[i]. */
typedef uint32_t sym_key;

struct id_range {
	const uint32_t *ids;
	uint32_t n;
};

struct resolved {
	const struct tables *t;
	uint32_t n;        /* modules in the indexes */
	mod_row *row;      /* [idx] */
	mod_idx *idx;      /* [row]; ID_NONE: hidden by another of its name */
	mod_row *first_of; /* [row] -> the winner of its name; itself if it won */
	uint32_t n_keys;
	/* keys that are no string of the table: behind a '.' or -P's C */
	const char **extra;
	uint32_t n_extra;
	mod_idx *owner;      /* [key]; ID_NONE: no module exports it */
	uint32_t *owner_crc; /* [key] */
	sym_key *look;       /* [string] -> key to look up; NULL: all are their own */
	uint32_t *direct_off, *direct; /* [idx]: what it needs, in order of its needs */
	uint32_t *deps_off, *deps;     /* [idx]: all that, transitively, in load order */
};

enum {
	RESOLVE_CYCLE = 1, /* dependencies go in a circle; it was reported */
};

/*
 * order is the text of modules.order, or NULL where there is none. Returns 0, an
 * enumerator above, -ENOMEM, or -E2BIG. Release with resolved_done() in every case.
 */
int resolve(const struct target *target, const struct tables *t, const struct depmodd *c,
	const struct buf *order, struct resolved *ret);
void resolved_done(struct resolved *r);

static inline struct id_range resolved_deps(const struct resolved *r, mod_idx i)
{
	return (struct id_range){
		r->deps + r->deps_off[i], r->deps_off[i + 1] - r->deps_off[i]};
}

static inline struct id_range resolved_direct(const struct resolved *r, mod_idx i)
{
	return (struct id_range){
		r->direct + r->direct_off[i], r->direct_off[i + 1] - r->direct_off[i]};
}

const char *resolved_key_name(const struct resolved *r, sym_key k);
/* The key under which a needed symbol is looked up. */
static inline sym_key resolved_look(const struct resolved *r, str_id sym)
{
	return r->look ? r->look[sym] : sym;
}

/* depmodd_replaces() for two module files: 1, 0, or -ENOMEM. */
int resolve_replaces(const struct target *target, const struct tables *t,
	const struct depmodd *c, mod_row new, mod_row old, const char **ret_rule);
