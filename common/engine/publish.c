// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All files that differ are written under temporary names of their own, then synced, then
 * renamed, then the directory is synced. Under the lock the temporary names are fixed:
 * what a killed run leaves is cleared away by the next one. Without it they have a random
 * number: a process's own would be another's, too, in another container.
 *
 * Writing to the disk starts right behind each write() and is waited for only when all
 * are under way, so that the device sees one batch. The dependency files are renamed
 * first: an alias must not name a module that modules.dep.bin lacks.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/label.h"
#include "base/pool.h"
#include "engine/publish.h"
#include "engine/scan.h"

#define ABANDONED_AFTER 3600 /* seconds */
#define INDEX_MODE 0644
#define ATTEMPTS 100

static void temp_name(char to[64], const struct publisher *p, enum output_id id)
{
	if (p->o->unlocked)
		snprintf(to, 64, "%s" PUBLISH_SUFFIX ".%u", output_names[id],
			p->numbers[id]);
	else
		snprintf(to, 64, "%s" PUBLISH_SUFFIX, output_names[id]);
}

static uint32_t random_number(void)
{
	struct timespec now;
	uint32_t n;

	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) == sizeof(n))
		return n;
	/* early at boot, or on an old kernel: another one will do if this is taken */
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint32_t)now.tv_nsec * 2654435761u + (uint32_t)getpid();
}

/* A file that is new, whoever else is at work. A descriptor or -errno. */
static int open_temp(struct publisher *p, enum output_id id, char name[64])
{
	int fd = -1;

	for (int i = 0; i < ATTEMPTS; i++) {
		p->numbers[id] = p->o->unlocked ? random_number() : 0;
		temp_name(name, p, id);
		fd = openat(p->o->dirfd, name,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST || !p->o->unlocked)
			break;
	}
	return fd < 0 ? neg_errno() : fd;
}

bool published_differs(int dirfd, enum output_id id, const struct buf *want)
{
	_cleanup_(closep) int fd =
		dirfd < 0 ? -1
			  : openat(dirfd, output_names[id],
				    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 || fs_same_bytes(fd, want->data, want->len) <= 0;
}

/*
 * Are these the bytes of the file on disk? One that others than root could not read, or
 * that somebody else could write, is not what we would leave there, whatever its bytes.
 */
static bool same_on_disk(int dirfd, enum output_id id, const struct stat *st,
	const struct store_head *known, const struct buf *want, struct digest digest)
{
	struct stamp stamp = stamp_of(st);

	if (!S_ISREG(st->st_mode) || (st->st_mode & 07777) != INDEX_MODE ||
		!fs_is_own(st) || (uint64_t)st->st_size != want->len)
		return false;
	if (known && known->valid_outputs && !known->outputs[id].racy &&
		stamp_eq(&known->outputs[id].stamp, &stamp))
		return digest_eq(known->outputs[id].digest, digest);
	return !published_differs(dirfd, id, want);
}

/*
 * A set-group-id directory gives a file its own group; where owners cannot be set, so be
 * it.
 */
static int own(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return neg_errno();
	if ((st.st_uid == geteuid() && st.st_gid == getegid()) ||
		fchown(fd, geteuid(), getegid()) == 0)
		return 0;
	return errno == EPERM || errno == EINVAL || errno == ENOTSUP ? 0 : neg_errno();
}

static int write_temp(struct publisher *p, enum output_id id, const struct buf *b)
{
	const struct publish_options *o = p->o;
	_cleanup_(closep) int fd = -1;
	_cleanup_(buf_done) struct buf path = {0};
	char temp[64];
	int r;

	fd = open_temp(p, id, temp);
	if (fd < 0)
		return fd;
	r = fs_write_all(fd, b->data, b->len);
	if (r == 0 && o->sync)
		/* a start only: fdatasync waits */
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	if (r == 0)
		r = own(fd);
	if (r == 0 && fchmod(fd, INDEX_MODE) < 0)
		r = neg_errno();
	if (o->path)
		buf_printf(&path, "%s/%s", o->path, output_names[id]);
	if (r == 0)
		r = label_copy(fd, o->dirfd, output_names[id], path.data);
	if (r < 0) {
		unlinkat(o->dirfd, temp, 0);
		return r;
	}
	p->fds[id] = TAKE_FD(fd);
	return 0;
}

struct syncing {
	const int *fds;
	_Atomic unsigned next;
	int err[OUT_MAX];
};

static void sync_worker(void *arg, unsigned i)
{
	struct syncing *s = arg;
	unsigned at;

	(void)i;
	while ((at = atomic_fetch_add(&s->next, 1)) < OUT_MAX)
		if (s->fds[at] >= 0 && fdatasync(s->fds[at]) < 0)
			s->err[at] = neg_errno();
}

/*
 * All at once, so that a slow device flushes its cache once or twice, not once for each
 * file.
 */
static int sync_and_close(struct publisher *p)
{
	struct syncing s = {.fds = p->fds};
	int r = 0;

	if (p->o->sync) {
		pool_run(p->pub.n_written, sync_worker, &s);
		p->pub.device_flushes += p->pub.n_written;
	}
	for (unsigned i = 0; i < OUT_MAX; i++) {
		struct stat st;

		if (p->fds[i] < 0)
			continue;
		if (fstat(p->fds[i], &st) == 0)
			p->stamps[i] = stamp_of(&st);
		if (close(p->fds[i]) < 0 && s.err[i] == 0 && errno != EINTR)
			s.err[i] = neg_errno();
		p->fds[i] = -1;
		if (s.err[i] < 0 && r == 0) {
			r = s.err[i];
			p->pub.failed = i;
		}
	}
	return r;
}

static int rename_all(struct publisher *p)
{
	const struct publish_options *o = p->o;
	char temp[64];

	for (unsigned i = 0; i < OUT_MAX; i++) {
		if (!p->pub.written[i])
			continue;
		temp_name(temp, p, i);
		if (renameat(o->dirfd, temp, o->dirfd, output_names[i]) < 0) {
			p->pub.failed = i;
			return neg_errno();
		}
		p->pub.n_replaced++;
	}
	if (o->sync && p->pub.n_written) {
		p->pub.device_flushes++;
		/* some file systems have no such thing as a directory on disk */
		if (fsync(o->dirfd) < 0 && errno != EINVAL && errno != ENOTSUP &&
			errno != EROFS)
			return neg_errno();
	}
	return 0;
}

/*
 * Tools compare module files with modules.dep by time: it must not be older than any,
 * even where its bytes do not change. *ret_aged: it was.
 */
static int age_dep(int dirfd, int64_t newest_module, bool *ret_aged)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
	struct timespec now;
	struct stat st;

	if (fstatat(dirfd, output_names[OUT_DEP], &st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	*ret_aged = timespec_ns(st.st_mtim) < newest_module;
	if (!*ret_aged)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	if (timespec_ns(now) < newest_module) {
		t[1].tv_sec = newest_module / 1000000000;
		t[1].tv_nsec = newest_module % 1000000000;
	}
	if (utimensat(dirfd, output_names[OUT_DEP], t, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	return 0;
}

int publish_age(int dirfd, int64_t newest_module, struct store_output *dep)
{
	bool aged = false;
	struct stat st;
	int r = age_dep(dirfd, newest_module, &aged);

	if (r < 0 || !aged)
		return r;
	if (fstatat(dirfd, output_names[OUT_DEP], &st, AT_SYMLINK_NOFOLLOW) < 0)
		return neg_errno();
	dep->stamp = stamp_of(&st);
	/* what was written in between has the new time, too: its bytes decide */
	dep->racy = true;
	return 0;
}

/* A rename gives a file another ctime, and what made it younger another mtime, too. */
static bool is_as_left(
	const struct stamp *now, const struct stamp *ours, bool renamed, bool aged)
{
	return now->ino == ours->ino && now->size == ours->size &&
	       (now->mtime == ours->mtime || aged) &&
	       (now->ctime == ours->ctime || renamed || aged);
}

/*
 * Remember each index as we left it. Somebody may have replaced one since, depmod itself
 * say: then no stamp is kept, and the next run looks at its bytes.
 */
static void take_stamps(const struct publisher *p, struct published *pub, bool dep_aged)
{
	bool trusted = fs_stats_trusted(p->o->dirfd);
	int64_t now = scan_racy_limit();

	for (unsigned i = 0; i < OUT_MAX; i++) {
		struct store_output *o = &pub->outputs[i];
		struct stat st;

		o->digest = p->digests[i];
		if (fstatat(p->o->dirfd, output_names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		o->stamp = stamp_of(&st);
		if (!is_as_left(&o->stamp, &p->stamps[i], pub->written[i],
			    i == OUT_DEP && dep_aged))
			o->stamp = (struct stamp){0};
	}
	for (unsigned i = 0; i < OUT_MAX; i++)
		pub->outputs[i].racy = !trusted ||
				       stamp_racy(&pub->outputs[i].stamp, now) ||
				       (i == OUT_DEP && dep_aged); /* see publish_age() */
}

static void remove_temps(const struct publisher *p)
{
	char temp[64];

	for (unsigned i = 0; i < OUT_MAX; i++) {
		temp_name(temp, p, i);
		if (p->pub.written[i])
			unlinkat(p->o->dirfd, temp, 0);
	}
}

void publish_begin(const struct publish_options *o, struct publisher *ret)
{
	*ret = (struct publisher){.o = o, .pub = {.failed = OUT_MAX}};
	for (unsigned i = 0; i < OUT_MAX; i++)
		ret->fds[i] = -1;
}

int publish_take(void *publisher, enum output_id id, const struct buf *data)
{
	struct publisher *p = publisher;
	struct stat st;
	int r;

	p->digests[id] = digest_bytes(data->data, data->len);
	r = fstatat(p->o->dirfd, output_names[id], &st, AT_SYMLINK_NOFOLLOW);
	if (r == 0 &&
		same_on_disk(p->o->dirfd, id, &st, p->o->known, data, p->digests[id])) {
		p->stamps[id] = stamp_of(&st);
		return 0;
	}
	/* found now, while all old files are in place */
	r = r == 0 && S_ISDIR(st.st_mode) ? -EISDIR : write_temp(p, id, data);
	p->pub.written[id] = r == 0;
	p->failed[id] = r < 0;
	return r;
}

void publish_abort(struct publisher *p)
{
	for (unsigned i = OUT_MAX; i-- > 0;) {
		closep(&p->fds[i]);
		p->fds[i] = -1;
		if (p->failed[i])
			p->pub.failed = i;
	}
	remove_temps(p);
}

int publish_commit(struct publisher *p, struct published *ret)
{
	bool dep_aged = false;
	int r;

	for (unsigned i = 0; i < OUT_MAX; i++)
		p->pub.n_written += p->pub.written[i];
	r = sync_and_close(p);
	if (r == 0)
		r = rename_all(p);
	if (r < 0)
		publish_abort(p);
	if (r == 0)
		r = age_dep(p->o->dirfd, p->o->newest_module, &dep_aged);
	if (r == 0)
		take_stamps(p, &p->pub, dep_aged);
	*ret = p->pub;
	return r;
}

bool published_intact(int dirfd, const struct store_head *known)
{
	if (!known->valid_outputs)
		return false;
	for (unsigned i = 0; i < OUT_MAX; i++) {
		const struct store_output *k = &known->outputs[i];
		_cleanup_(closep) int fd = -1;
		struct digest digest;
		struct stamp stamp;
		struct stat st;

		if (fstatat(dirfd, output_names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			return false;
		stamp = stamp_of(&st);
		if (!S_ISREG(st.st_mode) || !stamp_eq(&stamp, &k->stamp))
			return false;
		if (!k->racy)
			continue;
		fd = openat(dirfd, output_names[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || digest_file(fd, &digest) < 0 ||
			!digest_eq(digest, k->digest))
			return false;
	}
	return true;
}

/* Names with a number belong to runs without the lock, which may be at work now. */
static bool is_abandoned(int dirfd, const char *name)
{
	struct stat st;

	return str_ends(name, strlen(name), PUBLISH_SUFFIX) ||
	       (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		       st.st_mtim.tv_sec < time(NULL) - ABANDONED_AFTER);
}

void publish_clean(int dirfd)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		closep(&copy);
		return;
	}
	while ((e = readdir(d)))
		if (str_starts(e->d_name, "modules.") &&
			strstr(e->d_name, PUBLISH_SUFFIX) &&
			is_abandoned(dirfd, e->d_name))
			unlinkat(dirfd, e->d_name, 0);
	closedir(d);
}

int publish_remove(int dirfd)
{
	int n = 0;

	publish_clean(dirfd);
	for (unsigned i = 0; i < OUT_MAX; i++) {
		if (unlinkat(dirfd, output_names[i], 0) == 0)
			n++;
		else if (errno != ENOENT)
			return neg_errno();
	}
	return n;
}
