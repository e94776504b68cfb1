// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tree is made under another name and renamed when it is whole and stamped. A killed save
 * leaves that other name, which is nobody else's; the next one removes it.
 *
 * One thread reads directories, another makes them again, each whole and in that order: file systems
 * have one journal, and with two threads that link Btrfs takes longer than with one.
 */

#include <fcntl.h>
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/arena.h"
#include "base/pool.h"
#include "engine/publish.h"
#include "engine/scan.h"
#include "keep/link.h"
#include "keep/loaded.h"
#include "keep/refresh.h"
#include "keep/touched.h"
#include "keep/tree.h"

#define DEPTH_MAX 40
#define KEPT_DIR_MODE 0755u /* whoever may write to the kernel's directories: not to the kept ones */
#define ENTRIES_SIZE ((size_t)32 << 10)

/* A directory, the kernel's own or one below. */
struct place {
	const char *path; /* "" for the kernel's own */
	const struct place *up;
	dev_t dev;
	ino_t ino;
	int64_t ctime;
	mode_t mode;
	bool by_link; /* it, or one above it, is a symbolic link that leads out of the tree */
	struct item *items;
	size_t n;
	struct place *next;
};

struct places {
	struct place *first, **end;
};

struct item {
	struct kept_file file;
	const char *target; /* of a symbolic link that is copied */
};

struct failure {
	int err;
	char *path; /* what it is about; owned */
};

struct saving {
	struct keep *k;
	int src, dst; /* the kernel's directory and what it becomes */
	int64_t started; /* a directory that is younger may have changed since */
	char store[STORE_NAME_MAX + 1];
	atomic_bool stop;
	/* the reader's: */
	struct place *top;
	struct arena arena; /* of places and items */
	struct refresh refresh;
	char *entries;
	struct buf items; /* struct item: of one directory */
	struct failure cannot_read;
	/* from the reader to the writer: */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct places queue;
	bool closed;
	/* the writer's: */
	struct buf manifest;
	uint64_t modules;
	struct failure cannot_write;
};

static int save_failed(struct saving *s, struct failure *f, int err, const char *dir,
	const char *name)
{
	s->stop = true;
	f->err = err;
	if (asprintf(&f->path, "/%s%s%s%s%s", s->k->dir, *dir ? "/" : "", dir, *name ? "/" : "", name) < 0)
		f->path = NULL;
	return err;
}

static void places_add(struct places *all, struct place *p)
{
	p->next = NULL;
	if (!all->first)
		all->end = &all->first;
	*all->end = p;
	all->end = &p->next;
}

/* --- from one thread to the other --- */

static void queue_put(struct saving *s, struct place *p)
{
	pthread_mutex_lock(&s->lock);
	places_add(&s->queue, p);
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void queue_close(struct saving *s)
{
	pthread_mutex_lock(&s->lock);
	s->closed = true;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* All that is there, as a list; NULL: nothing will come any more. */
static struct place *queue_take(struct saving *s)
{
	struct place *p;

	pthread_mutex_lock(&s->lock);
	while (!s->queue.first && !s->closed)
		pthread_cond_wait(&s->changed, &s->lock);
	p = s->queue.first;
	s->queue.first = NULL;
	pthread_mutex_unlock(&s->lock);
	return p;
}

/* --- reading --- */

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

/* Directories by links can be in a circle. */
static bool is_loop(const struct place *at, const struct stat *st)
{
	unsigned depth = 0;

	for (; at; at = at->up)
		if ((at->dev == st->st_dev && at->ino == st->st_ino) || ++depth > DEPTH_MAX)
			return true;
	return false;
}

static struct place *new_place(struct saving *s, const struct place *up, const char *name,
	const struct stat *st)
{
	size_t above = up ? strlen(up->path) : 0, len = above + (above != 0) + strlen(name);
	struct place *p = arena_alloc(&s->arena, sizeof(*p));
	char *path = arena_alloc(&s->arena, len + 1);

	if (!p || !path)
		return NULL;
	snprintf(path, len + 1, "%s%s%s", up ? up->path : "", above ? "/" : "", name);
	*p = (struct place){.path = path, .up = up, .dev = st->st_dev, .ino = st->st_ino,
		.ctime = timespec_ns(st->st_ctim), .mode = st->st_mode & KEPT_DIR_MODE, .by_link = up && up->by_link};
	return p;
}

static int add_subdir(struct saving *s, const struct place *at, const char *name,
	const struct stat *st, bool by_link, struct places *subs)
{
	struct place *p;

	if (is_loop(at, st))
		return 0;
	p = new_place(s, at, name, st);
	if (!p)
		return -ENOMEM;
	p->by_link |= by_link;
	places_add(subs, p);
	return 0;
}

static int add_item(struct saving *s, const char *name, const struct stat *st, char kind,
	const char *target)
{
	struct item *i = vec_push(&s->items, struct item);

	if (!i)
		return -ENOMEM;
	*i = (struct item){
		.file = {.name = arena_strdup(&s->arena, name, strlen(name)), .kind = kind,
			.src_ino = st->st_ino, .src_ctime = timespec_ns(st->st_ctim)},
		.target = target ? arena_strdup(&s->arena, target, strlen(target)) : NULL};
	return i->file.name && (!target || i->target) ? 0 : -ENOMEM;
}

static int read_symlink(struct saving *s, const struct place *at, int fd, const char *name,
	struct places *subs, dir_row row)
{
	_cleanup_(buf_done) struct buf path = {0};
	char target[PATH_MAX];
	struct stat st = {0};
	ssize_t n = readlinkat(fd, name, target, sizeof(target) - 1);
	int r;

	if (n < 0)
		return errno == ENOENT ? 0 : neg_errno();
	target[n] = '\0';
	buf_printf(&path, "%s/%s%s%s", s->k->dir, at->path, *at->path ? "/" : "", name);
	if (path.err)
		return path.err;
	r = root_stat(s->k->root, path.data, &st);
	/* the sources of the kernel are not its modules */
	if (r < 0 || stays_inside(at->path, target) || str_eq(name, "build") || str_eq(name, "source"))
		return add_item(s, name, &st, KEPT_SYMLINK, target);
	if (S_ISDIR(st.st_mode))
		return add_subdir(s, at, name, &st, true, subs);
	if (!S_ISREG(st.st_mode))
		return 0;
	refresh_before(&s->refresh, row, !*at->path, name, &st, false);
	return add_item(s, name, &st, KEPT_TARGET_LINKED, NULL);
}

static int read_entry(struct saving *s, const struct place *at, int fd, const char *name,
	struct places *subs, dir_row row)
{
	struct stat st;

	if (str_eq(name, ".") || str_eq(name, "..") || strstr(name, PUBLISH_SUFFIX))
		return 0;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : neg_errno();
	if (S_ISDIR(st.st_mode))
		return add_subdir(s, at, name, &st, false, subs);
	if (S_ISLNK(st.st_mode))
		return read_symlink(s, at, fd, name, subs, row);
	if (!S_ISREG(st.st_mode))
		return 0;
	refresh_before(&s->refresh, row, !*at->path, name, &st, false);
	return add_item(s, name, &st, KEPT_LINKED, NULL);
}

/* Without a DIR for each of a thousand directories. */
static int read_entries(struct saving *s, const struct place *at, int fd, struct places *subs)
{
	dir_row row = refresh_dir(&s->refresh, at->path);

	for (;;) {
		long n = syscall(SYS_getdents64, fd, s->entries, ENTRIES_SIZE);

		if (n <= 0)
			return n < 0 ? save_failed(s, &s->cannot_read, neg_errno(), at->path, "") : 0;
		for (long o = 0; o < n;) {
			const struct dirent64 *e = (const void *)(s->entries + o);
			int r = read_entry(s, at, fd, e->d_name, subs, row);

			if (r < 0)
				return save_failed(s, &s->cannot_read, r, at->path, e->d_name);
			o += e->d_reclen;
		}
	}
}

static int open_place(const struct saving *s, const struct place *at)
{
	_cleanup_(buf_done) struct buf path = {0};

	if (!at->by_link)
		return fs_open_plain(s->src, *at->path ? at->path : ".", O_RDONLY | O_DIRECTORY);
	buf_printf(&path, "%s/%s", s->k->dir, at->path);
	return path.err ? path.err : root_openat(s->k->root, path.data, O_RDONLY | O_DIRECTORY, 0);
}

static int read_items(struct saving *s, struct place *at, struct places *subs)
{
	_cleanup_(closep) int fd = open_place(s, at);
	int r;

	if (fd == -ENOENT && *at->path)
		return fd; /* gone since it was listed */
	if (fd < 0)
		return save_failed(s, &s->cannot_read, fd, at->path, "");
	s->items.len = 0;
	r = read_entries(s, at, fd, subs);
	if (r < 0)
		return r;
	at->n = vec_len(&s->items, struct item);
	if (at->n == 0)
		return 0;
	at->items = arena_alloc(&s->arena, s->items.len);
	if (!at->items)
		return save_failed(s, &s->cannot_read, -ENOMEM, at->path, "");
	memcpy(at->items, s->items.data, s->items.len);
	return 0;
}

static void read_place(struct saving *s, struct place *at)
{
	struct places subs = {0};

	if (s->stop || read_items(s, at, &subs) < 0)
		return;
	queue_put(s, at);
	for (struct place *p = subs.first, *next; p; p = next) {
		next = p->next; /* in the queue it has another one */
		read_place(s, p);
	}
}

/* --- writing --- */

struct making {
	struct saving *s;
	const struct place *at;
	int src, dst; /* this directory, and what it becomes */
};

/* The name that was read may be another file's by now. -ENOENT: one that is not kept. */
static int look_again(const struct making *m, struct item *i)
{
	struct stat st;

	if (fstatat(m->dst, i->file.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	i->file.ino = st.st_ino;
	if (S_ISREG(st.st_mode))
		return 0;
	return unlinkat(m->dst, i->file.name, 0) < 0 ? neg_errno() : -ENOENT;
}

static int make_link(const struct making *m, struct item *i)
{
	const struct keep *k = m->s->k;
	_cleanup_(buf_done) struct buf path = {0};
	bool target = i->file.kind == KEPT_TARGET_LINKED;
	struct link_source from = {.root = k->root, .dirfd = m->src, .name = i->file.name,
		.follow = target};
	ino_t copy;
	int r;

	if (target) {
		buf_printf(&path, "%s/%s%s%s", k->dir, m->at->path, *m->at->path ? "/" : "", i->file.name);
		if (path.err)
			return path.err;
		from.path = path.data;
	}
	r = link_file(&from, m->dst, i->file.name, &copy);
	if (r == LINK_COPIED) {
		i->file.ino = copy;
		i->file.kind = target ? KEPT_TARGET_COPIED : KEPT_COPIED;
		return 0;
	}
	i->file.ino = i->file.src_ino;
	i->file.src_ctime = 0;
	return r == 0 && target ? look_again(m, i) : r;
}

static int make_symlink(const struct making *m, struct item *i)
{
	struct stat st;

	if (symlinkat(i->target, m->dst, i->file.name) < 0 ||
		fstatat(m->dst, i->file.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	i->file = (struct kept_file){.name = i->file.name, .kind = KEPT_SYMLINK, .ino = st.st_ino};
	return 0;
}

static int make_dir(struct saving *s, const char *path, mode_t mode)
{
	int fd;

	if (*path && mkdirat(s->dst, path, mode) < 0)
		return neg_errno();
	fd = openat(s->dst, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? neg_errno() : fd;
}

/* Is what was read of the directory still so? A file that came since has changed its ctime. */
static bool is_as_read(const struct making *m)
{
	struct stat st;

	return m->at->ctime < m->s->started && fstat(m->src, &st) == 0 &&
	       timespec_ns(st.st_ctim) == m->at->ctime;
}

/* 0 or -errno; *ret_bad: what that is about. Items that are gone since they were read lose their names. */
static int make_items(const struct making *m, const char **ret_bad)
{
	for (size_t n = 0; n < m->at->n; n++) {
		struct item *i = &m->at->items[n];
		int r = i->target ? make_symlink(m, i) : make_link(m, i);

		*ret_bad = i->file.name;
		if (r < 0 && (r != -ENOENT || i->target))
			return r;
		if (r < 0)
			i->file.name = NULL;
	}
	if (is_as_read(m))
		return 0;
	for (size_t n = 0; n < m->at->n; n++) {
		struct item *i = &m->at->items[n];
		int r = i->target || !i->file.name ? 0 : look_again(m, i);

		*ret_bad = i->file.name;
		if (r < 0 && r != -ENOENT)
			return r;
		if (r < 0)
			i->file.name = NULL;
	}
	return 0;
}

static void make_place(struct saving *s, const struct place *at)
{
	_cleanup_(closep) int src = open_place(s, at);
	_cleanup_(closep) int dst = src < 0 ? src : make_dir(s, at->path, at->mode);
	struct making m = {.s = s, .at = at, .src = src, .dst = dst};
	const char *bad = "";
	int r;

	if (src == -ENOENT && *at->path)
		return; /* gone since it was read */
	r = dst < 0 ? dst : make_items(&m, &bad);
	if (r < 0) {
		save_failed(s, &s->cannot_write, r, at->path, bad);
		return;
	}
	manifest_add_dir(&s->manifest, at->path);
	for (size_t n = 0; n < at->n; n++) {
		const struct item *i = &at->items[n];

		if (!i->file.name)
			continue;
		s->modules += !i->target && is_module(i->file.name);
		manifest_add_file(&s->manifest, &i->file);
	}
}

static void write_places(struct saving *s)
{
	for (const struct place *p; (p = queue_take(s));)
		for (; p && !s->stop; p = p->next)
			make_place(s, p);
}

/* --- both --- */

/* The reader never waits for the writer, which comes afterwards where there is no second thread. */
static void save_worker(void *arg, unsigned i)
{
	struct saving *s = arg;

	if (i == 0) {
		read_place(s, s->top);
		queue_close(s);
	} else {
		write_places(s);
	}
}

static int save_tree(struct saving *s, const struct stat *top)
{
	const struct failure *f;

	s->started = scan_racy_limit();
	s->entries = malloc(ENTRIES_SIZE);
	s->top = new_place(s, NULL, "", top);
	if (!s->entries || !s->top)
		return -ENOMEM;
	pool_run(2, save_worker, s);
	f = s->cannot_read.err ? &s->cannot_read : &s->cannot_write;
	if (f->err)
		return f->path ? keep_fail(s->k, f->err, "%s", f->path) : f->err;
	return s->manifest.err;
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
		link_file(&from, kept, "facts", NULL);
}

static void saving_done(struct saving *s)
{
	arena_done(&s->arena);
	free(s->entries);
	buf_done(&s->items);
	free(s->cannot_read.path);
	buf_done(&s->manifest);
	free(s->cannot_write.path);
	refresh_close(&s->refresh);
	closep(&s->src);
	closep(&s->dst);
}

static int save_new(struct keep *k, const char *cause)
{
	_cleanup_(saving_done) struct saving s = {.k = k, .src = -1, .dst = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
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
