/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* touched.h: what a transaction is about to do to the running kernel's modules. */

#include "keep/keep.h"

/*
 * Note that there is a transaction for restore to look back at, and which modules are not
 * to be put back since their removal was asked for (NULL: none). 0 or -errno.
 */
int touched_note(struct keep *k, const struct changeset *removed);
