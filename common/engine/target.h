/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * target.h: one kernel's module directory, and where things about it are kept.
 */

#include "base/fs.h"
#include "engine/report.h"

struct target {
	const struct root *root; /* absolute links are resolved in here */
	const char *kver;
	const char *dir;    /* the module directory, relative to the root */
	const char *outdir; /* where indexes go, relative to the host's root; NULL: dir */
	const struct root *config_root; /* where configuration paths are resolved */
	const char *const *config; /* -C: files or directories, ended by NULL; NULL: default */
	char symbol_prefix; /* -P; '\0': none */
	unsigned jobs;      /* threads, at least 1 */
	const struct report *report;
};
