/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* options.h: the command line of kmp-depmod. */

#include "base/util.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	/* -x: a symbol is unknown or has another CRC; --exit-code: something breaks */
	EXIT_SYMBOLS = 3,
	EXIT_DIFFERS = 4,  /* --verify */
	EXIT_CHANGES = 10, /* --exit-code: something would change */
	EXIT_BUSY = 75,    /* EX_TEMPFAIL: another run held the lock for the whole wait */
};

enum keep_action {
	KEEP_NONE, /* the command is another one */
	KEEP_SAVE,
	KEEP_RESTORE_NOW,
	KEEP_CLEAN,
	KEEP_STATUS,
};

struct options {
	bool dry_run, full, verify, no_sync, json, stats, quiet;
	bool errsyms, errexit, warn;
	bool keep_directory; /* of a kernel that is gone: the caller knows whose it is */
	unsigned verbose;
	unsigned jobs;
	unsigned wait_ms;
	char symbol_prefix;
	const char *touched_from, *root, *moduledir, *outdir, *store, *symvers, *sysmap;
	const char **config; /* ended by NULL; NULL: default. Owned */
	size_t n_config;
	char **kernels; /* --kernel and operands. The array is owned */
	int n_kernels;
	/*
	 * of a dry run: packages, modules, directories; paths that go. Arrays are owned
	 */
	char **packages, **removed;
	int n_packages, n_removed;
	const char *explain; /* a module */
	bool dot, exit_code;
	enum keep_action keep;
	const char *cause, *system; /* of --keep-running */
};

/*
 * Parse the command line. Returns true with *ret filled (release with options_done()), or
 * false with the status to exit with, after --help, --version or a message.
 */
bool options_parse(struct options *ret, int argc, char **argv, int *ret_status);
/* Is it a dry run of more than an update? */
static inline bool options_forecast(const struct options *o)
{
	return o->n_packages || o->n_removed || o->explain || o->dot;
}

void options_done(struct options *o);
