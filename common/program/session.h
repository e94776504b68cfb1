/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * session.h: one call of the command: root, lock, store, marks, kernels, and the loop
 * over them.
 */

#include "base/mark.h"
#include "engine/kernels.h"
#include "engine/update.h"
#include "model/changeset.h"
#include "program/messages.h"
#include "program/options.h"
#include "program/plan.h"

struct session {
	const struct options *o;
	struct messages m;
	struct report report;
	struct root host, root;
	char *outdir;  /* absolute, or NULL */
	char **config; /* absolute paths, or NULL */
	struct changeset touched;
	struct kernels kernels;
	bool named;    /* kernels were given */
	bool missing;  /* and not all are there */
	int lock;      /* -1: none held */
	int store_dir; /* -1: no store */
	struct mark_found *marks;
	size_t n_marks;
	bool has_vmlinux;
	struct vmlinux vmlinux;
};

/* One kernel's update, for reports. */
struct result {
	const struct kernel *kernel;
	int err; /* what update_run() said */
	struct update *update;
	struct plan plan;
	bool planned;
};

/* Run the command. Returns the exit status. */
int session_run(const struct options *o);

/* Say that an operand names no kernel. It may have been meant as a package or module. */
void session_no_kernel(struct session *s, const char *name);

/* The target of one kernel. *ret_outdir is its memory; free it. */
int session_target(const struct session *s, const struct kernel *k, struct target *ret,
	char **ret_outdir);
/*
 * store_name() of a kernel of this session: a directory named with --store may serve
 * several roots.
 */
void session_store_name(const struct session *s, const struct kernel *k, char *ret);
