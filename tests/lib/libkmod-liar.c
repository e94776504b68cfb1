// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A libkmod.so.2 that passes each question on to the real one, KMP_TEST_LIBKMOD, and
 * tells one lie: KMP_TEST_LIE="KIND WHAT", of the module or the alias WHAT.
 *
 *   path      it is elsewhere                unknown   there is no such module
 *   no-path   it is nowhere                  name      it has another name
 *   none      it needs no others             empty     nobody has this alias
 *   more      it needs the first one twice   fails     nobody knows who has this alias
 *   order     it needs the same, but they are to be loaded in another order
 *   context   there is no memory at all, whatever WHAT is
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <libkmod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *real(const char *name)
{
	static void *lib;
	void *f;

	if (!lib)
		lib = dlopen(getenv("KMP_TEST_LIBKMOD"), RTLD_NOW | RTLD_LOCAL);
	f = lib ? dlsym(lib, name) : NULL;
	if (!f)
		abort();
	return f;
}

#define REAL(name) ((__typeof__(&name))real(#name))

static int lies(const char *kind, const char *what)
{
	const char *lie = getenv("KMP_TEST_LIE");
	size_t n = strlen(kind);

	return lie && strncmp(lie, kind, n) == 0 && lie[n] == ' ' &&
	       (!what || strcmp(lie + n + 1, what) == 0);
}

static int lies_of(const char *kind, const struct kmod_module *mod)
{
	return lies(kind, REAL(kmod_module_get_name)(mod));
}

struct kmod_ctx *kmod_new(const char *dir, const char *const *configs)
{
	return lies("context", NULL) ? NULL : REAL(kmod_new)(dir, configs);
}

struct kmod_ctx *kmod_unref(struct kmod_ctx *ctx)
{
	return REAL(kmod_unref)(ctx);
}

void kmod_set_log_fn(struct kmod_ctx *ctx,
	void (*fn)(void *, int, const char *, int, const char *, const char *, va_list),
	const void *data)
{
	REAL(kmod_set_log_fn)(ctx, fn, data);
}

int kmod_module_new_from_lookup(
	struct kmod_ctx *ctx, const char *alias, struct kmod_list **list)
{
	if (lies("fails", alias))
		return -ENOSYS;
	return lies("empty", alias) ? 0
				    : REAL(kmod_module_new_from_lookup)(ctx, alias, list);
}

int kmod_module_new_from_name(
	struct kmod_ctx *ctx, const char *name, struct kmod_module **mod)
{
	return lies("unknown", name) ? -ENOENT
				     : REAL(kmod_module_new_from_name)(ctx, name, mod);
}

const char *kmod_module_get_path(const struct kmod_module *mod)
{
	if (lies_of("path", mod))
		return "/elsewhere/a.ko";
	return lies_of("no-path", mod) ? NULL : REAL(kmod_module_get_path)(mod);
}

const char *kmod_module_get_name(const struct kmod_module *mod)
{
	return lies_of("name", mod) ? "another" : REAL(kmod_module_get_name)(mod);
}

struct kmod_module *kmod_module_get_module(const struct kmod_list *entry)
{
	return REAL(kmod_module_get_module)(entry);
}

struct kmod_module *kmod_module_unref(struct kmod_module *mod)
{
	return REAL(kmod_module_unref)(mod);
}

int kmod_module_unref_list(struct kmod_list *list)
{
	return REAL(kmod_module_unref_list)(list);
}

/*
 * What is needed by the module that a lie is about, backwards or with its first one once
 * more at the end.
 */
static struct kmod_list *backwards, *twice;

struct kmod_list *kmod_module_get_dependencies(const struct kmod_module *mod)
{
	struct kmod_list *list = REAL(kmod_module_get_dependencies)(mod);

	if (lies_of("none", mod)) {
		REAL(kmod_module_unref_list)(list);
		return NULL;
	}
	twice = lies_of("more", mod) ? list : NULL;
	backwards = lies_of("order", mod) ? list : NULL;
	return backwards ? REAL(kmod_list_last)(list) : list;
}

#ifndef OLD
struct kmod_list *kmod_list_next(const struct kmod_list *list, const struct kmod_list *at)
{
	struct kmod_list *next;

	if (backwards)
		return REAL(kmod_list_prev)(backwards, at);
	next = REAL(kmod_list_next)(list, at);
	if (!next && list == twice) {
		twice = NULL;
		return (struct kmod_list *)list;
	}
	return next;
}
#endif
