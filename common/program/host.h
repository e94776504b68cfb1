/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* host.h: what both command lines ask of the system that they run on. */

#include "base/fs.h"

/* Below a root: where facts are remembered. */
#define HOST_STORE_DIR "var/cache/kmp-depmod"

/* A path as seen from "/"; NULL without memory. The caller frees it. */
char *host_absolute(const char *path);
/* How many processors this process may use, 1 to max. */
unsigned host_processors(unsigned max);
/* False if the environment switches syncing off, for image builds. */
bool host_wants_sync(void);
/*
 * Where the helper programs are: where they were installed, unless the environment says.
 */
const char *host_libexecdir(void);

/*
 * Open a directory of facts stores, made if make. Returns a descriptor, -ENOENT if there
 * is none, -EPERM if others could write to it (their facts would be believed), or another
 * errno.
 */
int host_open_store(const struct root *root, const char *path, bool make);
