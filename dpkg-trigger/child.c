// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "dpkg-trigger/child.h"

#define OUTPUT_MAX ((size_t)256 << 20)

static int spawn(char *const argv[], int out, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	if (out >= 0)
		r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn(ret, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return neg_errno();
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int child_run(char *const argv[], struct buf *output)
{
	int ends[2] = {-1, -1}, r, status;
	pid_t pid;

	if (output && pipe2(ends, O_CLOEXEC) < 0)
		return neg_errno();
	r = spawn(argv, ends[1], &pid);
	closep(&ends[1]);
	if (r < 0) {
		closep(&ends[0]);
		return r;
	}
	if (output)
		r = fs_read_all(ends[0], OUTPUT_MAX, output);
	closep(&ends[0]);
	status = reap(pid);
	return r < 0 ? r : status;
}
