/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * store.h: the facts store, a table and what was published from it, kept in a file.
 *
 * It is disposable: whatever is wrong with it is an outcome, never an error. Its layout
 * is drawn in store.c and in kmp-depmod-store(5).
 */

#include "model/tables.h"

#define STORE_OUTPUTS 11
#define STORE_SUFFIX ".facts" /* of a store's file name */

/* A published index as it was left on disk. */
struct store_output {
	struct stamp stamp;
	struct digest digest;
	uint64_t racy; /* 1: the stamp is so young that the digest must be looked at */
};

/* What the indexes depend on besides the modules. */
struct store_inputs {
	struct digest where;  /* the module directory and options that decide bytes */
	struct digest config; /* depmod.d */
	/* modules.order, modules.builtin, modules.builtin.modinfo */
	struct digest lists;
};

struct store_head {
	char magic[8];
	uint32_t version;
	uint32_t byte_order;
	uint64_t size;     /* of the whole file */
	uint64_t checksum; /* of the head behind this */
	uint64_t image_checksum;
	uint32_t codecs;        /* of the build that wrote it */
	uint32_t valid_outputs; /* 0: the indexes were not published */
	uint32_t warnings;      /* events while they were made */
	uint32_t pad;
	struct counts counts;
	struct store_inputs inputs;
	struct store_output outputs[STORE_OUTPUTS];
};

enum {
	STORE_ABSENT = 1,
	STORE_DAMAGED, /* checksum, sizes or contents */
	STORE_VERSION, /* written by another version, byte order or set of codecs */
	STORE_FOREIGN, /* of another module directory, or under another name */
	STORE_UNSAFE,  /* somebody else could have written it */
	STORE_OUTCOMES,
};

#define STORE_NAME_MAX 255u

/*
 * The name of the store of a module directory: root is "" where the store is below the
 * root, else the root's path. ret has room for STORE_NAME_MAX + 1 bytes.
 */
void store_name(const char *root, const char *dir, char *ret);

/* A clause for messages: "is damaged". */
const char *store_outcome_text(int outcome);

struct store {
	const struct store_head *head; /* NULL: not open */
	struct tables t;
	void *map;
	size_t len;
};

/*
 * Map and check a store. where must be the one that it was written with, unless NULL.
 * Returns 0, an enumerator above, or -ENOMEM. Release with store_close().
 */
int store_open(
	int dirfd, const char *name, const struct digest *where, struct store *ret);
void store_close(struct store *s);

/*
 * Writing takes two steps, since a table is complete long before it is known what was
 * published from it. In both, image is a struct store_head with a table's image behind
 * it.
 */
struct store_writer {
	int dirfd;
	const char *name; /* borrowed, as is dirfd */
	int fd;           /* -1: nothing was begun */
};

/*
 * Write the table beside the named file. Sets the head's image_checksum and nothing else
 * of it. 0 or -errno; end with store_commit() or store_abort().
 */
int store_begin(int dirfd, const char *name, void *image, const struct counts *counts,
	struct store_writer *ret);
/*
 * The table's rows of modules, and nothing else of it, have changed since. 0 or -errno;
 * then it is aborted.
 */
int store_again(struct store_writer *w, void *image, const struct counts *counts);
/*
 * Complete the head, whose inputs and outputs are set, and put the file in place. 0 or
 * -errno.
 */
int store_commit(struct store_writer *w, void *image, const struct counts *counts);
void store_abort(struct store_writer *w);
/* Both steps at once. */
int store_write(int dirfd, const char *name, void *image, const struct counts *counts);
/* Does a store that is open say all that image would? */
bool store_same(const struct store *s, void *image, const struct counts *counts);
