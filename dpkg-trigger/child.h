/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* child.h: run a program to its end. */

#include "base/buf.h"

/*
 * Run argv[0], a path. With output, what it writes to standard output is appended there.
 * Returns its exit status, 128 plus the number of the signal that it died of, or a
 * negative errno if it could not be started or its output could not be read to the end.
 */
int child_run(char *const argv[], struct buf *output);
