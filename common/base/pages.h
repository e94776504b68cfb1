/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* pages.h: memory whose pages are there before they are used. */

#include "base/util.h"

/* All of these n bytes are about to be written. */
void pages_prepare(void *data, size_t n);
/*
 * n zeroed bytes for free(), all of which are about to be written; NULL without memory.
 * The kernel finds their pages in one call: with a page fault each, that takes twice as
 * long.
 */
void *pages_alloc(size_t n);
