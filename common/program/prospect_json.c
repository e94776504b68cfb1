// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The same frame as of every report, with what packages add to it; the layout is that of
 * kmp-depmod-report.schema.json, where "schema" counts incompatible changes.
 */

#include "config.h"

#include <json.h>

#include "program/dryrun.h"
#include "program/json.h"
#include "program/show.h"

static int put_opt(struct json_object *to, const char *key, const char *s)
{
	return s ? json_str(to, key, s) : 0;
}

static int put_packages(struct json_object *to, const struct packages *p)
{
	struct json_object *list = json_list(to, "packages");

	for (unsigned i = 0; list && i < vec_len(&p->list, struct package); i++) {
		const struct package *k = package_of(p, i);
		const struct package_script *s =
			vec_data(&k->scripts, struct package_script);
		struct json_object *o = json_append_object(list), *scripts;

		if (!o || json_str(o, "file", k->file) < 0 ||
			json_str(o, "kind", k->kind) < 0 ||
			(*k->name && json_str(o, "name", k->name) < 0))
			return -ENOMEM;
		scripts = json_list(o, "scripts");
		for (size_t n = 0;
			scripts && n < vec_len(&k->scripts, struct package_script); n++) {
			struct json_object *e = json_append_object(scripts);

			if (!e || json_str(e, "name", s[n].name) < 0 ||
				json_str(e, "calls", s[n].calls) < 0)
				return -ENOMEM;
		}
		if (!scripts)
			return -ENOMEM;
	}
	return list ? 0 : -ENOMEM;
}

static int put_changes(struct json_object *to, const struct forecast *f)
{
	const struct change *c = vec_data(&f->changes, struct change);
	struct json_object *modules = json_object_new_object(), *lists[CHANGE_MAX];

	if (json_put(to, "modules", modules) < 0)
		return -ENOMEM;
	for (unsigned k = 0; k < CHANGE_MAX; k++)
		if (!(lists[k] = json_list(modules, change_names[k])))
			return -ENOMEM;
	for (size_t i = 0; i < vec_len(&f->changes, struct change); i++) {
		struct json_object *o = json_append_object(lists[c[i].kind]);

		if (!o || json_str(o, "name", c[i].name) < 0 ||
			json_str(o, "path", c[i].path) < 0 ||
			put_opt(o, "by", c[i].by) < 0 ||
			put_opt(o, "rule", c[i].rule) < 0 ||
			put_opt(o, "package", c[i].package) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int put_problems(struct json_object *to, const struct forecast *f)
{
	const struct trouble *t = vec_data(&f->troubles, struct trouble);
	struct json_object *list = json_list(to, "problems");

	for (size_t i = 0; list && i < vec_len(&f->troubles, struct trouble); i++) {
		struct json_object *o = json_append_object(list);

		if (!o || json_str(o, "kind", problem_names[t[i].kind]) < 0 ||
			json_flag(o, "breaks", t[i].breaks) < 0 ||
			put_opt(o, "path", t[i].path) < 0 ||
			put_opt(o, "package", t[i].package) < 0 ||
			put_opt(o, "subject", t[i].subject) < 0 ||
			put_opt(o, "wanted", t[i].wanted) < 0 ||
			put_opt(o, "found", t[i].found) < 0 ||
			put_opt(o, "found_in", t[i].found_in) < 0 ||
			put_opt(o, "hint", t[i].hint) < 0)
			return -ENOMEM;
	}
	return list ? 0 : -ENOMEM;
}

static int put_aliases(struct json_object *to, const struct forecast *f)
{
	const struct alias_change *a = vec_data(&f->aliases, struct alias_change);
	struct json_object *list = json_list(to, "aliases");

	for (size_t i = 0; list && i < vec_len(&f->aliases, struct alias_change); i++) {
		struct json_object *o = json_append_object(list);

		if (!o || json_str(o, "kind", alias_names[a[i].kind]) < 0 ||
			json_str(o, "alias", a[i].alias) < 0 ||
			json_str(o, "meaning", a[i].meaning) < 0 ||
			json_str(o, "module", a[i].module) < 0 ||
			json_words(o, "others", a[i].others) < 0 ||
			put_opt(o, "other_alias", a[i].other_alias) < 0)
			return -ENOMEM;
	}
	return list ? 0 : -ENOMEM;
}

static int put_lines(struct json_object *to, const struct forecast *f)
{
	const struct line_change *l = vec_data(&f->lines, struct line_change);
	struct json_object *list = json_list(to, "dependencies");

	for (size_t i = 0; list && i < vec_len(&f->lines, struct line_change); i++) {
		struct json_object *o = json_append_object(list);

		if (!o || json_str(o, "path", l[i].path) < 0 ||
			json_words(o, "before", l[i].before) < 0 ||
			json_words(o, "after", l[i].after) < 0)
			return -ENOMEM;
	}
	return list ? 0 : -ENOMEM;
}

/* The symbol problems once more, as reports without packages have them. */
static int put_symbols(struct json_object *to, const struct forecast *f)
{
	const struct trouble *t = vec_data(&f->troubles, struct trouble);
	struct json_object *unknown = json_list(to, "unresolved"),
			   *crcs = json_list(to, "crc_mismatches");

	for (size_t i = 0; unknown && crcs && i < vec_len(&f->troubles, struct trouble);
		i++) {
		bool crc = t[i].kind == PROBLEM_CRC;
		struct json_object *o;

		if (!crc && t[i].kind != PROBLEM_UNKNOWN)
			continue;
		o = json_append_object(crc ? crcs : unknown);
		if (!o || json_str(o, "path", t[i].path) < 0 ||
			json_str(o, "symbol", t[i].subject) < 0 ||
			put_opt(o, "wanted", t[i].wanted) < 0 ||
			put_opt(o, "found", t[i].found) < 0)
			return -ENOMEM;
	}
	return unknown && crcs ? 0 : -ENOMEM;
}

static int put_compression(struct json_object *to, const struct forecast *f)
{
	struct json_object *list = json_list(to, "compression");

	for (unsigned c = 0; list && c < CODECS; c++) {
		struct json_object *o;

		if (!f->codecs[c].n)
			continue;
		o = json_append_object(list);
		if (!o || json_str(o, "codec", codec_name(c)) < 0 ||
			json_int(o, "modules", f->codecs[c].n) < 0 ||
			json_str(o, "decompressed_by", f->codecs[c].by) < 0)
			return -ENOMEM;
	}
	return list ? 0 : -ENOMEM;
}

static int put_sources(struct json_object *to, const struct forecast *f)
{
	struct json_object *o = json_object_new_object();

	if (json_put(to, "sources", o) < 0 ||
		put_opt(o, "symbols", f->info->vmlinux_path) < 0 ||
		put_opt(o, "config", f->info->config_path) < 0 ||
		put_opt(o, "kmod", f->info->kmod_path) < 0 ||
		put_opt(o, "vermagic", f->vermagic) < 0)
		return -ENOMEM;
	return 0;
}

static int put_files(struct json_object *to, const struct prospect *p)
{
	struct json_object *list = json_list(to, "files");

	for (unsigned i = 0; list && i < OUT_MAX; i++)
		if (p->differs[i] &&
			json_append(list, json_object_new_string(output_names[i])) < 0)
			return -ENOMEM;
	return list ? 0 : -ENOMEM;
}

static int put_prospect(struct json_object *list, const struct prospect *p)
{
	struct json_object *o = json_append_object(list);
	bool breaks = forecast_breaks(p->f);

	if (!o || json_str(o, "kernel", p->kernel->kver) < 0 ||
		json_str(o, "directory", p->kernel->dir) < 0 ||
		json_str(o, "outcome", p->changes ? "changed" : "unchanged") < 0 ||
		json_flag(o, "breaks", breaks) < 0 || put_changes(o, p->f) < 0 ||
		put_lines(o, p->f) < 0 || put_symbols(o, p->f) < 0 ||
		put_problems(o, p->f) < 0 || put_aliases(o, p->f) < 0 ||
		put_compression(o, p->f) < 0 || put_sources(o, p->f) < 0)
		return -ENOMEM;
	return put_files(o, p);
}

int prospect_json(const struct session *s, const struct packages *p,
	const struct prospect *list, size_t n)
{
	struct json_object *report = json_begin(s);
	int r = report ? put_packages(report, p) : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++)
		r = put_prospect(json_object_object_get(report, "kernels"), &list[i]);
	if (r == 0)
		return json_end(report);
	json_object_put(report);
	return r;
}
