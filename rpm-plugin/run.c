// SPDX-License-Identifier: GPL-2.0-or-later

/*
 * The input is handed over as a file in memory, not as a pipe: a child that dies early
 * can then neither block us nor send a SIGPIPE to a process that is not ours to change.
 *
 * Both outputs come back through one pipe. Its end of file is the sign that the child is
 * done, and the child's status is there a moment later; it is asked for without blocking,
 * so that a child which closes its outputs and stays cannot hold the transaction either.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rpm-plugin/run.h"

#define FIRST_OWN_FD 3

#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 34)
#define HAVE_ADDCLOSEFROM 1
#endif
#endif

extern char **environ;

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The host may have closed its standard descriptors: keep ours away from their numbers.
 */
static int move_up(int *fd)
{
	int moved;

	if (*fd >= FIRST_OWN_FD)
		return 0;
	moved = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_OWN_FD);
	if (moved < 0)
		return -errno;
	close(*fd);
	*fd = moved;
	return 0;
}

static int make_input(const char *input, size_t len, int *ret_fd)
{
	int fd = memfd_create("kmp-depmod-input", MFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	while (len > 0) {
		ssize_t n = write(fd, input, len);

		if (n < 0)
			goto fail;
		input += n;
		len -= n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		goto fail;
	r = move_up(&fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
fail:
	r = -errno;
	close(fd);
	return r;
}

static int make_pipe(int ret[2])
{
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r = move_up(&fds[0]);
	if (r == 0)
		r = move_up(&fds[1]);
	if (r == 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r < 0) {
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	memcpy(ret, fds, sizeof(fds));
	return 0;
}

static int close_others(posix_spawn_file_actions_t *actions)
{
#ifdef HAVE_ADDCLOSEFROM
	return posix_spawn_file_actions_addclosefrom_np(actions, FIRST_OWN_FD);
#else
	struct rlimit limit;
	int r = 0;

	/* To close a descriptor that another thread has closed meanwhile is no error. */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return errno;
	for (int fd = FIRST_OWN_FD; r == 0 && fd < 65536 && (rlim_t)fd < limit.rlim_cur;
		fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			r = posix_spawn_file_actions_addclose(actions, fd);
	return r;
#endif
}

static int set_files(posix_spawn_file_actions_t *actions, int in_fd, int out_fd)
{
	int r = posix_spawn_file_actions_adddup2(actions, in_fd, STDIN_FILENO);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, out_fd, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, out_fd, STDERR_FILENO);
	return r == 0 ? close_others(actions) : r;
}

static int set_signals(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK |
							   POSIX_SPAWN_SETSIGDEF |
							   POSIX_SPAWN_SETPGROUP);
	return r;
}

static int spawn(char *const argv[], int in_fd, int out_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		r = set_files(&actions, in_fd, out_fd);
		if (r == 0)
			r = set_signals(&attr);
		if (r == 0)
			r = posix_spawn(ret_pid, argv[0], &actions, &attr, argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* Keeps the end: there the cause of a failure is. */
static void keep(struct run *run, const char *bytes, size_t n)
{
	size_t max = sizeof(run->output) - 1;

	if (n > max) {
		bytes += n - max;
		n = max;
	}
	if (run->len + n > max) {
		size_t drop = run->len + n - max;

		memmove(run->output, run->output + drop, run->len - drop);
		run->len -= drop;
	}
	memcpy(run->output + run->len, bytes, n);
	run->len += n;
	run->output[run->len] = '\0';
}

/* Reads until nobody holds the other end. False when the time is over. */
static bool drain(int fd, int64_t deadline, struct run *run)
{
	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		int64_t left = (deadline - now_ns() + 999999) / 1000000;
		char buf[4096];
		ssize_t n;

		if (left <= 0)
			return false;
		if (poll(&pfd, 1, left > 3600000 ? 3600000 : (int)left) <= 0)
			continue;
		n = read(fd, buf, sizeof(buf));
		if (n > 0)
			keep(run, buf, n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return true;
	}
}

/* Returns the pid, 0 when the time is over, or -1 if there is no such child (any more).
 */
static pid_t reap(pid_t pid, int64_t deadline, int *ret_status)
{
	long pause_ns = 100000;

	for (;;) {
		pid_t r = waitpid(pid, ret_status, WNOHANG);

		if (r == pid || (r < 0 && errno != EINTR))
			return r;
		if (now_ns() >= deadline)
			return 0;
		nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
		if (pause_ns < 20000000)
			pause_ns *= 2;
	}
}

static int outcome(pid_t reaped, int status, struct run *run)
{
	if (reaped < 0)
		return RUN_UNKNOWN;
	if (WIFSIGNALED(status)) {
		run->status = WTERMSIG(status);
		return RUN_KILLED;
	}
	run->status = WEXITSTATUS(status);
	return run->status == 0 ? 0 : RUN_FAILED;
}

static int watch(pid_t pid, int out_fd, int64_t deadline, struct run *run)
{
	int status = 0;
	pid_t reaped = 0;

	if (drain(out_fd, deadline, run))
		reaped = reap(pid, deadline, &status);
	if (reaped != 0)
		return outcome(reaped, status, run);
	kill(-pid, SIGKILL);
	/* One that hangs in the kernel does not even die of this. */
	reap(pid, now_ns() + INT64_C(1000000000), &status);
	return RUN_TIMEOUT;
}

int run_program(char *const argv[], const void *input, size_t len, unsigned timeout,
	struct run *ret)
{
	int64_t start = now_ns(), deadline = start + timeout * INT64_C(1000000000);
	int in_fd = -1, out_fds[2] = {-1, -1}, r;
	pid_t pid;

	*ret = (struct run){};
	r = make_input(input, len, &in_fd);
	if (r == 0)
		r = make_pipe(out_fds);
	if (r == 0)
		r = spawn(argv, in_fd, out_fds[1], &pid);
	close_fd(&in_fd);
	close_fd(&out_fds[1]);
	if (r == 0)
		r = watch(pid, out_fds[0], deadline, ret);
	close_fd(&out_fds[0]);
	ret->seconds = (double)(now_ns() - start) / 1e9;
	return r;
}
