/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* depmod.h: the whole command line of kmod's depmod, answered from remembered facts. */

/* argv[0] is ignored. Returns the exit status. */
int depmod_main(int argc, char **argv);
