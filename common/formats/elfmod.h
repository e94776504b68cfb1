/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * elfmod.h: what a kernel module says of itself, read from its ELF file.
 *
 * Both word sizes and byte orders. Every offset, size and count of the file is checked
 * before it is used; names and values are handed out as bytes with a length, without
 * their NUL, and live as long as the input's memory. Formats: the System V ABI's ELF; the
 * kernel's include/linux/module.h, export.h and modpost for .modinfo, __versions,
 * __version_ext_*, __ksymtab_strings and __crc_ symbols.
 */

#include "base/util.h"

/* Bytes of all names and .modinfo values of one module together. */
#define ELFMOD_NAMES_MAX ((size_t)64 << 20)
/* And how many these are: empty names cost memory, too. */
#define ELFMOD_RECORDS_MAX (1u << 20)

/* Why a module gave no facts, or not all. Kept in the facts store: append only. */
enum elfmod_status {
	ELFMOD_OK,
	ELFMOD_EMPTY,       /* 0 bytes */
	ELFMOD_NOT_ELF,     /* no ELF magic */
	ELFMOD_BAD_HEADER,  /* class, byte order, section table or its names */
	ELFMOD_BAD_EXPORTS, /* __ksymtab_strings or .symtab: the rest was read */
	ELFMOD_CORRUPT,     /* a damaged compressed file */
	ELFMOD_TOO_LARGE,   /* beyond DECOMPRESS_MAX or the limits above */
	ELFMOD_UNSUPPORTED, /* compressed in a way this build cannot read */
	ELFMOD_STATUS_MAX,
};

/* A clause for messages: "is not an ELF file". */
const char *elfmod_status_text(enum elfmod_status s);

/* Where the bytes come from: memory, or a file of which only parts are read. */
struct elf_input {
	uint64_t size;
	/*
	 * The bytes [off, off + len), within size. NULL with *err negative if it fails.
	 */
	const uint8_t *(*load)(
		struct elf_input *in, uint64_t off, uint64_t len, int *err);
};

struct span {
	const uint8_t *p; /* NULL: no such section */
	size_t n;
};

struct elfmod {
	struct elf_input *in;
	bool elf32;
	bool msb;
	uint16_t machine;
	uint16_t n_sections;
	const uint8_t *headers;
	struct span modinfo;
	struct span symtab;
	struct span strtab;
	struct span ksymtab; /* __ksymtab_strings */
	struct span versions;
	struct span ext_crcs;
	struct span ext_names;
};

/*
 * Find and load the sections. Returns 0 with *ret filled, an enum elfmod_status, or a
 * negative errno of the input.
 */
int elfmod_open(struct elf_input *in, struct elfmod *ret);

/* The records of .modinfo that are handed out. */
enum elfmod_key {
	ELFMOD_ALIAS,
	ELFMOD_SOFTDEP,
	ELFMOD_WEAKDEP,
	ELFMOD_NAME,
	ELFMOD_VERMAGIC,
	ELFMOD_KEY_MAX,
};

/* Callbacks may stop the walk with a non-zero result, which is passed on. */
struct elfmod_ops {
	int (*info)(void *arg, enum elfmod_key key, const char *value, size_t len);
	/* An exported symbol; crc is 0 where there is none. */
	int (*export)(void *arg, const char *name, size_t len, uint32_t crc);
	/* An undefined symbol. Called for all of them before the first version. */
	int (*need)(void *arg, const char *name, size_t len, bool weak);
	/* A record of __versions, or of __version_ext_* (then ext is true). */
	int (*version)(void *arg, const char *name, size_t len, uint32_t crc, bool ext);
};

/*
 * Walk all facts in file order: infos, exports, needs, versions. Returns 0, an enum
 * elfmod_status (facts before the fault were handed out and are valid), or a negative
 * errno.
 */
int elfmod_walk(struct elfmod *m, const struct elfmod_ops *ops, void *arg);
