/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * lock.h: one writer at a time.
 *
 * ROOT/var/lib/kmp-depmod/lock, mode 0600 in a directory of mode 0700: any user may flock
 * a file that he can open, so nobody else may open this one. A file that is not so gives
 * way to a new one.
 */

#include "base/fs.h"

#define LOCK_DIR "var/lib/kmp-depmod"

enum {
	LOCK_BUSY = 1, /* another run held it for the whole wait */
};

/*
 * Take the lock, waiting at most wait_ms milliseconds. Returns 0 with a descriptor whose
 * close gives it back, LOCK_BUSY, or a negative errno (-EROFS, -EACCES: no lock can be
 * had here; -EPERM: the directory or file is somebody else's).
 */
int lock_take(const struct root *root, unsigned wait_ms, int *ret_fd);
