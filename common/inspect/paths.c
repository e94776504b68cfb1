// SPDX-License-Identifier: GPL-2.0-or-later
/* Which members of a package matter, and which words of a script do. */

#include "formats/modname.h"
#include "inspect/inspect.h"

static const char *skip(const char *path, const char *prefix)
{
	return str_starts(path, prefix) ? path + strlen(prefix) : NULL;
}

static bool is_config(const char *path)
{
	static const char *const dirs[] = {"/etc/depmod.d/", "/run/depmod.d/",
		"/usr/local/lib/depmod.d/", "/usr/lib/depmod.d/", "/lib/depmod.d/"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		const char *name = skip(path, dirs[i]);

		if (name && *name && !strchr(name, '/'))
			return str_ends(name, strlen(name), ".conf");
	}
	return false;
}

bool is_wanted(const char *path)
{
	const char *rest = skip(path, "/usr/lib/modules/"),
		   *file = strrchr(path, '/') + 1;

	if (!rest)
		rest = skip(path, "/lib/modules/");
	if (!rest)
		return is_config(path);
	rest = strchr(rest, '/');
	if (!rest)
		return false;
	return modname_is_module_file(file, strlen(file)) ||
	       str_eq(rest, "/modules.order") || str_eq(rest, "/modules.builtin") ||
	       str_eq(rest, "/modules.builtin.modinfo");
}

bool member_path(const char *member, struct buf *ret)
{
	ret->len = 0;
	while (*member) {
		size_t n = strcspn(member, "/");

		if (n == 2 && memcmp(member, "..", 2) == 0)
			return false;
		if (n > 0 && !(n == 1 && *member == '.')) {
			buf_char(ret, '/');
			buf_add(ret, member, n);
		}
		member += n + strspn(member + n, "/");
	}
	buf_char(ret, '\0');
	return !ret->err && ret->len > 1 && ret->len < WIRE_NAME_MAX;
}

void script_calls(const char *text, struct buf *ret)
{
	static const char *const callers[] = {"depmod", "weak-modules2", "weak-modules",
		"dkms", "dracut", "mkinitrd", "update-initramfs", "kernel-install",
		"modprobe"};
	static const char word[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
		size_t n = strlen(callers[i]);

		for (const char *p = text; (p = strstr(p, callers[i])); p += n) {
			if ((p > text && strchr(word, p[-1])) ||
				(p[n] && strchr(word, p[n])))
				continue;
			buf_printf(ret, "%s%s", ret->len ? ", " : "", callers[i]);
			break;
		}
	}
	buf_char(ret, '\0');
}
