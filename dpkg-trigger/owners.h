/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * owners.h: the program's report, with the packages' names put in.
 *
 * kmp-depmod-report(5) describes the object and what is added to it here.
 */

#include "base/fs.h"

struct json_object;

struct owners {
	const struct root *root;
	const char *admindir;
	bool json;    /* print the object; else a line for each kernel and package */
	bool dry_run; /* it tells what would happen */
};

/*
 * Print the report that the program wrote with --json. 0, -EBADMSG if it is none, -errno.
 */
int owners_report(const struct owners *o, const struct buf *text);
