/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* tree.h: what saving, restoring and cleaning share. */

#include "formats/modname.h"
#include "keep/keep.h"
#include "keep/refresh.h"

/* Is a directory one of the kernel's own modules, not of those that were added to it? */
static inline bool is_in_tree(const char *dir)
{
	return str_eq(dir, "kernel") || str_starts(dir, "kernel/");
}

static inline bool is_module(const char *file)
{
	return modname_is_module_file(file, strlen(file));
}

/*
 * Stores of other kernels, in whose trees links may lead to files that get or lose a
 * name.
 */
struct links {
	struct kernels kernels;
	struct refresh *refresh; /* of each */
	char (*names)[256];
};

/*
 * dir: the kernel's whose own files get or lose them, and which is not among these. 0 or
 * -errno.
 */
int links_open(struct keep *k, const char *dir, struct links *ret);
/* Remember how they are now. */
void links_close(struct keep *k, struct links *l);

/* --- the live tree --- */

/*
 * Is a kept file, or a file with the same contents, where it was? For *ret_st see stat();
 * of what a link leads to where one was kept so.
 */
enum live {
	LIVE_GONE,
	LIVE_OURS,  /* a name of the kept file, or a copy, put there by restore */
	LIVE_SAME,  /* the file that was kept */
	LIVE_OTHER, /* another file, perhaps with the same bytes */
};

/*
 * Open a directory of the running kernel, or of another one's (dir: its real path): to
 * look at what is there, wherever a link leads, or to change something, if there is no
 * link.
 */
int live_open(const struct keep *k, const char *dir, const char *below);
int live_open_plain(const struct keep *k, const char *dir, const char *below);
/*
 * fd is that of the directory (or what live_open() said), kept_dev the kept tree's
 * device. Returns an enum live, or a negative errno.
 */
int live_look(const struct keep *k, const char *dir, int fd, dev_t kept_dev, uint32_t d,
	uint32_t f, struct stat *ret_st);
/* The kept tree's device. */
int kept_dev(const struct keep *k, dev_t *ret);

/* Remove from the directory dir whatever restore put there and nobody replaced. */
int live_remove_ours(struct keep *k, const char *dir, unsigned *ret_removed);
