/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * intake.h: the facts of modules that were just read, collected by one thread.
 *
 * Strings and pairs have ids of the intake's own, in order of arrival. Nothing is shared
 * with other threads; merge.h makes one table of several intakes. Errors stick:
 * intake_finish() tells of them.
 */

#include "base/buf.h"
#include "formats/elfmod.h"
#include "model/tables.h"

/* One module as it was read. Ranges end where the next raw module's start. */
struct raw_mod {
	uint16_t flags;
	uint16_t status;
	str_id vermagic, modinfo_name, devnode;
	uint32_t exports, needs, values, softdeps, weakdeps;
	struct digest digest;
};

/* A set of u32 ids found by a hash of what they stand for. */
struct id_set {
	uint32_t *slots; /* id + 1, 0 for empty */
	uint32_t mask;
	uint32_t n;
};

struct intake {
	struct buf text;     /* strings, each with its NUL */
	struct buf str_off;  /* u32, one more than strings */
	struct buf str_hash; /* u32 */
	struct id_set str_set;
	struct buf pairs; /* struct sym_crc */
	struct id_set pair_set;
	struct buf exports; /* struct sym_crc */
	struct buf needs;   /* u32 */
	struct buf values;  /* str_id */
	struct buf mods;    /* struct raw_mod, with a sentinel after intake_finish() */
	/* while a module is read */
	struct buf softdeps, weakdeps; /* str_id */
	struct buf wants;              /* the module's needs so far */
	/* by string: in which module it was last needed, and its CRC */
	struct buf marks;
	uint32_t serial;
	struct buf order; /* str_id of all strings in byte order, after intake_finish() */
	int err;
};

void intake_init(struct intake *in);
void intake_done(struct intake *in);

str_id intake_string(struct intake *in, const char *s, size_t len);
static inline uint32_t intake_n_strings(const struct intake *in)
{
	return (uint32_t)vec_len(&in->str_off, uint32_t) - 1;
}
static inline const char *intake_str(
	const struct intake *in, str_id id, uint32_t *ret_len)
{
	const uint32_t *off = vec_data(&in->str_off, uint32_t);

	*ret_len = off[id + 1] - off[id] - 1;
	return in->text.data + off[id];
}

/*
 * Read one module's facts out of an input. Returns its index. A module that cannot be
 * read is entered with its status and whatever it gave before; *ret_err is the input's
 * negative errno, 0 where only the module is to blame.
 */
uint32_t intake_module(struct intake *in, struct elf_input *elf, int *ret_err);
/* Enter a module of which nothing can be read. */
uint32_t intake_unreadable(struct intake *in, enum elfmod_status status);
/* Enter a module with the facts that a table has of it. */
uint32_t intake_import(struct intake *in, const struct tables *t, mod_row row);
/* After the last module: sorts the strings. 0, -ENOMEM or -E2BIG. */
int intake_finish(struct intake *in);
