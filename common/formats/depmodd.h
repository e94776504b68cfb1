/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * depmodd.h: the lines of depmod.d, and which of two files with one module name wins.
 * Format: depmod.d(5).
 */

#include <regex.h>

#include "base/buf.h"

/*
 * One kernel's configuration. Of each list the entry that was configured last is looked
 * at first, as depmod does. Strings are owned.
 */
struct depmodd {
	char **search, **override, **external, **exclude;
	size_t n_search, n_override, n_external, n_exclude;
};

/* The words that stand for something else than a directory in a search line. */
#define SEARCH_BUILTIN "built-in"
#define SEARCH_EXTERNAL "external"

/*
 * A pattern for kernels has at most so many bytes, and its repetitions {m,n} and + make
 * at most so many copies of something: beyond that the C library's regcomp() ends the
 * program.
 */
#define DEPMODD_PATTERN_MAX 1024u
#define DEPMODD_REPEAT_MAX 1000u

/* A line that is not known, not complete, or beyond these: it is left out. */
typedef void (*depmodd_bad_fn)(void *arg, unsigned line, const char *command);

void depmodd_done(struct depmodd *c);
/* Add the lines of one file. bad may be NULL. Returns 0 or -ENOMEM. */
int depmodd_parse(struct depmodd *c, const char *kver, const char *text, size_t len,
	depmodd_bad_fn bad, void *arg);
/* After the last file: "search updates" if no file had a search line. 0 or -ENOMEM. */
int depmodd_finish(struct depmodd *c);

/* Is an entry of this name skipped, at any depth? build, source and the excluded are. */
bool depmodd_excluded(const struct depmodd *c, const char *name);
/* Would it not be, but for an exclude line? */
bool depmodd_excluded_by_line(const struct depmodd *c, const char *name);

/* Where a module's file lies, up to the end of the module's name in its base name. */
struct modpath {
	const char *rel; /* below the kernel's directory; NULL for an external module */
	size_t rel_len;
	/* the whole path, of the tree's too, as depmod has it; NULL: not known */
	const char *abs;
	size_t abs_len;
};

/*
 * Does a walk of depmod's come across a file? Walk 0 is the kernel's directory, the
 * others up to n_external are the external ones, one after the other. They may lie within
 * each other: a file can be met more than once.
 */
bool depmodd_meets(const struct depmodd *c, size_t walk, const struct modpath *path);

/*
 * Does the file seen later (new) win over the one seen before (old)? *ret_rule, if not
 * NULL, is the override or search word that decided it, or NULL where none matched
 * either.
 */
bool depmodd_replaces(const struct depmodd *c, const struct modpath *new,
	const struct modpath *old, const char **ret_rule);
