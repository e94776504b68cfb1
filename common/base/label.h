/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* label.h: the security label (SELinux) of a file that replaces another one. */

/*
 * Give fd, a new file that will be called name in dirfd, the label of the file of that
 * name, or the one that the running system's policy has for path if there is none yet.
 * path is absolute, or NULL where no policy speaks of it (another root). Without labels,
 * or in a build without libselinux for the second, nothing happens. 0 or -errno.
 */
int label_copy(int fd, int dirfd, const char *name, const char *path);
