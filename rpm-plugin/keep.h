/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The running kernel's modules, kept over a transaction: kmp-depmod.conf(5) says whether.
 * What is to be done is the program's to decide; here it is only told which modules a
 * transaction is about to replace or erase.
 */

#include <rpm/rpmts.h>

#include "base/buf.h"

/* Does the configuration below a root ask for it? */
bool keep_is_wanted(const char *root);

/*
 * The paths below the module directories that the elements of a transaction replace or
 * erase, as `kmp-depmod --keep-running save --touched-from -` reads them. *ret_cause
 * names the first package with one, to be freed; NULL if there is none.
 */
void keep_list_paths(rpmts ts, struct buf *ret, char **ret_cause);
