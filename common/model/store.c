// SPDX-License-Identifier: GPL-2.0-or-later
/*
 *   file  struct store_head | image (tables.c)
 *
 * in the machine's byte order: a store never leaves its machine. The checksums cover
 * every byte behind the head's own, so that a store is either as it was written or not
 * used at all, and need not be synced to disk.
 */

#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "model/store.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define STORE_MAGIC "KMPFACTS"
#define STORE_FORMAT 3u
#define STORE_BYTE_ORDER 0x01020304u
#define STORE_CODECS (WITH_ZSTD | WITH_XZ << 1 | WITH_GZIP << 2)
#define CHECKED_FROM (offsetof(struct store_head, checksum) + sizeof(uint64_t))

_Static_assert(sizeof(struct store_head) % 8 == 0, "the image must be aligned");

const char *store_outcome_text(int outcome)
{
	static const char *const texts[STORE_OUTCOMES] = {
		[STORE_ABSENT] = "does not exist yet",
		[STORE_DAMAGED] = "is damaged",
		[STORE_VERSION] = "was written by another version",
		[STORE_FOREIGN] = "belongs to another directory",
		[STORE_UNSAFE] = "could have been written by somebody else",
	};

	return outcome > 0 && outcome < STORE_OUTCOMES ? texts[outcome]
						       : "cannot be used";
}

void store_name(const char *root, const char *dir, char *ret)
{
	int n;

	while (*root == '/')
		root++;
	n = snprintf(ret, STORE_NAME_MAX + 1, "%s%s%s" STORE_SUFFIX, root,
		*root ? "/" : "", dir);
	if (n > 200)
		snprintf(ret, STORE_NAME_MAX + 1, "%016llx%016llx" STORE_SUFFIX,
			(unsigned long long)digest_hash(root, strlen(root)),
			(unsigned long long)digest_hash(dir, strlen(dir)));
	for (char *p = ret; *p; p++)
		if (*p == '/')
			*p = '!'; /* as sysfs writes such names */
}

static uint64_t checksum_of_head(const struct store_head *h)
{
	return digest_hash((const char *)h + CHECKED_FROM, sizeof(*h) - CHECKED_FROM);
}

static int check(const struct store_head *h, size_t len, const struct digest *where)
{
	size_t size;

	if (len < sizeof(*h) || memcmp(h->magic, STORE_MAGIC, sizeof(h->magic)) != 0)
		return STORE_DAMAGED;
	if (h->version != STORE_FORMAT || h->byte_order != STORE_BYTE_ORDER ||
		h->codecs != STORE_CODECS)
		return STORE_VERSION;
	if (h->size != len || checksum_of_head(h) != h->checksum ||
		digest_hash(h + 1, len - sizeof(*h)) != h->image_checksum)
		return STORE_DAMAGED;
	if (where && !digest_eq(h->inputs.where, *where))
		return STORE_FOREIGN;
	size = tables_size(&h->counts);
	return size == 0 || size != len - sizeof(*h) ? STORE_DAMAGED : 0;
}

static int open_safely(int dirfd, const char *name, struct stat *st)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ELOOP ? -EPERM : neg_errno();
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode) || !fs_is_own(st)) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

/* For kernels that do not know MADV_POPULATE_READ (before 5.14). */
static int read_whole(int fd, size_t len, void **ret)
{
	void *map = mmap(
		NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return -ENOMEM;
	if (fs_pread(fd, map, len, 0) != (ssize_t)len) {
		munmap(map, len);
		return STORE_DAMAGED;
	}
	*ret = map;
	return 0;
}

/*
 * All pages are wanted now, and those that the disk does not give must be found now: to
 * touch one later would kill the process, in this run and in every later one.
 */
static int map_whole(int fd, size_t len, void **ret)
{
	void *map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	int err;

	if (map == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : STORE_ABSENT;
	if (madvise(map, len, MADV_POPULATE_READ) == 0) {
		*ret = map;
		return 0;
	}
	err = errno;
	munmap(map, len);
	return err == EINVAL   ? read_whole(fd, len, ret)
	       : err == ENOMEM ? -ENOMEM
			       : STORE_DAMAGED;
}

int store_open(int dirfd, const char *name, const struct digest *where, struct store *ret)
{
	struct stat st;
	_cleanup_(closep) int fd = open_safely(dirfd, name, &st);
	struct store s = {0};
	int r;

	if (fd < 0)
		return fd == -ENOMEM ? fd : fd == -EPERM ? STORE_UNSAFE : STORE_ABSENT;
	if (st.st_size < (off_t)sizeof(struct store_head))
		return STORE_DAMAGED;
	s.len = (size_t)st.st_size;
	r = map_whole(fd, s.len, &s.map);
	if (r)
		return r;
	s.head = s.map;
	r = check(s.head, s.len, where);
	if (r == 0) {
		tables_place(
			&s.t, &s.head->counts, (char *)s.map + sizeof(struct store_head));
		if (tables_check(&s.t) < 0)
			r = STORE_DAMAGED;
	}
	if (r) {
		munmap(s.map, s.len);
		return r;
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (s->head)
		munmap(s->map, s->len);
	*s = (struct store){0};
}

/*
 * That a directory is not racy any more is no reason to write: it is listed again, that
 * is all.
 */
static bool same_dirs(const struct tables *a, const struct tables *b)
{
	for (uint32_t i = 0; i <= a->n.dirs; i++)
		if (a->dirs[i].path != b->dirs[i].path ||
			a->dirs[i].first != b->dirs[i].first ||
			!stamp_eq(&a->dirs[i].stamp, &b->dirs[i].stamp))
			return false;
	return true;
}

bool store_same(const struct store *s, void *image, const struct counts *counts)
{
	const struct store_head *h = image;
	size_t body = tables_size(counts), dirs;
	struct tables t;

	if (!s->head || s->len != sizeof(*h) + body ||
		memcmp(&s->head->counts, counts, sizeof(*counts)) != 0)
		return false;
	tables_place(&t, counts, (char *)image + sizeof(*h));
	dirs = (size_t)((char *)t.mods - (char *)t.dirs);
	return memcmp(&s->head->inputs, &h->inputs, sizeof(h->inputs)) == 0 &&
	       s->head->valid_outputs == h->valid_outputs &&
	       s->head->warnings == h->warnings &&
	       memcmp(s->head->outputs, h->outputs, sizeof(h->outputs)) == 0 &&
	       same_dirs(&s->t, &t) && memcmp(s->t.mods, t.mods, body - dirs) == 0;
}

static int temp_name(const char *name, char ret[NAME_MAX + 1])
{
	return snprintf(ret, NAME_MAX + 1, "%s.new", name) > NAME_MAX ? -ENAMETOOLONG : 0;
}

static int pwrite_all(int fd, const void *data, size_t n, off_t at)
{
	return lseek(fd, at, SEEK_SET) < 0 ? neg_errno() : fs_write_all(fd, data, n);
}

int store_begin(int dirfd, const char *name, void *image, const struct counts *counts,
	struct store_writer *ret)
{
	struct store_writer w = {.dirfd = dirfd, .name = name};
	struct store_head *h = image;
	size_t len = tables_size(counts);
	char temp[NAME_MAX + 1];
	int r = temp_name(name, temp);

	ret->fd = -1;
	if (r < 0)
		return r;
	if (unlinkat(dirfd, temp, 0) < 0 && errno != ENOENT)
		return neg_errno();
	w.fd = openat(
		dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (w.fd < 0)
		return neg_errno();
	h->image_checksum = digest_hash(h + 1, len);
	r = pwrite_all(w.fd, h + 1, len, sizeof(*h));
	if (r < 0) {
		store_abort(&w);
		return r;
	}
	*ret = w;
	return 0;
}

int store_again(struct store_writer *w, void *image, const struct counts *counts)
{
	struct store_head *h = image;
	struct tables t;
	int r;

	tables_place(&t, counts, h + 1);
	h->image_checksum = digest_hash(h + 1, tables_size(counts));
	r = pwrite_all(w->fd, t.mods, ((size_t)counts->mods + 1) * sizeof(*t.mods),
		(char *)t.mods - (char *)h);
	if (r < 0)
		store_abort(w);
	return r;
}

static void complete_head(struct store_head *h, const struct counts *counts)
{
	memcpy(h->magic, STORE_MAGIC, sizeof(h->magic));
	h->version = STORE_FORMAT;
	h->byte_order = STORE_BYTE_ORDER;
	h->size = sizeof(*h) + tables_size(counts);
	h->codecs = STORE_CODECS;
	h->counts = *counts;
	h->checksum = checksum_of_head(h);
}

int store_commit(struct store_writer *w, void *image, const struct counts *counts)
{
	struct store_head *h = image;
	char temp[NAME_MAX + 1];
	int r = temp_name(w->name, temp);

	complete_head(h, counts);
	if (r == 0)
		r = pwrite_all(w->fd, h, sizeof(*h), 0);
	/* Replacing an existing file makes ext4 flush the new one: 5 ms for nothing. */
	if (r == 0 && unlinkat(w->dirfd, w->name, 0) < 0 && errno != ENOENT)
		r = neg_errno();
	if (r == 0 && renameat(w->dirfd, temp, w->dirfd, w->name) < 0)
		r = neg_errno();
	if (r < 0) {
		store_abort(w);
		return r;
	}
	closep(&w->fd);
	w->fd = -1;
	return 0;
}

void store_abort(struct store_writer *w)
{
	char temp[NAME_MAX + 1];

	if (w->fd < 0)
		return;
	if (temp_name(w->name, temp) == 0)
		unlinkat(w->dirfd, temp, 0);
	closep(&w->fd);
	w->fd = -1;
}

int store_write(int dirfd, const char *name, void *image, const struct counts *counts)
{
	struct store_writer w;
	int r = store_begin(dirfd, name, image, counts, &w);

	return r < 0 ? r : store_commit(&w, image, counts);
}
