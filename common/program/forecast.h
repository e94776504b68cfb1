/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * forecast.h: what a kernel would become with the packages of a dry run, and what that
 * breaks. Compares two tables, both in memory: the tree as it is, and with the overlay.
 */

#include "engine/overlay.h"
#include "engine/update.h"
#include "program/kernelinfo.h"
#include "program/packages.h"

enum change_kind {
	CHANGE_ADDED,
	CHANGE_REMOVED,
	CHANGE_CHANGED,
	CHANGE_HIDDEN,   /* another file of its name wins */
	CHANGE_UNHIDDEN, /* it wins now */
	CHANGE_MAX,
};

struct change {
	enum change_kind kind;
	const char *name, *path;
	const char *by;      /* hidden: the file that wins; unhidden: the one that went */
	const char *rule;    /* of depmod.d, in words; NULL: none decided */
	const char *package; /* label; NULL: of the tree */
};

enum problem_kind {
	PROBLEM_UNKNOWN, /* nothing has the symbol */
	PROBLEM_CRC,     /* it is there with another CRC */
	PROBLEM_VERMAGIC,
	PROBLEM_MODULE,      /* the file cannot be read, or is no module */
	PROBLEM_COMPRESSION, /* nobody can decompress it */
	PROBLEM_FILE,        /* two packages have the same path */
	PROBLEM_NAME,        /* two packages have a module of one name */
	PROBLEM_EXPORT,      /* two modules, or one and the kernel, export one symbol */
	PROBLEM_SOFTDEP,     /* a softdep names nothing that exists */
	PROBLEM_HIDDEN,      /* a package's module would not be found */
	PROBLEM_CYCLE,
	PROBLEM_UNCHECKED, /* a symbol about which nothing is known */
	PROBLEM_MAX,
};

extern const char *const problem_names[PROBLEM_MAX]; /* "unknown-symbol", ... */
extern const char *const change_names[CHANGE_MAX];   /* "added", ... */

struct trouble {
	enum problem_kind kind;
	/* a module will not load, or not be found; else it is worth knowing */
	bool breaks;
	/* of the module concerned; package NULL: of the tree */
	const char *path, *package;
	const char *subject;        /* symbol, softdep, or other file */
	const char *wanted, *found; /* values, or NULL */
	const char *found_in;       /* where the found value stands, or NULL */
	const char *hint;           /* who would have it, or what follows; NULL: none */
};

enum alias_kind {
	ALIAS_GAINED,  /* nobody had it */
	ALIAS_MOVED,   /* others had it, and do not any more */
	ALIAS_SHARED,  /* others have it, too */
	ALIAS_OVERLAP, /* other aliases match some of the same hardware */
	ALIAS_LOST,    /* nobody has it any more */
	ALIAS_KINDS,
};

extern const char *const alias_names[ALIAS_KINDS];

struct alias_change {
	enum alias_kind kind;
	const char *alias;
	const char *meaning;     /* the hardware, in words */
	const char *module;      /* who has it now; for LOST, who had it */
	const char *others;      /* modules, separated by blanks; "" if none */
	const char *other_alias; /* OVERLAP: theirs */
};

struct line_change {
	const char *path;
	const char *before, *after; /* dependencies as modules.dep has them */
};

/* How a compressed module of a package gets decompressed. */
struct codec_use {
	enum codec codec;
	unsigned n;
	const char *by; /* "kernel", "modprobe", "nobody", "unknown" */
};

struct forecast {
	/* set by the caller */
	const struct target *t;
	const struct packages *packages;
	const struct tables *before;
	const struct depmodd *config_before;
	const struct buf *order_before; /* NULL: no list */
	struct overlaid over;
	uint32_t *file_of; /* [overlay file] -> package file */
	const struct depmodd *config;
	const struct buf *order;
	const struct buf *builtin; /* text of modules.builtin, or NULL */
	const struct kernelinfo *info;
	/* the result */
	bool cycle; /* nothing would be written */
	struct resolved was, is;
	struct buf changes;  /* struct change, by kind and path */
	struct buf troubles; /* struct trouble, the breaking ones first */
	struct buf aliases;  /* struct alias_change */
	struct buf lines;    /* struct line_change */
	struct codec_use codecs[CODECS];
	unsigned unchecked;   /* symbols that could not be checked */
	const char *vermagic; /* of most of the kernel's modules; NULL: there are none */
	struct arena mem;
	const char **paths;     /* [row of over.t] */
	const char **old_paths; /* [row of before] */
	mod_row *row_of_old;    /* [row of before] -> row of over.t, or ID_NONE */
};

/*
 * Resolve both tables; then compare them (o is what was laid over). Both return 0,
 * -ENOMEM or
 * -E2BIG. Release with forecast_done() in every case.
 */
int forecast_resolve(struct forecast *f);
int forecast_compare(struct forecast *f, const struct overlay *o);
void forecast_done(struct forecast *f);
bool forecast_breaks(const struct forecast *f);

/* The package that a row of over.t comes from, or NULL. */
const struct package *forecast_package(const struct forecast *f, mod_row row);
/* Which rule lets a win over b, in words; NULL: their order. Lives in f->mem. */
const char *forecast_rule(struct forecast *f, mod_row won, mod_row lost);
/*
 * The part of forecast_compare() that is about aliases: forecast_aliases.c. 0 or -ENOMEM.
 */
int forecast_compare_aliases(struct forecast *f);
