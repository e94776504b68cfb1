/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * report.h: what the engine tells its caller while it works. The engine prints nothing:
 * the command and the depmod drop-in have words of their own for the same event.
 */

#include "base/util.h"

enum event_kind {
	/* a module: path is below the kernel's directory, or absolute */
	EVENT_MODULE_BAD,        /* status: what is wrong with its contents */
	EVENT_MODULE_UNREADABLE, /* err: it could not be opened or read */
	EVENT_MODULE_VANISHED,   /* it went while we worked */
	/* detail: the file of equal rank that it was chosen over */
	EVENT_DUPLICATE,
	EVENT_DEVNODE,        /* path: module name, detail: node without numbers */
	EVENT_ALIAS_BRACKETS, /* detail: the alias, left out of the .bin index */
	/* detail: a key with bytes beyond ASCII, left out likewise */
	EVENT_KEY_ASCII,
	/* symbol checks */
	EVENT_SYMBOL_UNKNOWN, /* path, detail: symbol */
	EVENT_SYMBOL_CRC,     /* path, detail: symbol */
	/* -w; path: "deps", "alias" or "syms", detail: what is twice */
	EVENT_KEY_DUPLICATE,
	/* path, line, detail: a line of Module.symvers or System.map */
	EVENT_SYMBOLS_LINE,
	/* the tree */
	EVENT_DIR_UNREADABLE, /* path, err */
	/* path, err: what a symbolic link leads to cannot be found */
	EVENT_LINK_DANGLING,
	EVENT_LINK_LOOP,  /* path: a link to a directory above itself */
	EVENT_FILE_TYPE,  /* path: neither file nor directory */
	EVENT_TREE_LIMIT, /* path: nested too deeply, or too many */
	/* configuration and lists */
	EVENT_CONFIG_FILE,  /* path, err */
	EVENT_CONFIG_LINE,  /* path, line, detail: the word the line starts with */
	EVENT_LIST_MISSING, /* path: modules.order, modules.builtin, ...; err */
	EVENT_ORDER_CUT,    /* path, line: the last line lacks its newline */
	EVENT_BUILTIN_LINE, /* detail: a line of modules.builtin */
	/* dependencies */
	EVENT_CYCLE,  /* detail: a -> b -> a */
	EVENT_CYCLES, /* number: modules in cycles */
	/* our own files */
	EVENT_STORE, /* detail: why remembered facts are not used; err or 0 */
	EVENT_LOCK,  /* err: working without the lock */
	/* path, detail: marks cannot be ..., err; a later run will try again */
	EVENT_MARK,
	/* path, err: an index could not be written; number: how many were already */
	EVENT_OUTPUT,
};

struct event {
	enum event_kind kind;
	const char *kver;
	const char *path;
	const char *detail;
	int err;    /* negative errno, or 0 */
	int status; /* enum elfmod_status */
	unsigned line;
	unsigned number;
};

struct report {
	/* Called from one thread at a time. Strings live as long as the call. */
	void (*event)(void *arg, const struct event *e);
	/* Optional: how far a long read is. Called now and then by the calling thread. */
	void (*progress)(void *arg, unsigned done, unsigned total);
	void *arg;
};

#define report_event(r, ...) ((r)->event((r)->arg, &(struct event){__VA_ARGS__}))
