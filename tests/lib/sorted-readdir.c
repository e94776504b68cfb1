/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * readdir in byte order, to be preloaded into the installed depmod.
 *
 * Of two modules with one name and one rank depmod takes the one it sees first (or last),
 * so its output depends on the order in which the file system gives out names. We define
 * that order; with this library depmod has it too, and can be compared with us there.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct listing {
	struct listing *next;
	DIR *dir;
	struct dirent64 **names;
	size_t n_names, at;
};

static struct listing *listings;

static int by_name(const void *a, const void *b)
{
	const struct dirent64 *const *x = a, *const *y = b;

	return strcmp((*x)->d_name, (*y)->d_name);
}

static struct listing *listing_new(DIR *dir)
{
	struct dirent64 *(*real)(DIR *) = dlsym(RTLD_NEXT, "readdir64");
	struct listing *l = calloc(1, sizeof(*l));
	struct dirent64 *entry;

	if (!real || !l)
		abort();
	while ((entry = real(dir))) {
		l->names = reallocarray(l->names, l->n_names + 1, sizeof(*l->names));
		if (!l->names)
			abort();
		l->names[l->n_names] = malloc(entry->d_reclen);
		if (!l->names[l->n_names])
			abort();
		memcpy(l->names[l->n_names++], entry, entry->d_reclen);
	}
	qsort(l->names, l->n_names, sizeof(*l->names), by_name);
	l->dir = dir;
	l->next = listings;
	listings = l;
	return l;
}

struct dirent64 *readdir64(DIR *dir)
{
	struct listing *l = listings;

	while (l && l->dir != dir)
		l = l->next;
	if (!l)
		l = listing_new(dir);
	return l->at < l->n_names ? l->names[l->at++] : NULL;
}

struct dirent *readdir(DIR *dir)
{
	_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64), "64-bit only");
	return (struct dirent *)readdir64(dir);
}

int closedir(DIR *dir)
{
	int (*real)(DIR *) = dlsym(RTLD_NEXT, "closedir");

	for (struct listing **at = &listings; *at; at = &(*at)->next)
		if ((*at)->dir == dir) {
			struct listing *l = *at;

			*at = l->next;
			while (l->n_names)
				free(l->names[--l->n_names]);
			free(l->names);
			free(l);
			break;
		}
	return real(dir);
}
