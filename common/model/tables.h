/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * tables.h: what is known of one kernel's modules, as flat arrays.
 *
 * The arrays lie behind one another in one block of memory, the image, which is also the
 * body of the facts store: a table is used where it was mapped, without conversion.
 *
 * A string's id is its rank among the table's strings, which are sorted as bytes and
 * unique: comparing ids is strcmp(). A need refers to a pair of symbol and CRC, since
 * modules share most of theirs. Directories are sorted by path, modules by directory and
 * then by file name. The image is a function of the modules' facts and stats alone.
 */

#include "base/digest.h"
#include "base/fs.h"
#include "formats/elfmod.h"

typedef uint32_t str_id;
typedef uint32_t mod_row; /* a module file's place in the table */
typedef uint32_t dir_row;

#define ID_NONE UINT32_MAX

/* What stat says of a file. Times are nanoseconds since the epoch. */
struct stamp {
	uint64_t ino;
	uint64_t size;
	int64_t mtime;
	int64_t ctime;
};

enum {
	/*
	 * the stats were so young when they were read that they prove nothing next time
	 */
	ROW_RACY = 1 << 0,
	ROW_LINK = 1 << 1,       /* a symbolic link; the stamp is its target's */
	ROW_COMPRESSED = 1 << 2, /* the digest of the file's bytes on disk is known */
	ROW_NODE_ONLY = 1 << 3,  /* devnode is a name without type and numbers */
	/* a directory: depmod.d leaves out what may be, or hold, modules */
	ROW_HIDES = 1 << 4,
};

static inline struct stamp stamp_of(const struct stat *st)
{
	return (struct stamp){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime = timespec_ns(st->st_mtim),
		.ctime = timespec_ns(st->st_ctim),
	};
}

struct dir {
	str_id path; /* below the kernel's directory, "" for itself; absolute: external */
	uint32_t flags;
	mod_row first; /* its modules: up to the next directory's first */
	uint32_t pad;
	struct stamp stamp;
};

struct mod {
	str_id file; /* base name */
	str_id name; /* of the module, normalised */
	dir_row dir;
	uint16_t flags;
	uint16_t status;     /* enum elfmod_status */
	str_id vermagic;     /* or ID_NONE */
	str_id modinfo_name; /* what .modinfo calls the module, or ID_NONE */
	str_id devnode;      /* "NODE c10:200", or ID_NONE */
	/* ranges: from here up to the next module's value; the last row is a sentinel */
	uint32_t exports;
	uint32_t needs;
	uint32_t values; /* aliases, then softdeps, then weakdeps */
	uint32_t softdeps;
	uint32_t weakdeps;
	struct stamp stamp;
	struct digest digest;
};

struct sym_crc {
	str_id sym;
	uint32_t crc;
};

#define NEED_WEAK 0x80000000u
#define NEED_PAIR(need) ((need) & ~NEED_WEAK)

struct counts {
	uint32_t dirs;
	uint32_t mods;
	uint32_t exports;
	uint32_t pairs;
	uint32_t needs;
	uint32_t values;
	uint32_t strings;
	uint32_t text; /* bytes of all strings with their NULs */
};

struct tables {
	struct counts n;
	/* dirs and mods have one more element, a sentinel */
	struct dir *dirs;
	struct mod *mods;
	struct sym_crc *exports;
	struct sym_crc *pairs; /* sorted, unique */
	uint32_t *needs;       /* a pair, perhaps | NEED_WEAK */
	str_id *values;
	uint32_t *str_off; /* n.strings + 1 */
	char *text;
};

/* The size of an image with these counts; 0 if it is beyond what ids can number. */
size_t tables_size(const struct counts *n);
/*
 * Point *ret into an image of tables_size(n) bytes, 8-byte aligned. The image is
 * borrowed.
 */
void tables_place(struct tables *ret, const struct counts *n, void *image);
/*
 * Is every id, range and offset of a placed table within bounds? After this none of them
 * needs to be checked again. That strings, directories and modules are sorted is
 * believed: only who may write the store could have put them out of order. 0 or -EBADMSG.
 */
int tables_check(const struct tables *t);

static inline const char *str_of(const struct tables *t, str_id id)
{
	return t->text + t->str_off[id];
}

static inline uint32_t str_len(const struct tables *t, str_id id)
{
	return t->str_off[id + 1] - t->str_off[id] - 1;
}

static inline bool stamp_eq(const struct stamp *a, const struct stamp *b)
{
	return a->ino == b->ino && a->size == b->size && a->mtime == b->mtime &&
	       a->ctime == b->ctime;
}

/* Do two tables say the same of the same files, whatever their stats and digests? */
bool tables_same_facts(const struct tables *a, const struct tables *b);

/* The first string that is not smaller; *ret_equal tells whether it is equal. */
str_id tables_find_str(
	const struct tables *t, const char *s, size_t len, bool *ret_equal);
/* A directory by path, or ID_NONE. */
dir_row tables_find_dir(const struct tables *t, const char *path);
/* A module of a directory by file name, or ID_NONE. */
mod_row tables_find_mod(const struct tables *t, dir_row dir, const char *file);

struct buf;
/* Append the path as depmod writes it: below the kernel's directory, or absolute. */
void tables_path(const struct tables *t, mod_row m, struct buf *to);
/* Order two module files as a walk that takes names in byte order meets them. */
int tables_walk_order(const struct tables *t, mod_row a, mod_row b);
