// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dpkg-sync: what the trigger and the maintainer scripts run.
 *
 * A trigger tells which directories packages touched, and nothing finer. What changed is
 * found by the program's own scan of every kernel, and that is all that a quiet run does.
 * The program is spawned, not linked: whatever a module does to it stays there, and this
 * process has only to see how it ended. Packages' names come into its report afterwards.
 *
 * Each kernel is marked while the program runs. dpkg forgets that a trigger was to run as
 * soon as it runs; if that is killed, and nobody calls dpkg again, the marks make the
 * next run of the program, at boot for one, do the work. They stay, too, where the
 * program fails, since the maintainer script then tells dpkg of success: a package that
 * needs configuring would not be triggered any more.
 *
 * A kernel's directory from which the last file went is dpkg's to remove, which it could
 * not do as long as indexes lay in there. It is removed here, but not where a package
 * still lists it. Only for this, and for names in reports, is dpkg's database read.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>

#include "base/mark.h"
#include "dpkg-trigger/child.h"
#include "dpkg-trigger/dpkgdb.h"
#include "dpkg-trigger/owners.h"
#include "engine/kernels.h"

#define EXIT_USAGE 2

enum {
	OPT_ROOT = 256,
	OPT_ADMINDIR,
	OPT_PROGRAM,
	OPT_JSON,
};

static const struct option long_options[] = {
	{"dry-run", no_argument, NULL, 'n'},
	{"root", required_argument, NULL, OPT_ROOT},
	{"admindir", required_argument, NULL, OPT_ADMINDIR},
	{"program", required_argument, NULL, OPT_PROGRAM},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, 'v'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct sync {
	const char *program;
	const char *root_dir;
	char *admindir; /* owned */
	bool dry_run, verbose, json;
	struct root root;
	struct kernels kernels; /* before the run */
	struct mark *marks;     /* of each kernel */
};

static void complain(const char *what, int err)
{
	fprintf(stderr, "kmp-depmod: %s: %s\n", what, strerror(-err));
}

/* --- marks --- */

/* Without a mark, the work is done all the same. */
static void set_marks(struct sync *s)
{
	s->marks = calloc(s->kernels.n + 1, sizeof(*s->marks));
	for (size_t i = 0; s->marks && i < s->kernels.n; i++) {
		int r = mark_set(
			s->root.fd, s->kernels.list[i].kver, "dpkg", false, &s->marks[i]);

		if (r != 0) {
			s->marks[i] = MARK_NONE;
			if (r < 0 && r != -EINVAL)
				complain(s->kernels.list[i].kver, r);
		}
	}
}

static void end_marks(struct sync *s, bool done)
{
	for (size_t i = 0; s->marks && i < s->kernels.n; i++) {
		const char *kver = s->kernels.list[i].kver;
		int r;

		if (s->marks[i].fd < 0)
			continue;
		if (!done) {
			mark_leave(&s->marks[i]);
			continue;
		}
		r = mark_clear(s->root.fd, kver, &s->marks[i]);
		if (r < 0)
			complain(kver, r); /* a later run removes it */
	}
}

/* --- directories --- */

static bool is_empty(const struct root *root, const char *dir)
{
	int fd = root_openat(root, dir, O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool empty = d != NULL;

	while (empty && (e = readdir(d)))
		empty = str_eq(e->d_name, ".") || str_eq(e->d_name, "..");
	if (d)
		closedir(d);
	else
		closep(&fd);
	return empty;
}

/* dir is a real path; packages may have the other of its two names. */
static bool is_listed(const char *dir)
{
	_cleanup_(buf_done) struct buf path = {0};

	buf_printf(&path, "/usr/%s", str_starts(dir, "usr/") ? dir + 4 : dir);
	return path.err || dpkgdb_listed(path.data) || dpkgdb_listed(path.data + 4);
}

/* Remove a directory and the one it is in, each only if it is empty and nobody's. */
static void remove_directory(const struct root *root, const char *dir)
{
	_cleanup_(freep) char *path = strdup(dir);
	char *slash;

	for (int depth = 0; path && depth < 2 && !is_listed(path); depth++) {
		if (unlinkat(root->fd, path, AT_REMOVEDIR) < 0)
			return;
		slash = strrchr(path, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

static void remove_empty_directories(struct sync *s)
{
	for (size_t i = 0; i < s->kernels.n; i++) {
		const char *dir = s->kernels.list[i].dir;

		if (!is_empty(&s->root, dir))
			continue;
		/* a database that cannot be read might list it: then it stays */
		if (dpkgdb_open(s->admindir) == 0)
			remove_directory(&s->root, dir);
	}
}

/* --- the run --- */

static int run_program(const struct sync *s, struct buf *report)
{
	const char *argv[8];
	size_t n = 0;

	argv[n++] = s->program;
	argv[n++] = "--keep-directory";
	if (*s->root_dir) {
		argv[n++] = "--root";
		argv[n++] = s->root_dir;
	}
	if (s->dry_run)
		argv[n++] = "--dry-run";
	if (report)
		argv[n++] = "--json";
	argv[n] = NULL;
	return child_run((char *const *)argv, report);
}

/*
 * Where the running kernel's modules were kept over this transaction they are put back
 * first: what was remembered of them is then still of use. It tells by itself what it
 * did, or why not.
 */
static void restore_running(const struct sync *s)
{
	static const char *const kept[] = {
		"usr/lib/modules/.kmp-kept", "lib/modules/.kmp-kept"};
	const char *argv[6] = {s->program, "--keep-running", "restore"};

	if (*s->root_dir) {
		argv[3] = "--root";
		argv[4] = s->root_dir;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		struct stat st;

		if (root_stat(&s->root, kept[i], &st) == 0) {
			child_run((char *const *)argv, NULL);
			return;
		}
	}
}

static int synchronise(struct sync *s)
{
	struct owners o = {.root = &s->root,
		.admindir = s->admindir,
		.json = s->json,
		.dry_run = s->dry_run};
	bool wants_report = s->dry_run || s->verbose || s->json;
	_cleanup_(buf_done) struct buf report = {0};
	int status, r;

	if (!s->dry_run)
		restore_running(s);
	r = kernels_list(&s->root, NULL, NULL, &s->kernels);
	if (r < 0) {
		complain("the kernels cannot be listed", r);
		return EXIT_FAILURE;
	}
	if (!s->dry_run)
		set_marks(s);
	status = run_program(s, wants_report ? &report : NULL);
	end_marks(s, status == 0);
	if (status < 0) {
		complain(s->program, status);
		return EXIT_FAILURE;
	}
	if (status > 128) {
		fprintf(stderr, "kmp-depmod: '%s' died of signal %d\n", s->program,
			status - 128);
		return EXIT_FAILURE;
	}
	if (!s->dry_run && status == 0)
		remove_empty_directories(s);
	if (report.len && (r = owners_report(&o, &report)) < 0) {
		complain("the report cannot be made", r);
		return EXIT_FAILURE;
	}
	return status;
}

/* --- options --- */

static void help(void)
{
	puts("Usage: dpkg-sync [OPTION...]\n"
	     "\n"
	     "Bring the module indexes of every kernel up to date after packages "
	     "changed, and\n"
	     "say which packages did it.\n"
	     "\n"
	     "  -n, --dry-run       change nothing; say what would change\n"
	     "      --root DIR      the system below DIR (default: $DPKG_ROOT, or /)\n"
	     "      --admindir DIR  dpkg's database (default: $DPKG_ADMINDIR, or\n"
	     "                      var/lib/dpkg below the root)\n"
	     "      --program FILE  the program (default: " PROGRAM_PATH ")\n"
	     "      --json          report as JSON\n"
	     "  -v, --verbose       report what changed\n"
	     "  -V, --version       print the version\n"
	     "  -h, --help          print this\n"
	     "\n"
	     "Exit status: that of kmp-depmod.");
}

/* True to go on; false to exit with *ret_status. */
static bool parse(struct sync *s, int argc, char **argv, int *ret_status)
{
	const char *admindir = NULL, *env;
	int c;

	while ((c = getopt_long(argc, argv, "nvVh", long_options, NULL)) != -1)
		switch (c) {
		case 'n':
			s->dry_run = true;
			break;
		case OPT_ROOT:
			s->root_dir = optarg;
			break;
		case OPT_ADMINDIR:
			admindir = optarg;
			break;
		case OPT_PROGRAM:
			s->program = optarg;
			break;
		case OPT_JSON:
			s->json = true;
			break;
		case 'v':
			s->verbose = true;
			break;
		case 'V':
			puts("dpkg-sync " PACKAGE_VERSION);
			*ret_status = EXIT_SUCCESS;
			return false;
		case 'h':
			help();
			*ret_status = EXIT_SUCCESS;
			return false;
		default:
			*ret_status = EXIT_USAGE;
			return false;
		}
	if (optind < argc) {
		fprintf(stderr, "dpkg-sync: no operands, please: '%s'\n", argv[optind]);
		*ret_status = EXIT_USAGE;
		return false;
	}
	/* dpkg's variables belong together: its database is not that of another root */
	env = getenv("DPKG_ADMINDIR");
	if (!admindir && !s->root_dir && env && *env)
		admindir = env;
	if (!s->root_dir)
		s->root_dir = getenv("DPKG_ROOT") ? getenv("DPKG_ROOT") : "";
	if (str_eq(s->root_dir, "/"))
		s->root_dir = "";
	if (admindir ? !(s->admindir = strdup(admindir))
		     : asprintf(&s->admindir, "%s/var/lib/dpkg", s->root_dir) < 0) {
		complain("cannot start", -ENOMEM);
		*ret_status = EXIT_FAILURE;
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct sync s = {.program = PROGRAM_PATH};
	int status, r;

	if (!parse(&s, argc, argv, &status))
		return status;
	r = root_open(&s.root, s.root_dir);
	if (r < 0) {
		complain(s.root_dir, r);
		status = EXIT_FAILURE;
	} else {
		status = synchronise(&s);
		dpkgdb_close();
		kernels_done(&s.kernels);
		root_done(&s.root);
	}
	free(s.marks);
	free(s.admindir);
	if (fflush(stdout) != 0 && status == EXIT_SUCCESS)
		status = EXIT_FAILURE;
	return status;
}
