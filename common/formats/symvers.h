/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * symvers.h: the symbols of vmlinux: Module.symvers (CRC, name and place of each exported
 * symbol, by the kernel's modpost) and System.map (addresses; __ksymtab_NAME is
 * exported).
 */

#include "base/util.h"

typedef int (*symvers_fn)(void *arg, const char *name, size_t len, uint32_t crc);
/* A line that cannot be read; text is NUL-ended. */
typedef void (*symvers_bad_fn)(void *arg, unsigned line, const char *text);

/* The vmlinux symbols of a Module.symvers. Results of fn other than 0 are passed on. */
int symvers_parse(
	const char *text, size_t len, symvers_fn fn, symvers_bad_fn bad, void *arg);
/*
 * The exported symbols of a System.map, CRC 0. prefix ('\0': none) is left out of names.
 */
int sysmap_parse(const char *text, size_t len, char prefix, symvers_fn fn,
	symvers_bad_fn bad, void *arg);
