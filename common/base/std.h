/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * std.h: descriptors 0, 1 and 2 are taken, however we were started. Inline, so that a
 * program which needs nothing but libc can have it.
 */

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

/*
 * The first thing that main() does: where one of the three is closed, the next file that
 * is opened has its number, and messages are written into it. What stands in for it is as
 * useless as what is closed, and always there, as /dev/null in a chroot is not: reading
 * and writing fail. False if that is not possible.
 */
static inline bool std_take(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH | O_DIRECTORY) != fd)
			return false;
	return true;
}
