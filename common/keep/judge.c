// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Only the kernel's own modules count: what was added to them, an upgrade may well
 * replace. A stat of each tells most; where package managers wrote the same bytes again
 * these are compared, by several threads, up to the first difference.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "keep/tree.h"

#define COMPARE_THREADS 2u
#define BLOCK ((size_t)128 << 10)

struct pair {
	uint32_t d, f;
};

struct comparing {
	const struct keep *k;
	const struct pair *pairs;
	uint32_t n;
	_Atomic uint32_t next;
	_Atomic bool differs;
	_Atomic int err;
};

/* Positive: they differ. Files of the same size. */
static int compare_fds(int a, int b, char *block)
{
	for (off_t at = 0;;) {
		ssize_t n = fs_pread(a, block, BLOCK, at);
		ssize_t m = n < 0 ? n : fs_pread(b, block + BLOCK, BLOCK, at);

		if (n < 0 || m < 0)
			return (int)(n < 0 ? n : m);
		if (n != m || memcmp(block, block + BLOCK, (size_t)n) != 0)
			return 1;
		if ((size_t)n < BLOCK)
			return 0;
		at += n;
	}
}

static int open_kept(const struct keep *k, const struct pair *p, int flags)
{
	_cleanup_(buf_done) struct buf path = {0};

	buf_printf(&path, "lib/modules/%s/%s/%s", k->stamp.kver,
		k->manifest.dirs[p->d].path, k->manifest.files[p->f].name);
	return path.err ? path.err : fs_open_plain(k->kept_fd, path.data, flags);
}

static int compare(const struct keep *k, const struct pair *p, char *block)
{
	_cleanup_(buf_done) struct buf live = {0};
	_cleanup_(closep) int a = -1, b = -1;

	buf_printf(&live, "%s/%s/%s", k->dir, k->manifest.dirs[p->d].path,
		k->manifest.files[p->f].name);
	if (live.err)
		return live.err;
	a = root_openat(k->root, live.data, O_RDONLY | O_NONBLOCK, 0);
	if (a < 0)
		return fs_err_is_files_own(a) ? 1 : a;
	b = open_kept(k, p, O_RDONLY | O_NONBLOCK);
	return b < 0 ? b : compare_fds(a, b, block);
}

static void compare_worker(void *arg, unsigned i)
{
	struct comparing *c = arg;
	_cleanup_(freep) char *block = malloc(2 * BLOCK);
	uint32_t at;

	(void)i;
	if (!block)
		c->err = -ENOMEM;
	while (block && !c->differs && !c->err &&
		(at = atomic_fetch_add(&c->next, 1)) < c->n) {
		int r = compare(c->k, &c->pairs[at], block);

		if (r < 0)
			c->err = r;
		else if (r > 0)
			c->differs = true;
	}
}

struct judging {
	struct buf pairs; /* struct pair: to be compared */
	bool there, gone, differs;
};

static int judge_file(
	struct keep *k, struct judging *j, int fd, dev_t dev, const struct pair *p)
{
	const struct kept_file *file = &k->manifest.files[p->f];
	struct stat st, kept;
	_cleanup_(closep) int fd_kept = -1;
	int live;

	if (file->kind == KEPT_SYMLINK || !is_module(file->name))
		return 0;
	live = live_look(k, k->dir, fd, dev, p->d, p->f, &st);
	if (live < 0)
		return live;
	/* what restore put there says nothing of the package */
	if (live == LIVE_GONE || live == LIVE_OURS) {
		j->gone = true;
		return 0;
	}
	j->there = true;
	if (live == LIVE_SAME)
		return 0;
	fd_kept = open_kept(k, p, O_PATH);
	if (fd_kept < 0 && !fs_err_is_files_own(fd_kept))
		return fd_kept;
	/* one that is not what was kept, or is not there, says nothing of it */
	if (fd_kept < 0 || fstat(fd_kept, &kept) < 0 || kept.st_size != st.st_size ||
		kept.st_ino != file->ino)
		j->differs = true;
	else
		buf_add(&j->pairs, p, sizeof(*p));
	return j->pairs.err;
}

static int look_at_all(struct keep *k, struct judging *j)
{
	const struct manifest *m = &k->manifest;
	dev_t dev;
	int r = kept_dev(k, &dev);

	for (uint32_t d = 0; r == 0 && d < m->n_dirs; d++) {
		_cleanup_(closep) int fd = -1;

		if (!is_in_tree(m->dirs[d].path))
			continue;
		fd = live_open(k, k->dir, m->dirs[d].path);
		if (fd < 0 && !fs_err_is_files_own(fd))
			return fd;
		for (uint32_t f = m->dirs[d].first; r == 0 && f < m->dirs[d + 1].first;
			f++) {
			r = judge_file(k, j, fd, dev, &(struct pair){d, f});
			if (j->differs || (j->there && j->gone))
				return r;
		}
	}
	return r;
}

/* --- modules that were not kept --- */

static int compare_inodes(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool is_ours(const struct buf *ours, const struct stat *st)
{
	return ours->len &&
	       bsearch(&(uint64_t){st->st_ino}, ours->data, vec_len(ours, uint64_t),
		       sizeof(uint64_t), compare_inodes);
}

/* 1: a module that restore did not put there is in or below this directory. */
static int find_module(
	const struct keep *k, const char *below, const struct buf *ours, int depth)
{
	int fd = live_open(k, k->dir, below), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		closep(&fd);
		return fd >= 0 || fs_err_is_files_own(fd) ? 0 : fd;
	}
	while (r == 0 && (e = readdir(d))) {
		_cleanup_(buf_done) struct buf sub = {0};
		struct stat st;

		if (e->d_name[0] == '.' ||
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		buf_printf(&sub, "%s/%s", below, e->d_name);
		if (S_ISDIR(st.st_mode) && depth < 40)
			r = sub.err ? sub.err : find_module(k, sub.data, ours, depth + 1);
		else if (is_module(e->d_name))
			r = !is_ours(ours, &st);
	}
	closedir(d);
	return r;
}

/*
 * Another build may have none of the kept names: they end as its modules are compressed.
 */
static int find_others(const struct keep *k, struct judging *j)
{
	const struct manifest *m = &k->manifest;
	_cleanup_(buf_done) struct buf ours = {0};
	int r;

	for (uint32_t f = 0; f < m->n_files; f++) {
		const struct kept_file *file = &m->files[f];

		if (k->marks[m->n_dirs + f] == 'L')
			buf_add(&ours, kept_is_copy(file) ? &file->src_ino : &file->ino,
				sizeof(uint64_t));
	}
	if (ours.len)
		qsort(ours.data, vec_len(&ours, uint64_t), sizeof(uint64_t),
			compare_inodes);
	r = ours.err ? ours.err : find_module(k, "kernel", &ours, 0);
	j->there |= r > 0;
	return MIN(r, 0);
}

static int judge(struct keep *k, struct judging *j, enum keep_case *ret)
{
	struct comparing c = {.k = k};
	int r = look_at_all(k, j);

	if (r == 0 && j->gone && !j->there)
		r = find_others(k, j);
	if (r < 0)
		return r;
	if (!j->differs && !(j->there && j->gone)) {
		c.pairs = vec_data(&j->pairs, struct pair);
		c.n = (uint32_t)vec_len(&j->pairs, struct pair);
		if (c.n)
			pool_run(COMPARE_THREADS, compare_worker, &c);
		j->differs = c.differs;
	}
	if (c.err)
		return c.err;
	*ret = j->differs || (j->there && j->gone) ? KEEP_REPLACED
	       : j->gone                           ? KEEP_GONE
						   : KEEP_SAME;
	return 0;
}

int keep_judge(struct keep *k, enum keep_case *ret)
{
	struct judging j = {0};
	int r = keep_load_whole(k);

	if (r == 0)
		r = judge(k, &j, ret);
	buf_done(&j.pairs);
	return r < 0 ? keep_fail(k, r, "/%s", k->dir) : 0;
}
