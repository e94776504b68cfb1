// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: fuzz-TARGET [FILE | DIRECTORY]...
 *
 * Gives a target the inputs that were kept, one after another, where no fuzzer is linked.
 * The name of each is printed before it is tried, so that the last one is to blame.
 */

#include <dirent.h>
#include <fcntl.h>

#include "base/fs.h"
#include "fuzz.h"

#define INPUT_MAX ((size_t)64 << 20)

static unsigned replayed;

static void replay_file(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(buf_done) struct buf b = {0};
	void *data;

	printf("%s\n", path);
	fflush(stdout);
	PROMISE(fd >= 0 && fs_read_all(fd, INPUT_MAX, &b) == 0);
	data = exact(b.data, b.len);
	LLVMFuzzerTestOneInput(data, b.len);
	free(data);
	replayed++;
}

static void replay(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d) {
		replay_file(path);
		return;
	}
	while ((e = readdir(d))) {
		_cleanup_(buf_done) struct buf name = {0};

		if (*e->d_name == '.')
			continue;
		buf_printf(&name, "%s/%s", path, e->d_name);
		PROMISE(!name.err);
		replay_file(name.data);
	}
	closedir(d);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%u replayed\n", replayed);
	return replayed == 0;
}
