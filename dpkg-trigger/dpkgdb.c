// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libdpkg reports an error by unwinding to the last error context. Each piece of work is
 * therefore done by attempt(), whose context unwinds to there. What was read of the
 * database until then is in an unknown state and not asked.
 *
 * But where dpkg itself could not go on, as with one bad byte in a list of files, the
 * library exits, and no context helps. So a child tries first, and says what it died of.
 * That doubles the time, which is spent only where somebody wants names.
 *
 * Without diversions the packages are still known: if all cannot be read, that is tried.
 *
 * The library would read the lists of all files of all packages. Nine in ten mention no
 * module, and to look for that in the bytes is several times faster than to parse them.
 */
#define LIBDPKG_VOLATILE_API 1

#include <dpkg/dpkg.h>
#include <dpkg/dpkg-db.h>
#include <dpkg/db-ctrl.h>
#include <dpkg/db-fsys.h>
#include <dpkg/fsys.h>

#include <fcntl.h>
#include <setjmp.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "dpkg-trigger/dpkgdb.h"

#define WANTED "/lib/modules"
#define LIST_MAX ((size_t)256 << 20)
#define OUTPUT_MAX ((size_t)64 << 10)

static enum {
	CLOSED,
	OPEN,
	DAMAGED,
} state;
static const char *database;
static char *error;
static struct buf incomplete; /* const char * */

static void keep_error(const char *message, const void *data)
{
	(void)data;
	free(error);
	error = strdup(message);
}

/* Returns 0 or DPKGDB_DAMAGED. */
static int attempt(void (*work)(void))
{
	jmp_buf back;

	if (setjmp(back)) {
		pop_error_context(ehflag_bombout);
		return DPKGDB_DAMAGED;
	}
	push_error_context_jump(&back, keep_error, NULL);
	work();
	pop_error_context(ehflag_normaltidy);
	return 0;
}

/* True where the package has a list of files, with or without the wanted ones. */
static bool read_list(struct pkginfo *pkg, bool *ret_wanted)
{
	const char *path = pkg_infodb_get_file(pkg, &pkg->installed, LISTFILE);
	_cleanup_(buf_done) struct buf list = {0};
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	*ret_wanted = false;
	if (fd < 0)
		return false;
	if (fs_read_all(fd, LIST_MAX, &list) == 0 && list.len)
		*ret_wanted = memmem(list.data, list.len, WANTED, strlen(WANTED)) != NULL;
	return true;
}

static bool is_incomplete(const struct pkginfo *pkg)
{
	return pkg->status == PKG_STAT_HALFINSTALLED || pkg->eflag != PKG_EFLAG_OK;
}

static void load_packages(void)
{
	struct pkg_hash_iter *iter;
	struct pkginfo *pkg;

	dpkg_db_set_dir(database);
	modstatdb_open(msdbrw_readonly);
	iter = pkg_hash_iter_new();
	while ((pkg = pkg_hash_iter_next_pkg(iter))) {
		bool listed, wanted;

		if (pkg->status == PKG_STAT_NOTINSTALLED)
			continue;
		listed = read_list(pkg, &wanted);
		if (wanted)
			ensure_packagefiles_available(pkg);
		if (is_incomplete(pkg) && (wanted || !listed)) {
			const char **name = vec_push(&incomplete, const char *);

			if (name)
				*name = pkg_name(pkg, pnaw_nonambig);
		}
	}
	pkg_hash_iter_free(iter);
}

static void load_all(void)
{
	load_packages();
	ensure_diversions();
}

/* The child of try(). It leaves by _exit(), or as the library does. */
static void try_here(void (*work)(void), int out)
{
	if (dup2(out, STDERR_FILENO) < 0)
		_exit(EXIT_FAILURE);
	if (attempt(work) == 0)
		_exit(EXIT_SUCCESS);
	if (error)
		(void)!write(STDERR_FILENO, error, strlen(error));
	_exit(EXIT_FAILURE);
}

/* One line without what the library puts in front of it when it exits. */
static void keep_output(struct buf *output)
{
	static const char prefix[] = "aborting:\n";
	char *text;

	while (output->len && output->data[output->len - 1] == '\n')
		output->len--;
	buf_char(output, '\0');
	if (output->err)
		return;
	text = strstr(output->data, prefix);
	text = text ? text + strlen(prefix) : output->data;
	keep_error(*text ? text + strspn(text, " ") : "its reader failed", NULL);
}

/*
 * Does the library survive this work? 0, DPKGDB_DAMAGED with the error kept, or -errno.
 */
static int try(void (*work)(void))
{
	_cleanup_(buf_done) struct buf output = {0};
	int ends[2], status = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return neg_errno();
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		try_here(work, ends[1]);
	close(ends[1]);
	if (pid > 0)
		fs_read_all(ends[0], OUTPUT_MAX, &output);
	close(ends[0]);
	if (pid < 0)
		return -EAGAIN;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return neg_errno();
	if (status == 0)
		return 0;
	keep_output(&output);
	return DPKGDB_DAMAGED;
}

int dpkgdb_open(const char *admindir)
{
	void (*load)(void) = load_all;
	int r;

	if (state != CLOSED)
		return state == OPEN ? incomplete.err : DPKGDB_DAMAGED;
	database = admindir;
	dpkg_set_progname("kmp-depmod");
	r = try(load_all);
	if (r == DPKGDB_DAMAGED) {
		load = load_packages;
		r = try(load);
	}
	if (r == 0)
		r = attempt(load);
	state = r == 0 ? OPEN : DAMAGED;
	return r == 0 ? incomplete.err : r;
}

void dpkgdb_close(void)
{
	if (state == OPEN)
		attempt(modstatdb_shutdown);
	state = CLOSED;
	buf_done(&incomplete);
	incomplete = (struct buf){0};
	free(error);
	error = NULL;
}

const char *dpkgdb_error(void)
{
	return error;
}

static struct fsys_namenode *find(const char *path)
{
	return fsys_hash_find_node(path, FHFF_NONE);
}

/*
 * The first package that lists a path, other than one set of packages, or of that alone.
 */
static struct pkginfo *lister(
	struct fsys_namenode *node, const struct pkgset *set, bool same)
{
	struct fsys_node_pkgs_iter *iter = fsys_node_pkgs_iter_new(node);
	struct pkginfo *pkg;

	while ((pkg = fsys_node_pkgs_iter_next(iter)))
		if ((pkg->set == set) == same)
			break;
	fsys_node_pkgs_iter_free(iter);
	return pkg;
}

/*
 * A diverted path is two nodes: the contested one, at which only the diverting package's
 * file is found, and the one at which everybody else's is.
 */
struct dpkgdb_owner dpkgdb_owner(const char *path)
{
	struct fsys_namenode *node = find(path);
	struct fsys_diversion *divert = node ? node->divert : NULL;
	struct dpkgdb_owner owner = {0};
	struct pkginfo *pkg = NULL;

	if (divert && divert->camefrom) {
		pkg = lister(divert->camefrom, divert->pkgset, false);
		if (pkg) {
			owner.diverted_from = divert->camefrom->name;
			owner.diverted_by = divert->pkgset ? divert->pkgset->name : NULL;
		}
	}
	if (node && !pkg) {
		bool contested = divert && divert->useinstead;

		pkg = lister(node, contested ? divert->pkgset : NULL, contested);
	}
	if (pkg) {
		owner.package = pkg_name(pkg, pnaw_nonambig);
		owner.incomplete = is_incomplete(pkg);
	}
	return owner;
}

bool dpkgdb_listed(const char *path)
{
	struct fsys_namenode *node = find(path);

	return node && lister(node, NULL, false);
}

const char *dpkgdb_incomplete(size_t i)
{
	if (i >= vec_len(&incomplete, const char *))
		return NULL;
	return vec_data(&incomplete, const char *)[i];
}
