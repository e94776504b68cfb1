// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kept tree is found by its name and known by its stamp. With other boot ids it is
 * judged anew, and with another build id it goes: so that it is whole, and what restore
 * put back, has to survive a power loss.
 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "keep/keep.h"

#define SMALL_FILE_MAX ((size_t)64 << 20)

static const char *const modules_dirs[] = {"lib/modules", "usr/lib/modules"};

int keep_fail(struct keep *k, int err, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!k->why.len) {
		buf_printf(&k->why, "%s%s%s", text, err < 0 ? ": " : "",
			err < 0 ? strerror(-err) : "");
		buf_char(&k->why, '\0');
	}
	return err;
}

void keep_strange(struct keep *k, const char *fmt, ...)
{
	char *path = NULL, **to;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&path, fmt, ap);
	va_end(ap);
	to = n < 0 ? NULL : vec_push(&k->strange, char *);
	if (to)
		*to = path;
	else if (n >= 0)
		free(path);
}

/* --- small files --- */

int keep_read_file(const struct keep *k, const char *name, struct buf *to)
{
	_cleanup_(closep) int fd =
		openat(k->kept_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return neg_errno();
	return S_ISREG(st.st_mode) && fs_is_own(&st) ? fs_read_all(fd, SMALL_FILE_MAX, to)
						     : -EPERM;
}

int keep_write_file(int dirfd, const char *name, const void *data, size_t len, bool sync)
{
	_cleanup_(buf_done) struct buf temp = {0};
	int fd, r;

	buf_printf(&temp, "%s.new", name);
	if (temp.err)
		return temp.err;
	unlinkat(dirfd, temp.data, 0);
	fd = openat(dirfd, temp.data,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return neg_errno();
	r = fs_write_all(fd, data, len);
	if (r == 0 && sync && fdatasync(fd) < 0)
		r = neg_errno();
	if (close(fd) < 0 && r == 0 && errno != EINTR)
		r = neg_errno();
	if (r == 0 && renameat(dirfd, temp.data, dirfd, name) < 0)
		r = neg_errno();
	if (r < 0)
		unlinkat(dirfd, temp.data, 0);
	return r;
}

int keep_open_kept(const struct keep *k, const char *below)
{
	_cleanup_(buf_done) struct buf path = {0};

	buf_printf(&path, "lib/modules/%s%s%s", k->stamp.kver, *below ? "/" : "", below);
	return path.err ? path.err
			: fs_open_plain(k->kept_fd, path.data, O_RDONLY | O_DIRECTORY);
}

/* --- the stamp --- */

static void copy_word(char *to, size_t size, const char *value)
{
	snprintf(to, size, "%s", value);
}

static void stamp_line(void *arg, const char *key, const char *value)
{
	struct keep_stamp *s = arg;

	if (str_eq(key, "KERNEL"))
		copy_word(s->kver, sizeof(s->kver), value);
	else if (str_eq(key, "BUILD_ID"))
		copy_word(s->build_id, sizeof(s->build_id), value);
	else if (str_eq(key, "BOOT_ID"))
		copy_word(s->boot_id, sizeof(s->boot_id), value);
	else if (str_eq(key, "TIME"))
		s->time = strtoll(value, NULL, 10);
	else if (str_eq(key, "CAUSE"))
		copy_word(s->cause, sizeof(s->cause), value);
}

static void for_lines(char *text,
	void (*take)(void *arg, const char *key, const char *value), void *arg)
{
	for (char *line = text, *next; line; line = next) {
		char *equals;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		equals = strchr(line, '=');
		if (!equals)
			continue;
		*equals = '\0';
		take(arg, line, equals + 1);
	}
}

/*
 * Without a build it is no kernel's: a tree that was never finished, or is being removed.
 */
static int read_stamp(struct keep *k)
{
	_cleanup_(buf_done) struct buf text = {0};
	bool removing = false;
	int r = keep_read_file(k, "stamp", &text);

	if (r == -ENOENT) {
		removing = true;
		r = keep_read_file(k, KEPT_STAMP_OLD, &text);
	}
	buf_char(&text, '\0');
	if (r < 0 || text.err)
		return r < 0 ? r : text.err;
	for_lines(text.data, stamp_line, &k->stamp);
	if (strchr(k->stamp.kver, '/') || k->stamp.kver[0] == '.')
		k->stamp = (struct keep_stamp){0};
	if (removing)
		k->stamp.build_id[0] = '\0';
	return 0;
}

/* --- the state --- */

static const char *const case_names[] = {
	[KEEP_UNJUDGED] = "unjudged",
	[KEEP_SAME] = "same",
	[KEEP_GONE] = "gone",
	[KEEP_REPLACED] = "replaced",
};

const char *keep_case_name(enum keep_case c)
{
	return case_names[c];
}

static void state_line(void *arg, const char *key, const char *value)
{
	struct keep *k = arg;

	if (str_eq(key, "PENDING"))
		k->pending = str_eq(value, "1");
	for (unsigned i = 0; str_eq(key, "CASE") && i < ARRAY_SIZE(case_names); i++)
		if (str_eq(value, case_names[i]))
			k->state = i;
}

/*
 * Without one nothing was judged since a save; one that a power loss cut may have said
 * so.
 */
static int read_state(struct keep *k)
{
	_cleanup_(buf_done) struct buf text = {0};
	int r = keep_read_file(k, "state", &text);

	k->pending = true;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	buf_char(&text, '\0');
	if (!text.err)
		for_lines(text.data, state_line, k);
	return text.err;
}

/* --- where things are --- */

static bool has_entry(const struct root *root, const char *dir, const char *name)
{
	_cleanup_(buf_done) struct buf path = {0};
	_cleanup_(closep) int fd = -1;

	buf_printf(&path, "%s/%s", dir, name);
	fd = path.err ? -1 : root_openat(root, path.data, O_PATH | O_NOFOLLOW, 0);
	return fd >= 0;
}

/*
 * Where /lib and /usr/lib are two directories: the one with a kept tree, then that of the
 * kernel.
 */
static int choose_modules(struct keep *k)
{
	const char *const names[] = {KEPT_DIR, k->running->kver, "."};

	for (size_t n = 0; n < ARRAY_SIZE(names); n++)
		for (size_t i = 0; i < ARRAY_SIZE(modules_dirs); i++)
			if (has_entry(k->root, modules_dirs[i], names[n]))
				return root_realpath(
					k->root, modules_dirs[i], &k->modules);
	return -ENOENT;
}

int keep_find_dir(const struct keep *k, const char *kver, char **ret)
{
	_cleanup_(buf_done) struct buf path = {0};
	int r;

	buf_printf(&path, "%s/%s", k->modules, kver);
	if (path.err)
		return path.err;
	r = root_realpath(k->root, path.data, ret);
	if (r != -ENOENT && r != -ENOTDIR)
		return r;
	*ret = TAKE_PTR(path.data);
	return 0;
}

static bool is_empty(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool empty = d != NULL;

	while (empty && (errno = 0, e = readdir(d)))
		empty = str_eq(e->d_name, ".") || str_eq(e->d_name, "..");
	empty = empty && errno == 0;
	if (d)
		closedir(d);
	else
		closep(&fd);
	return empty;
}

static int find_kept(struct keep *k)
{
	struct stat st;
	int r;

	if (fstatat(k->modules_fd, KEPT_DIR, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : neg_errno();
	k->foreign = true;
	if (!S_ISDIR(st.st_mode) || !fs_is_own(&st))
		return 0;
	k->kept_fd = openat(
		k->modules_fd, KEPT_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (k->kept_fd < 0)
		return neg_errno();
	r = read_stamp(k);
	/* of one that is removed the directory is the last to go */
	if (r == -ENOENT && is_empty(k->kept_fd))
		r = 0;
	if (r == 0)
		r = read_state(k);
	k->foreign = r == -ENOENT || r == -ELOOP || r == -EPERM;
	return k->foreign ? 0 : r;
}

int keep_open(const struct root *root, const struct running *running, struct keep *ret)
{
	int r;

	*ret = (struct keep){.root = root,
		.running = running,
		.modules_fd = -1,
		.kept_fd = -1,
		.store_dir = -1};
	r = choose_modules(ret);
	if (r < 0)
		return keep_fail(ret, r, "/%s", modules_dirs[1]);
	ret->modules_fd = root_openat(root, ret->modules, O_RDONLY | O_DIRECTORY, 0);
	if (ret->modules_fd < 0)
		return keep_fail(ret, ret->modules_fd, "/%s", ret->modules);
	r = keep_find_dir(ret, running->kver, &ret->dir);
	if (r < 0)
		return keep_fail(ret, r, "/%s/%s", ret->modules, running->kver);
	r = find_kept(ret);
	return r < 0 ? keep_fail(ret, r, "/%s/" KEPT_DIR, ret->modules) : 0;
}

void keep_done(struct keep *k)
{
	for (size_t i = 0; i < vec_len(&k->strange, char *); i++)
		free(vec_data(&k->strange, char *)[i]);
	buf_done(&k->strange);
	buf_done(&k->why);
	manifest_done(&k->manifest);
	free(k->marks);
	free(k->modules);
	free(k->dir);
	closep(&k->modules_fd);
	closep(&k->kept_fd);
	*k = (struct keep){.modules_fd = -1, .kept_fd = -1};
}

int keep_reopen(struct keep *k)
{
	struct keep fresh;
	int r = keep_open(k->root, k->running, &fresh);

	if (r < 0) {
		keep_done(&fresh);
		return r;
	}
	fresh.store_dir = k->store_dir;
	fresh.store_root = k->store_root;
	fresh.sync = k->sync;
	fresh.strange = k->strange;
	k->strange = (struct buf){0};
	keep_done(k);
	*k = fresh;
	return 0;
}

char *keep_path(const struct keep *k)
{
	char *path = NULL;

	return asprintf(&path, "/%s/" KEPT_DIR, k->modules) < 0 ? NULL : path;
}

bool keep_is_current(const struct keep *k)
{
	return k->kept_fd >= 0 && !k->foreign &&
	       str_eq(k->stamp.build_id, k->running->build_id) &&
	       str_eq(k->stamp.kver, k->running->kver);
}

/* No marks, or those of another manifest, are none. */
static int load_marks(struct keep *k)
{
	_cleanup_(buf_done) struct buf marks = {0};
	size_t n = (size_t)k->manifest.n_dirs + k->manifest.n_files;
	int r = keep_read_file(k, "marks", &marks);

	k->marks = malloc(n + 1);
	if (!k->marks || (r < 0 && r != -ENOENT))
		return k->marks ? r : -ENOMEM;
	memset(k->marks, '.', n);
	if (r == 0 && marks.len == n)
		memcpy(k->marks, marks.data, n);
	return 0;
}

int keep_load(struct keep *k)
{
	struct buf text = {0};
	int r;

	if (k->loaded)
		return 0;
	r = keep_read_file(k, "files", &text);
	if (r == 0) {
		manifest_done(&k->manifest);
		r = manifest_parse(&text, &k->manifest);
	}
	buf_done(&text);
	if (r == -ENOENT || r == -EBADMSG)
		return r == -ENOENT ? KEEP_UNFINISHED : KEEP_TORN;
	if (r < 0)
		return keep_fail(k, r, "/%s/" KEPT_DIR "/files", k->modules);
	r = load_marks(k);
	if (r < 0)
		return keep_fail(k, r, "/%s/" KEPT_DIR "/marks", k->modules);
	k->loaded = true;
	return 0;
}

int keep_load_whole(struct keep *k)
{
	int r = keep_load(k);

	return r <= 0 ? r
		      : keep_fail(k, r == KEEP_TORN ? -EBADMSG : -ENOENT,
				"/%s/" KEPT_DIR "/files", k->modules);
}

int keep_write_marks(struct keep *k)
{
	size_t n = (size_t)k->manifest.n_dirs + k->manifest.n_files;
	int r = keep_write_file(k->kept_fd, "marks", k->marks, n, k->sync);

	return r < 0 ? keep_fail(k, r, "/%s/" KEPT_DIR "/marks", k->modules) : 0;
}

int keep_write_manifest(struct keep *k)
{
	const struct manifest *m = &k->manifest;
	_cleanup_(buf_done) struct buf text = {0};
	int r;

	for (uint32_t d = 0; d < m->n_dirs; d++) {
		manifest_add_dir(&text, m->dirs[d].path);
		for (uint32_t f = m->dirs[d].first; f < m->dirs[d + 1].first; f++)
			manifest_add_file(&text, &m->files[f]);
	}
	r = text.err ? text.err
		     : keep_write_file(k->kept_fd, "files", text.data, text.len, k->sync);
	return r < 0 ? keep_fail(k, r, "/%s/" KEPT_DIR "/files", k->modules) : 0;
}

int keep_write_state(struct keep *k)
{
	_cleanup_(buf_done) struct buf text = {0};
	int r;

	buf_printf(&text, "CASE=%s\nPENDING=%d\n", case_names[k->state], k->pending);
	/* not flushed: see read_state() */
	r = text.err ? text.err
		     : keep_write_file(k->kept_fd, "state", text.data, text.len, false);
	return r < 0 ? keep_fail(k, r, "/%s/" KEPT_DIR "/state", k->modules) : 0;
}
