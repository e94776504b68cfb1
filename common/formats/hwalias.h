/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * hwalias.h: what a module alias stands for, in words.
 * Formats: the kernel's scripts/mod/file2alias.c, Documentation of each bus.
 */

#include "base/buf.h"

/* Append "PCI device 8086:1572" or, where nothing better is known, the alias itself. */
void hwalias_describe(const char *alias, struct buf *to);

/*
 * Can one string match both patterns (*, ?, [...])? Two aliases without any pattern
 * overlap only if they are equal. False for what is longer than an alias in an index, and
 * where it would take too long to tell.
 */
bool hwalias_overlap(const char *a, const char *b);
