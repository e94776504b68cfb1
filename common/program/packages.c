// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "inspect/wire.h"
#include "program/host.h"
#include "program/packages.h"

#define LINKS_MAX 8
#define BLOCK_MIN ((size_t)1 << 20)

extern char **environ;

/* --- the inspector --- */

static int inspector_path(struct buf *ret)
{
	buf_printf(ret, "%s/inspect-package", host_libexecdir());
	if (ret->err)
		return ret->err;
	return access(ret->data, X_OK) == 0 ? 0 : neg_errno();
}

static int spawn(const char *path, const struct root *root, char *const *operands,
	size_t n, pid_t *ret_pid, int *ret_fd)
{
	_cleanup_(freep) char **argv = calloc(n + 4, sizeof(*argv));
	posix_spawn_file_actions_t actions;
	int fds[2], r;

	if (!argv)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return neg_errno();
	argv[0] = (char *)"inspect-package";
	argv[1] = (char *)"--root";
	argv[2] = *root->path ? root->path : (char *)"/";
	memcpy(argv + 3, operands, n * sizeof(*argv));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(
		&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	r = -posix_spawn(ret_pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (r < 0)
		close(fds[0]);
	else
		*ret_fd = fds[0];
	return r;
}

/* --- records --- */

struct loading {
	struct messages *m;
	struct packages *p;
	int fd;
	uint64_t total;
	bool refused;
};

static int read_full(int fd, void *to, size_t n)
{
	for (char *p = to; n > 0;) {
		ssize_t got = read(fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? neg_errno() : -EPIPE;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

static int read_string(struct loading *l, uint32_t len, const char **ret)
{
	char *s = len <= WIRE_NAME_MAX ? arena_alloc(&l->p->mem, len + 1) : NULL;

	if (!s)
		return len <= WIRE_NAME_MAX ? -ENOMEM : -EPROTO;
	s[len] = '\0';
	*ret = s;
	return read_full(l->fd, s, len);
}

static int read_block(struct loading *l, uint32_t len, const char **ret)
{
	struct buf block = {0};
	int r = 0;

	l->total += len;
	if (len > WIRE_BYTES_MAX || l->total > WIRE_TOTAL_MAX)
		return -EPROTO;
	/* memory grows with what comes, not with what is claimed */
	while (block.len < len && r == 0) {
		size_t n = MIN(len - block.len, MAX(block.len, BLOCK_MIN));
		char *to = buf_reserve(&block, n);

		r = to ? read_full(l->fd, to, n) : -ENOMEM;
		block.len += n;
	}
	if (r == 0)
		buf_char(&block, '\0');
	if (r == 0 && !block.err)
		buf_add(&l->p->blocks, &block.data, sizeof(block.data));
	if (r < 0 || block.err || l->p->blocks.err) {
		buf_done(&block);
		return r < 0 ? r : -ENOMEM;
	}
	*ret = block.data;
	return 0;
}

/* What a package says must not reach the terminal's own commands. */
static const char *printable(const char *text)
{
	clean_text((char *)text, strlen(text));
	return text;
}

/* Absolute and normalised, as the inspector sends them; or a file name. */
static bool path_ok(const char *path, bool bare)
{
	if (bare)
		return *path && !strchr(path, '/');
	for (const char *p = path; *p; p += strcspn(p, "/")) {
		size_t n = *p == '/' ? strcspn(++p, "/") : 0;

		if (n == 0 || (n <= 2 && strspn(p, ".") >= n))
			return false;
	}
	return *path;
}

/* Does a record fit what it says it is? */
static bool record_ok(
	const struct wire *w, unsigned packages, const char *a, const char *b)
{
	if (strlen(a) != w->len[0] || strlen(b) != w->len[1])
		return false;
	switch (w->type) {
	case WIRE_SCRIPT:
		return packages > 0;
	case WIRE_FILE:
		return packages > 0 && path_ok(a, w->flags & WIRE_BARE);
	case WIRE_LINK:
		return packages > 0 && path_ok(a, false);
	case WIRE_OLD:
		return packages > 0 && *a == '/';
	default:
		return true;
	}
}

static int take_record(struct loading *l, const struct wire *w, const char *a,
	const char *b, const char *bytes)
{
	struct packages *p = l->p;
	unsigned n = (unsigned)vec_len(&p->list, struct package);

	if (!record_ok(w, n, a, b))
		return -EPROTO;
	switch (w->type) {
	case WIRE_PACKAGE:
		buf_add(&p->list,
			&(struct package){.file = a,
				.name = b,
				.kind = bytes,
				.beside = w->flags & WIRE_BESIDE},
			sizeof(struct package));
		return p->list.err;
	case WIRE_SCRIPT:
		buf_add(&vec_data(&p->list, struct package)[n - 1].scripts,
			&(struct package_script){a, b}, sizeof(struct package_script));
		return 0;
	case WIRE_FILE:
	case WIRE_LINK:
		buf_add(&p->files,
			&(struct package_file){.path = a,
				.package = n - 1,
				.mtime = w->mtime,
				.link = w->type == WIRE_LINK ? b : NULL,
				.data = bytes,
				.len = w->type == WIRE_LINK ? 0 : w->len[2],
				.bare = w->flags & WIRE_BARE && w->type == WIRE_FILE,
				.hard = w->flags & WIRE_HARD && w->type == WIRE_LINK},
			sizeof(struct package_file));
		return p->files.err;
	case WIRE_OLD:
		buf_add(&p->olds, &(struct package_old){a, b, n - 1},
			sizeof(struct package_old));
		return p->olds.err;
	case WIRE_NOTE:
		if (!l->m->quiet)
			message(l->m, "%s", printable(a));
		return 0;
	case WIRE_ERROR:
		message(l->m, "'%s': %s", printable(a), printable(b));
		l->refused = true;
		return 0;
	default:
		return -EPROTO;
	}
}

static int read_records(struct loading *l)
{
	for (;;) {
		const char *a = "", *b = "", *bytes = "";
		struct wire w;
		int r = read_full(l->fd, &w, sizeof(w));

		if (r == 0)
			r = read_string(l, w.len[0], &a);
		if (r == 0)
			r = read_string(l, w.len[1], &b);
		if (r == 0)
			r = read_block(l, w.len[2], &bytes);
		if (r < 0 || w.type == WIRE_END)
			return r;
		r = take_record(l, &w, a, b, bytes);
		if (r < 0)
			return r;
	}
}

/* --- links --- */

/* Where a link leads, as a path within the root. */
static int link_target(const struct package_file *f, struct buf *ret)
{
	const char *slash = strrchr(f->path, '/'), *to = f->link;

	ret->len = 0;
	if (*to != '/' && !f->hard)
		buf_add(ret, f->path, (size_t)(slash - f->path));
	while (*to) {
		size_t n = strcspn(to, "/");

		if (n == 2 && memcmp(to, "..", 2) == 0) {
			while (ret->len > 0 && ret->data[--ret->len] != '/')
				;
		} else if (n > 0 && !(n == 1 && *to == '.')) {
			buf_char(ret, '/');
			buf_add(ret, to, n);
		}
		to += n + strspn(to + n, "/");
	}
	buf_char(ret, '\0');
	return ret->err;
}

/* /lib and /usr/lib are one directory on most systems. */
static bool same_place(const char *a, const char *b)
{
	a += str_starts(a, "/usr/lib/") ? 4 : 0;
	b += str_starts(b, "/usr/lib/") ? 4 : 0;
	return str_eq(a, b);
}

static const struct package_file *find_file(const struct packages *p, const char *path)
{
	const struct package_file *f = vec_data(&p->files, struct package_file);

	for (size_t i = 0; i < vec_len(&p->files, struct package_file); i++)
		if (same_place(f[i].path, path))
			return &f[i];
	return NULL;
}

static int read_from_root(struct packages *p, const struct root *root, const char *path,
	struct package_file *f)
{
	struct buf data = {0};
	struct stat st;
	int r = root_stat(root, path, &st);

	if (r == 0)
		r = fs_read_file(root, path, WIRE_BYTES_MAX, &data);
	if (r < 0) {
		buf_done(&data);
		return r;
	}
	buf_char(&data, '\0');
	buf_add(&p->blocks, &data.data, sizeof(data.data));
	if (data.err || p->blocks.err) {
		buf_done(&data);
		return -ENOMEM;
	}
	f->data = data.data;
	f->len = data.len - 1;
	f->mtime = timespec_ns(st.st_mtim);
	return 0;
}

static int follow(struct loading *l, const struct root *root, struct package_file *f)
{
	_cleanup_(buf_done) struct buf path = {0};
	const struct package_file *to = f;
	int r = 0;

	for (int i = 0; to && to->link && !to->data && r == 0 && i < LINKS_MAX; i++) {
		r = link_target(to, &path);
		to = r == 0 ? find_file(l->p, path.data) : NULL;
	}
	if (r < 0)
		return r;
	if (to && !to->link) {
		f->data = to->data;
		f->len = to->len;
		f->mtime = to->mtime;
		return 0;
	}
	r = to ? -ELOOP : read_from_root(l->p, root, path.data, f);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		f->data = NULL;
		message(l->m, "'%s': a link that leads nowhere (%s); left out", f->path,
			f->link);
	}
	return 0;
}

static int follow_links(struct loading *l, const struct root *root)
{
	struct package_file *f = vec_data(&l->p->files, struct package_file);
	size_t n = vec_len(&l->p->files, struct package_file), kept = 0;

	for (size_t i = 0; i < n; i++)
		if (f[i].link)
			f[i].data = NULL;
	for (size_t i = 0; i < n; i++) {
		int r = f[i].link ? follow(l, root, &f[i]) : 0;

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n; i++)
		if (f[i].data)
			f[kept++] = f[i];
	l->p->files.len = kept * sizeof(*f);
	return 0;
}

int packages_start(struct messages *m, const struct root *root, char *const *operands,
	size_t n, struct inspector *ret)
{
	_cleanup_(buf_done) struct buf path = {0};
	int r;

	*ret = (struct inspector){.fd = -1};
	if (n == 0)
		return 0;
	r = inspector_path(&path);
	if (r == 0)
		r = spawn(path.data, root, operands, n, &ret->pid, &ret->fd);
	if (r == -ENOENT) {
		ret->pid = 0;
		message(m,
			"packages cannot be looked into: there is no '%s'; the package "
			"kmp-depmod-inspect has it, or a build with libarchive",
			path.data);
	} else if (r < 0) {
		ret->pid = 0;
		message(m, "'%s': packages cannot be looked into: %s",
			path.data ? path.data : "", strerror(-r));
	}
	return r;
}

int packages_finish(struct messages *m, const struct root *root, struct inspector *i,
	struct packages *ret)
{
	struct loading l = {.m = m, .p = ret, .fd = i->fd};
	int r, status = 0;

	*ret = (struct packages){0};
	if (!i->pid)
		return 0;
	r = read_records(&l);
	close(l.fd);
	while (waitpid(i->pid, &status, 0) < 0 && errno == EINTR)
		;
	i->pid = 0;
	if (l.refused)
		return -EBADMSG;
	if (r < 0) {
		message(m,
			"the packages could not be looked into: inspect-package ended "
			"with %s %d",
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		return -EBADMSG;
	}
	return follow_links(&l, root);
}

void packages_done(struct packages *p)
{
	char **block = vec_data(&p->blocks, char *);

	for (size_t i = 0; i < vec_len(&p->blocks, char *); i++)
		free(block[i]);
	for (size_t i = 0; i < vec_len(&p->list, struct package); i++)
		buf_done(&vec_data(&p->list, struct package)[i].scripts);
	buf_done(&p->blocks);
	buf_done(&p->list);
	buf_done(&p->files);
	buf_done(&p->olds);
	arena_done(&p->mem);
}
