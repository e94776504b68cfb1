/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * scan.h: which module files are there now, and which of them are as they were
 * remembered.
 *
 * A remembered directory whose stat is the same still has the names that are remembered;
 * its files are stat'ed all the same. Others are listed anew. Several threads share the
 * directories.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "engine/target.h"
#include "formats/depmodd.h"
#include "model/tables.h"

enum file_state {
	FILE_SAME,  /* the remembered facts are true */
	FILE_CHECK, /* they may be: the bytes decide */
	FILE_READ,  /* there are none that could be */
};

/* Why a file is not FILE_SAME; for statistics. */
enum file_why {
	WHY_NONE,
	WHY_NEW,       /* not remembered */
	WHY_SIZE,      /* another size */
	WHY_STAT,      /* another inode, mtime or ctime */
	WHY_RACY,      /* too young when it was read */
	WHY_TOUCHED,   /* the caller said so */
	WHY_UNTRUSTED, /* the file system's stats prove nothing */
	WHY_MAX,
};

struct scan_file {
	const char *name; /* base name */
	mod_row old;      /* in the remembered table, or ID_NONE */
	uint16_t flags;   /* ROW_LINK */
	uint8_t state;
	uint8_t why;
	bool trusted; /* its file system's stats prove something */
	struct stamp stamp;
};

struct scan_dir {
	const char *path; /* "" is the kernel's directory; absolute: external */
	dir_row old;
	uint32_t flags; /* ROW_RACY, ROW_HIDES */
	uint32_t first; /* of its files in scan.files */
	struct stamp stamp;
};

/* What was found odd, for scan_report(). */
struct scan_event {
	enum event_kind kind;
	const char *path;
	int err;
};

struct scan {
	struct scan_dir *dirs; /* sorted by path; one more, a sentinel */
	uint32_t n_dirs;
	struct scan_file *files; /* by directory, then by name */
	uint32_t n_files;
	bool changed; /* the set of files or directories is not the remembered one */
	/* stats of files or directories differ from the remembered ones */
	bool stats_moved;
	bool leftovers;       /* of a killed run are in the kernel's directory */
	int64_t newest_mtime; /* of all module files */
	struct buf events;    /* struct scan_event, by path */
	struct arena *names;  /* one for each thread; paths and names live here */
	unsigned n_names;
};

struct scan_options {
	const struct tables *old; /* remembered, or NULL */
	/*
	 * Believe that directories with the same stat have the remembered names. False
	 * where depmod.d changed, since names may have been excluded.
	 */
	bool believe_dirs;
	const char *const *touched; /* paths below the kernel's directory: not believed */
	size_t n_touched;
};

/*
 * Scan the target's tree and the external directories of c. Returns 0, -ENOENT if the
 * kernel's directory is missing, -ENOMEM, or another errno of opening it. What cannot be
 * read inside is left out, and noted for scan_report().
 */
int scan_tree(const struct target *t, const struct depmodd *c,
	const struct scan_options *o, struct scan *ret);
/*
 * The same for just these files (absolute paths, links resolved in the root), whatever
 * else is in the tree. They are the kernel's, rather than external, if they begin with
 * its name. A path that is no file fails: its errno, and *ret_bad is its place in the
 * list. Two of one module name: -EEXIST.
 */
int scan_list(const struct target *t, const char *const *files, size_t n,
	const struct scan_options *o, struct scan *ret, size_t *ret_bad);
/* Report what was found odd, in the order of paths. */
void scan_report(const struct target *t, const struct scan *s);
void scan_done(struct scan *s);

/*
 * Nanoseconds by the clock that stamps files, which moves in ticks. What is read from now
 * on of a file whose ctime is older cannot change without getting another ctime; of one
 * that has this ctime, or a later one, it can: it is racy.
 */
int64_t scan_racy_limit(void);
bool stamp_racy(const struct stamp *s, int64_t limit);
/* Open a module file of a scan. A descriptor or a negative errno. */
int scan_open_file(const struct target *t, const struct scan_dir *d, const char *name);
