/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * lists.h: the kernel's own lists in a module directory: modules.order, modules.builtin,
 * modules.builtin.modinfo. Written by the kernel's build (scripts/Makefile.modinst).
 */

#include "base/buf.h"

/*
 * Lines of modules.order, without their newline. Nothing is called for a list with a line
 * that lacks its newline, has a NUL in it or is longer than a path: -EBADMSG then,
 * *ret_line its number.
 */
typedef int (*lists_line_fn)(void *arg, const char *line, size_t len);
int lists_order(
	const char *text, size_t len, lists_line_fn fn, void *arg, unsigned *ret_line);

/*
 * The module names of modules.builtin, normalised. bad is called for lines that do not
 * start with a letter.
 */
int lists_builtin(
	const char *text, size_t len, lists_line_fn fn, lists_line_fn bad, void *arg);

/*
 * The aliases in modules.builtin.modinfo, records "module.alias=value" each ended by a
 * NUL.
 */
typedef int (*lists_alias_fn)(
	void *arg, const char *module, size_t module_len, const char *alias, size_t len);
int lists_builtin_aliases(const char *text, size_t len, lists_alias_fn fn, void *arg);
