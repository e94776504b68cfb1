/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What follows the plugin's path in %__transaction_kmp_depmod, words separated by blanks:
 *
 *	program=PATH		the program, inside the root
 *	depmod=PATH		the depmod drop-in, inside the root
 *	timeout=SECONDS		of one run of the program, 1 to 86400
 *	intercept=mount|none	scriptlets find the drop-in at /usr/sbin/depmod, or in
 *$DEPMOD only
 *	system=DIR		where proc, sys and run of the running system are
 */

#include <stdbool.h>

struct options {
	char *program; /* both absolute, owned */
	char *depmod;
	char *system; /* absolute, owned; NULL: the system's own */
	unsigned timeout;
	bool intercept;
};

/*
 * Defaults, then @text (may be NULL). Returns 0; -EINVAL and the offending word's
 * beginning (within @text) in *@ret_bad; or -ENOMEM with all of it. To be freed in every
 * case.
 */
int options_parse(struct options *o, const char *text, const char **ret_bad);
void options_done(struct options *o);
