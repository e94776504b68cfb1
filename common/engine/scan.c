// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work goes in rounds. The first round has all remembered directories (they were
 * reachable, and a directory that is no longer reachable cannot be opened by its path) or
 * just the top; each later round has the directories that the last one discovered. In a
 * round, threads take blocks of directories off a shared counter and write into lists of
 * their own.
 *
 * Why stats of files are taken even below an unchanged directory: writing into a file, or
 * touching it, leaves its directory as it was. So does whatever happens to what a link
 * leads to: a directory with links that are no modules now is listed every time.
 */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/pool.h"
#include "engine/publish.h"
#include "engine/scan.h"
#include "formats/modname.h"

#define BLOCK 16u /* directories taken at once */
#define DIRS_MAX (1u << 17)
#define PATH_LEN_MAX (PATH_MAX - 1 - NAME_MAX) /* of a directory, so that files fit */

struct work_dir {
	const char *path;
	dir_row old;
	bool is_link;
};

/* What a thread found. */
struct found_dir {
	struct scan_dir d;
	unsigned thread;
	uint32_t n_files; /* d.first counts in that thread's list */
};

struct lister {
	struct arena *names;
	struct buf dirs;   /* struct found_dir */
	struct buf files;  /* struct scan_file */
	struct buf next;   /* struct work_dir: for the next round */
	struct buf events; /* struct scan_event */
	bool leftovers;    /* see struct scan */
	/* the directory at hand has entries that may become modules unseen */
	bool doubtful;
	bool hides; /* and such that depmod.d leaves out */
	dev_t dev;  /* of the last directory, and whether its stats are trusted */
	bool dev_known, dev_trusted;
	int err;
};

struct scanning {
	const struct target *t;
	const struct depmodd *c;
	const struct scan_options *o;
	int top;
	const char **starts; /* external directories as tables have them, each once */
	size_t n_starts;
	int64_t racy_limit;
	struct lister *listers;
	unsigned n_threads;
	const struct work_dir *work;
	uint32_t n_work;
	_Atomic uint32_t taken;
	_Atomic uint32_t n_dirs;
};

bool stamp_racy(const struct stamp *s, int64_t limit)
{
	/* a file system that keeps whole seconds cut off the rest */
	if (s->ctime % 1000000000 == 0)
		limit -= limit % 1000000000;
	return s->ctime >= limit;
}

int64_t scan_racy_limit(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return timespec_ns(now);
}

static void tell(struct lister *l, enum event_kind kind, const char *dir,
	const char *name, int err)
{
	char path[PATH_MAX + NAME_MAX];
	int n = snprintf(
		path, sizeof(path), "%s%s%s", dir, *dir && *name ? "/" : "", name);
	struct scan_event e = {.kind = kind,
		.err = err,
		.path = arena_strdup(l->names, path, MIN((size_t)n, sizeof(path) - 1))};

	if (e.path)
		buf_add(&l->events, &e, sizeof(e));
	else
		l->err = -ENOMEM;
}

/*
 * Open a path of the tree, or of an external directory, with links resolved in the root.
 */
static int open_path(
	const struct target *t, int top, const char *dir, const char *name, int flags)
{
	char path[2 * PATH_MAX];
	bool abs = *dir == '/';
	int n;

	if (t->root->host && !abs && top >= 0) {
		n = snprintf(path, sizeof(path), "%s%s%s", *dir ? dir : ".",
			*name ? "/" : "", name);
		n = n < (int)sizeof(path) ? openat(top, path, flags | O_CLOEXEC) : -1;
		return n < 0 ? neg_errno() : n;
	}
	n = snprintf(path, sizeof(path), "%s%s%s%s%s", abs ? "" : t->dir, abs ? "" : "/",
		dir, *name ? "/" : "", name);
	if (n >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return root_openat(t->root, path, flags, 0);
}

int scan_open_file(const struct target *t, const struct scan_dir *d, const char *name)
{
	return open_path(t, -1, d->path, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

/* stat what a directory's entry is or leads to. *is_link tells which. */
static int stat_entry(const struct scanning *s, int dirfd, const char *dir,
	const char *name, struct stat *st, bool *is_link)
{
	int fd, r;

	*is_link = false;
	if (fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	*is_link = S_ISLNK(st->st_mode);
	if (!*is_link)
		return 0;
	if (s->t->root->host)
		return fstatat(dirfd, name, st, 0) < 0 ? neg_errno() : 0;
	fd = open_path(s->t, s->top, dir, name, O_PATH);
	if (fd < 0)
		return fd;
	r = fstat(fd, st) < 0 ? neg_errno() : 0;
	close(fd);
	return r;
}

/* Does a directory that was reached through a link stand above itself? */
static bool is_loop(struct scanning *s, const char *path, const struct stat *st)
{
	char above[PATH_MAX];
	struct stat up;

	snprintf(above, sizeof(above), "%s", path);
	for (char *slash; (slash = strrchr(above, '/')) && slash != above;) {
		int fd;

		*slash = '\0';
		fd = open_path(s->t, s->top, above, "", O_PATH);
		if (fd >= 0 && fstat(fd, &up) == 0 && up.st_dev == st->st_dev &&
			up.st_ino == st->st_ino) {
			close(fd);
			return true;
		}
		closep(&fd);
	}
	return *path != '/' && fstat(s->top, &up) == 0 && up.st_dev == st->st_dev &&
	       up.st_ino == st->st_ino;
}

static bool dir_is_link(struct scanning *s, const char *path)
{
	struct stat st;
	int fd = open_path(s->t, s->top, path, "", O_PATH | O_NOFOLLOW);
	bool is_link = fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);

	closep(&fd);
	return is_link;
}

/*
 * Where we lack memory or descriptors, what is there cannot be known: that is no fault of
 * the tree.
 */
static void failed(struct lister *l, int err)
{
	if (!fs_err_is_files_own(err))
		l->err = err;
}

static void unreadable(struct lister *l, const char *dir, int err)
{
	failed(l, err);
	l->doubtful = true;
	tell(l, EVENT_DIR_UNREADABLE, dir, "", err);
}

/* --- files --- */

static void classify(const struct scanning *s, struct scan_file *f)
{
	const struct mod *old = f->old == ID_NONE ? NULL : &s->o->old->mods[f->old];

	f->state = FILE_CHECK;
	if (!old) {
		f->why = WHY_NEW;
		f->state = FILE_READ;
	} else if (old->stamp.size != f->stamp.size) {
		f->why = WHY_SIZE;
		f->state = FILE_READ;
	} else if (!f->trusted) {
		f->why = WHY_UNTRUSTED;
	} else if (!stamp_eq(&old->stamp, &f->stamp)) {
		f->why = WHY_STAT;
	} else if (old->flags & ROW_RACY) {
		f->why = WHY_RACY;
	} else {
		f->state = FILE_SAME;
	}
}

static void add_file(struct scanning *s, struct lister *l, const char *name, mod_row old,
	const struct stat *st, bool is_link, bool trusted)
{
	struct scan_file f = {.name = name,
		.old = old,
		.stamp = stamp_of(st),
		.flags = is_link ? ROW_LINK : 0};

	/*
	 * a link may lead to a file system that nobody looked at, and a file be one's
	 * mount point
	 */
	f.trusted = trusted && st->st_dev == l->dev;
	classify(s, &f);
	buf_add(&l->files, &f, sizeof(f));
}

/* Is it where a walk starts? Then no other one enters it: what is in it is there once. */
static bool is_start(const struct scanning *s, const char *path)
{
	for (size_t i = 0; i < s->n_starts; i++)
		if (str_eq(path, s->starts[i]))
			return true;
	return *path == '/' && s->t->name && str_eq(path, s->t->name);
}

static void add_subdir(struct scanning *s, struct lister *l, const char *dir,
	const char *name, bool is_link)
{
	char path[PATH_MAX];
	struct work_dir w = {.is_link = is_link};
	int n = snprintf(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", name);
	uint32_t before;

	if (n <= PATH_LEN_MAX && is_start(s, path))
		return;
	before = atomic_fetch_add(&s->n_dirs, n > PATH_LEN_MAX ? 0 : 1);
	/* of too many the first is told of: links can make millions of them */
	if (n > PATH_LEN_MAX || before == DIRS_MAX)
		tell(l, EVENT_TREE_LIMIT, dir, name, 0);
	if (n > PATH_LEN_MAX || before >= DIRS_MAX)
		return;
	w.old = s->o->old ? tables_find_dir(s->o->old, path) : ID_NONE;
	if (w.old != ID_NONE && s->o->believe_dirs)
		return; /* it is in the first round already */
	w.path = arena_strdup(l->names, path, (size_t)n);
	if (!w.path)
		l->err = -ENOMEM;
	else
		buf_add(&l->next, &w, sizeof(w));
}

/* The names are known: only their stats are taken. */
static void stat_known(struct scanning *s, struct lister *l, int fd, const char *path,
	dir_row d, bool trusted)
{
	const struct tables *old = s->o->old;

	for (mod_row m = old->dirs[d].first; m < old->dirs[d + 1].first; m++) {
		const char *name = str_of(old, old->mods[m].file);
		struct stat st;
		bool is_link = false;
		int r = stat_entry(s, fd, path, name, &st, &is_link);

		l->doubtful |= r < 0 || (is_link && !S_ISREG(st.st_mode));
		if (r < 0)
			failed(l, r);
		if (r < 0)
			tell(l, is_link ? EVENT_LINK_DANGLING : EVENT_MODULE_VANISHED,
				path, name, r);
		else if (S_ISREG(st.st_mode))
			add_file(s, l, name, m, &st, is_link, trusted);
		else if (S_ISDIR(st.st_mode))
			add_subdir(s, l, path, name, is_link);
		else
			tell(l, EVENT_FILE_TYPE, path, name, 0);
	}
}

static void list_entry(struct scanning *s, struct lister *l, int fd,
	const struct work_dir *w, const struct dirent *e, bool trusted)
{
	size_t len = strlen(e->d_name);
	bool is_module = modname_is_module_file(e->d_name, len), is_link = false;
	struct stat st = {0};
	const char *name;
	int r;

	if (e->d_type == DT_DIR) {
		add_subdir(s, l, w->path, e->d_name, false);
		return;
	}
	if (e->d_type == DT_REG && !is_module)
		return;
	r = stat_entry(s, fd, w->path, e->d_name, &st, &is_link);
	if (r == -ENOENT && !is_link)
		return; /* gone since it was listed */
	l->doubtful |= r < 0 || (is_link && (!is_module || !S_ISREG(st.st_mode)));
	if (r < 0) {
		failed(l, r);
		tell(l, is_link ? EVENT_LINK_DANGLING : EVENT_DIR_UNREADABLE, w->path,
			e->d_name, r);
	} else if (S_ISDIR(st.st_mode)) {
		add_subdir(s, l, w->path, e->d_name, is_link);
	} else if (!S_ISREG(st.st_mode)) {
		tell(l, EVENT_FILE_TYPE, w->path, e->d_name, 0);
		l->doubtful = true;
	} else if (is_module) {
		mod_row old = w->old == ID_NONE
				      ? ID_NONE
				      : tables_find_mod(s->o->old, w->old, e->d_name);

		name = arena_strdup(l->names, e->d_name, len);
		if (name)
			add_file(s, l, name, old, &st, is_link, trusted);
		else
			l->err = -ENOMEM;
	}
}

static int file_cmp(const void *a, const void *b)
{
	return strcmp(
		((const struct scan_file *)a)->name, ((const struct scan_file *)b)->name);
}

/* What is excluded is not looked into: any directory may have modules. */
static bool hides_modules(const struct depmodd *c, const struct dirent *e)
{
	return depmodd_excluded_by_line(c, e->d_name) &&
	       (e->d_type != DT_REG ||
		       modname_is_module_file(e->d_name, strlen(e->d_name)));
}

static void list_dir(struct scanning *s, struct lister *l, int fd,
	const struct work_dir *w, bool trusted)
{
	size_t before = vec_len(&l->files, struct scan_file), n;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		unreadable(l, w->path, neg_errno());
		closep(&copy);
		return;
	}
	while (errno = 0, (e = readdir(d))) {
		if (!*w->path && strstr(e->d_name, PUBLISH_SUFFIX))
			l->leftovers = true;
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (depmodd_excluded(s->c, e->d_name)) {
			l->hides |= hides_modules(s->c, e);
			continue;
		}
		list_entry(s, l, fd, w, e, trusted);
	}
	if (errno)
		unreadable(l, w->path, neg_errno());
	closedir(d);
	n = vec_len(&l->files, struct scan_file) - before;
	if (n)
		qsort(vec_data(&l->files, struct scan_file) + before, n,
			sizeof(struct scan_file), file_cmp);
}

/* --- directories --- */

static bool trusted_dev(struct lister *l, int fd, dev_t dev)
{
	if (!l->dev_known || l->dev != dev) {
		l->dev = dev;
		l->dev_known = true;
		l->dev_trusted = fs_stats_trusted(fd);
	}
	return l->dev_trusted;
}

static void scan_dir(struct scanning *s, struct lister *l, const struct work_dir *w)
{
	const struct dir *old = w->old == ID_NONE ? NULL : &s->o->old->dirs[w->old];
	_cleanup_(closep) int fd =
		open_path(s->t, s->top, w->path, "", O_RDONLY | O_DIRECTORY);
	struct found_dir f = {.d = {.path = w->path, .old = w->old}};
	struct stat st;
	bool trusted, same;

	f.thread = (unsigned)(l - s->listers);
	f.d.first = (uint32_t)vec_len(&l->files, struct scan_file);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int err = fd < 0 ? fd : neg_errno();

		if (!old || (err != -ENOENT && err != -ENOTDIR))
			unreadable(l, w->path, err);
		/* remembered, with a stat that no directory has, it is looked at again */
		if (err != -ENOENT && err != -ENOTDIR)
			buf_add(&l->dirs, &f, sizeof(f));
		return;
	}
	trusted = trusted_dev(l, fd, st.st_dev);
	f.d.stamp = stamp_of(&st);
	/* the top's own stat moves with every index that is written */
	same = old && trusted && s->o->believe_dirs && *w->path &&
	       !(old->flags & ROW_RACY) && stamp_eq(&old->stamp, &f.d.stamp);
	if (!same && *w->path && (w->is_link || (old && dir_is_link(s, w->path))) &&
		is_loop(s, w->path, &st)) {
		tell(l, EVENT_LINK_LOOP, w->path, "", 0);
		return;
	}
	l->doubtful = false;
	l->hides = same && (old->flags & ROW_HIDES);
	if (same)
		stat_known(s, l, fd, w->path, w->old, trusted);
	else
		list_dir(s, l, fd, w, trusted);
	if (!*w->path)
		f.d.stamp = (struct stamp){0};
	else if (l->doubtful || stamp_racy(&f.d.stamp, s->racy_limit))
		f.d.flags |= ROW_RACY;
	if (l->hides)
		f.d.flags |= ROW_HIDES;
	f.n_files = (uint32_t)vec_len(&l->files, struct scan_file) - f.d.first;
	buf_add(&l->dirs, &f, sizeof(f));
}

static void scan_worker(void *arg, unsigned i)
{
	struct scanning *s = arg;
	struct lister *l = &s->listers[i];

	for (;;) {
		uint32_t at = atomic_fetch_add(&s->taken, BLOCK);

		if (at >= s->n_work)
			return;
		for (uint32_t end = MIN(at + BLOCK, s->n_work); at < end; at++)
			scan_dir(s, l, &s->work[at]);
	}
}

/*
 * What a path is below the kernel's directory, by its text, as in depmod; else NULL.
 * That, too, where two slashes follow: what depmod then writes leads elsewhere.
 */
static const char *below_kernel(const struct target *t, const char *path)
{
	size_t n = t->name ? strlen(t->name) : 0;

	if (n == 0 || strncmp(path, t->name, n) != 0 || path[n] != '/' || !path[n + 1] ||
		path[n + 1] == '/')
		return NULL;
	return path + n + 1;
}

/* One may be named by several lines, or be the kernel's directory or lie in it. */
static int find_starts(struct scanning *s)
{
	s->starts = calloc(s->c->n_external + 1, sizeof(*s->starts));
	if (!s->starts)
		return -ENOMEM;
	for (size_t i = s->c->n_external; i-- > 0;) {
		const char *path = s->c->external[i], *below = below_kernel(s->t, path);

		if (*path != '/')
			tell(&s->listers[0], EVENT_DIR_UNREADABLE, path, "", -EINVAL);
		else if (!is_start(s, below ? below : path))
			s->starts[s->n_starts++] = below ? below : path;
	}
	return 0;
}

static int first_round(struct scanning *s, struct buf *work)
{
	const struct tables *old = s->o->old;
	struct work_dir w = {.path = ""};
	int r = find_starts(s);

	if (r < 0)
		return r;
	w.old = old ? tables_find_dir(old, "") : ID_NONE;
	buf_add(work, &w, sizeof(w));
	for (size_t i = 0; i < s->n_starts; i++) {
		w.path = s->starts[i];
		w.old = old ? tables_find_dir(old, w.path) : ID_NONE;
		buf_add(work, &w, sizeof(w));
	}
	for (w.old = 0; old && s->o->believe_dirs && w.old < old->n.dirs; w.old++) {
		w.path = str_of(old, old->dirs[w.old].path);
		if (*w.path && !is_start(s, w.path))
			buf_add(work, &w, sizeof(w));
	}
	return work->err;
}

static int next_round(struct scanning *s, struct buf *work)
{
	work->len = 0;
	for (unsigned i = 0; i < s->n_threads; i++) {
		struct lister *l = &s->listers[i];

		buf_add(work, l->next.data, l->next.len);
		if (l->next.err || l->dirs.err || l->files.err || l->events.err)
			return -ENOMEM;
		if (l->err)
			return l->err;
		l->next.len = 0;
	}
	return work->err;
}

static int scan_rounds(struct scanning *s)
{
	_cleanup_(buf_done) struct buf work = {0};
	int r;

	for (r = first_round(s, &work); r == 0 && work.len > 0;
		r = next_round(s, &work)) {
		s->work = vec_data(&work, struct work_dir);
		s->n_work = (uint32_t)vec_len(&work, struct work_dir);
		atomic_store(&s->taken, 0);
		pool_run(MIN(s->n_threads, (s->n_work + BLOCK - 1) / BLOCK), scan_worker,
			s);
	}
	return r;
}

/* --- the result --- */

static int dir_cmp(const void *a, const void *b)
{
	return strcmp(((const struct found_dir *)a)->d.path,
		((const struct found_dir *)b)->d.path);
}

static int event_cmp(const void *a, const void *b)
{
	return strcmp(((const struct scan_event *)a)->path,
		((const struct scan_event *)b)->path);
}

static int gather_events(struct scanning *s, struct scan *ret)
{
	for (unsigned i = 0; i < s->n_threads; i++) {
		buf_add(&ret->events, s->listers[i].events.data,
			s->listers[i].events.len);
		ret->leftovers |= s->listers[i].leftovers;
	}
	if (ret->events.len)
		qsort(ret->events.data, vec_len(&ret->events, struct scan_event),
			sizeof(struct scan_event), event_cmp);
	return ret->events.err;
}

static int path_cmp(const void *path, const void *dir)
{
	return strcmp(path, ((const struct scan_dir *)dir)->path);
}

/*
 * Was the directory above a directory found, too? A remembered path may still lead
 * somewhere although no walk gets there: through a link that was put in a directory's
 * place and is a loop.
 */
static bool has_parent(const struct scanning *s, const struct scan *out, const char *path)
{
	const char *slash = strrchr(path, '/');
	char above[PATH_MAX];

	if (!*path || is_start(s, path))
		return true;
	snprintf(above, sizeof(above), "%.*s", slash ? (int)(slash - path) : 0, path);
	return bsearch(above, out->dirs, out->n_dirs, sizeof(*out->dirs), path_cmp) !=
	       NULL;
}

static int gather(struct scanning *s, struct scan *ret)
{
	_cleanup_(buf_done) struct buf all = {0};
	const struct found_dir *f;
	size_t n_files = 0;
	uint32_t n_found;

	for (unsigned i = 0; i < s->n_threads; i++) {
		buf_add(&all, s->listers[i].dirs.data, s->listers[i].dirs.len);
		n_files += vec_len(&s->listers[i].files, struct scan_file);
	}
	if (all.err)
		return all.err;
	if (n_files > INT32_MAX)
		return -E2BIG;
	ret->dirs = calloc(vec_len(&all, struct found_dir) + 1, sizeof(*ret->dirs));
	ret->files = malloc((n_files + 1) * sizeof(*ret->files));
	if (!ret->dirs || !ret->files)
		return -ENOMEM;
	f = vec_data(&all, struct found_dir);
	n_found = (uint32_t)vec_len(&all, struct found_dir);
	if (n_found)
		qsort(all.data, n_found, sizeof(*f), dir_cmp);
	for (uint32_t i = 0; i < n_found; i++, f++) {
		struct scan_dir *d = &ret->dirs[ret->n_dirs];

		if (!has_parent(s, ret, f->d.path))
			continue;
		*d = f->d;
		d->first = ret->n_files;
		ret->n_dirs++;
		if (f->n_files)
			memcpy(ret->files + ret->n_files,
				vec_data(&s->listers[f->thread].files, struct scan_file) +
					f->d.first,
				f->n_files * sizeof(struct scan_file));
		ret->n_files += f->n_files;
	}
	ret->dirs[ret->n_dirs].first = ret->n_files;
	return 0;
}

/* --- a list of files instead of a tree --- */

struct listed {
	const char *dir; /* as tables have it */
	struct scan_file file;
};

static int listed_cmp(const void *pa, const void *pb)
{
	const struct listed *a = pa, *b = pb;
	int c = strcmp(a->dir, b->dir);

	return c ? c : strcmp(a->file.name, b->file.name);
}

static int list_file(
	struct scanning *s, struct arena *mem, const char *path, struct listed *ret)
{
	const char *below = below_kernel(s->t, path), *rel = below ? below : path, *slash;
	dir_row d;
	struct stat st;
	int r = root_stat(s->t->root, path, &st);

	if (r < 0)
		return r;
	slash = strrchr(rel, '/');
	ret->dir = slash == rel ? "/"
		   : slash      ? arena_strdup(mem, rel, (size_t)(slash - rel))
				: "";
	ret->file = (struct scan_file){
		.name = slash ? slash + 1 : rel, .stamp = stamp_of(&st)};
	if (!ret->dir)
		return -ENOMEM;
	d = s->o->old ? tables_find_dir(s->o->old, ret->dir) : ID_NONE;
	ret->file.old =
		d == ID_NONE ? ID_NONE : tables_find_mod(s->o->old, d, ret->file.name);
	ret->file.trusted = s->top >= 0 && fs_stats_trusted(s->top);
	classify(s, &ret->file);
	return 0;
}

static int same_name(const struct listed *a, const struct listed *b)
{
	char x[NAME_MAX + 1], y[NAME_MAX + 1];

	modname_copy(x, a->file.name);
	modname_copy(y, b->file.name);
	return str_eq(x, y);
}

static int fill_list(struct scan *out, const struct listed *l, size_t n)
{
	out->dirs = calloc(n + 1, sizeof(*out->dirs));
	out->files = calloc(n + 1, sizeof(*out->files));
	if (!out->dirs || !out->files)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || !str_eq(l[i].dir, l[i - 1].dir)) {
			out->dirs[out->n_dirs].path = l[i].dir;
			out->dirs[out->n_dirs].old = ID_NONE;
			out->dirs[out->n_dirs++].first = (uint32_t)i;
		}
		out->files[i] = l[i].file;
	}
	out->n_files = (uint32_t)n;
	out->dirs[out->n_dirs].first = out->n_files;
	out->changed = true;
	return 0;
}

int scan_list(const struct target *t, const char *const *files, size_t n,
	const struct scan_options *o, struct scan *ret, size_t *ret_bad)
{
	struct scanning s = {.t = t, .o = o};
	_cleanup_(closep) int top =
		root_openat(t->root, t->dir, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_(freep) struct listed *list = calloc(n + 1, sizeof(*list));
	struct scan out = {.n_names = 1, .names = calloc(1, sizeof(*out.names))};
	int r = list && out.names ? 0 : -ENOMEM;

	s.top = top;
	for (size_t i = 0; i < n && r == 0; i++) {
		*ret_bad = i;
		r = list_file(&s, out.names, files[i], &list[i]);
		for (size_t k = 0; k < i && r == 0; k++)
			if (same_name(&list[k], &list[i]))
				r = -EEXIST;
	}
	if (r == 0) {
		qsort(list, n, sizeof(*list), listed_cmp);
		r = fill_list(&out, list, n);
	}
	if (r < 0)
		scan_done(&out);
	else
		*ret = out;
	return r;
}

static void mark_touched(const struct scan_options *o, struct scan *s)
{
	for (size_t i = 0; i < o->n_touched; i++) {
		const char *slash = strrchr(o->touched[i], '/');
		size_t dir_len = slash ? (size_t)(slash - o->touched[i]) : 0;
		const char *name = slash ? slash + 1 : o->touched[i];
		uint32_t lo = 0, hi = s->n_dirs;

		while (lo < hi) {
			uint32_t mid = lo + (hi - lo) / 2;
			const char *path = s->dirs[mid].path;
			int c = strncmp(path, o->touched[i], dir_len);

			if (c < 0 || (c == 0 && strlen(path) < dir_len))
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo == s->n_dirs || strlen(s->dirs[lo].path) != dir_len ||
			memcmp(s->dirs[lo].path, o->touched[i], dir_len) != 0)
			continue;
		for (uint32_t f = s->dirs[lo].first; f < s->dirs[lo + 1].first; f++) {
			if (!str_eq(s->files[f].name, name) ||
				s->files[f].state != FILE_SAME)
				continue;
			s->files[f].state = FILE_CHECK;
			s->files[f].why = WHY_TOUCHED;
		}
	}
}

static void compare_with_old(const struct tables *old, struct scan *s)
{
	s->changed = !old || s->n_files != old->n.mods || s->n_dirs != old->n.dirs;
	for (uint32_t i = 0; i < s->n_files; i++) {
		const struct scan_file *f = &s->files[i];

		s->changed |= f->old == ID_NONE;
		s->stats_moved |=
			f->why == WHY_STAT || f->why == WHY_SIZE || f->why == WHY_RACY;
		s->newest_mtime = MAX(s->newest_mtime, f->stamp.mtime);
	}
	for (uint32_t i = 0; i < s->n_dirs; i++) {
		const struct scan_dir *d = &s->dirs[i];

		s->changed |= d->old == ID_NONE;
		if (d->old != ID_NONE)
			s->stats_moved |= !stamp_eq(&d->stamp, &old->dirs[d->old].stamp);
	}
}

static void listers_free(struct scanning *s)
{
	for (unsigned i = 0; s->listers && i < s->n_threads; i++) {
		buf_done(&s->listers[i].dirs);
		buf_done(&s->listers[i].files);
		buf_done(&s->listers[i].next);
		buf_done(&s->listers[i].events);
	}
	free(s->listers);
	free(s->starts);
}

void scan_report(const struct target *t, const struct scan *s)
{
	const struct scan_event *e = vec_data(&s->events, struct scan_event);

	for (size_t i = 0; i < vec_len(&s->events, struct scan_event); i++, e++)
		report_event(t->report, .kind = e->kind, .kver = t->kver, .path = e->path,
			.err = e->err);
}

int scan_tree(const struct target *t, const struct depmodd *c,
	const struct scan_options *o, struct scan *ret)
{
	struct scanning s = {.t = t,
		.c = c,
		.o = o,
		.n_threads = MAX(t->jobs, 1u),
		.racy_limit = scan_racy_limit()};
	struct scan out = {.n_names = s.n_threads};
	_cleanup_(closep) int top =
		root_openat(t->root, t->dir, O_RDONLY | O_DIRECTORY, 0);
	int r = 0;

	if (top < 0)
		return top;
	s.top = top;
	s.listers = calloc(s.n_threads, sizeof(*s.listers));
	out.names = calloc(s.n_threads, sizeof(*out.names));
	if (!s.listers || !out.names)
		r = -ENOMEM;
	for (unsigned i = 0; i < s.n_threads && r == 0; i++)
		s.listers[i].names = &out.names[i];
	if (r == 0)
		r = scan_rounds(&s);
	if (r == 0)
		r = gather(&s, &out);
	if (s.listers && gather_events(&s, &out) < 0 && r == 0)
		r = -ENOMEM;
	listers_free(&s);
	if (r < 0) {
		scan_report(t, &out); /* which file it was */
		scan_done(&out);
		return r;
	}
	mark_touched(o, &out);
	compare_with_old(o->old, &out);
	*ret = out;
	return 0;
}

void scan_done(struct scan *s)
{
	for (unsigned i = 0; s->names && i < s->n_names; i++)
		arena_done(&s->names[i]);
	buf_done(&s->events);
	free(s->names);
	free(s->dirs);
	free(s->files);
	*s = (struct scan){0};
}
