/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Runs a program from inside a process that is not ours: it may have threads, signal
 * handlers that take our child's status, descriptors it forgot to close, and ignored
 * signals.
 */

#include <stdbool.h>
#include <stddef.h>

enum {
	RUN_FAILED = 1, /* exited with another status than 0, see run.status */
	RUN_KILLED,     /* died by a signal, see run.status */
	RUN_TIMEOUT,    /* had to be killed */
	RUN_UNKNOWN,    /* it ended, but somebody else took its status */
};

struct run {
	int status; /* exit status or signal number */
	double seconds;
	char output[4096]; /* the end of what it wrote to either output, NUL-terminated */
	size_t len;
};

/*
 * Spawns argv[0] with @input (@len bytes) as its standard input and waits for its end, at
 * most
 * @timeout seconds; then it and what it started are killed. It runs in a process group of
 * its own, with nothing blocked or ignored and no descriptor of ours but the three.
 * Returns 0 if it exited with 0, one of the above, or a negative errno if it could not be
 * started. *@ret is written in every case.
 */
int run_program(char *const argv[], const void *input, size_t len, unsigned timeout,
	struct run *ret);
