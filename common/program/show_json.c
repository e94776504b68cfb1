// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The layout is described in kmp-depmod-report(5); "schema" counts its incompatible
 * changes.
 */

#include "config.h"

#include <json.h>
#include <stdio.h>

#include "program/json.h"
#include "program/show.h"

#define REPORT_SCHEMA 1

struct json_object *json_begin(const struct session *s)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	if (json_int(o, "schema", REPORT_SCHEMA) < 0 ||
		json_str(o, "program", "kmp-depmod") < 0 ||
		json_str(o, "version", PACKAGE_VERSION) < 0 ||
		json_str(o, "root", *s->root.path ? s->root.path : "/") < 0 ||
		json_flag(o, "dry_run", s->o->dry_run) < 0 || !json_list(o, "kernels")) {
		json_object_put(o);
		return NULL;
	}
	return o;
}

static int put_modules(struct json_object *to, const char *key, const struct buf *modules)
{
	const struct plan_module *m = vec_data(modules, struct plan_module);
	struct json_object *list = json_list(to, key);

	for (size_t i = 0; list && i < plan_count(modules); i++) {
		struct json_object *o = json_append_object(list);

		if (!o || json_str(o, "name", m[i].name) < 0 ||
			json_str(o, "path", m[i].path) < 0 ||
			(m[i].by && json_str(o, "by", m[i].by) < 0))
			return -ENOMEM;
	}
	return list ? 0 : -ENOMEM;
}

static int put_dependencies(struct json_object *to, const struct buf *deps)
{
	const struct plan_dependency *d = vec_data(deps, struct plan_dependency);
	struct json_object *list = json_list(to, "dependencies");

	for (size_t i = 0; list && i < vec_len(deps, struct plan_dependency); i++) {
		struct json_object *o = json_append_object(list);

		if (!o || json_str(o, "path", d[i].path) < 0 ||
			json_words(o, "before", d[i].before) < 0 ||
			json_words(o, "after", d[i].after) < 0)
			return -ENOMEM;
	}
	return list ? 0 : -ENOMEM;
}

static int put_symbols(
	struct json_object *to, const char *key, const struct buf *symbols, bool crc)
{
	const struct plan_symbol *s = vec_data(symbols, struct plan_symbol);
	struct json_object *list = json_list(to, key);

	for (size_t i = 0; list && i < vec_len(symbols, struct plan_symbol); i++) {
		struct json_object *o;
		char number[16];

		if (s[i].crc != crc)
			continue;
		o = json_append_object(list);
		if (!o || json_str(o, "path", s[i].path) < 0 ||
			json_str(o, "symbol", s[i].symbol) < 0)
			return -ENOMEM;
		if (!crc)
			continue;
		snprintf(number, sizeof(number), "0x%08x", s[i].want);
		if (json_str(o, "wanted", number) < 0)
			return -ENOMEM;
		snprintf(number, sizeof(number), "0x%08x", s[i].have);
		if (json_str(o, "found", number) < 0)
			return -ENOMEM;
	}
	return list ? 0 : -ENOMEM;
}

static int put_files(struct json_object *to, const struct update *u)
{
	struct json_object *list = json_list(to, "files");

	for (unsigned i = 0; list && i < OUT_MAX; i++)
		if (u->differs[i] &&
			json_append(list, json_object_new_string(output_names[i])) < 0)
			return -ENOMEM;
	return list ? 0 : -ENOMEM;
}

static int put_stats(struct json_object *to, const struct update *u)
{
	const struct read_stats *r = &u->reading.stats;
	struct json_object *o = json_object_new_object(), *phases;

	if (json_put(to, "stats", o) < 0 || json_int(o, "modules", u->scan.n_files) < 0 ||
		json_int(o, "modules_read", (int64_t)r->modules_read) < 0 ||
		json_int(o, "modules_decompressed", (int64_t)r->modules_decompressed) <
			0 ||
		json_int(o, "modules_digested", (int64_t)r->digested) < 0 ||
		json_int(o, "bytes_read", (int64_t)r->bytes_read) < 0 ||
		json_int(o, "bytes_decompressed", (int64_t)r->bytes_decompressed) < 0 ||
		json_int(o, "files_written", u->pub.n_written) < 0 ||
		json_int(o, "device_flushes", u->pub.device_flushes) < 0 ||
		json_flag(o, "store_used", u->store.head != NULL) < 0)
		return -ENOMEM;
	phases = json_object_new_object();
	if (json_put(o, "nanoseconds", phases) < 0)
		return -ENOMEM;
	for (unsigned p = 0; p < PHASE_MAX; p++)
		if (json_int(phases, phase_names[p], u->ns[p]) < 0)
			return -ENOMEM;
	return 0;
}

static const char *outcome_name(const struct result *r)
{
	if (r->err)
		return "failed";
	switch (r->update->outcome) {
	case UPDATE_CHANGED:
		return "changed";
	case UPDATE_NO_KERNEL:
		return "removed";
	default:
		return "unchanged";
	}
}

static const char *error_text(int err)
{
	return err > 0 ? "modules depend on each other in a circle" : failure_text(err);
}

int json_kernel(
	const struct session *s, struct json_object *report, const struct result *r)
{
	struct json_object *list = json_object_object_get(report, "kernels");
	struct json_object *o = json_append_object(list), *modules;

	if (!o || json_str(o, "kernel", r->kernel->kver) < 0 ||
		json_str(o, "directory", r->kernel->dir) < 0 ||
		json_str(o, "outcome", outcome_name(r)) < 0)
		return -ENOMEM;
	if (r->err)
		return json_str(o, "error", error_text(r->err));
	modules = json_object_new_object();
	if (json_put(o, "modules", modules) < 0 ||
		put_modules(modules, "added", &r->plan.added) < 0 ||
		put_modules(modules, "removed", &r->plan.removed) < 0 ||
		put_modules(modules, "changed", &r->plan.changed) < 0 ||
		put_modules(modules, "hidden", &r->plan.hidden) < 0 ||
		put_modules(modules, "unhidden", &r->plan.unhidden) < 0 ||
		put_dependencies(o, &r->plan.dependencies) < 0 ||
		put_symbols(o, "unresolved", &r->plan.symbols, false) < 0 ||
		put_symbols(o, "crc_mismatches", &r->plan.symbols, true) < 0 ||
		put_files(o, r->update) < 0)
		return -ENOMEM;
	return s->o->stats ? put_stats(o, r->update) : 0;
}

int json_end(struct json_object *report)
{
	const char *text = json_object_to_json_string_ext(
		report, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
				JSON_C_TO_STRING_NOSLASHESCAPE);
	int r = text ? 0 : -ENOMEM;

	if (text)
		puts(text);
	json_object_put(report);
	return r;
}
