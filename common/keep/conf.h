/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * conf.h: kmp-depmod.conf(5). The rpm plugin links it, too.
 */

#include "base/fs.h"

enum keep_mode {
	KEEP_NO,
	KEEP_RESTORE,
	KEEP_REDIRECT,
};

struct conf {
	enum keep_mode keep;
	bool forget; /* remember nothing, where no store is named */
};

/*
 * Told of each line that is not understood, and of a file that cannot be read (line 0).
 */
typedef void (*conf_bad_fn)(void *arg, const char *path, unsigned line, const char *what);

/*
 * Read kmp-depmod.conf and its drop-ins below the root. What is not set, or not
 * understood, has its default. bad may be NULL. 0 or -ENOMEM.
 */
int conf_read(const struct root *root, struct conf *ret, conf_bad_fn bad, void *arg);
