/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * modname.h: kmod's rules for names: which files are modules, what a file's module is
 * called, how an alias is spelled in an index, and the hash that orders names.
 */

#include "base/buf.h"

/* Does a base name end as a module's does: .ko, .ko.gz, .ko.xz, .ko.zst? */
bool modname_is_module_file(const char *file, size_t len);
/* The length of the module's name in a base name: up to the first dot. */
size_t modname_len(const char *file);
/*
 * Copy that name with '-' turned to '_'. to has room for modname_len() + 1. Returns its
 * length.
 */
size_t modname_copy(char *to, const char *file);

/* kmod's limit of an alias in an index, in bytes. */
#define ALIAS_MAX 4095u

enum {
	ALIAS_SAME = 1,   /* nothing to replace: use the value itself */
	ALIAS_UNBALANCED, /* brackets do not balance: it cannot be in an index */
};

/* Is an alias 7-bit, and without a character that normalising looks at? Most are. */
bool alias_is_plain(const char *alias, size_t len);
/*
 * '-' to '_' outside of [...]. On 0 the result is in to (room for len + 1 bytes) and its
 * length in *ret_len, at most ALIAS_MAX. Otherwise an enumerator above.
 */
int alias_normalise(const char *alias, size_t len, char *to, size_t *ret_len);

/* Index keys are 7-bit. */
bool key_is_ascii(const char *key, size_t len);

/*
 * Paul Hsieh's SuperFastHash as kmod's hash tables use it, in the machine's byte order.
 */
uint32_t kmod_hash(const char *key, size_t len);
