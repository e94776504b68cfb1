/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * target.h: one kernel's module directory, and where things about it are kept.
 */

#include "base/fs.h"
#include "engine/report.h"

/* A file of depmod.d as it would be: of a package that is not installed. */
struct target_conf {
	const char *path; /* within the root, such as /etc/depmod.d/foo.conf */
	const void *data; /* NULL: it is taken away */
	size_t len;
};

struct target {
	const struct root *root; /* absolute links are resolved in here */
	const char *kver;
	const char *dir; /* the module directory, relative to the root */
	/*
	 * The same as depmod names it, absolute: whether an external directory or a named
	 * file is below it is told by the text. NULL: nothing is.
	 */
	const char *name;
	const char *outdir; /* where indexes go, relative to the host's root; NULL: dir */
	const struct root *config_root; /* where configuration paths are resolved */
	/* -C: files or directories, ended by NULL; NULL: default */
	const char *const *config;
	/* laid over the default directories of depmod.d */
	const struct target_conf *conf;
	size_t n_conf;
	char symbol_prefix; /* -P; '\0': none */
	unsigned jobs;      /* threads, at least 1 */
	const struct report *report;
};
