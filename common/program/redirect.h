/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * redirect.h: lead the kernel and udev to the kept modules while another build's are
 * installed.
 *
 * All of it lies in /run and in a sysctl: neither the next boot nor an initrd knows of
 * it.
 */

#include "base/fs.h"

struct messages;

struct redirect {
	const char *system; /* what proc and run are below: "" for the machine's own */
	const char *kver;
	/* the kernel's directory, a real path without a leading slash */
	const char *dir;
	const char *kept; /* the root to give to modprobe -d, absolute */
	struct messages *m;
};

struct redirected {
	bool kernel; /* its own requests */
	bool udev;   /* drop-ins are there */
};

/*
 * Redirect, or do again what is missing. What could not be done is said in a line each.
 * Returns whether everything that can be reached is.
 */
bool redirect_on(const struct redirect *r);
/* Undo what redirect_on() did, if it did. */
void redirect_off(const struct redirect *r);
struct redirected redirect_look(const struct redirect *r);
