// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When this runs the indexes are up to date, and dpkg's database is opened only now:
 * whatever is wrong with that can spoil a message and nothing else.
 *
 * A package is asked for by the path it gave the file, and packages that spell it
 * /lib/modules live beside those that spell it /usr/lib/modules, whichever of the two is
 * a link. A file that is gone belongs to nobody, unless a package still lists it.
 */
#include "config.h"

#include <json.h>
#include <stdio.h>

#include "dpkg-trigger/dpkgdb.h"
#include "dpkg-trigger/owners.h"

enum kind {
	ADDED,
	REMOVED,
	CHANGED,
	HIDDEN,
	UNHIDDEN,
	KIND_MAX,
};

static const char *const kind_names[KIND_MAX] = {
	"added", "removed", "changed", "hidden", "unhidden"};

/* What one package has to do with what happened in one kernel. */
struct tally {
	const char *package; /* NULL: none */
	bool incomplete;
	unsigned n[KIND_MAX];
};

struct names {
	char *of[3]; /* the kernel's directory, as packages may spell it */
	size_t n;
};

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->of[i]);
}

static int names_find(
	const struct root *root, const char *kver, const char *dir, struct names *ret)
{
	static const char *const tops[] = {"lib/modules", "usr/lib/modules"};

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		_cleanup_(buf_done) struct buf name = {0};
		_cleanup_(freep) char *real = NULL;
		size_t top = strlen(dir) - MIN(strlen(dir), strlen(kver) + 1);

		/* the directory itself may be gone by now, but not what it was in */
		buf_printf(&name, "/%s/%s", tops[i], kver);
		if (name.err)
			return name.err;
		if (root_realpath(root, name.data, &real) == 0
				? !str_eq(real, dir)
				: root_realpath(root, tops[i], &real) < 0 ||
					  strlen(real) != top ||
					  strncmp(real, dir, top) != 0)
			continue;
		ret->of[ret->n++] = TAKE_PTR(name.data);
	}
	if (asprintf(&ret->of[ret->n], "/%s", dir) < 0)
		return -ENOMEM;
	ret->n++;
	return 0;
}

static struct dpkgdb_owner owner_of(const struct names *names, const char *path)
{
	struct dpkgdb_owner owner = {0};

	if (*path == '/')
		return dpkgdb_owner(path);
	for (size_t i = 0; i < names->n && !owner.package; i++) {
		_cleanup_(buf_done) struct buf full = {0};

		buf_printf(&full, "%s/%s", names->of[i], path);
		if (!full.err)
			owner = dpkgdb_owner(full.data);
	}
	return owner;
}

static struct tally *tally_of(struct buf *tallies, const struct dpkgdb_owner *owner)
{
	struct tally *t = vec_data(tallies, struct tally);

	for (size_t i = 0; i < vec_len(tallies, struct tally); i++, t++)
		if (t->package == owner->package ||
			(t->package && owner->package &&
				str_eq(t->package, owner->package)))
			return t;
	t = vec_push(tallies, struct tally);
	if (t) {
		t->package = owner->package;
		t->incomplete = owner->incomplete;
	}
	return t;
}

/* --- the object --- */

static int put(struct json_object *to, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(to, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int put_string(struct json_object *to, const char *key, const char *value)
{
	return put(to, key, json_object_new_string(value));
}

static const char *get_string(struct json_object *from, const char *key)
{
	const char *value = json_object_get_string(json_object_object_get(from, key));

	return value ? value : "";
}

static int name_owner(struct json_object *module, const struct dpkgdb_owner *owner)
{
	int r;

	if (!owner->package)
		return json_object_object_add(module, "package", NULL) < 0 ? -ENOMEM : 0;
	r = put_string(module, "package", owner->package);
	if (r == 0 && owner->diverted_from)
		r = put_string(module, "diverted_from", owner->diverted_from);
	if (r == 0 && owner->diverted_from && owner->diverted_by)
		r = put_string(module, "diverted_by", owner->diverted_by);
	return r;
}

static int put_tallies(struct json_object *kernel, const struct buf *tallies)
{
	struct json_object *list = json_object_new_array();
	const struct tally *t = vec_data(tallies, struct tally);

	if (put(kernel, "packages", list) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < vec_len(tallies, struct tally); i++, t++) {
		struct json_object *o = json_object_new_object();

		if (!o || json_object_array_add(list, o) < 0) {
			json_object_put(o);
			return -ENOMEM;
		}
		if (t->package ? put_string(o, "package", t->package)
			       : json_object_object_add(o, "package", NULL))
			return -ENOMEM;
		if (t->incomplete &&
			put(o, "incomplete", json_object_new_boolean(true)) < 0)
			return -ENOMEM;
		for (unsigned k = 0; k < KIND_MAX; k++)
			if (t->n[k] &&
				put(o, kind_names[k], json_object_new_int64(t->n[k])) < 0)
				return -ENOMEM;
	}
	return 0;
}

/* --- the lines --- */

static void print_tally(const struct tally *t)
{
	const char *between = "";

	printf("  %s: ", t->package ? t->package : "no package");
	for (unsigned k = 0; k < KIND_MAX; k++) {
		if (!t->n[k])
			continue;
		if (*between)
			printf(", %u %s", t->n[k], kind_names[k]);
		else
			printf("%u module%s %s", t->n[k], t->n[k] == 1 ? "" : "s",
				kind_names[k]);
		between = ", ";
	}
	puts(t->incomplete ? " (the package is not completely unpacked)" : "");
}

static void print_kernel(
	const struct owners *o, struct json_object *kernel, const struct buf *tallies)
{
	const char *outcome = get_string(kernel, "outcome"), *what = outcome;
	const struct tally *t = vec_data(tallies, struct tally);
	bool orphans = false;

	if (str_eq(outcome, "changed"))
		what = o->dry_run ? "would change" : "changed";
	else if (str_eq(outcome, "unchanged"))
		what = "up to date";
	else if (str_eq(outcome, "removed"))
		what = o->dry_run ? "no modules left; its indexes would be removed"
				  : "no modules left; its indexes were removed";
	printf("%s: %s\n", get_string(kernel, "kernel"), what);
	for (size_t i = 0; i < vec_len(tallies, struct tally); i++) {
		print_tally(&t[i]);
		orphans |= !t[i].package && t[i].n[ADDED];
	}
	for (size_t i = 0; orphans && dpkgdb_incomplete(i); i++)
		printf("  %s is not completely unpacked\n", dpkgdb_incomplete(i));
}

/* --- both --- */

static int look_up(
	struct json_object *modules, const struct names *names, struct buf *tallies)
{
	for (unsigned k = 0; k < KIND_MAX; k++) {
		struct json_object *list = json_object_object_get(modules, kind_names[k]);
		size_t n = list ? json_object_array_length(list) : 0;

		for (size_t i = 0; i < n; i++) {
			struct json_object *module = json_object_array_get_idx(list, i);
			struct dpkgdb_owner owner =
				owner_of(names, get_string(module, "path"));
			struct tally *t = tally_of(tallies, &owner);

			if (!t || name_owner(module, &owner) < 0)
				return -ENOMEM;
			t->n[k]++;
		}
	}
	return 0;
}

static int report_kernel(const struct owners *o, struct json_object *kernel, bool known)
{
	struct json_object *modules = json_object_object_get(kernel, "modules");
	_cleanup_(buf_done) struct buf tallies = {0};
	_cleanup_(names_done) struct names names = {0};
	int r = 0;

	if (modules && known) {
		r = names_find(o->root, get_string(kernel, "kernel"),
			get_string(kernel, "directory"), &names);
		if (r == 0)
			r = look_up(modules, &names, &tallies);
		if (r == 0 && o->json)
			r = put_tallies(kernel, &tallies);
	}
	if (r == 0 && !o->json)
		print_kernel(o, kernel, &tallies);
	return r;
}

static bool has_modules(struct json_object *kernels)
{
	for (size_t i = 0; i < json_object_array_length(kernels); i++) {
		struct json_object *modules = json_object_object_get(
			json_object_array_get_idx(kernels, i), "modules");

		for (unsigned k = 0; modules && k < KIND_MAX; k++) {
			struct json_object *list =
				json_object_object_get(modules, kind_names[k]);

			if (list && json_object_array_length(list))
				return true;
		}
	}
	return false;
}

static int report(const struct owners *o, struct json_object *object)
{
	struct json_object *kernels = json_object_object_get(object, "kernels");
	bool opened = false;
	int r = 0;

	if (!json_object_is_type(kernels, json_type_array))
		return -EBADMSG;
	if (has_modules(kernels)) {
		r = dpkgdb_open(o->admindir);
		opened = r == 0;
		if (dpkgdb_error())
			fprintf(stderr, "kmp-depmod: '%s': %s; %s\n", o->admindir,
				dpkgdb_error(),
				opened ? "diversions are not known"
				       : "packages are not named");
		r = MIN(r, 0);
	}
	for (size_t i = 0; i < json_object_array_length(kernels) && r == 0; i++)
		r = report_kernel(o, json_object_array_get_idx(kernels, i), opened);
	if (r == 0 && o->json)
		puts(json_object_to_json_string_ext(
			object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					JSON_C_TO_STRING_NOSLASHESCAPE));
	return r;
}

int owners_report(const struct owners *o, const struct buf *text)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object;
	int r;

	if (!tokener)
		return -ENOMEM;
	object = text->len > INT32_MAX
			 ? NULL
			 : json_tokener_parse_ex(tokener, text->data, (int)text->len);
	r = json_object_is_type(object, json_type_object) ? report(o, object) : -EBADMSG;
	json_object_put(object);
	json_tokener_free(tokener);
	return r;
}
