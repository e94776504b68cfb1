// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <getopt.h>
#include <stdio.h>

#include "program/host.h"
#include "program/options.h"

#define WAIT_DEFAULT_MS 60000u
#define JOBS_MAX 64u

enum {
	OPT_FULL = 256,
	OPT_VERIFY,
	OPT_TOUCHED,
	OPT_ROOT,
	OPT_STORE,
	OPT_NO_SYNC,
	OPT_JSON,
	OPT_STATS,
	OPT_WAIT,
	OPT_KEEP_DIRECTORY,
	OPT_KERNEL,
	OPT_ADD,
	OPT_REMOVE,
	OPT_DOT,
	OPT_EXIT_CODE,
	OPT_EXPLAIN,
	OPT_KEEP_RUNNING,
	OPT_CAUSE,
	OPT_SYSTEM,
};

static const char short_options[] = "nm:o:C:j:eE:F:P:wxqvVh";

static const struct option long_options[] = {
	{"dry-run", no_argument, NULL, 'n'},
	{"full", no_argument, NULL, OPT_FULL},
	{"verify", no_argument, NULL, OPT_VERIFY},
	{"touched-from", required_argument, NULL, OPT_TOUCHED},
	{"root", required_argument, NULL, OPT_ROOT},
	{"moduledir", required_argument, NULL, 'm'},
	{"outdir", required_argument, NULL, 'o'},
	{"config", required_argument, NULL, 'C'},
	{"store", required_argument, NULL, OPT_STORE},
	{"jobs", required_argument, NULL, 'j'},
	{"errsyms", no_argument, NULL, 'e'},
	{"symvers", required_argument, NULL, 'E'},
	{"filesyms", required_argument, NULL, 'F'},
	{"symbol-prefix", required_argument, NULL, 'P'},
	{"warn", no_argument, NULL, 'w'},
	{"errexit", no_argument, NULL, 'x'},
	{"no-sync", no_argument, NULL, OPT_NO_SYNC},
	{"json", no_argument, NULL, OPT_JSON},
	{"stats", no_argument, NULL, OPT_STATS},
	{"wait", required_argument, NULL, OPT_WAIT},
	{"keep-directory", no_argument, NULL, OPT_KEEP_DIRECTORY},
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"add", required_argument, NULL, OPT_ADD},
	{"remove", required_argument, NULL, OPT_REMOVE},
	{"dot", no_argument, NULL, OPT_DOT},
	{"exit-code", no_argument, NULL, OPT_EXIT_CODE},
	{"explain", required_argument, NULL, OPT_EXPLAIN},
	{"keep-running", required_argument, NULL, OPT_KEEP_RUNNING},
	{"cause", required_argument, NULL, OPT_CAUSE},
	{"system", required_argument, NULL, OPT_SYSTEM},
	{"quiet", no_argument, NULL, 'q'},
	{"verbose", no_argument, NULL, 'v'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void help(void)
{
	fputs("Usage: kmp-depmod [OPTION...] [KVER...]\n"
	      "       kmp-depmod --dry-run [OPTION...] [KVER | PACKAGE | MODULE | "
	      "DIR]...\n"
	      "       kmp-depmod --keep-running save|restore|clean|status [OPTION...]\n"
	      "       kmp-depmod --as-depmod [DEPMOD-OPTION...]\n"
	      "\n"
	      "Bring the module indexes of KVER (default: of every kernel below ROOT) up "
	      "to date,\n"
	      "reading only modules that changed.\n"
	      "\n"
	      "  -n, --dry-run          change nothing; say what would change and why\n"
	      "      --verify           compare the indexes on disk with the tree; exit "
	      "4 if they\n"
	      "                         differ\n"
	      "      --full             believe no remembered fact\n"
	      "      --touched-from F   paths (absolute within ROOT, separated by "
	      "newlines or NULs)\n"
	      "                         whose stat is not to be believed; - is standard "
	      "input\n"
	      "\n"
	      "      --root DIR         work on the system below DIR; its own depmod.d "
	      "counts\n"
	      "  -m, --moduledir DIR    where kernels are, below ROOT (default: "
	      "lib/modules and\n"
	      "                         usr/lib/modules)\n"
	      "  -o, --outdir DIR       write the indexes below DIR instead of below "
	      "ROOT\n"
	      "  -C, --config PATH      a file or directory instead of the depmod.d "
	      "directories\n"
	      "      --store DIR        where facts are remembered (default:\n"
	      "                         ROOT/var/cache/kmp-depmod); 'none': nowhere\n"
	      "  -j, --jobs N           threads that read modules (default: all "
	      "processors)\n"
	      "      --wait SECONDS     how long to wait for another run (default: 60)\n"
	      "      --no-sync          do not wait until the indexes are on the disk\n"
	      "      --keep-directory   leave the directory of a kernel that has no "
	      "files any more\n"
	      "\n"
	      "  -e, --errsyms          report symbols that no module and no kernel has\n"
	      "  -E, --symvers FILE     the kernel's symbols and CRCs: a Module.symvers\n"
	      "  -F, --filesyms FILE    the kernel's symbols: a System.map\n"
	      "  -P, --symbol-prefix C  a character in front of symbols, left out\n"
	      "  -w, --warn             report keys that are in an index twice\n"
	      "  -x, --errexit          exit 3 if -e has anything to report\n"
	      "\n"
	      "With --dry-run an operand that exists or has a '/' is a package (rpm, "
	      "deb), a module\n"
	      "or a directory with modules: what would it do to the kernels, installed "
	      "below ROOT?\n"
	      "\n"
	      "      --kernel KVER      on this kernel; may be given more than once\n"
	      "      --add FILE         the same as an operand\n"
	      "      --remove PATH      as if this module or directory were not there\n"
	      "      --explain MODULE   why its file wins, what it needs and who needs "
	      "it\n"
	      "      --dot              report as a graph for Graphviz\n"
	      "      --exit-code        exit 10 if something would change, 3 if it would "
	      "break\n"
	      "\n"
	      "      --keep-running ACTION\n"
	      "                         save, restore, clean or status: keep the modules "
	      "of the\n"
	      "                         kernel that runs over an upgrade, as "
	      "kmp-depmod.conf(5) says\n"
	      "      --cause TEXT       why, for --keep-running save\n"
	      "      --system DIR       where proc, sys and run of the running system "
	      "are\n"
	      "\n"
	      "      --json             report as JSON\n"
	      "      --stats            report where the time went\n"
	      "  -q, --quiet            no warnings\n"
	      "  -v, --verbose          say what was done; twice: more\n"
	      "  -V, --version          print the version and what this build can read\n"
	      "  -h, --help             print this\n"
	      "\n"
	      "Exit status: 0 done or nothing to do, 1 error, 2 usage, 3 symbols (with "
	      "-x) or\n"
	      "something would break, 4 verify found a difference, 10 something would "
	      "change (both\n"
	      "with --exit-code), 75 another run did not end in time.\n",
		stdout);
}

static void version(void)
{
	printf("kmp-depmod %s\n%cZSTD %cXZ %cGZIP %cSELINUX\n", PACKAGE_VERSION,
		WITH_ZSTD ? '+' : '-', WITH_XZ ? '+' : '-', WITH_GZIP ? '+' : '-',
		WITH_SELINUX ? '+' : '-');
}

static bool usage(int *ret_status, const char *fmt, const char *what)
{
	fprintf(stderr, "kmp-depmod: ");
	fprintf(stderr, fmt, what);
	fprintf(stderr, "\nTry 'kmp-depmod --help'.\n");
	*ret_status = EXIT_USAGE;
	return false;
}

static bool number(const char *s, unsigned long max, unsigned long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoul(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end && !errno && *ret <= max;
}

static bool add_config(struct options *o, const char *path)
{
	const char **grown = realloc(o->config, (o->n_config + 2) * sizeof(*grown));

	if (!grown)
		return false;
	o->config = grown;
	grown[o->n_config++] = path;
	grown[o->n_config] = NULL;
	return true;
}

/* Append to an owned array. */
static bool add_word(char ***list, int *n, const char *word, int *ret_status)
{
	char **grown = realloc(*list, ((size_t)*n + 1) * sizeof(*grown));

	if (!grown) {
		fputs("kmp-depmod: out of memory\n", stderr);
		*ret_status = EXIT_ERROR;
		return false;
	}
	*list = grown;
	grown[(*n)++] = (char *)word;
	return true;
}

static bool keep_action(struct options *o, const char *word, int *ret_status)
{
	static const char *const words[] = {[KEEP_SAVE] = "save",
		[KEEP_RESTORE_NOW] = "restore",
		[KEEP_CLEAN] = "clean",
		[KEEP_STATUS] = "status"};

	for (unsigned i = KEEP_SAVE; i < ARRAY_SIZE(words); i++)
		if (str_eq(word, words[i])) {
			o->keep = i;
			return true;
		}
	return usage(ret_status,
		"--keep-running wants save, restore, clean or status, not '%s'", word);
}

/* True to go on with the next option. */
static bool take_option(struct options *o, int c, int *ret_status)
{
	unsigned long n;

	switch (c) {
	case 'n':
		o->dry_run = true;
		return true;
	case OPT_FULL:
		o->full = true;
		return true;
	case OPT_VERIFY:
		o->verify = true;
		return true;
	case OPT_TOUCHED:
		o->touched_from = optarg;
		return true;
	case OPT_ROOT:
		o->root = optarg;
		return true;
	case 'm':
		o->moduledir = optarg;
		return true;
	case 'o':
		o->outdir = optarg;
		return true;
	case 'C':
		if (add_config(o, optarg))
			return true;
		*ret_status = EXIT_ERROR;
		return false;
	case OPT_STORE:
		o->store = optarg;
		return true;
	case 'j':
		if (!number(optarg, JOBS_MAX, &n) || n == 0)
			return usage(ret_status,
				"--jobs wants a number from 1 to 64, not '%s'", optarg);
		o->jobs = (unsigned)n;
		return true;
	case OPT_WAIT:
		if (!number(optarg, 86400, &n))
			return usage(
				ret_status, "--wait wants seconds, not '%s'", optarg);
		o->wait_ms = (unsigned)n * 1000;
		return true;
	case 'e':
		o->errsyms = true;
		return true;
	case 'E':
		o->symvers = optarg;
		return true;
	case 'F':
		o->sysmap = optarg;
		return true;
	case 'P':
		if (strlen(optarg) != 1)
			return usage(ret_status, "-P wants a single character, not '%s'",
				optarg);
		o->symbol_prefix = optarg[0];
		return true;
	case 'w':
		o->warn = true;
		return true;
	case 'x':
		o->errexit = true;
		return true;
	case OPT_KEEP_DIRECTORY:
		o->keep_directory = true;
		return true;
	case OPT_KERNEL:
		return add_word(&o->kernels, &o->n_kernels, optarg, ret_status);
	case OPT_ADD:
		return add_word(&o->packages, &o->n_packages, optarg, ret_status);
	case OPT_REMOVE:
		return add_word(&o->removed, &o->n_removed, optarg, ret_status);
	case OPT_DOT:
		o->dot = true;
		return true;
	case OPT_EXIT_CODE:
		o->exit_code = true;
		return true;
	case OPT_EXPLAIN:
		o->explain = optarg;
		return true;
	case OPT_KEEP_RUNNING:
		return keep_action(o, optarg, ret_status);
	case OPT_CAUSE:
		o->cause = optarg;
		return true;
	case OPT_SYSTEM:
		o->system = optarg;
		return true;
	case OPT_NO_SYNC:
		o->no_sync = true;
		return true;
	case OPT_JSON:
		o->json = true;
		return true;
	case OPT_STATS:
		o->stats = true;
		return true;
	case 'q':
		o->quiet = true;
		return true;
	case 'v':
		o->verbose++;
		return true;
	case 'V':
		version();
		*ret_status = EXIT_DONE;
		return false;
	case 'h':
		help();
		*ret_status = EXIT_DONE;
		return false;
	default:
		fputs("Try 'kmp-depmod --help'.\n", stderr);
		*ret_status = EXIT_USAGE;
		return false;
	}
}

static bool consistent(const struct options *o, int *ret_status)
{
	if (o->dry_run && o->verify)
		return usage(
			ret_status, "--dry-run and --verify exclude each other%s", "");
	if (o->keep &&
		(o->dry_run || o->verify || o->n_kernels || o->moduledir || o->outdir))
		return usage(ret_status,
			"--keep-running is of the running kernel, in its place%s", "");
	if (o->errsyms && !o->symvers && !o->sysmap)
		return usage(ret_status, "-e needs -E or -F%s", "");
	if (o->errexit && !o->errsyms)
		return usage(ret_status, "-x needs -e%s", "");
	if (!o->dry_run && (options_forecast(o) || o->exit_code))
		return usage(ret_status,
			"--add, --remove, --explain, --dot and --exit-code need "
			"--dry-run%s",
			"");
	if (o->json + o->dot + (o->explain != NULL) > 1)
		return usage(ret_status,
			"--json, --dot and --explain exclude each other%s", "");
	for (int i = 0; i < o->n_kernels; i++)
		if (!*o->kernels[i] || strchr(o->kernels[i], '/') ||
			o->kernels[i][0] == '.')
			return usage(
				ret_status, "'%s' is no kernel version", o->kernels[i]);
	return true;
}

/* An operand of a dry run that is no kernel. */
static bool is_package(const char *operand)
{
	return strchr(operand, '/') || access(operand, F_OK) == 0;
}

bool options_parse(struct options *ret, int argc, char **argv, int *ret_status)
{
	struct options o = {.wait_ms = WAIT_DEFAULT_MS};
	bool ok = true;
	int c;

	o.no_sync = !host_wants_sync();
	while (ok &&
		(c = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
		ok = take_option(&o, c, ret_status);
	for (int i = optind; ok && i < argc; i++)
		ok = o.dry_run && is_package(argv[i])
			     ? add_word(&o.packages, &o.n_packages, argv[i], ret_status)
			     : add_word(&o.kernels, &o.n_kernels, argv[i], ret_status);
	if (!o.jobs)
		o.jobs = host_processors(JOBS_MAX);
	if (!ok || !consistent(&o, ret_status)) {
		options_done(&o);
		return false;
	}
	*ret = o;
	return true;
}

void options_done(struct options *o)
{
	free(o->config);
	free(o->kernels);
	free(o->packages);
	free(o->removed);
	*o = (struct options){0};
}
