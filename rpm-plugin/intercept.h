/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a scriptlet is given in place of kmod's depmod. Both functions are for a forked
 * child that is about to run the scriptlet and never comes back; neither can fail it.
 */

/* $DEPMOD names the drop-in, if it can be executed here and nobody has set the variable.
 */
void intercept_environment(const char *drop_in);

/*
 * Puts the drop-in over the system's depmod, in a mount namespace of the child's own.
 * With
 * @outer_root_fd, the root directory outside of the chroot that the child is in; or -1.
 * Returns 0, or a negative errno if nothing is covered.
 */
int intercept_mount(const char *drop_in, int outer_root_fd);
