/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * loaded.h: are the modules in a directory those of the build that runs?
 *
 * Its name does not tell: another build can have come into it before anything was kept.
 * But the kernel shows the build ids of modules that are loaded, and the files have
 * theirs.
 */

#include "base/fs.h"

enum loaded {
	LOADED_UNKNOWN, /* no module is loaded whose file can be looked at */
	LOADED_SAME,
	LOADED_OTHER,
};

/*
 * Compare some loaded modules, of those that /sys/module below the directory system
 * names, with their files below dir (the kernel's directory, below the root). One that is
 * the same decides.
 */
enum loaded loaded_compare(const char *system, const struct root *root, const char *dir);
