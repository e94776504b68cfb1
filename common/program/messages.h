/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* messages.h: the engine's events in words, on standard error. */

#include "engine/report.h"

struct messages {
	unsigned verbose; /* 0: warnings and errors, 1: and notes, 2: everything */
	bool quiet;       /* errors only */
	bool progress;    /* show a progress line: standard error is a terminal */
	bool shown;       /* a progress line is on the screen */
	unsigned warnings, errors;
	const char *root; /* put in front of paths; "" for the running system */
};

/* For struct report; arg is a struct messages. */
void messages_event(void *arg, const struct event *e);
void messages_progress(void *arg, unsigned done, unsigned total);
/* For conf_read(). */
void messages_conf(void *arg, const char *path, unsigned line, const char *what);

/* A negative errno of a whole run, in words. */
const char *failure_text(int err);

/* "kmp-depmod: TEXT" on standard error. */
void message(struct messages *m, const char *fmt, ...) _printf_(2, 3);
/* The same, only with -v. */
void note(struct messages *m, const char *fmt, ...) _printf_(2, 3);
