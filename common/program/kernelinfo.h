/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * kernelinfo.h: what a root says of a kernel besides its modules: the symbols of vmlinux,
 * how it was configured, and what the root's kmod can decompress. All of it may be
 * missing.
 */

#include "engine/check.h"
#include "formats/decompress.h"

#define CODECS (CODEC_GZIP + 1)

struct kernelinfo {
	struct vmlinux vmlinux;
	char *vmlinux_path; /* NULL: no list of symbols */
	uint32_t *slots;    /* hash of names: entry + 1 */
	uint32_t mask;
	char *config_path; /* NULL: not known */
	bool decompress;   /* CONFIG_MODULE_DECOMPRESS */
	enum codec codec;  /* CONFIG_MODULE_COMPRESS_* */
	char *kmod_path;   /* NULL: not known */
	bool kmod_reads[CODECS];
};

/*
 * given is the caller's list (-E, -F) with its path, or NULL: then it is looked for. 0 or
 * -ENOMEM.
 */
int kernelinfo_load(const struct target *t, const struct vmlinux *given,
	const char *given_path, struct kernelinfo *ret);
void kernelinfo_done(struct kernelinfo *k);
/* A symbol of vmlinux, or NULL. */
const struct vmlinux_symbol *kernelinfo_symbol(
	const struct kernelinfo *k, const char *name);
