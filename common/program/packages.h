/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * packages.h: what is in the packages of a dry run. They are looked into by a program of
 * its own, inspect-package, which says it in the records of inspect/wire.h.
 */

#include <sys/types.h>

#include "base/arena.h"
#include "base/fs.h"
#include "program/messages.h"

struct package_script {
	const char *name;  /* "%post", "postinst" */
	const char *calls; /* "depmod, weak-modules2" */
};

struct package {
	const char *file;   /* the operand */
	const char *name;   /* with version; "" for directories and modules */
	const char *kind;   /* "rpm", "deb", "directory", "module" */
	bool beside;        /* installed beside others of its name */
	struct buf scripts; /* struct package_script */
};

struct package_file {
	const char *path; /* within the root; bare: only a file name */
	const char *link; /* what it leads to, NULL for a file */
	const char *data;
	size_t len;
	int64_t mtime;
	unsigned package;
	bool bare, hard;
};

/* A file that goes with the older version of a package. */
struct package_old {
	const char *path, *owner;
	unsigned package;
};

struct packages {
	struct buf list;   /* struct package */
	struct buf files;  /* struct package_file, as they came */
	struct buf olds;   /* struct package_old */
	struct buf blocks; /* char *: memory of large files */
	struct arena mem;
};

/* A running inspector. */
struct inspector {
	pid_t pid; /* 0: none, there was nothing to inspect */
	int fd;
};

/* Start to inspect operands, in another process. 0, or -errno after a message. */
int packages_start(struct messages *m, const struct root *root, char *const *operands,
	size_t n, struct inspector *ret);
/*
 * Take what it found, and wait for its end. Links among the files are followed, to
 * another file of theirs or to one of the root. What is wrong with an operand is told
 * with message(). 0,
 * -EBADMSG after such a message, or -errno. Release with packages_done() in every case.
 */
int packages_finish(struct messages *m, const struct root *root, struct inspector *i,
	struct packages *ret);
void packages_done(struct packages *p);

static inline const struct package *package_of(const struct packages *p, unsigned i)
{
	return &vec_data(&p->list, struct package)[i];
}

/* What a person calls it: name-version, or the operand. */
static inline const char *package_label(const struct package *p)
{
	return *p->name ? p->name : p->file;
}
