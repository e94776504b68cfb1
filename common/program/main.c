// SPDX-License-Identifier: GPL-2.0-or-later
/* One program, two command lines: its own, and depmod's when it is called so. */

#include <malloc.h>

#include "base/std.h"
#include "program/depmod.h"
#include "program/keep.h"
#include "program/session.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * Large blocks come from the heap and stay there when they are freed: the next one then
 * needs no fresh pages, whose faults would cost as much as the work in them.
 */
static void keep_pages(void)
{
#ifdef M_MMAP_THRESHOLD /* glibc */
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	mallopt(M_TOP_PAD, 1 << 20);
	mallopt(M_ARENA_MAX, 1); /* what one thread freed serves the others */
#endif
}

int main(int argc, char **argv)
{
	struct options o;
	int status;

	if (!std_take())
		return EXIT_ERROR;
	keep_pages();
	if (argc > 0 && str_eq(base_name(argv[0]), "depmod"))
		return depmod_main(argc, argv);
	if (argc > 1 && str_eq(argv[1], "--as-depmod"))
		return depmod_main(argc - 1, argv + 1);
	if (!options_parse(&o, argc, argv, &status))
		return status;
	status = o.keep ? keep_run(&o) : session_run(&o);
	options_done(&o);
	return status;
}
