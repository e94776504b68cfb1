// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The first kmp-depmod.conf in the order of the directories, then the drop-ins of all of
 * them by name; of two with one name the first masks the other, and a link to /dev/null,
 * or an empty file, both. The last word counts. It is systemd's way, and that of
 * depmod.d.
 */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>

#include "keep/conf.h"

#define CONF_SIZE_MAX ((size_t)1 << 20)

static const char *const conf_dirs[] = {"etc", "run", "usr/local/lib", "usr/lib"};

struct reading {
	const struct root *root;
	struct conf *conf;
	conf_bad_fn bad;
	void *arg;
};

static void tell(
	const struct reading *r, const char *path, unsigned line, const char *what)
{
	if (r->bad)
		r->bad(r->arg, path, line, what);
}

static char *strip(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return s;
}

static const char *set_keep(struct conf *c, const char *value)
{
	static const char *const modes[] = {[KEEP_NO] = "no",
		[KEEP_RESTORE] = "restore",
		[KEEP_REDIRECT] = "redirect"};

	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++)
		if (str_eq(value, modes[i])) {
			c->keep = i;
			return NULL;
		}
	return "keep-running is no, restore or redirect";
}

static const char *set(struct conf *c, const char *key, const char *value)
{
	if (str_eq(key, "keep-running"))
		return set_keep(c, value);
	if (!str_eq(key, "remember"))
		return "unknown setting";
	if (!str_eq(value, "yes") && !str_eq(value, "no"))
		return "remember is yes or no";
	c->forget = str_eq(value, "no");
	return NULL;
}

static void parse(const struct reading *r, const char *path, char *text)
{
	char *next;

	for (unsigned line = 1; text; text = next, line++) {
		const char *what = "no '='";
		char *equals;

		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		text = strip(text);
		if (!*text || *text == '#' || *text == ';')
			continue;
		equals = strchr(text, '=');
		if (equals) {
			*equals = '\0';
			what = set(r->conf, strip(text), strip(equals + 1));
		}
		if (what)
			tell(r, path, line, what);
	}
}

/* True if there is such a file, readable or not: it masks those behind it. */
static bool read_file(const struct reading *r, const char *path, int *ret_err)
{
	_cleanup_(buf_done) struct buf text = {0};
	int err = fs_read_file(r->root, path, CONF_SIZE_MAX, &text);

	*ret_err = err == -ENOMEM ? err : 0;
	if (err == -ENOENT || err == -ENOTDIR)
		return root_is_mask(r->root, path);
	buf_char(&text, '\0');
	if (err < 0)
		tell(r, path, 0, strerror(-err));
	else if (text.err)
		*ret_err = text.err;
	else
		parse(r, path, text.data);
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(const struct root *root, const char *dir, struct buf *names)
{
	int fd = root_openat(root, dir, O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		closep(&fd);
		return 0;
	}
	while (!names->err && (e = readdir(d))) {
		char **name;

		if (e->d_name[0] == '.' ||
			!str_ends(e->d_name, strlen(e->d_name), ".conf"))
			continue;
		name = vec_push(names, char *);
		if (name && !(*name = strdup(e->d_name)))
			names->err = -ENOMEM;
	}
	closedir(d);
	return names->err;
}

/* One drop-in, from the first directory that has it. */
static int read_drop_in(const struct reading *r, const char *name)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(conf_dirs); i++) {
		_cleanup_(buf_done) struct buf path = {0};

		buf_printf(&path, "%s/kmp-depmod.conf.d/%s", conf_dirs[i], name);
		if (path.err)
			return path.err;
		if (read_file(r, path.data, &err))
			break;
	}
	return err;
}

static int read_drop_ins(const struct reading *r)
{
	struct buf names = {0};
	char **name;
	size_t n;
	int err = 0;

	for (size_t i = 0; err == 0 && i < ARRAY_SIZE(conf_dirs); i++) {
		_cleanup_(buf_done) struct buf path = {0};

		buf_printf(&path, "%s/kmp-depmod.conf.d", conf_dirs[i]);
		err = path.err ? path.err : list_names(r->root, path.data, &names);
	}
	n = vec_len(&names, char *);
	name = vec_data(&names, char *);
	if (n)
		qsort(name, n, sizeof(*name), compare_names);
	for (size_t i = 0; err == 0 && i < n; i++)
		if (i == 0 || !str_eq(name[i], name[i - 1]))
			err = read_drop_in(r, name[i]);
	for (size_t i = 0; i < n; i++)
		free(name[i]);
	buf_done(&names);
	return err;
}

int conf_read(const struct root *root, struct conf *ret, conf_bad_fn bad, void *arg)
{
	struct reading r = {.root = root, .conf = ret, .bad = bad, .arg = arg};
	int err = 0;

	*ret = (struct conf){.keep = KEEP_NO};
	for (size_t i = 0; err == 0 && i < ARRAY_SIZE(conf_dirs); i++) {
		_cleanup_(buf_done) struct buf path = {0};

		buf_printf(&path, "%s/kmp-depmod.conf", conf_dirs[i]);
		if (path.err)
			return path.err;
		if (read_file(&r, path.data, &err))
			break;
	}
	return err ? err : read_drop_ins(&r);
}
