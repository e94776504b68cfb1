/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * running.h: which kernel runs, and whether a root is the one that it runs.
 */

#include "base/fs.h"

#define BUILD_ID_HEX_MAX 128
#define BOOT_ID_MAX 64

struct running {
	char kver[65];                       /* as uname -r */
	char build_id[BUILD_ID_HEX_MAX + 1]; /* hexadecimal */
	char boot_id[BOOT_ID_MAX + 1];
};

enum {
	/* the root is not that of process 1: a chroot, a container */
	RUNNING_ELSEWHERE = 1,
};

/*
 * What /proc and /sys say, both below the directory system ("" is the machine's own).
 * Returns 0, RUNNING_ELSEWHERE, or a negative errno with the file that it is about in
 * *ret_bad.
 */
int running_read(const char *system, const struct root *root, struct running *ret,
	const char **ret_bad);

/*
 * The build id in the ELF notes that /sys/kernel/notes holds, in hexadecimal. 0, or
 * -EBADMSG if there is none.
 */
int running_build_id(const void *notes, size_t len, char ret[BUILD_ID_HEX_MAX + 1]);
