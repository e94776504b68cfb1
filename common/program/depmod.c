// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The identity that counts here is with kmod's depmod on the same command line: its
 * options, its messages, its exit status, the host's configuration and the host's
 * absolute links even with -b. Below the host's root the facts store and the lock are
 * used, as by kmp-depmod; a tree elsewhere is a scratch tree, which only borrows facts of
 * the same bytes.
 *
 * The caller reads the result next. So nothing is deferred, and neither lock nor store
 * may stand in the way: without them this is a plain depmod.
 */

#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "base/lock.h"
#include "base/mark.h"
#include "engine/kernels.h"
#include "engine/update.h"
#include "formats/modname.h"
#include "keep/conf.h"
#include "program/depmod.h"
#include "program/host.h"
#include "program/session.h"

#define LOCK_WAIT_MS 10000u
#define DEPMOD_JOBS_MAX 64u

struct depmod {
	bool all, quick, errsyms, errexit, show, warn;
	unsigned verbose;
	char symbol_prefix;
	const char *basedir, *moduledir, *outdir, *symvers, *sysmap, *kver;
	char *const *files; /* absolute paths */
	size_t n_files;
	char **config; /* absolute, ended by NULL; NULL: default */
	size_t n_config;
	struct utsname un;
	/* derived */
	struct root host;
	char *dirname;      /* as messages name the module directory */
	char *dir;          /* the same, real and relative to the host's root */
	char *outname;      /* where the indexes go, if not there */
	bool own;           /* it is a kernel of the host, not a scratch tree */
	bool output_failed; /* an index could not be written, and the message said so */
	int lock, store;
	struct report report;
	struct target target;
};

/* --- messages, in kmod's words --- */

enum prio {
	PRIO_FATAL = 2,
	PRIO_ERROR = 3,
	PRIO_WARNING = 4,
	PRIO_INFO = 6,
};

static void say(enum prio prio, const char *fmt, ...) _printf_(2, 3);

static void say(enum prio prio, const char *fmt, ...)
{
	static const char *const names[] = {
		[PRIO_FATAL] = "FATAL",
		[PRIO_ERROR] = "ERROR",
		[PRIO_WARNING] = "WARNING",
		[PRIO_INFO] = "INFO",
	};
	va_list ap;

	fprintf(stderr, "depmod: %s: ", names[prio]);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static int status_errno(int status)
{
	switch (status) {
	case ELFMOD_NOT_ELF:
		return ENOEXEC;
	case ELFMOD_TOO_LARGE:
		return EFBIG;
	case ELFMOD_UNSUPPORTED:
		return ENOSYS;
	default:
		return EINVAL;
	}
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A path of an event as kmod names it: below the module directory, or absolute. */
static const char *full_path(const struct depmod *d, const char *path, struct buf *b)
{
	if (!path)
		path = "";
	if (*path == '/')
		return path;
	buf_printf(b, "%s%s%s", d->dirname, *path ? "/" : "", path);
	return b->err ? path : b->data;
}

/*
 * With -n depmod prints the text files and makes no other, so these it does not notice.
 */
static bool about_bin_files(const struct event *e)
{
	switch (e->kind) {
	case EVENT_ALIAS_BRACKETS:
	case EVENT_KEY_ASCII:
	case EVENT_KEY_DUPLICATE:
	case EVENT_BUILTIN_LINE:
		return true;
	case EVENT_LIST_MISSING:
		return str_starts(e->path, "modules.builtin");
	default:
		return false;
	}
}

static void on_event(void *arg, const struct event *e)
{
	struct depmod *d = arg;
	_cleanup_(buf_done) struct buf b = {0};
	const char *detail = e->detail ? e->detail : "";
	const char *why = e->err ? strerror(-e->err) : "";
	const char *path = full_path(d, e->path, &b);
	struct stat st;

	if (d->show && about_bin_files(e))
		return;
	switch (e->kind) {
	case EVENT_MODULE_BAD:
		say(PRIO_ERROR, "failed to load symbols from %s: %s", path,
			strerror(status_errno(e->status)));
		break;
	case EVENT_MODULE_UNREADABLE:
	case EVENT_MODULE_VANISHED:
		say(PRIO_ERROR, "failed to load symbols from %s: %s", path, why);
		break;
	case EVENT_DEVNODE:
		say(PRIO_ERROR,
			"Module '%s' has devname (%s) but lacks major and minor "
			"information. Ignoring.",
			e->path, detail);
		break;
	case EVENT_ALIAS_BRACKETS:
		say(PRIO_WARNING, "Unmatched bracket in %s", detail);
		break;
	case EVENT_KEY_ASCII:
		say(PRIO_WARNING,
			"Module index: only 7-bit ASCII is supported, left out: %s",
			detail);
		break;
	case EVENT_SYMBOL_UNKNOWN:
		say(PRIO_WARNING, "%s needs unknown symbol %s", path, detail);
		break;
	case EVENT_SYMBOL_CRC:
		say(PRIO_WARNING, "%s disagrees about version of symbol %s", path,
			detail);
		break;
	case EVENT_KEY_DUPLICATE:
		say(PRIO_WARNING, "duplicate module %s:\n%s", e->path, detail);
		break;
	case EVENT_SYMBOLS_LINE:
		say(PRIO_ERROR,
			d->symvers ? "%s:%u Invalid symbol version %s"
				   : "%s:%u: invalid line: %s\n",
			e->path, e->line, detail);
		break;
	case EVENT_DIR_UNREADABLE:
		say(PRIO_ERROR, "could not open directory %s: %s", path, why);
		break;
	case EVENT_LINK_DANGLING:
		say(PRIO_ERROR, "fstatat(3, %s): %s", last_part(e->path), why);
		break;
	case EVENT_LINK_LOOP:
		say(PRIO_ERROR, "failed %s: %s", path, strerror(ELOOP));
		break;
	case EVENT_FILE_TYPE:
		say(PRIO_ERROR, "unsupported file type %s: %o", path,
			stat(path, &st) < 0 ? 0 : st.st_mode & S_IFMT);
		break;
	case EVENT_TREE_LIMIT:
		say(PRIO_ERROR, "path is too long %s", path);
		break;
	case EVENT_CONFIG_FILE:
		say(PRIO_ERROR, "file parse %s%s: %s", *e->path == '/' ? "" : "/",
			e->path, why);
		break;
	case EVENT_CONFIG_LINE:
		say(PRIO_ERROR, "%s%s:%u: ignoring bad line starting with '%s'",
			*e->path == '/' ? "" : "/", e->path, e->line, detail);
		break;
	case EVENT_LIST_MISSING:
		if (access(d->dirname, F_OK) < 0)
			say(PRIO_WARNING, "could not open directory %s: %s", d->dirname,
				why);
		else
			say(PRIO_WARNING, "could not open %s at %s: %s", e->path,
				d->dirname, why);
		break;
	case EVENT_ORDER_CUT:
		say(PRIO_ERROR, "%s:%u corrupted line misses '\\n'", path, e->line);
		break;
	case EVENT_BUILTIN_LINE:
		say(PRIO_ERROR, "Invalid modules.builtin line: %s", detail);
		break;
	case EVENT_CYCLE:
		say(PRIO_ERROR, "Cycle detected: %s", detail);
		break;
	case EVENT_CYCLES:
		say(PRIO_ERROR, "Found %u modules in dependency cycles!", e->number);
		break;
	case EVENT_OUTPUT:
		d->output_failed = true;
		if (!*e->path)
			say(PRIO_FATAL, "could not open directory %s: %s",
				d->outname ? d->outname : d->dirname, why);
		else if (e->number)
			say(PRIO_ERROR,
				"Could not write index '%s': %s; %u indexes are new, the "
				"others old",
				e->path, why, e->number);
		else
			say(PRIO_ERROR, "Could not write index '%s': %s", e->path, why);
		break;
	case EVENT_DUPLICATE: /* depmod says nothing of these two */
	case EVENT_STORE:
	case EVENT_LOCK:
	case EVENT_MARK:
		break;
	}
}

/* --- command line --- */

static const char short_options[] = "aAb:m:o:C:E:F:evnP:wVhIxuqr";

enum { OPT_MAP = 256 };

static const struct option long_options[] = {
	{"all", no_argument, NULL, 'a'},
	{"quick", no_argument, NULL, 'A'},
	{"basedir", required_argument, NULL, 'b'},
	{"moduledir", required_argument, NULL, 'm'},
	{"outdir", required_argument, NULL, 'o'},
	{"config", required_argument, NULL, 'C'},
	{"symvers", required_argument, NULL, 'E'},
	{"filesyms", required_argument, NULL, 'F'},
	{"errsyms", no_argument, NULL, 'e'},
	{"verbose", no_argument, NULL, 'v'},
	{"show", no_argument, NULL, 'n'},
	{"dry-run", no_argument, NULL, 'n'},
	{"symbol-prefix", required_argument, NULL, 'P'},
	{"warn", no_argument, NULL, 'w'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{"incremental", no_argument, NULL, 'I'},
	{"errexit", no_argument, NULL, 'x'},
	{"unresolved-error", no_argument, NULL, 'u'},
	{"quiet", no_argument, NULL, 'q'},
	{"root", no_argument, NULL, 'r'},
	{"map", no_argument, NULL, OPT_MAP},
	{0},
};

static void help(void)
{
	fputs("Usage: depmod [OPTION...] [KVER [FILE...]]\n"
	      "\n"
	      "Write the module indexes of KVER (default: the running kernel). This is "
	      "kmp-depmod's\n"
	      "depmod: it takes kmod's options and reads only modules that changed.\n"
	      "\n"
	      "  -a, --all              all modules (default unless files are given)\n"
	      "  -A, --quick            only if something changed\n"
	      "  -e, --errsyms          report symbols that nothing exports\n"
	      "  -n, --show             write the indexes to standard output\n"
	      "  -P, --symbol-prefix=C  a character in front of symbols\n"
	      "  -C, --config=PATH      configuration instead of the depmod.d "
	      "directories\n"
	      "  -v, --verbose          show each dependency\n"
	      "  -w, --warn             report duplicates\n"
	      "  -I, --incremental      the default\n"
	      "  -x, --errexit          exit 1 if -e has anything to report\n"
	      "  -V, --version          show the version\n"
	      "  -h, --help             show this\n"
	      "\n"
	      "  -b, --basedir=DIR      the module tree is below DIR\n"
	      "  -m, --moduledir=DIR    module directory, below the base (default: "
	      "lib/modules)\n"
	      "  -o, --outdir=DIR       write below DIR\n"
	      "  -F, --filesyms=FILE    the kernel's symbols: a System.map\n"
	      "  -E, --symvers=FILE     the kernel's symbols and CRCs: a "
	      "Module.symvers\n",
		stdout);
}

static bool add_config(struct depmod *d, const char *path)
{
	char **grown = realloc(d->config, (d->n_config + 2) * sizeof(*grown));

	if (!grown)
		return false;
	d->config = grown;
	grown[d->n_config] = host_absolute(path);
	if (!grown[d->n_config])
		return false;
	grown[++d->n_config] = NULL;
	return true;
}

static int out_of_memory(void)
{
	say(PRIO_FATAL, "out of memory");
	return EXIT_FAILURE;
}

/* Go on: -1; otherwise the exit status. */
static int take_option(struct depmod *d, int c, int index)
{
	switch (c) {
	case 'a':
		d->all = true;
		break;
	case 'A':
		d->quick = true;
		break;
	case 'b':
		d->basedir = optarg;
		break;
	case 'm':
		d->moduledir = optarg;
		break;
	case 'o':
		d->outdir = optarg;
		break;
	case 'C':
		if (!add_config(d, optarg))
			return out_of_memory();
		break;
	case 'E':
		d->symvers = optarg;
		break;
	case 'F':
		d->sysmap = optarg;
		break;
	case 'e':
		d->errsyms = true;
		break;
	case 'v':
		d->verbose++;
		break;
	case 'n':
		d->show = true;
		break;
	case 'P':
		if (strlen(optarg) != 1) {
			say(PRIO_FATAL, "-P only takes a single char");
			return EXIT_FAILURE;
		}
		d->symbol_prefix = optarg[0];
		break;
	case 'w':
		d->warn = true;
		break;
	case 'I':
		/* files are then what is new, not all there is */
		d->all = true;
		break;
	case 'x':
		d->errexit = true;
		break;
	case 'u':
	case 'q':
	case 'r':
	case OPT_MAP:
		if (index >= 0)
			say(PRIO_WARNING, "Ignored deprecated option --%s",
				long_options[index].name);
		else
			say(PRIO_WARNING, "Ignored deprecated option -%c", c);
		break;
	case 'V':
		printf("kmp-depmod %s, in place of depmod from kmod version 34\n%cZSTD "
		       "%cXZ %cZLIB\n",
			PACKAGE_VERSION, WITH_ZSTD ? '+' : '-', WITH_XZ ? '+' : '-',
			WITH_GZIP ? '+' : '-');
		return EXIT_SUCCESS;
	case 'h':
		help();
		return EXIT_SUCCESS;
	default:
		return EXIT_FAILURE;
	}
	return -1;
}

static bool is_version(const char *s)
{
	unsigned a, b;

	return sscanf(s, "%u.%u", &a, &b) == 2;
}

static int parse(struct depmod *d, int argc, char **argv)
{
	for (;;) {
		int index = -1,
		    c = getopt_long(argc, argv, short_options, long_options, &index), r;

		if (c == -1)
			break;
		r = take_option(d, c, index);
		if (r >= 0)
			return r;
	}
	if (optind < argc) {
		if (!is_version(argv[optind])) {
			say(PRIO_ERROR, "Bad version passed %s", argv[optind]);
			return EXIT_FAILURE;
		}
		d->kver = argv[optind++];
	} else {
		if (uname(&d->un) < 0) {
			say(PRIO_FATAL, "uname() failed: %s", strerror(errno));
			return EXIT_FAILURE;
		}
		d->kver = d->un.release;
	}
	d->files = argv + optind;
	d->n_files = (size_t)(argc - optind);
	if (d->all || d->quick || d->n_files == 0)
		d->n_files = 0;
	if (d->errsyms && !d->symvers && !d->sysmap) {
		say(PRIO_WARNING, "-e needs -E or -F");
		d->errsyms = false;
	}
	return -1;
}

/* --- where --- */

static int find_dirs(struct depmod *d)
{
	_cleanup_(freep) char *base = host_absolute(d->basedir ? d->basedir : "/");
	_cleanup_(freep) char *real = base ? realpath(base, NULL) : NULL;
	const char *modules = d->moduledir ? d->moduledir : "lib/modules";
	int r = root_open(&d->host, "");

	if (r < 0 || !base)
		return r < 0 ? r : -ENOMEM;
	while (*modules == '/')
		modules++;
	d->own = real && str_eq(real, "/");
	if (asprintf(&d->dirname, "%s/%s/%s", d->basedir ? base : "", modules, d->kver) <
		0)
		return -ENOMEM;
	if (strlen(d->dirname) >= PATH_MAX)
		return -ENAMETOOLONG;
	r = root_realpath(&d->host, d->dirname, &d->dir);
	if (r == -ENOMEM)
		return r;
	if (r < 0 && !(d->dir = strdup(d->dirname + 1)))
		return -ENOMEM;
	if (d->outdir) {
		_cleanup_(freep) char *out = host_absolute(d->outdir);

		if (!out || asprintf(&d->outname, "%s/%s/%s", out, modules, d->kver) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void set_target(struct depmod *d)
{
	d->report = (struct report){.event = on_event, .arg = d};
	d->target = (struct target){
		.root = &d->host,
		.kver = d->kver,
		.dir = d->dir,
		.name = d->dirname,
		.outdir = d->outname,
		.config_root = &d->host,
		.config = (const char *const *)d->config,
		.symbol_prefix = d->symbol_prefix,
		.jobs = host_processors(DEPMOD_JOBS_MAX),
		.report = &d->report,
	};
}

/* --- files as operands --- */

static bool files_absolute(const struct depmod *d)
{
	for (size_t i = 0; i < d->n_files; i++)
		if (d->files[i][0] != '/') {
			say(PRIO_FATAL, "%s: not absolute path.", d->files[i]);
			return false;
		}
	return true;
}

/* --- after the update --- */

static void show_outputs(const struct update *u)
{
	for (unsigned i = 0; i < OUT_MAX; i++)
		if (output_is_text[i] && u->out.file[i].len)
			fwrite(u->out.file[i].data, 1, u->out.file[i].len, stdout);
}

static void path_of(
	const struct depmod *d, const struct update *u, mod_idx i, struct buf *b)
{
	mod_row row = u->r.row[i];

	b->len = 0;
	if (str_of(&u->t, u->t.dirs[u->t.mods[row].dir].path)[0] != '/')
		buf_printf(b, "%s/", d->dirname);
	tables_path(&u->t, row, b);
	buf_char(b, '\0');
}

/* -v: each module that another one needs, with the first symbol it is needed for. */
static void show_needs(const struct depmod *d, const struct update *u)
{
	_cleanup_(buf_done) struct buf from = {0}, to = {0};
	const struct tables *t = &u->t;

	for (mod_idx i = 0; i < u->r.n; i++) {
		const struct mod *m = &t->mods[u->r.row[i]];
		struct id_range direct = resolved_direct(&u->r, i);
		uint32_t next = 0;

		path_of(d, u, i, &from);
		for (uint32_t n = m->needs; n < m[1].needs && next < direct.n; n++) {
			str_id sym = t->pairs[NEED_PAIR(t->needs[n])].sym;
			sym_key k = resolved_look(&u->r, sym);

			/*
			 * direct dependencies are in the order of the first need of each
			 */
			if (u->r.owner[k] != direct.ids[next])
				continue;
			next++;
			path_of(d, u, u->r.owner[k], &to);
			if (!from.err && !to.err)
				printf("%s needs \"%s\": %s\n", from.data,
					resolved_key_name(&u->r, k), to.data);
		}
	}
}

static void report_problems(const struct depmod *d, const struct update *u)
{
	const struct problem *p = vec_data(&u->problems, struct problem);
	_cleanup_(buf_done) struct buf path = {0};

	for (size_t i = 0; i < vec_len(&u->problems, struct problem); i++, p++) {
		path_of(d, u, p->mod, &path);
		if (path.err)
			return;
		report_event(&d->report,
			.kind = p->crc ? EVENT_SYMBOL_CRC : EVENT_SYMBOL_UNKNOWN,
			.path = path.data, .detail = str_of(&u->t, p->sym));
	}
}

/* For tests and for measuring: one line of JSON a run. */
static void append_stats(const struct update *u)
{
	const char *path = secure_getenv("KMP_DEPMOD_STATS");
	const struct read_stats *s = &u->reading.stats;
	FILE *f = path ? fopen(path, "ae") : NULL;

	if (!f)
		return;
	fprintf(f,
		"{\"modules\": %u, \"modules_read\": %llu, \"modules_decompressed\": "
		"%llu, "
		"\"modules_digested\": %llu, \"files_written\": %u, \"store_used\": "
		"%s}\n",
		u->scan.n_files, (unsigned long long)s->modules_read,
		(unsigned long long)s->modules_decompressed,
		(unsigned long long)s->digested, u->pub.n_written,
		u->store.head ? "true" : "false");
	fclose(f);
}

/* --- the run --- */

/* The operand is there before, as the same file, not another of its module's name. */
static bool file_again(const struct depmod *d, size_t file)
{
	for (size_t i = 0; i < file; i++)
		if (str_eq(d->files[i], d->files[file]))
			return true;
	return false;
}

static void say_again(const char *path, int err)
{
	char name[PATH_MAX];

	if (strlen(path) >= sizeof(name))
		return;
	modname_copy(name, last_part(path));
	say(PRIO_ERROR, "hash_add_unique %s: %s", name, strerror(-err));
}

static int failed(const struct depmod *d, const struct update *u, int err)
{
	if (err > 0 || d->output_failed)
		return EXIT_FAILURE; /* a cycle, or an index: reported */
	if (d->n_files && err != -ENOMEM) {
		bool again = err == -EEXIST && file_again(d, u->bad_file);

		if (again)
			say_again(d->files[u->bad_file], err);
		say(PRIO_FATAL, "could not %s module %s: %s", again ? "add" : "create",
			d->files[u->bad_file], strerror(-err));
	} else if (err == -ENOENT || err == -ENOTDIR || err == -EACCES) {
		say(PRIO_ERROR, "could not open directory %s: %s", d->dirname,
			strerror(-err));
		say(PRIO_FATAL, "could not search modules: %s", strerror(-err));
	} else {
		say(PRIO_FATAL, "%s: %s", d->dirname, failure_text(err));
	}
	return EXIT_FAILURE;
}

static void heal_marks(const struct depmod *d, struct mark_found *marks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (marks[i].orphaned && str_eq(marks[i].kver, d->kver))
			mark_heal(d->host.fd, &marks[i]);
}

static int run(struct depmod *d, const struct vmlinux *vmlinux)
{
	_cleanup_(update_done) struct update u = {0};
	struct mark_found *marks = NULL;
	size_t n_marks = 0;
	char name[NAME_MAX + 1];
	bool own_store = d->own && (d->lock >= 0 || d->show);
	struct update_options o = {
		.write = !d->show,
		.want_outputs = d->show || d->verbose || d->warn || d->outname,
		.sync = host_wants_sync(),
		.warn_duplicates = d->warn,
		.store_dir = own_store ? d->store : -1,
		.store_name = name,
		.donor_dir = d->store,
		.keep_store = d->show,
		.repeat_warnings = !d->quick,
		.unlocked = d->lock < 0,
		.check = vmlinux,
		.n_files = d->n_files,
	};
	int r;

	store_name("", d->dir, name);
	if (d->n_files) {
		if (!files_absolute(d))
			return EXIT_FAILURE;
		o.files = (const char *const *)d->files;
	}
	if (d->lock >= 0 && !d->moduledir)
		mark_list(d->host.fd, &marks, &n_marks);
	r = update_run(&d->target, &o, &u);
	append_stats(&u);
	if (r == 0 && d->errsyms)
		report_problems(d, &u);
	if (r == 0 && d->verbose && u.resolved_valid)
		show_needs(d, &u);
	if (r == 0 && d->show)
		show_outputs(&u);
	if (r == 0 && o.write && !d->n_files && !d->outname)
		heal_marks(d, marks, n_marks);
	mark_list_free(marks, n_marks);
	if (r != 0)
		return failed(d, &u, r);
	if (d->errexit && d->errsyms && u.problems.len)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

static int load_vmlinux(struct depmod *d, struct vmlinux *v)
{
	int r = vmlinux_load(&d->target, d->symvers, d->sysmap, v);

	if (r == -EISDIR)
		return 0; /* no symbols are in it */

	if (r < 0)
		say(PRIO_FATAL, "could not load %s: %s",
			d->symvers ? d->symvers : d->sysmap, strerror(-r));
	return r;
}

/* -A compares with the time of modules.dep first, and says so if it cannot. */
static void look_for_dep(const struct depmod *d)
{
	_cleanup_(closep) int dir = open(d->dirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (dir < 0)
		say(PRIO_ERROR, "could not open directory %s: %s", d->dirname,
			strerror(errno));
	else if (fstatat(dir, "modules.dep", &st, 0) < 0)
		say(PRIO_ERROR, "could not fstatat(%s, modules.dep): %s", d->dirname,
			strerror(errno));
}

static int main_run(struct depmod *d)
{
	_cleanup_(vmlinux_done) struct vmlinux vmlinux = {0};
	bool check = d->symvers || d->sysmap;
	int r = find_dirs(d);
	struct conf conf;

	if (r < 0) {
		say(PRIO_ERROR, "Bad directory %s: %s", d->dirname ? d->dirname : d->kver,
			strerror(-r));
		return EXIT_FAILURE;
	}
	if (d->quick && d->show)
		return EXIT_SUCCESS;
	if (d->quick)
		look_for_dep(d);
	set_target(d);
	if (check && load_vmlinux(d, &vmlinux) < 0)
		return EXIT_FAILURE;
	if (d->own && !d->show && !d->outname &&
		lock_take(&d->host, LOCK_WAIT_MS, &d->lock) != 0)
		d->lock = -1;
	if (conf_read(&d->host, &conf, NULL, NULL) == 0 && !conf.forget)
		d->store = host_open_store(
			&d->host, HOST_STORE_DIR, d->own && !d->show && d->lock >= 0);
	d->store = MAX(d->store, -1);
	r = run(d, check ? &vmlinux : NULL);
	if (fflush(stdout) != 0 && r == EXIT_SUCCESS)
		r = EXIT_FAILURE;
	return r;
}

int depmod_main(int argc, char **argv)
{
	struct depmod d = {.lock = -1, .store = -1, .host = {.fd = -1}};
	char name[] = "depmod";
	int r;

	if (str_eq(argv[0], "--as-depmod"))
		argv[0] = name;
	r = parse(&d, argc, argv);
	if (r < 0)
		r = main_run(&d);
	closep(&d.lock);
	closep(&d.store);
	for (size_t i = 0; i < d.n_config; i++)
		free(d.config[i]);
	free(d.config);
	free(d.dirname);
	free(d.dir);
	free(d.outname);
	root_done(&d.host);
	return r;
}
