/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* dryrun.h: what would packages do to the kernels of a session? */

#include "program/forecast.h"
#include "program/session.h"

/* One kernel's forecast, for reports. */
struct prospect {
	const struct kernel *kernel;
	const struct forecast *f;
	bool changes;
	bool differs[OUT_MAX]; /* index files that would have other bytes */
};

/* A dry run with packages, files added or paths removed. The exit status or -errno. */
int dryrun(struct session *s);

/* Reports on standard output. */
void prospect_text(const struct session *s, const struct packages *p,
	const struct prospect *list, size_t n);
int prospect_explain(
	const struct session *s, const struct prospect *p, const char *module);
int prospect_dot(const struct packages *p, const struct prospect *list, size_t n);
int prospect_json(const struct session *s, const struct packages *p,
	const struct prospect *list, size_t n);
