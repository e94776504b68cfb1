/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * check.h: is every symbol that a module needs there, with the CRC that it was built for?
 *
 * Answered from facts alone; the tree is not read again.
 */

#include "engine/resolve.h"

/* The symbols of vmlinux, from Module.symvers or System.map. */
struct vmlinux {
	struct buf names;   /* each with its NUL */
	struct buf entries; /* struct vmlinux_symbol */
	bool has_crcs;
};

struct vmlinux_symbol {
	uint32_t name; /* offset in names */
	uint32_t crc;
};

/*
 * Load -E symvers (or, if that is NULL, -F sysmap), host paths. Lines that cannot be read
 * are reported. 0 or -errno. Release with vmlinux_done().
 */
int vmlinux_load(const struct target *t, const char *symvers, const char *sysmap,
	struct vmlinux *ret);
/* The same from text in memory: a Module.symvers or a System.map. path is for reports. */
int vmlinux_parse(const struct target *t, const char *path, const char *text, size_t len,
	bool symvers, struct vmlinux *ret);
void vmlinux_done(struct vmlinux *v);

struct problem {
	mod_idx mod;
	str_id sym;
	bool crc; /* the symbol is there, with another CRC */
	uint32_t want, have;
};

/*
 * Append each struct problem to *ret, by module and in the order of its needs. Needs are
 * compared with CRCs only if v has some. 0 or -ENOMEM.
 */
int check_symbols(const struct resolved *r, const struct vmlinux *v, struct buf *ret);
