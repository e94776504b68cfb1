// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tree is made under another name and renamed when it is whole and stamped. A killed save
 * leaves that other name, which is nobody else's; the next one removes it.
 */

#include <fcntl.h>
#include <dirent.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/pool.h"
#include "engine/publish.h"
#include "keep/link.h"
#include "keep/loaded.h"
#include "keep/refresh.h"
#include "keep/touched.h"
#include "keep/tree.h"

#define DEPTH_MAX 40
#define KEPT_DIR_MODE 0755u /* whoever may write to the kernel's directories: not to the kept ones */
#define THREADS 2u /* more wait for the file system's journal */
#define ENTRIES_SIZE ((size_t)32 << 10)

struct saving {
	struct keep *k;
	int src, dst; /* the kernel's directory and what it becomes */
	struct buf manifest;
	struct buf queue; /* struct visit: all directories; a round is those of one depth */
	size_t end;       /* of this round */
	_Atomic size_t next;
	struct refresh refresh;
	char store[STORE_NAME_MAX + 1];
	uint64_t modules;
	struct saver *savers;
};

struct visit {
	char *path; /* owned */
	size_t parent;
	dev_t dev;
	ino_t ino;
};

/* What a thread has at hand. */
struct saver {
	struct saving *s;
	size_t at; /* the directory's place in the queue */
	const char *dir;
	dir_row row;
	int src_fd, dst_fd;
	struct buf manifest, found; /* struct visit: for the next round */
	char *entries;
	uint64_t modules;
	int err;
	char *bad; /* what err is about */
};

/* --- links --- */

/* Does a link in a directory this deep lead to a place in the same tree, as text? */
static bool stays_inside(const char *dir, const char *target)
{
	int depth = *dir != '\0';

	for (; *dir; dir++)
		depth += *dir == '/';
	if (*target == '/')
		return false;
	while (*target) {
		size_t n = strcspn(target, "/");

		if (n == 2 && target[0] == '.' && target[1] == '.')
			depth--;
		else if (n > 1 || (n == 1 && target[0] != '.'))
			depth++;
		if (depth < 0)
			return false;
		target += n + strspn(target + n, "/");
	}
	return true;
}

static int copy_symlink(struct saver *v, const char *name, const char *target)
{
	struct kept_file f = {.name = name, .kind = KEPT_SYMLINK};
	struct stat st;

	if (symlinkat(target, v->dst_fd, name) < 0 ||
		fstatat(v->dst_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	f.ino = st.st_ino;
	manifest_add_file(&v->manifest, &f);
	return 0;
}

static int link_regular(struct saver *v, const char *name, const char *path, bool target,
	const struct stat *st)
{
	struct link_source from = {.root = v->s->k->root, .dirfd = v->src_fd, .name = name,
		.path = path, .follow = target};
	struct kept_file f = {.name = name, .ino = st->st_ino, .src_ino = st->st_ino,
		.kind = target ? KEPT_TARGET_LINKED : KEPT_LINKED};
	struct stat copy;
	int r;

	refresh_before(&v->s->refresh, v->row, !*v->dir, name, st, false);
	r = link_file(&from, v->dst_fd, name);
	if (r == -ENOENT)
		return 0; /* gone since it was listed */
	if (r < 0)
		return r;
	if (r == LINK_COPIED) {
		if (fstatat(v->dst_fd, name, &copy, AT_SYMLINK_NOFOLLOW) < 0)
			return neg_errno();
		f.ino = copy.st_ino;
		f.src_ctime = timespec_ns(st->st_ctim);
		f.kind = target ? KEPT_TARGET_COPIED : KEPT_COPIED;
	}
	v->modules += is_module(name);
	manifest_add_file(&v->manifest, &f);
	return 0;
}

/* --- directories --- */

/* Directories by links can be in a circle. */
static bool is_loop(const struct saver *v, const struct stat *st)
{
	const struct visit *all = vec_data(&v->s->queue, struct visit);
	unsigned depth = 0;

	for (size_t at = v->at;; at = all[at].parent) {
		if ((all[at].dev == st->st_dev && all[at].ino == st->st_ino) || ++depth > DEPTH_MAX)
			return true;
		if (at == 0)
			return false;
	}
}

static int add_subdir(struct saver *v, const char *name, const struct stat *st)
{
	struct visit *to;
	char *path = NULL;

	if (is_loop(v, st))
		return 0;
	if (mkdirat(v->dst_fd, name, st->st_mode & KEPT_DIR_MODE) < 0)
		return neg_errno();
	if (asprintf(&path, "%s%s%s", v->dir, *v->dir ? "/" : "", name) < 0)
		return -ENOMEM;
	to = vec_push(&v->found, struct visit);
	if (!to) {
		free(path);
		return -ENOMEM;
	}
	*to = (struct visit){.path = path, .parent = v->at, .dev = st->st_dev, .ino = st->st_ino};
	return 0;
}

static int save_link(struct saver *v, const char *name)
{
	_cleanup_(buf_done) struct buf path = {0};
	char target[PATH_MAX];
	struct stat st;
	ssize_t n = readlinkat(v->src_fd, name, target, sizeof(target) - 1);
	int r;

	if (n < 0)
		return errno == ENOENT ? 0 : neg_errno();
	target[n] = '\0';
	buf_printf(&path, "%s/%s%s%s", v->s->k->dir, v->dir, *v->dir ? "/" : "", name);
	if (path.err)
		return path.err;
	r = root_stat(v->s->k->root, path.data, &st);
	/* the sources of the kernel are not its modules */
	if (r < 0 || stays_inside(v->dir, target) || str_eq(name, "build") || str_eq(name, "source"))
		return copy_symlink(v, name, target);
	if (S_ISDIR(st.st_mode))
		return add_subdir(v, name, &st);
	return S_ISREG(st.st_mode) ? link_regular(v, name, path.data, true, &st) : 0;
}

static int save_entry(struct saver *v, const char *name)
{
	struct stat st;

	if (str_eq(name, ".") || str_eq(name, "..") || strstr(name, PUBLISH_SUFFIX))
		return 0;
	if (fstatat(v->src_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : neg_errno();
	if (S_ISREG(st.st_mode))
		return link_regular(v, name, NULL, false, &st);
	if (S_ISDIR(st.st_mode))
		return add_subdir(v, name, &st);
	return S_ISLNK(st.st_mode) ? save_link(v, name) : 0;
}

static int save_failed(struct saver *v, int err, const char *name)
{
	if (asprintf(&v->bad, "/%s/%s%s%s", v->s->k->dir, v->dir, *v->dir ? "/" : "", name) < 0)
		v->bad = NULL;
	return err;
}

/* Without a DIR for each of a thousand directories. */
static int save_entries(struct saver *v)
{
	for (;;) {
		long n = syscall(SYS_getdents64, v->src_fd, v->entries, ENTRIES_SIZE);

		if (n <= 0)
			return n < 0 ? save_failed(v, neg_errno(), "") : 0;
		for (long at = 0; at < n;) {
			const struct dirent64 *e = (const void *)(v->entries + at);
			int r = save_entry(v, e->d_name);

			if (r < 0)
				return save_failed(v, r, e->d_name);
			at += e->d_reclen;
		}
	}
}

static int save_dir(struct saver *v)
{
	const struct keep *k = v->s->k;
	const char *at = *v->dir ? v->dir : ".";
	_cleanup_(buf_done) struct buf path = {0};
	_cleanup_(closep) int dst = openat(v->s->dst, at, O_RDONLY | O_DIRECTORY | O_CLOEXEC), src = -1;

	if (dst < 0)
		return save_failed(v, neg_errno(), "");
	buf_printf(&path, "%s/%s", k->dir, v->dir);
	if (path.err)
		return path.err;
	src = k->root->host ? openat(v->s->src, at, O_RDONLY | O_DIRECTORY | O_CLOEXEC) :
			      root_openat(k->root, path.data, O_RDONLY | O_DIRECTORY, 0);
	if (src < 0)
		return save_failed(v, k->root->host ? neg_errno() : src, "");
	v->src_fd = src;
	v->dst_fd = dst;
	v->row = refresh_dir(&v->s->refresh, v->dir);
	manifest_add_dir(&v->manifest, v->dir);
	return save_entries(v);
}

static void save_worker(void *arg, unsigned i)
{
	struct saving *s = arg;
	struct saver *v = &s->savers[i];

	while (!v->err && (v->at = atomic_fetch_add(&s->next, 1)) < s->end) {
		v->dir = vec_data(&s->queue, struct visit)[v->at].path;
		v->err = save_dir(v);
	}
	if (!v->err)
		v->err = v->manifest.err ? v->manifest.err : v->found.err;
}

/* What the threads of a round found, behind what is known; parents stay in front. */
static int take_round(struct saving *s)
{
	int r = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		struct saver *v = &s->savers[i];

		buf_add(&s->manifest, v->manifest.data, v->manifest.len);
		buf_add(&s->queue, v->found.data, v->found.len);
		if (!s->queue.err)
			v->found.len = 0;
		v->manifest.len = 0;
		s->modules += v->modules;
		v->modules = 0;
		if (v->err && r == 0) {
			r = v->err;
			if (v->bad)
				keep_fail(s->k, r, "%s", v->bad);
		}
	}
	return r ? r : s->manifest.err ? s->manifest.err : s->queue.err;
}

static int save_tree(struct saving *s, const struct stat *top)
{
	struct visit *first = vec_push(&s->queue, struct visit);
	int r = 0;

	s->savers = calloc(THREADS, sizeof(*s->savers));
	if (!first || !s->savers)
		return -ENOMEM;
	*first = (struct visit){.path = strdup(""), .dev = top->st_dev, .ino = top->st_ino};
	if (!first->path)
		return -ENOMEM;
	for (unsigned i = 0; i < THREADS; i++) {
		s->savers[i] = (struct saver){.s = s, .entries = malloc(ENTRIES_SIZE)};
		if (!s->savers[i].entries)
			return -ENOMEM;
	}
	while (r == 0 && s->end < vec_len(&s->queue, struct visit)) {
		s->next = s->end;
		s->end = vec_len(&s->queue, struct visit);
		pool_run(MIN(THREADS, (unsigned)(s->end - s->next)), save_worker, s);
		r = take_round(s);
	}
	return r;
}

/* --- the tree as a whole --- */

static int make_frame(struct saving *s, int new_dir, const struct stat *top)
{
	_cleanup_(buf_done) struct buf path = {0};
	int fd;

	/* first of all what says whose directory this is */
	fd = openat(new_dir, "stamp", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return neg_errno();
	close(fd);
	buf_printf(&path, "lib/modules/%s", s->k->running->kver);
	if (path.err)
		return path.err;
	if (mkdirat(new_dir, "lib", 0755) < 0 || mkdirat(new_dir, "lib/modules", 0755) < 0 ||
		mkdirat(new_dir, path.data, top->st_mode & KEPT_DIR_MODE) < 0 ||
		symlinkat(".", new_dir, "usr") < 0)
		return neg_errno();
	s->dst = openat(new_dir, path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->dst < 0 ? neg_errno() : 0;
}

static int write_stamp(const struct saving *s, int new_dir, const char *cause)
{
	const struct running *running = s->k->running;
	_cleanup_(buf_done) struct buf text = {0};
	int r = keep_write_file(new_dir, "files", s->manifest.data, s->manifest.len, s->k->sync);

	if (r < 0)
		return r;
	buf_printf(&text, "KERNEL=%s\nBUILD_ID=%s\nBOOT_ID=%s\nTIME=%lld\nCAUSE=", running->kver,
		running->build_id, running->boot_id, (long long)time(NULL));
	for (const char *p = cause; *p; p++)
		buf_char(&text, (unsigned char)*p < ' ' ? ' ' : *p);
	buf_char(&text, '\n');
	return text.err ? text.err : keep_write_file(new_dir, "stamp", text.data, text.len, s->k->sync);
}

static int fill(struct saving *s, int new_dir, const struct stat *top, const char *cause)
{
	struct keep *k = s->k;
	int r = make_frame(s, new_dir, top);

	if (r == 0)
		r = refresh_open(k->store_dir, s->store, &s->refresh);
	if (r < 0)
		return keep_fail(k, r, "/%s/" NEW_DIR, k->modules);
	r = save_tree(s, top);
	if (r < 0)
		return keep_fail(k, r, "/%s", k->dir);
	if (s->modules == 0)
		return SAVE_NOTHING;
	r = write_stamp(s, new_dir, cause);
	if (r == 0 && renameat(k->modules_fd, NEW_DIR, k->modules_fd, KEPT_DIR) < 0)
		r = neg_errno();
	return r < 0 ? keep_fail(k, r, "/%s/" NEW_DIR, k->modules) : 0;
}

/* The facts are kept as well: with the kernel's directory the engine's own go. */
static void keep_facts(const struct keep *k, int kept, const char *store)
{
	struct link_source from = {.root = k->root, .dirfd = k->store_dir, .name = store};

	if (k->store_dir >= 0)
		link_file(&from, kept, "facts");
}

static void visits_done(struct buf *visits)
{
	for (size_t i = 0; i < vec_len(visits, struct visit); i++)
		free(vec_data(visits, struct visit)[i].path);
	buf_done(visits);
}

static void saving_done(struct saving *s)
{
	for (unsigned i = 0; s->savers && i < THREADS; i++) {
		visits_done(&s->savers[i].found);
		buf_done(&s->savers[i].manifest);
		free(s->savers[i].entries);
		free(s->savers[i].bad);
	}
	free(s->savers);
	visits_done(&s->queue);
	buf_done(&s->manifest);
	refresh_close(&s->refresh);
	closep(&s->src);
	closep(&s->dst);
}

static int save_new(struct keep *k, const char *cause)
{
	_cleanup_(saving_done) struct saving s = {.k = k, .src = -1, .dst = -1,
		.refresh = {.store_dir = -1}};
	_cleanup_(closep) int new_dir = -1;
	struct links links;
	struct stat top;
	int r;

	store_name(k->store_root, k->dir, s.store);
	s.src = root_openat(k->root, k->dir, O_RDONLY | O_DIRECTORY, 0);
	if (s.src < 0)
		return s.src == -ENOENT ? SAVE_NOTHING : keep_fail(k, s.src, "/%s", k->dir);
	if (fstat(s.src, &top) < 0)
		return keep_fail(k, neg_errno(), "/%s", k->dir);
	r = links_open(k, &links);
	if (r < 0)
		keep_fail(k, r, "/%s", k->modules);
	else if (mkdirat(k->modules_fd, NEW_DIR, 0755) < 0)
		r = keep_fail(k, neg_errno(), "/%s/" NEW_DIR, k->modules);
	if (r == 0) {
		new_dir = openat(k->modules_fd, NEW_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = new_dir < 0 ? keep_fail(k, neg_errno(), "/%s/" NEW_DIR, k->modules) :
				  fill(&s, new_dir, &top, cause);
		if (r)
			keep_clean_new(k);
		refresh_finish(&s.refresh, k->root, k->dir, k->store_dir, s.store);
	}
	links_close(k, &links);
	if (r == 0)
		keep_facts(k, new_dir, s.store);
	return r;
}

/* --- save --- */

static int reopen(struct keep *k)
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

int keep_save(struct keep *k, const struct keep_request *request)
{
	int r = 0, was = 0;

	if (request->touched && !keep_is_touched(k, request->touched))
		return SAVE_UNTOUCHED;
	if (k->foreign)
		return keep_fail(k, -EEXIST, "/%s/" KEPT_DIR " is not ours", k->modules);
	if (k->kept_fd >= 0 && keep_is_current(k)) {
		was = SAVE_ALREADY;
	} else {
		r = keep_clean_new(k);
		if (r == 0 && loaded_compare(request->system, k->root, k->dir) == LOADED_OTHER)
			return SAVE_OTHER;
		if (r == 0)
			r = save_new(k, request->cause);
		if (r == 0)
			r = reopen(k);
	}
	if (r)
		return r < 0 ? keep_fail(k, r, "/%s/" KEPT_DIR, k->modules) : r;
	r = touched_note(k, request->removed);
	return r < 0 ? keep_fail(k, r, "/%s/" KEPT_DIR, k->modules) : was;
}
