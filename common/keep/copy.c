// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One thread reads directories, another makes them again, each whole and in that order:
 * file systems have one journal, and with two threads that link Btrfs takes longer than
 * with one. The first is done long before the other, and does all that is left to do
 * behind it.
 */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/arena.h"
#include "base/pool.h"
#include "engine/publish.h"
#include "engine/scan.h"
#include "keep/copy.h"
#include "keep/link.h"
#include "keep/tree.h"

#define DEPTH_MAX 40
#define ENTRIES_SIZE ((size_t)32 << 10)

/* A directory, the kernel's own or one below. */
struct place {
	const char *path; /* "" for the kernel's own */
	const struct place *up;
	dev_t dev;
	ino_t ino;
	int64_t ctime;
	mode_t mode;
	bool by_link; /* it, or one above it, is a symbolic link that leads out of the
			 tree */
	struct item *items;
	size_t n;
	struct place *next;    /* in the queue */
	struct place *later;   /* the one that was read next */
	dir_row row;           /* in what is remembered */
	_Atomic int64_t since; /* when the writer was done with it; 0: not yet */
	bool gone;             /* since it was read, the writer found */
};

struct places {
	struct place *first, **end;
};

/*
 * The reader's until it is queued; then the reader looks at the name, stamp and target
 * only, until the writer is done with its place.
 */
struct item {
	struct kept_file file;
	struct stamp stamp; /* as it was read */
	const char *target; /* of a symbolic link that is copied */
	bool gone;          /* since then */
};

struct failure {
	int err;
	char *path; /* what it is about; owned */
};

struct copying {
	struct keep *k;
	int src, dst;
	int64_t started; /* a directory that is younger may have changed since */
	atomic_bool stop;
	/* the reader's: */
	struct place *top, *last;
	struct place *behind; /* the next that the writer is to be followed to */
	struct arena arena;   /* of places and items */
	const char *store;    /* its name */
	struct refresh *refresh;
	struct copied *copied;
	char *entries;
	struct buf items; /* struct item: of one directory */
	struct failure cannot_read;
	/* from the reader to the writer: */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct places queue;
	bool closed;
	atomic_bool writing, all_made;
	struct failure cannot_write; /* the writer's */
};

static int copy_failed(
	struct copying *c, struct failure *f, int err, const char *dir, const char *name)
{
	c->stop = true;
	f->err = err;
	if (asprintf(&f->path, "/%s%s%s%s%s", c->k->dir, *dir ? "/" : "", dir,
		    *name ? "/" : "", name) < 0)
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

static void queue_put(struct copying *c, struct place *p)
{
	pthread_mutex_lock(&c->lock);
	places_add(&c->queue, p);
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static void queue_close(struct copying *c)
{
	pthread_mutex_lock(&c->lock);
	c->closed = true;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* All that is there, as a list; NULL: nothing will come any more. */
static struct place *queue_take(struct copying *c)
{
	struct place *p;

	pthread_mutex_lock(&c->lock);
	while (!c->queue.first && !c->closed)
		pthread_cond_wait(&c->changed, &c->lock);
	p = c->queue.first;
	c->queue.first = NULL;
	pthread_mutex_unlock(&c->lock);
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
		if ((at->dev == st->st_dev && at->ino == st->st_ino) ||
			++depth > DEPTH_MAX)
			return true;
	return false;
}

static struct place *new_place(struct copying *c, const struct place *up,
	const char *name, const struct stat *st)
{
	size_t above = up ? strlen(up->path) : 0,
	       len = above + (above != 0) + strlen(name);
	struct place *p = arena_alloc(&c->arena, sizeof(*p));
	char *path = arena_alloc(&c->arena, len + 1);

	if (!p || !path)
		return NULL;
	snprintf(path, len + 1, "%s%s%s", up ? up->path : "", above ? "/" : "", name);
	*p = (struct place){.path = path,
		.up = up,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.ctime = timespec_ns(st->st_ctim),
		.mode = st->st_mode & KEPT_DIR_MODE,
		.row = ID_NONE,
		.by_link = up && up->by_link};
	return p;
}

static int add_subdir(struct copying *c, const struct place *at, const char *name,
	const struct stat *st, bool by_link, struct places *subs)
{
	struct place *p;

	if (is_loop(at, st))
		return 0;
	p = new_place(c, at, name, st);
	if (!p)
		return -ENOMEM;
	p->by_link |= by_link;
	places_add(subs, p);
	return 0;
}

static int add_item(struct copying *c, const char *name, const struct stat *st, char kind,
	const char *target)
{
	struct item *i = vec_push(&c->items, struct item);

	if (!i)
		return -ENOMEM;
	*i = (struct item){.file = {.name = arena_strdup(&c->arena, name, strlen(name)),
				   .kind = kind},
		.stamp = stamp_of(st),
		.target =
			target ? arena_strdup(&c->arena, target, strlen(target)) : NULL};
	return i->file.name && (!target || i->target) ? 0 : -ENOMEM;
}

static int read_symlink(struct copying *c, const struct place *at, int fd,
	const char *name, struct places *subs)
{
	_cleanup_(buf_done) struct buf path = {0};
	char target[PATH_MAX];
	struct stat st = {0};
	ssize_t n = readlinkat(fd, name, target, sizeof(target) - 1);
	int r;

	if (n < 0)
		return errno == ENOENT ? 0 : neg_errno();
	target[n] = '\0';
	buf_printf(&path, "%s/%s%s%s", c->k->dir, at->path, *at->path ? "/" : "", name);
	if (path.err)
		return path.err;
	r = root_stat(c->k->root, path.data, &st);
	/* the sources of the kernel are not its modules */
	if (r < 0 || stays_inside(at->path, target) || str_eq(name, "build") ||
		str_eq(name, "source"))
		return add_item(c, name, &st, KEPT_SYMLINK, target);
	if (S_ISDIR(st.st_mode))
		return add_subdir(c, at, name, &st, true, subs);
	return S_ISREG(st.st_mode) ? add_item(c, name, &st, KEPT_TARGET_LINKED, NULL) : 0;
}

static int read_entry(struct copying *c, const struct place *at, int fd, const char *name,
	struct places *subs)
{
	struct stat st;

	if (str_eq(name, ".") || str_eq(name, "..") || strstr(name, PUBLISH_SUFFIX))
		return 0;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : neg_errno();
	if (S_ISDIR(st.st_mode))
		return add_subdir(c, at, name, &st, false, subs);
	if (S_ISLNK(st.st_mode))
		return read_symlink(c, at, fd, name, subs);
	return S_ISREG(st.st_mode) ? add_item(c, name, &st, KEPT_LINKED, NULL) : 0;
}

/* Without a DIR for each of a thousand directories. */
static int read_entries(
	struct copying *c, const struct place *at, int fd, struct places *subs)
{
	for (;;) {
		long n = syscall(SYS_getdents64, fd, c->entries, ENTRIES_SIZE);

		/* one that was removed since it was opened has no entries any more */
		if (n == 0 || (n < 0 && errno == ENOENT && *at->path))
			return 0;
		if (n < 0)
			return copy_failed(c, &c->cannot_read, neg_errno(), at->path, "");
		for (long o = 0; o < n;) {
			const struct dirent64 *e = (const void *)(c->entries + o);
			int r = read_entry(c, at, fd, e->d_name, subs);

			if (r < 0)
				return copy_failed(
					c, &c->cannot_read, r, at->path, e->d_name);
			o += e->d_reclen;
		}
	}
}

static int open_place(const struct copying *c, const struct place *at)
{
	_cleanup_(buf_done) struct buf path = {0};

	if (!at->by_link)
		return fs_open_plain(
			c->src, *at->path ? at->path : ".", O_RDONLY | O_DIRECTORY);
	buf_printf(&path, "%s/%s", c->k->dir, at->path);
	return path.err ? path.err
			: root_openat(c->k->root, path.data, O_RDONLY | O_DIRECTORY, 0);
}

static int read_items(struct copying *c, struct place *at, struct places *subs)
{
	_cleanup_(closep) int fd = open_place(c, at);
	int r;

	if (fd == -ENOENT && *at->path)
		return fd; /* gone since it was listed */
	if (fd < 0)
		return copy_failed(c, &c->cannot_read, fd, at->path, "");
	c->items.len = 0;
	r = read_entries(c, at, fd, subs);
	if (r < 0)
		return r;
	if (c->items.len == 0)
		return 0;
	at->items = arena_alloc(&c->arena, c->items.len);
	if (!at->items)
		return copy_failed(c, &c->cannot_read, -ENOMEM, at->path, "");
	memcpy(at->items, c->items.data, c->items.len);
	at->n = vec_len(&c->items, struct item);
	return 0;
}

static void read_place(struct copying *c, struct place *at)
{
	struct places subs = {0};

	if (c->stop || read_items(c, at, &subs) < 0)
		return;
	if (c->last)
		c->last->later = at;
	c->last = at;
	queue_put(c, at);
	for (struct place *p = subs.first, *next; p; p = next) {
		next = p->next; /* in the queue it has another one */
		read_place(c, p);
	}
}

/* --- writing --- */

struct making {
	struct copying *c;
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
	const struct keep *k = m->c->k;
	_cleanup_(buf_done) struct buf path = {0};
	bool target = i->file.kind == KEPT_TARGET_LINKED;
	struct link_source from = {
		.root = k->root, .dirfd = m->src, .name = i->file.name, .follow = target};
	ino_t copy;
	int r;

	if (target) {
		buf_printf(&path, "%s/%s%s%s", k->dir, m->at->path,
			*m->at->path ? "/" : "", i->file.name);
		if (path.err)
			return path.err;
		from.path = path.data;
	}
	r = link_file(&from, m->dst, i->file.name, &copy);
	i->file.src_ino = i->stamp.ino;
	if (r == LINK_COPIED) {
		i->file.ino = copy;
		i->file.src_ctime = i->stamp.ctime;
		i->file.kind = target ? KEPT_TARGET_COPIED : KEPT_COPIED;
		return 0;
	}
	i->file.ino = i->stamp.ino;
	return r == 0 && target ? look_again(m, i) : r;
}

static int make_symlink(const struct making *m, struct item *i)
{
	struct stat st;

	if (symlinkat(i->target, m->dst, i->file.name) < 0 ||
		fstatat(m->dst, i->file.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	i->file = (struct kept_file){
		.name = i->file.name, .kind = KEPT_SYMLINK, .ino = st.st_ino};
	return 0;
}

static int make_dir(struct copying *c, const char *path, mode_t mode)
{
	int fd;

	if (*path && mkdirat(c->dst, path, mode) < 0)
		return neg_errno();
	fd = openat(c->dst, *path ? path : ".",
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? neg_errno() : fd;
}

/* Is what was read of the directory still so? A file that came since has changed its
 * ctime. */
static bool is_as_read(const struct making *m)
{
	struct stat st;

	return m->at->ctime < m->c->started && fstat(m->src, &st) == 0 &&
	       timespec_ns(st.st_ctim) == m->at->ctime;
}

/* 0 or -errno; *ret_bad: what that is about. */
static int make_items(const struct making *m, const char **ret_bad)
{
	for (size_t n = 0; n < m->at->n; n++) {
		struct item *i = &m->at->items[n];
		int r = i->target ? make_symlink(m, i) : make_link(m, i);

		*ret_bad = i->file.name;
		if (r < 0 && (r != -ENOENT || i->target))
			return r;
		i->gone = r < 0;
	}
	if (is_as_read(m))
		return 0;
	for (size_t n = 0; n < m->at->n; n++) {
		struct item *i = &m->at->items[n];
		int r = i->target || i->gone ? 0 : look_again(m, i);

		*ret_bad = i->file.name;
		if (r < 0 && r != -ENOENT)
			return r;
		i->gone |= r < 0;
	}
	return 0;
}

/* False: it is gone since it was read. */
static bool make_place(struct copying *c, const struct place *at)
{
	_cleanup_(closep) int src = open_place(c, at);
	_cleanup_(closep) int dst = src < 0 ? src : make_dir(c, at->path, at->mode);
	struct making m = {.c = c, .at = at, .src = src, .dst = dst};
	const char *bad = "";
	int r;

	if (src == -ENOENT && *at->path)
		return false;
	r = dst < 0 ? dst : make_items(&m, &bad);
	if (r < 0)
		copy_failed(c, &c->cannot_write, r, at->path, bad);
	return true;
}

static void write_places(struct copying *c)
{
	c->writing = true;
	for (struct place *p; (p = queue_take(c));)
		for (; p && !c->stop; p = p->next) {
			p->gone = !make_place(c, p);
			p->since = refresh_clock();
		}
	c->all_made = true;
}

/* --- behind the writer --- */

/* How each file was before it got a link: as it was read. */
static int tell(struct copying *c)
{
	int r = refresh_open(c->k->store_dir, c->store, c->refresh);

	for (struct place *p = c->top; r == 0 && p; p = p->later) {
		p->row = refresh_dir(c->refresh, p->path);
		for (size_t n = 0; n < p->n; n++)
			if (!p->items[n].target)
				refresh_before(c->refresh, p->row, !*p->path,
					p->items[n].file.name, &p->items[n].stamp, false);
	}
	return r;
}

static void note_place(struct copying *c, const struct place *at)
{
	struct copied *to = c->copied;

	manifest_add_dir(&to->manifest, at->path);
	for (size_t n = 0; n < at->n; n++) {
		const struct item *i = &at->items[n];

		if (i->gone)
			continue;
		to->modules += !i->target && is_module(i->file.name);
		manifest_add_file(&to->manifest, &i->file);
	}
}

/* What this leaves, refresh_finish() does. */
static void settle_place(struct copying *c, const struct place *at)
{
	_cleanup_(closep) int fd = c->all_made ? -1 : open_place(c, at);

	if (fd >= 0)
		refresh_settle(c->refresh, at->row, !*at->path, fd, &c->all_made);
}

static void follow(struct copying *c, const struct place *at)
{
	refresh_done(c->refresh, at->row, at->since);
	if (at->gone)
		return;
	note_place(c, at);
	settle_place(c, at);
}

/* Up to the end of all, or where the writer cannot be waited for. */
static void follow_places(struct copying *c)
{
	for (; c->behind && !c->stop; c->behind = c->behind->later) {
		while (!c->behind->since && c->writing && !c->all_made)
			refresh_pause();
		if (!c->behind->since)
			return;
		follow(c, c->behind);
	}
}

/* --- both --- */

static void read_places(struct copying *c)
{
	int r;

	read_place(c, c->top);
	queue_close(c);
	r = tell(c);
	if (r < 0 && !c->cannot_read.err)
		copy_failed(c, &c->cannot_read, r, "", "");
	refresh_prepare(c->refresh, c->k->store_dir, c->store);
	c->behind = c->top;
	follow_places(c);
}

/*
 * The reader never waits for the writer, which comes afterwards where there is no second
 * thread.
 */
static void copy_worker(void *arg, unsigned i)
{
	if (i == 0)
		read_places(arg);
	else
		write_places(arg);
}

static int copy_all(struct copying *c, const struct stat *top)
{
	const struct failure *f;

	c->started = scan_racy_limit();
	c->entries = malloc(ENTRIES_SIZE);
	c->top = new_place(c, NULL, "", top);
	if (!c->entries || !c->top)
		return -ENOMEM;
	pool_run(2, copy_worker, c);
	follow_places(c);
	f = c->cannot_read.err ? &c->cannot_read : &c->cannot_write;
	if (f->err)
		return f->path ? keep_fail(c->k, f->err, "%s", f->path) : f->err;
	return c->copied->manifest.err;
}

int copy_tree(struct keep *k, int src, int dst, const struct stat *top, const char *store,
	struct refresh *refresh, struct copied *ret)
{
	struct copying c = {.k = k,
		.src = src,
		.dst = dst,
		.store = store,
		.refresh = refresh,
		.copied = ret,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER};
	int r;

	*ret = (struct copied){0};
	r = copy_all(&c, top);
	arena_done(&c.arena);
	free(c.entries);
	buf_done(&c.items);
	free(c.cannot_read.path);
	free(c.cannot_write.path);
	return r;
}
