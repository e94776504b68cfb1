/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * keep.h: the running kernel's modules, kept while packages replace or remove them.
 *
 *   MODULES/                 lib/modules or usr/lib/modules, a real path
 *     KVER/                  the running kernel's directory, or another build's, or none
 *     .kmp-kept/             made under the name .kmp-kept.new
 *       stamp                which kernel, when and why; lines of KEY=VALUE
 *       files                what was made: manifest.h
 *       lib/modules/KVER/    hard links
 *       usr -> .             for a kmod that looks in usr/lib/modules
 *       facts                what was remembered of these modules
 *       marks                a character for each directory and file of the manifest: 'L' restore
 *                            has put it back or is about to, 'R' its removal was asked for, '.' neither
 *       state                what restore found; lines of KEY=VALUE
 *
 * The caller holds the engine's lock. Nothing is logged here: a failed call leaves its
 * reason in keep.why, for one line.
 */

#include "engine/kernels.h"
#include "keep/manifest.h"
#include "keep/running.h"
#include "model/changeset.h"

#define KEPT_DIR ".kmp-kept"
#define NEW_DIR KEPT_DIR ".new"
#define KEPT_STAMP_OLD "stamp.old" /* of a tree that is being removed */

enum keep_case {
	KEEP_UNJUDGED,
	KEEP_SAME,     /* the kernel's own modules are all there */
	KEEP_GONE,     /* none of them is */
	KEEP_REPLACED, /* another build, or half of one, is in their place */
};

/* "same" ... */
const char *keep_case_name(enum keep_case c);

struct keep_stamp {
	char kver[65];
	char build_id[BUILD_ID_HEX_MAX + 1];
	char boot_id[BOOT_ID_MAX + 1];
	int64_t time; /* seconds since the epoch */
	char cause[200];
};

struct keep {
	const struct root *root;
	const struct running *running;
	char *modules; /* the real path of MODULES below the root */
	int modules_fd;
	char *dir;    /* MODULES/KVER, or where that leads to if it is a link */
	int kept_fd;  /* of .kmp-kept; -1: there is none */
	bool foreign; /* there is one, but it is not ours */
	struct keep_stamp stamp;
	enum keep_case state; /* what the last restore found */
	bool pending;         /* there was a save since then */
	/* read by keep_load(): */
	bool loaded;
	struct manifest manifest;
	char *marks;            /* of directories, then of files */
	int store_dir;          /* borrowed; -1: no store */
	const char *store_root; /* how its names begin, see store_name(); borrowed */
	bool sync;
	struct buf why; /* text */
	/* char *, owned: paths of somebody else's files that were met */
	struct buf strange;
};

/* Find out where everything is. 0 or -errno. Release with keep_done() in each case. */
int keep_open(const struct root *root, const struct running *running, struct keep *ret);
void keep_done(struct keep *k);
/*
 * The same once more, after what is kept has changed. Borrowed members stay. 0 or -errno.
 */
int keep_reopen(struct keep *k);
/* The path to give to modprobe -d; absolute within the root. The caller frees it. */
char *keep_path(const struct keep *k);
/* Is there a kept tree, of the running kernel? */
bool keep_is_current(const struct keep *k);
enum {
	/*
	 * there is no manifest: it was never finished, or is removed already, or no
	 * kernel's
	 */
	KEEP_UNFINISHED = 1,
	KEEP_TORN, /* a power loss came before the manifest was on the disk */
};

/* Read manifest and marks. 0, one of the above, or -errno. */
int keep_load(struct keep *k);
/* The same, where neither can be. 0 or -errno. */
int keep_load_whole(struct keep *k);
int keep_write_marks(struct keep *k);
/* After a change of what it says of a file. */
int keep_write_manifest(struct keep *k);
int keep_write_state(struct keep *k);

/* For the files of this folder: note a reason and return err. */
int keep_fail(struct keep *k, int err, const char *fmt, ...) _printf_(3, 4);
void keep_strange(struct keep *k, const char *fmt, ...) _printf_(2, 3);
/*
 * Read or write a small file of the kept tree. keep_write_file() replaces it as a whole.
 * One that others could have written is not read: -EPERM.
 */
int keep_read_file(const struct keep *k, const char *name, struct buf *to);
int keep_write_file(int dirfd, const char *name, const void *data, size_t len, bool sync);
/* Open a directory of the kept modules, if no link leads to it. */
int keep_open_kept(const struct keep *k, const char *below);
/* The real path of MODULES/KVER, or that path if there is none. The caller frees it. */
int keep_find_dir(const struct keep *k, const char *kver, char **ret);

/* --- save --- */

enum {
	SAVE_ALREADY = 1, /* this kernel's modules are kept */
	SAVE_UNTOUCHED,   /* no path of the list is the running kernel's */
	SAVE_NOTHING,     /* it has no directory, or no module in it */
	SAVE_OTHER,       /* what is in it is another build's already */
};

struct keep_request {
	/* paths about to be replaced or removed; NULL: any */
	const struct changeset *touched;
	const struct changeset *removed; /* those whose removal was asked for; or NULL */
	const char *cause;
	const char *system; /* see loaded_compare() */
};

/*
 * Is one of the paths in the running kernel's directory, or what a link in there leads
 * to?
 */
bool keep_is_touched(struct keep *k, const struct changeset *touched);
/* Keep the running kernel's modules. 0 (done), one of the above, or -errno. */
int keep_save(struct keep *k, const struct keep_request *request);

/* --- restore --- */

/* What is in the place of the kept modules? 0 or -errno. */
int keep_judge(struct keep *k, enum keep_case *ret);

struct keep_restored {
	enum keep_case found;
	unsigned linked;  /* modules and lists put back now */
	unsigned missing; /* those that are wanted, but gone from the kept tree, too */
	bool is_news;     /* the last restore found something else, or there was none */
	bool unneeded;    /* all is in place: the kept tree is to be dropped */
	bool needs_index; /* the engine has to look at the running kernel */
};

/* Judge, and do what the case asks for. 0 or -errno. */
int keep_restore(struct keep *k, struct keep_restored *ret);

/* --- clean --- */

/*
 * Remove the kept tree and what restore put back from it, but nothing else; whatever else
 * is met is noted as strange. *ret_needs_index: the kernel whose directory was changed
 * and is still there (owned), or NULL. 0 or -errno.
 */
int keep_clean(struct keep *k, char **ret_needs_index);
/* The same for the kept tree alone. */
int keep_drop(struct keep *k);
/* Remove what a killed save left. 0 or -errno. */
int keep_clean_new(struct keep *k);

/* --- status --- */

struct keep_status {
	enum keep_case found;
	uint64_t files, bytes; /* that only the kept tree holds */
	unsigned linked;       /* files of ours in the running kernel's directory */
};

int keep_examine(struct keep *k, struct keep_status *ret);
