// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the benches measure with, since an interpreter is too large for it: a child begins
 * with the peak memory of whoever started it, and a script's own loop is slower than the
 * work that is to be a floor.
 *
 *   measure run COMMAND...         run it, its output thrown away; prints nanoseconds, the
 *                                  peak of its memory in KiB, and its exit status
 *   measure stat DIR THREADS       stat each module file below DIR, and nothing else;
 *                                  prints nanoseconds
 *   measure decompress DIR THREADS read and decompress each module file below DIR, and
 *                                  nothing else; prints nanoseconds
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libdeflate.h>
#include <lzma.h>
#include <zstd.h>

#define OUT_MAX ((size_t)512 << 20)
#define THREADS_MAX 64

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- a command --- */

static int run(char **command)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
	int64_t start = now_ns();
	struct rusage usage;
	pid_t pid = vfork();

	if (pid < 0)
		err(1, "vfork");
	if (pid == 0) {
		dup2(null, STDOUT_FILENO);
		execvp(command[0], command);
		_exit(127);
	}
	if (wait4(pid, &status, 0, &usage) < 0)
		err(1, "wait4");
	printf("%lld %ld %d\n", (long long)(now_ns() - start), usage.ru_maxrss,
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}

/* --- the files of a tree, in the order of a walk: those of a directory together --- */

static struct {
	char **paths;
	size_t n;
	_Atomic size_t taken;
} files;

static int add_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	if (type != FTW_F || !strstr(path + ftw->base, ".ko"))
		return 0;
	if (files.n % 1024 == 0)
		files.paths =
			realloc(files.paths, (files.n + 1024) * sizeof(*files.paths));
	if (!files.paths || !(files.paths[files.n++] = strdup(path)))
		err(1, "memory");
	return 0;
}

static int64_t over_threads(const char *dir, unsigned n, void *(*work)(void *))
{
	pthread_t threads[THREADS_MAX];
	int64_t start;

	if (nftw(dir, add_file, 32, FTW_PHYS) != 0 || !files.n)
		errx(1, "%s: no module files", dir);
	if (n < 1 || n > THREADS_MAX)
		errx(2, "threads: 1 to %d", THREADS_MAX);
	start = now_ns();
	for (unsigned i = 1; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			errx(1, "pthread_create");
	work(NULL);
	for (unsigned i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	return now_ns() - start;
}

/* --- stat: as few system calls as there can be, one a file and two a directory --- */

static void *stat_files(void *arg)
{
	size_t at, dir_len = 0;
	const char *dir = "";
	int fd = -1;

	(void)arg;
	while ((at = atomic_fetch_add(&files.taken, 64)) < files.n)
		for (size_t end = at + 64; at < end && at < files.n; at++) {
			const char *path = files.paths[at], *slash = strrchr(path, '/');
			struct stat st;

			if ((size_t)(slash - path) != dir_len ||
				memcmp(path, dir, dir_len) != 0) {
				char name[4096];

				dir = path;
				dir_len = (size_t)(slash - path);
				if (fd >= 0)
					close(fd);
				snprintf(name, sizeof(name), "%.*s", (int)dir_len, dir);
				fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			}
			if (fstatat(fd, slash + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
				err(1, "%s", path);
		}
	return NULL;
}

/* --- decompress: contexts and buffers are kept from file to file --- */

struct buffers {
	uint8_t *in, *out;
	size_t in_size, out_size;
	ZSTD_DCtx *zstd;
	struct libdeflate_decompressor *gzip;
	lzma_stream xz;
};

static size_t read_file(struct buffers *b, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", path);
	if ((size_t)st.st_size > b->in_size) {
		b->in_size = (size_t)st.st_size;
		b->in = realloc(b->in, b->in_size);
	}
	n = b->in ? read(fd, b->in, (size_t)st.st_size) : -1;
	if (n != st.st_size)
		err(1, "%s", path);
	close(fd);
	return (size_t)n;
}

/* 1: decompressed; 0: the output buffer is too small; -1: damaged, or not compressed */
static int try_decompress(struct buffers *b, size_t n)
{
	if (memcmp(b->in, "\x28\xb5\x2f\xfd", 4) == 0) {
		size_t r = ZSTD_decompressDCtx(b->zstd, b->out, b->out_size, b->in, n);

		return !ZSTD_isError(r) ? 1 : 0;
	}
	if (memcmp(b->in, "\x1f\x8b", 2) == 0) {
		enum libdeflate_result r = libdeflate_gzip_decompress(
			b->gzip, b->in, n, b->out, b->out_size, &(size_t){0});

		return r == LIBDEFLATE_SUCCESS              ? 1
		       : r == LIBDEFLATE_INSUFFICIENT_SPACE ? 0
							    : -1;
	}
	if (memcmp(b->in,
		    "\xfd"
		    "7zXZ",
		    6) == 0) {
		lzma_ret r = lzma_stream_decoder(&b->xz, UINT64_MAX, LZMA_CONCATENATED);

		b->xz.next_in = b->in;
		b->xz.avail_in = n;
		b->xz.next_out = b->out;
		b->xz.avail_out = b->out_size;
		if (r == LZMA_OK)
			r = lzma_code(&b->xz, LZMA_FINISH);
		return r == LZMA_STREAM_END                  ? 1
		       : r == LZMA_OK || r == LZMA_BUF_ERROR ? 0
							     : -1;
	}
	return -1;
}

static void *decompress_files(void *arg)
{
	struct buffers b = {.out_size = (size_t)4 << 20,
		.zstd = ZSTD_createDCtx(),
		.gzip = libdeflate_alloc_decompressor(),
		.xz = LZMA_STREAM_INIT};
	size_t at;

	(void)arg;
	b.out = malloc(b.out_size);
	while ((at = atomic_fetch_add(&files.taken, 1)) < files.n) {
		size_t n = read_file(&b, files.paths[at]);
		int r;

		while ((r = n >= 6 ? try_decompress(&b, n) : -1) == 0 &&
			b.out_size < OUT_MAX) {
			b.out_size *= 2;
			b.out = realloc(b.out, b.out_size);
			if (!b.out)
				err(1, "memory");
		}
		if (r != 1)
			errx(1, "%s: cannot be decompressed", files.paths[at]);
	}
	free(b.in);
	free(b.out);
	ZSTD_freeDCtx(b.zstd);
	libdeflate_free_decompressor(b.gzip);
	lzma_end(&b.xz);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "run") == 0)
		return run(argv + 2);
	if (argc == 4 && strcmp(argv[1], "stat") == 0)
		printf("%lld\n", (long long)over_threads(
					 argv[2], (unsigned)atoi(argv[3]), stat_files));
	else if (argc == 4 && strcmp(argv[1], "decompress") == 0)
		printf("%lld\n", (long long)over_threads(argv[2], (unsigned)atoi(argv[3]),
					 decompress_files));
	else
		errx(2, "usage: measure run COMMAND... | stat DIR THREADS | decompress "
			"DIR THREADS");
	return 0;
}
