// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * updates ROOT N: N updates of the kernel 6.1.0-test below ROOT in one process, between
 * which a module is now and then exchanged for another of ROOT/states/. Prints what is in
 * use after some of them and after all: "descriptors BEFORE AFTER", "bytes BEFORE AFTER",
 * and the outcomes.
 */

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/stat.h>

#include "engine/update.h"

#define KVER "6.1.0-test"
#define STATES 6
#define WARM_UP 200

static const char *const states[STATES] = {
	"plain", "xz", "zst", "gz", "damaged", "cycle"};

static void quiet(void *arg, const struct event *e)
{
	(void)arg;
	(void)e;
}

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static size_t bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static int exchange(const struct root *root, const char *state)
{
	char from[64];

	snprintf(from, sizeof(from), "states/%s", state);
	if (linkat(root->fd, from, root->fd, "lib/modules/" KVER "/x.new", 0) < 0 ||
		renameat(root->fd, "lib/modules/" KVER "/x.new", root->fd,
			"lib/modules/" KVER "/x.ko") < 0)
		return neg_errno();
	return 0;
}

int main(int argc, char **argv)
{
	const struct report report = {.event = quiet};
	unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0, failed = 0,
		      changed = 0;
	unsigned fds = 0;
	struct root root;
	size_t used = 0;
	int store;

	mallopt(M_ARENA_MAX, 1); /* mallinfo2() tells of one */
	if (n <= WARM_UP || root_open(&root, argv[1]) < 0)
		return 2;
	root_mkdirs(&root, "store", 0700);
	store = root_openat(&root, "store", O_RDONLY | O_DIRECTORY, 0);
	for (unsigned long i = 0; i < n; i++) {
		struct target t = {.root = &root,
			.kver = KVER,
			.dir = "lib/modules/" KVER,
			.config_root = &root,
			.jobs = 1 + (unsigned)(i % 3),
			.report = &report};
		struct update_options o = {.write = i % 7 != 6,
			.full = i % 3 == 1,
			.want_outputs = i % 11 == 10,
			.store_dir = i % 5 == 4 ? -1 : store,
			.store_name = "facts",
			.donor_dir = -1};
		struct update u;
		int r;

		if (i % 4 == 0 && exchange(&root, states[i / 4 % STATES]) < 0)
			return 2;
		r = update_run(&t, &o, &u);
		failed += r != 0;
		changed += r == 0 && u.outcome == UPDATE_CHANGED;
		if (r < 0)
			fprintf(stderr, "update %lu: %s\n", i, strerror(-r));
		update_done(&u);
		if (i == WARM_UP) {
			fds = descriptors();
			used = bytes();
		}
	}
	printf("descriptors %u %u\nbytes %zu %zu\nchanged %lu\nfailed %lu\n", fds,
		descriptors(), used, bytes(), changed, failed);
	close(store);
	root_done(&root);
	return 0;
}
