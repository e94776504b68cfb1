// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <fcntl.h>

#include "engine/config.h"

#define CONFIG_SIZE_MAX ((size_t)4 << 20)

/* The order of depmod.d(5); the first of two files with one name masks the other. */
static const char *const default_dirs[] = {
	"etc/depmod.d",
	"run/depmod.d",
	"usr/local/lib/depmod.d",
	"usr/lib/depmod.d",
	"lib/depmod.d",
	NULL,
};

struct conf_file {
	char *path;
	const char *base;
};

struct conf_list {
	struct conf_file *files;
	size_t n;
};

static void conf_list_done(struct conf_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->files[i].path);
	free(l->files);
}

/* Take over path, at its place by base name, unless that name is known already. */
static int conf_list_add(struct conf_list *l, char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	struct conf_file *files;
	size_t at = 0;

	while (at < l->n && strcmp(l->files[at].base, base) < 0)
		at++;
	if (at < l->n && str_eq(l->files[at].base, base)) {
		free(path);
		return 0;
	}
	files = realloc(l->files, (l->n + 1) * sizeof(*files));
	if (!files) {
		free(path);
		return -ENOMEM;
	}
	l->files = files;
	memmove(files + at + 1, files + at, (l->n - at) * sizeof(*files));
	files[at] = (struct conf_file){path, base};
	l->n++;
	return 0;
}

static bool is_conf_name(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len >= 6 && str_ends(name, len, ".conf");
}

/* What is laid over a file of the default directories, or NULL. */
static const struct target_conf *laid_over(const struct target *t, const char *path)
{
	for (size_t i = t->config ? 0 : t->n_conf; i-- > 0;)
		if (str_eq(t->conf[i].path + 1, path))
			return &t->conf[i];
	return NULL;
}

static int list_laid_over(const struct target *t, const char *dir, struct conf_list *l)
{
	size_t n = strlen(dir);
	int r = 0;

	for (size_t i = 0; r == 0 && !t->config && i < t->n_conf; i++) {
		const char *path = t->conf[i].path + 1;
		char *copy;

		if (!t->conf[i].data || strncmp(path, dir, n) != 0 || path[n] != '/')
			continue;
		copy = strdup(path);
		r = copy ? conf_list_add(l, copy) : -ENOMEM;
	}
	return r;
}

static int list_dir(const struct target *t, int fd, const char *dir, struct conf_list *l)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		close(fd);
		return neg_errno();
	}
	while (r == 0 && (e = readdir(d))) {
		_cleanup_(buf_done) struct buf path = {0};
		struct stat st = {0};
		int err;

		if (!is_conf_name(e->d_name))
			continue;
		buf_printf(&path, "%s/%s", dir, e->d_name);
		if (path.err) {
			r = path.err;
			break;
		}
		if (laid_over(t, path.data))
			continue;
		err = root_is_mask(t->config_root, path.data)
			      ? 0
			      : root_stat(t->config_root, path.data, &st);
		if (err == 0 && S_ISDIR(st.st_mode))
			err = -EISDIR;
		if (err < 0)
			report_event(t->report, .kind = EVENT_CONFIG_FILE,
				.kver = t->kver, .path = path.data, .err = err);
		else
			r = conf_list_add(l, TAKE_PTR(path.data));
	}
	closedir(d);
	return r;
}

static int list_path(const struct target *t, const char *path, struct conf_list *l)
{
	struct stat st;
	int fd = root_openat(t->config_root, path, O_RDONLY | O_NONBLOCK, 0);
	char *copy;

	if (fd == -ENOENT)
		return 0;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return list_dir(t, fd, path, l);
	closep(&fd);
	if (fd < 0) {
		if (!fs_err_is_files_own(fd))
			return fd;
		report_event(t->report, .kind = EVENT_CONFIG_FILE, .kver = t->kver,
			.path = path, .err = fd);
		return 0;
	}
	copy = strdup(path);
	return copy ? conf_list_add(l, copy) : -ENOMEM;
}

struct parsing {
	const struct target *t;
	const char *path;
};

static void bad_line(void *arg, unsigned line, const char *command)
{
	const struct parsing *p = arg;

	report_event(p->t->report, .kind = EVENT_CONFIG_LINE, .kver = p->t->kver,
		.path = p->path, .line = line, .detail = command);
}

static int read_file(const struct target *t, const char *path, struct depmodd *c,
	struct digest *digest)
{
	_cleanup_(buf_done) struct buf text = {0};
	const struct target_conf *over = laid_over(t, path);
	struct parsing p = {t, path};
	int r = over ? 0 : fs_read_file(t->config_root, path, CONFIG_SIZE_MAX, &text);

	if (over) {
		buf_add(&text, over->data, over->len);
		r = text.err;
	}
	if (r < 0 && root_is_mask(t->config_root, path))
		r = 0;
	if (fs_err_is_files_own(r)) {
		report_event(t->report, .kind = EVENT_CONFIG_FILE, .kver = t->kver,
			.path = path, .err = r);
		return 0;
	}
	if (r < 0)
		return r;
	*digest = digest_join(*digest, digest_bytes(text.data, text.len));
	return depmodd_parse(c, t->kver, text.data, text.len, bad_line, &p);
}

static int read_files(const struct target *t, struct conf_list *l, struct depmodd *c,
	struct digest *digest)
{
	const char *const *paths = t->config ? t->config : default_dirs;
	int r = 0;

	for (size_t i = 0; paths[i] && r == 0; i++) {
		r = list_laid_over(t, paths[i], l);
		if (r == 0)
			r = list_path(t, paths[i], l);
	}
	for (size_t i = 0; i < l->n && r == 0; i++)
		r = read_file(t, l->files[i].path, c, digest);
	return r ? r : depmodd_finish(c);
}

int config_read(const struct target *t, struct depmodd *ret, struct digest *ret_digest)
{
	_cleanup_(conf_list_done) struct conf_list l = {0};
	struct digest digest = digest_bytes(t->kver, strlen(t->kver));
	struct depmodd c = {0};
	int r = read_files(t, &l, &c, &digest);

	if (r < 0) {
		depmodd_done(&c);
		return r;
	}
	*ret = c;
	*ret_digest = digest;
	return 0;
}
