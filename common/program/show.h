/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* show.h: results as text and as JSON, on standard output. */

#include "program/session.h"

/* What would change, or, without dry_run, what did. */
void show_plan(const struct session *s, const struct result *r);
void show_stats(const struct session *s, const struct result *r);
/* One line for -v. */
void show_summary(struct session *s, const struct result *r);

struct json_object;
/*
 * The report's frame, one kernel in it, and the end of it: prints and frees. 0 or
 * -ENOMEM.
 */
struct json_object *json_begin(const struct session *s);
int json_kernel(
	const struct session *s, struct json_object *report, const struct result *r);
int json_end(struct json_object *report);
