// SPDX-License-Identifier: GPL-2.0-or-later
/* One program, two command lines: its own, and depmod's when it is called so. */

#include "program/depmod.h"
#include "program/session.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
	struct options o;
	int status;

	if (argc > 0 && str_eq(base_name(argv[0]), "depmod"))
		return depmod_main(argc, argv);
	if (argc > 1 && str_eq(argv[1], "--as-depmod"))
		return depmod_main(argc - 1, argv + 1);
	if (!options_parse(&o, argc, argv, &status))
		return status;
	status = session_run(&o);
	options_done(&o);
	return status;
}
