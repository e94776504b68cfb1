// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An update holds the lock from before the marks are listed until the last store is
 * written. Dry runs and verifies take none and write nothing, the store neither.
 */

#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

#include "base/lock.h"
#include "formats/modname.h"
#include "keep/conf.h"
#include "program/dryrun.h"
#include "program/host.h"
#include "program/session.h"
#include "program/show.h"
#include "program/verify.h"

#define TOUCHED_MAX ((size_t)256 << 20)

/* --- set up --- */

static int make_paths_host_absolute(struct session *s)
{
	const struct options *o = s->o;

	if (o->outdir && !(s->outdir = host_absolute(o->outdir)))
		return -ENOMEM;
	if (!o->config)
		return 0;
	s->config = calloc(o->n_config + 1, sizeof(*s->config));
	for (size_t i = 0; s->config && i < o->n_config; i++) {
		if (!(s->config[i] = host_absolute(o->config[i])))
			return -ENOMEM;
		if (access(s->config[i], R_OK) < 0) {
			message(&s->m, "'%s': configuration cannot be read: %s",
				o->config[i], strerror(errno));
			return neg_errno();
		}
	}
	return s->config ? 0 : -ENOMEM;
}

static int read_touched(struct session *s)
{
	_cleanup_(buf_done) struct buf text = {0};
	_cleanup_(closep) int fd = -1;
	const char *from = s->o->touched_from;
	int r;

	changeset_init(&s->touched);
	if (!from)
		return 0;
	if (!str_eq(from, "-")) {
		fd = open(from, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return neg_errno();
	}
	r = fs_read_all(fd < 0 ? STDIN_FILENO : fd, TOUCHED_MAX, &text);
	if (r == 0 && text.len)
		r = changeset_parse(&s->touched, text.data, text.len);
	return r > 0 ? 0 : r;
}

static void report_store_dir(
	const struct session *s, const struct root *root, const char *path, int err)
{
	_cleanup_(buf_done) struct buf full = {0};

	buf_printf(&full, "%s%s", root->path, path);
	report_event(&s->report, .kind = EVENT_STORE, .path = full.err ? path : full.data,
		.detail = "cannot be used", .err = err);
}

/*
 * A directory that others can write to could give us facts of their making. ret is -1
 * where there is no store.
 */
static int open_store_dir(struct session *s)
{
	bool make = !s->o->dry_run && !s->o->verify;
	const struct root *root = s->o->store ? &s->host : &s->root;
	_cleanup_(freep) char *path =
		host_absolute(s->o->store ? s->o->store : "/" HOST_STORE_DIR);
	struct conf conf = {0};
	int fd, r;

	s->store_dir = -1;
	if (s->o->store && str_eq(s->o->store, "none"))
		return 0;
	r = s->o->store ? 0 : conf_read(&s->root, &conf, messages_conf, &s->m);
	if (r < 0 || conf.forget)
		return r;
	if (!path)
		return -ENOMEM;
	fd = host_open_store(root, path, make);
	if (fd == -EPERM)
		message(&s->m,
			"'%s%s': not used to remember facts: others can write to it",
			root->path, path);
	else if (fd < 0 && make && fd != -EROFS)
		report_store_dir(s, root, path, fd);
	else if (fd < 0 && fd != -ENOENT)
		note(&s->m, "'%s%s': no store of facts: %s", root->path, path,
			strerror(-fd));
	s->store_dir = MAX(fd, -1);
	return 0;
}

/* Returns LOCK_BUSY, or 0: with the lock, or where none can be had, without. */
static int take_lock(struct session *s)
{
	int r;

	if (s->o->dry_run || s->o->verify)
		return 0;
	r = lock_take(&s->root, s->o->wait_ms, &s->lock);
	if (r < 0)
		report_event(&s->report, .kind = EVENT_LOCK, .path = "/" LOCK_DIR "/lock",
			.err = r);
	return r > 0 ? r : 0;
}

void session_no_kernel(struct session *s, const char *name)
{
	const char *root = *s->root.path ? s->root.path : "/";
	size_t len = strlen(name);

	if (!modname_is_module_file(name, len) && !str_ends(name, len, ".rpm") &&
		!str_ends(name, len, ".deb"))
		message(&s->m, "%s: no such kernel below '%s'", name, root);
	else if (s->o->dry_run)
		message(&s->m, "'%s': no such file, nor a kernel of that name below '%s'",
			name, root);
	else
		message(&s->m,
			"%s: no such kernel below '%s'; packages and modules are looked "
			"into "
			"with --dry-run",
			name, root);
}

static int find_kernels(struct session *s)
{
	const struct options *o = s->o;
	int r;

	s->named = o->n_kernels > 0;
	/* a package may bring a kernel that is not there yet */
	if (!s->named || options_forecast(o)) {
		r = kernels_list(&s->root, o->moduledir, &s->report, &s->kernels);
		if (r < 0)
			message(&s->m, "'%s': the kernels cannot be listed: %s",
				*s->root.path ? s->root.path : "/", strerror(-r));
		return r;
	}
	for (int i = 0; i < o->n_kernels; i++) {
		struct kernel *grown;
		struct kernels one;

		r = kernels_find(&s->root, o->moduledir, o->kernels[i], &one);
		if (r < 0) {
			if (r == -ENOENT)
				session_no_kernel(s, o->kernels[i]);
			else
				message(&s->m, "%s: below '%s': %s", o->kernels[i],
					*s->root.path ? s->root.path : "/", strerror(-r));
			kernels_done(&one);
			s->missing = true;
			continue;
		}
		grown = realloc(s->kernels.list, (s->kernels.n + one.n) * sizeof(*grown));
		if (!grown) {
			kernels_done(&one);
			return -ENOMEM;
		}
		s->kernels.list = grown;
		memcpy(s->kernels.list + s->kernels.n, one.list,
			one.n * sizeof(*one.list));
		s->kernels.n += one.n;
		free(one.list);
	}
	return 0;
}

int session_target(const struct session *s, const struct kernel *k, struct target *ret,
	char **ret_outdir)
{
	*ret_outdir = NULL;
	if (s->outdir &&
		asprintf(ret_outdir, "%s/%s/%s", s->outdir,
			s->o->moduledir ? s->o->moduledir : "lib/modules", k->kver) < 0)
		return -ENOMEM;
	*ret = (struct target){
		.root = &s->root,
		.kver = k->kver,
		.dir = k->dir,
		.name = k->name,
		.outdir = *ret_outdir,
		.config_root = s->config ? &s->host : &s->root,
		.config = (const char *const *)s->config,
		.symbol_prefix = s->o->symbol_prefix,
		.jobs = s->o->jobs,
		.report = &s->report,
	};
	return 0;
}

static int load_vmlinux(struct session *s)
{
	const char *path = s->o->symvers ? s->o->symvers : s->o->sysmap;
	struct target t = {.symbol_prefix = s->o->symbol_prefix, .report = &s->report};
	int r;

	if (!path)
		return 0;
	s->has_vmlinux = true;
	r = vmlinux_load(&t, s->o->symvers, s->o->sysmap, &s->vmlinux);
	if (r < 0)
		message(&s->m, "'%s': the kernel's symbols cannot be read: %s", path,
			strerror(-r));
	return r;
}

void session_store_name(const struct session *s, const struct kernel *k, char *ret)
{
	store_name(s->o->store ? s->root.path : "", k->dir, ret);
}

/* --- one kernel --- */

/* The touched paths of one kernel, below its directory. Borrowed from s->touched. */
static int touched_of(const struct session *s, const struct kernel *k, struct buf *ret)
{
	for (const char *p = NULL; (p = changeset_next(&s->touched, p));) {
		const char *kver, *rest;
		size_t len;

		if (changeset_kernel(p, &kver, &len) != 0 || len != strlen(k->kver) ||
			memcmp(kver, k->kver, len) != 0 || kver[len] != '/')
			continue;
		rest = kver + len + 1;
		buf_add(ret, &rest, sizeof(rest));
	}
	return ret->err;
}

static void report_problems(
	const struct session *s, const struct target *t, const struct update *u)
{
	const struct problem *p = vec_data(&u->problems, struct problem);

	if (!s->o->errsyms)
		return;
	for (size_t i = 0; i < vec_len(&u->problems, struct problem); i++, p++) {
		_cleanup_(buf_done) struct buf path = {0};
		mod_row row = u->r.row[p->mod];

		if (str_of(&u->t, u->t.dirs[u->t.mods[row].dir].path)[0] != '/')
			buf_printf(&path, "%s/%s/", t->root->path, t->dir);
		tables_path(&u->t, row, &path);
		buf_char(&path, '\0');
		if (path.err)
			return;
		report_event(t->report,
			.kind = p->crc ? EVENT_SYMBOL_CRC : EVENT_SYMBOL_UNKNOWN,
			.path = path.data, .detail = str_of(&u->t, p->sym));
	}
}

/*
 * Indexes elsewhere. What is known of the kernel's own, and its directory, are no matter
 * of theirs.
 */
static int remove_elsewhere(const struct session *s, const struct target *t)
{
	_cleanup_(closep) int dir = update_open_outdir(t, false);
	int n = 0;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	if (!s->o->dry_run && !s->o->verify)
		return publish_remove(dir);
	for (unsigned i = 0; i < OUT_MAX; i++)
		n += faccessat(dir, output_names[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	return n;
}

/*
 * A kernel whose last module and lists went: what we made goes, too. Whether anything
 * did, or would, or -errno.
 */
static int remove_leftovers(struct session *s, const struct target *t, const char *store)
{
	_cleanup_(closep) int dir = -1;
	int r;

	if (s->store_dir < 0)
		return 0;
	if (faccessat(s->store_dir, store, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : neg_errno(); /* 0: never indexed by us */
	if (t->outdir)
		return remove_elsewhere(s, t);
	if (s->o->dry_run || s->o->verify)
		return 1;
	dir = update_open_outdir(t, false);
	r = dir < 0 ? dir : publish_remove(dir);
	if (r < 0)
		return r;
	unlinkat(s->store_dir, store, 0);
	if (!s->o->keep_directory) /* and only if nothing else is in it */
		unlinkat(t->root->fd, t->dir, AT_REMOVEDIR);
	return 1;
}

/*
 * Of several kernels the gravest outcome is the exit status: an error, what breaks, what
 * changes.
 */
static void worsen(int *status, enum exit_status to)
{
	if (*status == EXIT_DONE || to == EXIT_ERROR ||
		(*status == EXIT_CHANGES && to != EXIT_DONE))
		*status = to;
}

static int verify(
	struct session *s, const struct target *t, const struct update *u, int *status)
{
	struct verify_result v;
	int r = verify_indexes(&s->m, t, u, &v);

	if (r < 0)
		return r;
	if (v.differences) {
		worsen(status, EXIT_DIFFERS);
		return 0;
	}
	if (s->o->quiet || s->o->json)
		return 0;
	printf("%s: the indexes are right%s", t->kver,
		v.other_layout
			? " (with the nodes of .bin files in an older kmod's order)"
			: "");
	if (v.libkmod)
		printf("; libkmod finds %u modules, %u aliases, %u symbols", v.modules,
			v.aliases, v.symbols);
	putchar('\n');
	return 0;
}

static bool wants_plan(const struct session *s)
{
	return s->o->dry_run || s->o->json || s->o->verbose;
}

static int show(struct session *s, struct json_object *json, const struct result *r)
{
	if (json)
		return json_kernel(s, json, r);
	if (s->o->dry_run)
		show_plan(s, r);
	else if (!s->o->verify)
		show_summary(s, r);
	if (s->o->stats)
		show_stats(s, r);
	return 0;
}

static void report_marks(const struct session *s, const char *what, int err)
{
	report_event(&s->report, .kind = EVENT_MARK, .path = "/" MARK_DIR, .detail = what,
		.err = err);
}

static void heal(struct session *s, const struct mark_found *mark)
{
	int r = mark->orphaned ? mark_heal(s->root.fd, mark) : 0;

	if (r < 0)
		report_marks(s, "removed", r);
}

static void heal_mark(struct session *s, const char *kver)
{
	for (size_t i = 0; i < s->n_marks; i++)
		if (str_eq(s->marks[i].kver, kver))
			heal(s, &s->marks[i]);
}

/* Bring one kernel up to date and tell of it. */
static int run_kernel(
	struct session *s, const struct kernel *k, struct json_object *json, int *status)
{
	_cleanup_(buf_done) struct buf before = {0}, touched = {0};
	_cleanup_(update_done) struct update u = {0};
	_cleanup_(freep) char *outdir = NULL;
	struct result res = {.kernel = k, .update = &u};
	char store[NAME_MAX + 1];
	struct target t;
	struct update_options o = {
		.full = s->o->full || s->o->verify,
		.write = !s->o->dry_run && !s->o->verify,
		.want_outputs = s->o->verify || s->outdir,
		.only_if_kernel = !s->named,
		.sync = !s->o->no_sync,
		.warn_duplicates = s->o->warn,
		.store_dir = s->store_dir,
		.store_name = store,
		.check = s->has_vmlinux ? &s->vmlinux : NULL,
		.donor_dir = -1,
		.unlocked = s->lock < 0,
	};
	int r;

	session_store_name(s, k, store);
	r = session_target(s, k, &t, &outdir);
	if (r == 0)
		r = touched_of(s, k, &touched);
	if (r == 0 && wants_plan(s))
		r = plan_read_before(&t, &before);
	if (r < 0)
		return r;
	o.touched = vec_data(&touched, const char *);
	o.n_touched = vec_len(&touched, const char *);
	res.err = update_run(&t, &o, &u);
	if (res.err == 0 && u.outcome == UPDATE_NO_KERNEL) {
		r = remove_leftovers(s, &t, store);
		if (r <= 0)
			res.err = r;
		if (r == 0) {
			if (o.write && s->lock >= 0)
				heal_mark(s, k->kver); /* nothing is left to heal */
			return 0;                      /* not ours: silent */
		}
	} else if (res.err == 0 && wants_plan(s)) {
		r = plan_make(&t, &u, &before, o.check, &res.plan);
		if (r < 0)
			res.err = r;
	}
	if (res.err == 0) {
		report_problems(s, &t, &u);
		if ((s->o->errexit && u.problems.len) ||
			(s->o->exit_code && res.plan.symbols.len))
			worsen(status, EXIT_SYMBOLS);
		else if (s->o->exit_code && u.outcome != UPDATE_IDLE &&
			 u.outcome != UPDATE_SAME)
			worsen(status, EXIT_CHANGES);
		if (s->o->verify)
			res.err = verify(s, &t, &u, status);
		else if (o.write && s->lock >= 0)
			heal_mark(s, k->kver);
	}
	if (res.err) {
		worsen(status, EXIT_ERROR);
		if (res.err < 0 && res.err != -ENOENT)
			message(&s->m, "%s: failed: %s", k->kver, failure_text(res.err));
		else if (res.err == -ENOENT)
			message(&s->m, "%s: its directory is gone", k->kver);
	}
	r = show(s, json, &res);
	plan_done(&res.plan);
	return r;
}

/* --- all kernels --- */

static bool has_kernel_of_store(const struct session *s, const char *file)
{
	char name[NAME_MAX + 1];

	for (size_t i = 0; i < s->kernels.n; i++) {
		session_store_name(s, &s->kernels.list[i], name);
		if (str_eq(name, file))
			return true;
	}
	return false;
}

/* Facts of kernels whose directory is gone. Only where all kernels are known. */
static void remove_stale_stores(struct session *s)
{
	int copy;
	struct dirent *e;
	DIR *d;

	if (s->named || s->o->store || s->o->moduledir || s->store_dir < 0 ||
		s->o->dry_run || s->o->verify)
		return;
	copy = openat(s->store_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		closep(&copy);
		return;
	}
	while ((e = readdir(d)))
		if (str_ends(e->d_name, strlen(e->d_name), STORE_SUFFIX) &&
			!has_kernel_of_store(s, e->d_name))
			unlinkat(s->store_dir, e->d_name, 0);
	closedir(d);
}

/* A mark of a kernel that does not exist any more has nothing left to heal. */
static void heal_gone(struct session *s)
{
	for (size_t i = 0; i < s->n_marks; i++) {
		bool there = false;

		for (size_t k = 0; k < s->kernels.n; k++)
			there |= str_eq(s->kernels.list[k].kver, s->marks[i].kver);
		if (!there && !s->named)
			heal(s, &s->marks[i]);
	}
}

static int run_kernels(struct session *s)
{
	struct json_object *json = NULL;
	int status = EXIT_DONE, r = 0;

	if (s->o->json && !(json = json_begin(s)))
		return -ENOMEM;
	for (size_t i = 0; i < s->kernels.n && r == 0; i++)
		r = run_kernel(s, &s->kernels.list[i], json, &status);
	if (r == 0) {
		remove_stale_stores(s);
		if (s->lock >= 0)
			heal_gone(s);
	}
	if (json) {
		int e = json_end(json);

		r = r ? r : e;
	}
	if (s->missing)
		worsen(&status, EXIT_ERROR);
	return r ? r : status;
}

static int session_open(struct session *s)
{
	int r = root_open(&s->host, "");

	if (r == 0)
		r = root_open(&s->root, s->o->root ? s->o->root : "");
	if (r < 0) {
		message(&s->m, "'%s': %s", s->o->root ? s->o->root : "/", strerror(-r));
		return r;
	}
	r = read_touched(s);
	if (r < 0) {
		message(&s->m, "'%s': the list of touched paths cannot be read: %s",
			s->o->touched_from,
			r == -EINVAL ? "a path is relative or has '..' in it"
				     : strerror(-r));
		return r;
	}
	r = make_paths_host_absolute(s);
	if (r == 0)
		r = load_vmlinux(s);
	return r;
}

static int session_main(struct session *s)
{
	int r = session_open(s);

	if (r == 0)
		r = take_lock(s);
	if (r == LOCK_BUSY) {
		message(&s->m, "another run has not ended within %u seconds",
			s->o->wait_ms / 1000);
		return EXIT_BUSY;
	}
	/* a run that does not write the kernels' own indexes heals nothing */
	if (r == 0 && s->lock >= 0 && !s->o->outdir && !s->o->moduledir) {
		int e = mark_list(s->root.fd, &s->marks, &s->n_marks);

		if (e < 0)
			report_marks(s, "looked at", e);
	}
	if (r == 0)
		r = find_kernels(s);
	if (r == 0)
		r = open_store_dir(s);
	if (r == 0)
		r = options_forecast(s->o) ? dryrun(s) : run_kernels(s);
	if (r == -ENOMEM)
		message(&s->m, "out of memory; the indexes stay as they are");
	return r < 0 ? EXIT_ERROR : r;
}

static void session_done(struct session *s)
{
	for (size_t i = 0; s->config && i < s->o->n_config; i++)
		free(s->config[i]);
	free(s->config);
	free(s->outdir);
	changeset_done(&s->touched);
	kernels_done(&s->kernels);
	mark_list_free(s->marks, s->n_marks);
	vmlinux_done(&s->vmlinux);
	closep(&s->store_dir);
	closep(&s->lock);
	root_done(&s->root);
	root_done(&s->host);
}

int session_run(const struct options *o)
{
	struct session s = {
		.o = o,
		.m = {.verbose = o->verbose,
			.quiet = o->quiet,
			.progress = isatty(STDERR_FILENO) && !o->quiet},
		.report = {.event = messages_event, .progress = messages_progress},
		.lock = -1,
		.store_dir = -1,
	};
	int status;

	s.report.arg = &s.m;
	status = session_main(&s);
	session_done(&s);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_DONE)
		status = EXIT_ERROR;
	return status;
}
