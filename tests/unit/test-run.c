// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rpm-plugin/run.h"

static int sh(const char *script, const char *input, unsigned timeout, struct run *run)
{
	char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};

	return run_program(argv, input, input ? strlen(input) : 0, timeout, run);
}

static bool is_dead(pid_t pid)
{
	char path[32], state = 'Z';
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = fopen(path, "re");
	if (stat) {
		if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
			state = '?';
		fclose(stat);
	}
	return state == 'Z' || state == 'X';
}

static void input_and_outputs(void **state)
{
	struct run run;

	(void)state;
	assert_int_equal(sh("cat; echo error >&2", "in\n", 10, &run), 0);
	assert_string_equal(run.output, "in\nerror\n");
	assert_int_equal(sh("cat", NULL, 10, &run), 0);
	assert_string_equal(run.output, "");
}

static void outcomes(void **state)
{
	char *nothing[] = {"/nonexistent", NULL};
	struct run run;

	(void)state;
	assert_int_equal(sh("exit 75", NULL, 10, &run), RUN_FAILED);
	assert_int_equal(run.status, 75);
	assert_int_equal(sh("kill -SEGV $$", NULL, 10, &run), RUN_KILLED);
	assert_int_equal(run.status, SIGSEGV);
	assert_int_equal(run_program(nothing, NULL, 0, 10, &run), -ENOENT);
}

static void gives_up(void **state)
{
	static const char *const hang[] = {
		"exec sleep 60",
		"exec sleep 60 >/dev/null 2>&1",
		"sleep 60 & exit 0",
		"trap '' TERM; sleep 60 & wait",
		"while :; do echo again; done",
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < sizeof(hang) / sizeof(hang[0]); i++) {
		assert_int_equal(sh(hang[i], "unread", 1, &run), RUN_TIMEOUT);
		assert_true(run.seconds >= 1 && run.seconds < 30);
	}
}

static void early_death_with_much_input(void **state)
{
	size_t len = 8 << 20;
	char *argv[] = {"/bin/true", NULL}, *input = calloc(1, len);
	struct run run;

	(void)state;
	assert_int_equal(run_program(argv, input, len, 10, &run), 0);
	free(input);
}

static void keeps_the_end_of_much_output(void **state)
{
	struct run run;

	(void)state;
	assert_int_equal(sh("i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); "
			    "done; echo last",
				 NULL, 20, &run),
		0);
	assert_int_equal(run.len, sizeof(run.output) - 1);
	assert_string_equal(run.output + run.len - 5, "last\n");
}

static void leaves_nobody_behind(void **state)
{
	char *rest;
	struct run run;
	pid_t pid;

	(void)state;
	assert_int_equal(
		sh("echo $$; sleep 60 & echo $!; wait", NULL, 1, &run), RUN_TIMEOUT);
	pid = (pid_t)strtol(run.output, &rest, 10);
	assert_true(pid > 1);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	/* Its child is init's now, and a zombie at most. */
	pid = (pid_t)strtol(rest, NULL, 10);
	assert_true(pid > 1);
	for (int i = 0; i < 100 && !is_dead(pid); i++)
		usleep(10000);
	assert_true(is_dead(pid));
}

/* A host that blocks and ignores signals, leaks descriptors and has none of the usual
 * three. */
static void a_host_of_bad_manners(void **state)
{
	/* the shell lists the directory with one descriptor more, the fourth */
	const char *script = "for fd in /proc/$$/fd/*; do printf '%s ' ${fd##*/}; done;"
			     "exec grep -E '^Sig(Blk|Ign)' /proc/self/status";
	unsigned long long blocked = ~0ULL, ignored = ~0ULL;
	const unsigned long long libc_own = 3ULL
					    << 31; /* 32 and 33: no program's business */
	struct run run;
	sigset_t all, old;
	int leaks[20], r, saved[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
		close(i);
	}
	for (int i = 0; i < 20; i++)
		leaks[i] = fcntl(saved[1], F_DUPFD, 50);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	r = sh(script, NULL, 10, &run);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	for (int i = 0; i < 20; i++)
		close(leaks[i]);
	for (int i = 0; i < 3; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	assert_int_equal(r, 0);
	assert_int_equal(sscanf(run.output, "0 1 2 3 SigBlk: %llx SigIgn: %llx", &blocked,
				 &ignored),
		2);
	assert_int_equal(blocked & ~libc_own, 0);
	assert_int_equal(ignored & ~libc_own, 0);
}

static void a_host_that_takes_the_status(void **state)
{
	struct run run;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	assert_int_equal(sh("exit 1", NULL, 10, &run), RUN_UNKNOWN);
	signal(SIGCHLD, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(input_and_outputs),
		cmocka_unit_test(outcomes),
		cmocka_unit_test(gives_up),
		cmocka_unit_test(leaves_nobody_behind),
		cmocka_unit_test(early_death_with_much_input),
		cmocka_unit_test(keeps_the_end_of_much_output),
		cmocka_unit_test(a_host_of_bad_manners),
		cmocka_unit_test(a_host_that_takes_the_status),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
