// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * depmod-launcher.c: depmod for scriptlets: kmp-depmod, or kmod's own if that is broken.
 *
 * Packages call depmod in the middle of a transaction, when the program may be half
 * replaced, or its libraries may be of another version than it was built for. Such a call
 * must still do depmod's work. So this stands in front, needs nothing but libc, and is
 * the parent of the program, since a crash is seen only by the parent.
 *
 * Broken means: it cannot be executed, it dies from a fault (or is killed, as it is when
 * memory is short), or it cannot be loaded. The dynamic loader says the last with status
 * 127, but with 1 if a library is there and lacks a version of a symbol; 1 is also
 * depmod's status for any failure. The two are told apart by asking for the program's
 * version, which only a program that can be loaded can tell. That costs nothing where
 * nothing failed.
 *
 * What the program writes to standard output (-n prints all indexes, -v every module) is
 * held back in memory until it has ended. If it crashes in the middle, kmod's depmod
 * starts with a clean page; a reader never gets one half from each. Messages are not held
 * back: their reader wants them at once, and to read one twice does no harm. Neither do
 * index files, which are renamed into place whole.
 *
 * A signal that asks the launcher to end is handed on to the program. If that ends by it,
 * the launcher does too, and nothing else is started.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/std.h"

#define PROGRAM SBINDIR "/kmp-depmod"
#define NAME "depmod"

static const char *const kmod[] = {
	"/usr/bin/kmod", "/bin/kmod", "/usr/sbin/kmod", "/sbin/kmod"};

/* How a run of the program ended. */
struct result {
	int error;  /* it could not be started: errno, else 0 */
	int status; /* as waitpid tells */
};

/* Never returns. The program's own messages have said why, if it could speak. */
static void run_kmod(char **argv, const char *why)
{
	int error = ENOENT;

	fprintf(stderr,
		NAME ": WARNING: '" PROGRAM "' does not work: %s; using kmod's depmod\n",
		why);
	for (size_t i = 0; i < sizeof(kmod) / sizeof(*kmod); i++) {
		execv(kmod[i], argv);
		if (errno != ENOENT)
			error = errno;
	}
	fprintf(stderr, NAME ": FATAL: cannot run kmod either: %s\n", strerror(error));
	exit(EXIT_FAILURE);
}

/* Wait for the child, and hand on to it each signal of the set, which is blocked here. */
static int wait_for(pid_t child, const sigset_t *set)
{
	int status, signo;
	pid_t pid;

	for (;;) {
		pid = waitpid(child, &status, WNOHANG);
		if (pid == child)
			return status;
		signo = sigwaitinfo(set, NULL);
		if (signo > 0 && signo != SIGCHLD)
			kill(child, signo);
	}
}

/*
 * Run the program with this standard output (-1: our own), and standard error too if
 * it is not to be heard. The child has the signal mask that we were given.
 */
static struct result run(char **argv, int output, bool quiet)
{
	static const int handed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD};
	struct result result = {0};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t set, mask;
	pid_t child;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(handed_on) / sizeof(*handed_on); i++)
		sigaddset(&set, handed_on[i]);
	sigprocmask(SIG_BLOCK, &set, &mask);

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &mask);
	if (output >= 0)
		result.error =
			posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (!result.error && quiet)
		result.error =
			posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
	if (!result.error)
		result.error = posix_spawn(
			&child, PROGRAM, &actions, &attributes, argv, environ);
	if (!result.error)
		result.status = wait_for(child, &set);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return result;
}

static bool is_crash(int signo)
{
	switch (signo) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGABRT:
	case SIGSYS:
	case SIGTRAP:
	case SIGKILL:
		return true;
	default:
		return false;
	}
}

/* Whether the program can be loaded at all. */
static bool can_be_loaded(void)
{
	char *argv[] = {(char *)NAME, (char *)"--version", NULL};
	int nowhere = memfd_create(NAME, MFD_CLOEXEC);
	struct result result;

	if (nowhere < 0)
		return true;
	result = run(argv, nowhere, true);
	close(nowhere);
	return !result.error && WIFEXITED(result.status) &&
	       WEXITSTATUS(result.status) == 0;
}

/* NULL if the program did its work, well or not; else what is wrong with it. */
static const char *what_is_wrong(const struct result *result)
{
	if (result->error)
		return strerror(result->error);
	if (WIFSIGNALED(result->status))
		return is_crash(WTERMSIG(result->status))
			       ? strsignal(WTERMSIG(result->status))
			       : NULL;
	switch (WEXITSTATUS(result->status)) {
	case 126:
	case 127:
		return "it cannot be loaded";
	case EXIT_FAILURE:
		return can_be_loaded() ? NULL : "it cannot be loaded";
	default:
		return NULL;
	}
}

/* 0 or -1 with errno. */
static int write_all(const char *data, size_t len)
{
	struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};

	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno == EAGAIN)
			poll(&ready, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -1;
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* What was held back. 0 or -1 with errno. */
static int let_go(int held)
{
	struct stat st;
	void *data;

	if (fstat(held, &st) < 0)
		return -1;
	if (st.st_size == 0)
		return 0;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, held, 0);
	if (data == MAP_FAILED)
		return -1;
	return write_all(data, (size_t)st.st_size);
}

/* End as the program did. */
static int end_as(int status)
{
	const struct rlimit no_core = {0};

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	/* a core, if any, was the program's */
	setrlimit(RLIMIT_CORE, &no_core);
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

static bool is_depmod(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, NAME) == 0;
}

int main(int argc, char **argv)
{
	static char *no_arguments[] = {(char *)NAME, NULL};
	struct result result;
	const char *wrong;
	bool closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
	int held;

	/* both kmp-depmod and kmod are depmod by that name */
	if (argc < 1)
		argv = no_arguments;
	if (!is_depmod(argv[0]))
		argv[0] = no_arguments[0];
	/* who ignores the end of his children does not learn how they ended */
	signal(SIGCHLD, SIG_DFL);

	/*
	 * neither what is held back nor what kmod's depmod writes is a place for messages
	 */
	if (!std_take())
		return EXIT_FAILURE;
	/* with standard output closed there is nothing to hold back */
	held = closed ? -1 : memfd_create(NAME, MFD_CLOEXEC);
	result = run(argv, held, false);
	wrong = what_is_wrong(&result);
	if (wrong)
		run_kmod(argv, wrong);
	if (held >= 0 && let_go(held) < 0) {
		fprintf(stderr, NAME ": ERROR: standard output: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	return end_as(result.status);
}
