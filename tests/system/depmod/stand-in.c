/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for kmp-depmod and for kmod: says how it was called, then does what the
 * environment variable KMP_STAND_IN says (kmod: KMOD_STAND_IN).
 *
 *	exit N		end with this status; what asks for the version gets 0
 *	signal N	print half a line, then die by it
 *	wait FILE	make FILE, then wait to be killed
 *	copy		standard input to standard output
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(int argc, char **argv)
{
	printf("%s", WHO);
	for (int i = 0; i < argc; i++)
		printf(" [%s]", argv[i]);
	printf("\n");
	fprintf(stderr, "%s's message\n", WHO);
	if (getenv("SHOW_CHILDREN"))
		printf("children: %s\n",
			waitpid(-1, NULL, WNOHANG) < 0 ? "none" : "some");
	if (getenv("SHOW_DESCRIPTORS"))
		for (int fd = 3; fd < 64; fd++)
			if (fcntl(fd, F_GETFD) >= 0)
				printf("descriptor: %d\n", fd);
	if (getenv("SHOW_CLOSED"))
		for (int fd = 0; fd < 3; fd++)
			if (fcntl(fd, F_GETFD) < 0)
				printf("closed: %d\n", fd);
	if (getenv("SHOW_SIGNALS")) {
		sigset_t mask;

		sigprocmask(SIG_BLOCK, NULL, &mask);
		for (int i = 1; i < 32; i++)
			if (sigismember(&mask, i) == 1)
				printf("blocked: %d\n", i);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *what = getenv(WHAT) ?: "exit 0";
	char buffer[4096];
	ssize_t n;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return 0;
	show(argc, argv);
	if (strncmp(what, "exit ", 5) == 0)
		return atoi(what + 5);
	if (strncmp(what, "signal ", 7) == 0) {
		printf("half a li");
		fflush(stdout);
		signal(atoi(what + 7), SIG_DFL);
		raise(atoi(what + 7));
	}
	if (strncmp(what, "wait ", 5) == 0) {
		close(open(what + 5, O_CREAT | O_WRONLY, 0644));
		for (;;)
			pause();
	}
	while ((n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0)
		if (write(STDOUT_FILENO, buffer, (size_t)n) != n)
			return 1;
	return 0;
}
