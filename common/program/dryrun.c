// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which kernel a package's module belongs to, its path says; --kernel asks about others,
 * for which the package was not built: there its modules are laid where the tools that
 * link compatible modules would put them, below weak-updates if depmod.d searches that.
 *
 * The tree's own facts come from the engine as in any dry run. If the package changes
 * depmod.d, the tree is scanned again under the new rules, since these may exclude files.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/pool.h"
#include "formats/modname.h"
#include "model/merge.h"
#include "program/dryrun.h"

static const char *const list_names[] = {
	"modules.order", "modules.builtin", "modules.builtin.modinfo"};
enum { LIST_ORDER, LIST_BUILTIN, LIST_MODINFO, N_LISTS };

/* One kernel and all that is made for it. */
struct job {
	const struct kernel *kernel;
	bool absent;  /* the package brings it */
	bool scanned; /* u is what update_run() said: err */
	int err;
	struct target t, t_after;
	char *outdir;
	struct update u, u_after; /* the second only with other configuration */
	bool reread;
	struct tables none; /* of an absent kernel */
	void *none_image;
	struct buf files;   /* struct overlay_file */
	struct buf file_of; /* uint32_t */
	struct buf removed; /* const char * */
	struct buf lists[N_LISTS];
	bool has_list[N_LISTS], own_list[N_LISTS]; /* own: in lists[], to be freed */
	struct kernelinfo info;
	struct forecast f;
	struct prospect prospect;
};

struct dry {
	struct session *s;
	struct packages p;
	struct buf conf; /* struct target_conf */
	struct kernels absent;
	struct job *jobs;
	size_t n;
	/* read while the packages are inspected; its kernel is NULL if none was */
	struct job early;
	struct arena mem;
};

/* --- which path belongs to which kernel --- */

/* "/lib/modules/KVER/REST": the length of what stands before the REST's slash, or 0. */
static size_t split_path(const char *path, const char **ret_kver, size_t *ret_len)
{
	static const char *const prefixes[] = {"/lib/modules/", "/usr/lib/modules/"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t n = strlen(prefixes[i]), len;

		if (!str_starts(path, prefixes[i]))
			continue;
		len = strcspn(path + n, "/");
		if (len == 0 || path[n] == '.' || path[n + len] != '/')
			return 0;
		*ret_kver = path + n;
		*ret_len = len;
		return n + len;
	}
	return 0;
}

/* What a path within the root is below a kernel's directory, or NULL. */
static const char *below_kernel(
	const struct dry *d, const struct kernel *k, const char *path)
{
	_cleanup_(freep) char *prefix = NULL, *real = NULL;
	const char *kver;
	size_t len, n = split_path(path, &kver, &len);

	if (n == 0 || len != strlen(k->kver) || memcmp(kver, k->kver, len) != 0)
		return NULL;
	/*
	 * /lib may be a link, or a directory beside /usr/lib with a kernel of the same
	 * name
	 */
	prefix = strndup(path, n);
	if (prefix && root_realpath(&d->s->root, prefix, &real) == 0 &&
		!str_eq(real, k->dir))
		return NULL;
	return path + n + 1;
}

static const struct kernel *kernel_named(
	const struct kernels *k, const char *kver, size_t len)
{
	for (size_t i = 0; i < k->n; i++)
		if (strlen(k->list[i].kver) == len &&
			memcmp(k->list[i].kver, kver, len) == 0)
			return &k->list[i];
	return NULL;
}

static bool is_list(const char *rest)
{
	for (unsigned i = 0; i < N_LISTS; i++)
		if (str_eq(rest, list_names[i]))
			return true;
	return false;
}

/* A kernel that is not there, but comes with its lists. */
static int add_absent(
	struct dry *d, const char *path, const char *kver, size_t len, size_t prefix)
{
	struct kernel *grown, *k;

	if (kernel_named(&d->absent, kver, len))
		return 0;
	grown = realloc(d->absent.list, (d->absent.n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	d->absent.list = grown;
	k = &grown[d->absent.n++];
	k->kver = strndup(kver, len);
	k->dir = strndup(path + 1, prefix - 1);
	k->name = strndup(path, prefix);
	return k->kver && k->dir && k->name ? 0 : -ENOMEM;
}

static int find_absent(struct dry *d)
{
	const struct package_file *f = vec_data(&d->p.files, struct package_file);
	int r = 0;

	for (size_t i = 0; i < vec_len(&d->p.files, struct package_file) && r == 0; i++) {
		const char *kver;
		size_t len, n = f[i].bare ? 0 : split_path(f[i].path, &kver, &len);

		if (n && is_list(f[i].path + n + 1) &&
			!kernel_named(&d->s->kernels, kver, len))
			r = add_absent(d, f[i].path, kver, len, n);
	}
	return r;
}

/* --- modules that have no path --- */

/* The kernel that a module was built for. */
static int release_of(const struct package_file *f, struct buf *ret)
{
	struct intake in;
	struct decoder *d = decoder_new();
	uint32_t row, len;
	const struct raw_mod *m;
	int r = -ENOMEM;

	intake_init(&in);
	if (d)
		r = read_bytes(&in, d, f->data, f->len, &row);
	if (r == 0 && !in.err) {
		m = &vec_data(&in.mods, struct raw_mod)[row];
		if (m->vermagic != ID_NONE) {
			const char *v = intake_str(&in, m->vermagic, &len);

			buf_add(ret, v, strcspn(v, " "));
		}
	}
	buf_char(ret, '\0');
	decoder_free(d);
	intake_done(&in);
	return r ? r : ret->err;
}

/*
 * Where a module without a path goes: as `make modules_install` of one outside the kernel
 * does.
 */
static int place_bare(struct dry *d)
{
	struct package_file *f = vec_data(&d->p.files, struct package_file);

	for (size_t i = 0; i < vec_len(&d->p.files, struct package_file); i++) {
		_cleanup_(buf_done) struct buf release = {0}, path = {0};
		int r;

		if (!f[i].bare)
			continue;
		if (!d->s->named) {
			r = release_of(&f[i], &release);
			if (r < 0)
				return r;
			if (!*release.data || !kernel_named(&d->s->kernels, release.data,
						      strlen(release.data))) {
				message(&d->s->m,
					"'%s': built for kernel %s, which is not below "
					"'%s'; name "
					"one with --kernel",
					package_of(&d->p, f[i].package)->file,
					*release.data ? release.data
						      : "nobody knows which",
					*d->s->root.path ? d->s->root.path : "/");
				return -EINVAL;
			}
		}
		buf_printf(&path, "/lib/modules/%s/updates/%s",
			d->s->named ? d->s->o->kernels[0] : release.data, f[i].path);
		f[i].path = path.err ? NULL : arena_strdup(&d->mem, path.data, path.len);
		if (!f[i].path)
			return -ENOMEM;
	}
	return 0;
}

/* --- which kernels --- */

static bool brings(const struct dry *d, const struct kernel *k)
{
	const struct package_file *f = vec_data(&d->p.files, struct package_file);

	for (size_t i = 0; i < vec_len(&d->p.files, struct package_file); i++)
		if (below_kernel(d, k, f[i].path))
			return true;
	return false;
}

static bool is_concerned(const struct dry *d, const struct kernel *k)
{
	const struct package_old *old = vec_data(&d->p.olds, struct package_old);

	if (d->conf.len || brings(d, k) ||
		(d->p.list.len == 0 && d->s->o->n_removed == 0))
		return true;
	for (size_t i = 0; i < vec_len(&d->p.olds, struct package_old); i++)
		if (below_kernel(d, k, old[i].path))
			return true;
	for (int i = 0; i < d->s->o->n_removed; i++)
		if (*d->s->o->removed[i] != '/' ||
			below_kernel(d, k, d->s->o->removed[i]))
			return true;
	return false;
}

static int add_job(struct dry *d, const struct kernel *k, bool absent)
{
	struct job *j = &d->jobs[d->n++];

	if (d->early.kernel == k) {
		*j = d->early;
		d->early = (struct job){0};
		return 0;
	}
	j->kernel = k;
	j->absent = absent;
	return session_target(d->s, k, &j->t, &j->outdir);
}

static int choose_named(struct dry *d)
{
	const struct options *o = d->s->o;
	int r = 0;

	for (int i = 0; i < o->n_kernels && r == 0; i++) {
		size_t len = strlen(o->kernels[i]);
		const struct kernel *k = kernel_named(&d->s->kernels, o->kernels[i], len);
		bool absent = !k;

		if (!k)
			k = kernel_named(&d->absent, o->kernels[i], len);
		if (!k) {
			session_no_kernel(d->s, o->kernels[i]);
			return -ENOENT;
		}
		r = add_job(d, k, absent);
	}
	return r;
}

/* Modules for a kernel that is not there: said once for each. */
static void tell_strangers(const struct dry *d)
{
	const struct package_file *f = vec_data(&d->p.files, struct package_file);
	const char *last = "";
	size_t last_len = 0;

	for (size_t i = 0; i < vec_len(&d->p.files, struct package_file); i++) {
		const char *kver;
		size_t len;

		if (!split_path(f[i].path, &kver, &len) ||
			kernel_named(&d->s->kernels, kver, len) ||
			kernel_named(&d->absent, kver, len) ||
			(len == last_len && memcmp(kver, last, len) == 0))
			continue;
		message(&d->s->m,
			"%.*s: not below '%s': the modules for it are not looked at",
			(int)len, kver, *d->s->root.path ? d->s->root.path : "/");
		last = kver;
		last_len = len;
	}
}

static int choose_kernels(struct dry *d)
{
	int r = find_absent(d);

	d->jobs = calloc(d->s->kernels.n + d->absent.n + (size_t)d->s->o->n_kernels + 1,
		sizeof(*d->jobs));
	if (r < 0 || !d->jobs)
		return -ENOMEM;
	if (d->s->named)
		return choose_named(d);
	for (size_t i = 0; i < d->s->kernels.n && r == 0; i++)
		if (is_concerned(d, &d->s->kernels.list[i]))
			r = add_job(d, &d->s->kernels.list[i], false);
	for (size_t i = 0; i < d->absent.n && r == 0; i++)
		r = add_job(d, &d->absent.list[i], true);
	tell_strangers(d);
	if (r == 0 && d->n == 0) {
		message(&d->s->m, "no module of a kernel below '%s' is concerned",
			*d->s->root.path ? d->s->root.path : "/");
		return -ENOENT;
	}
	return r;
}

/* --- depmod.d of the packages --- */

static bool is_conf(const char *path)
{
	return strstr(path, "/depmod.d/") != NULL;
}

static int collect_conf(struct dry *d)
{
	const struct package_old *old = vec_data(&d->p.olds, struct package_old);
	const struct package_file *f = vec_data(&d->p.files, struct package_file);

	for (size_t i = 0; i < vec_len(&d->p.olds, struct package_old); i++)
		if (is_conf(old[i].path))
			buf_add(&d->conf, &(struct target_conf){.path = old[i].path},
				sizeof(struct target_conf));
	for (size_t i = 0; i < vec_len(&d->p.files, struct package_file); i++)
		if (!f[i].bare && is_conf(f[i].path))
			buf_add(&d->conf,
				&(struct target_conf){.path = f[i].path,
					.data = f[i].data,
					.len = f[i].len},
				sizeof(struct target_conf));
	return d->conf.err;
}

/* --- one kernel's overlay --- */

static bool is_excluded(const struct depmodd *c, const char *path)
{
	_cleanup_(freep) char *copy = strdup(path);
	char *save, *name = copy ? strtok_r(copy, "/", &save) : NULL;

	for (; name; name = strtok_r(NULL, "/", &save))
		if (depmodd_excluded(c, name))
			return true;
	return false;
}

static bool searches_weak_updates(const struct depmodd *c)
{
	for (size_t i = 0; i < c->n_search; i++)
		if (str_eq(c->search[i], "weak-updates"))
			return true;
	return false;
}

/*
 * Where a file of a package goes below the job's kernel; NULL: nowhere. *ret_own: built
 * for it.
 */
static const char *place_of(struct dry *d, const struct job *j,
	const struct package_file *f, bool stranger, const struct depmodd *c)
{
	const char *rest = below_kernel(d, j->kernel, f->path), *kver;
	_cleanup_(buf_done) struct buf path = {0};
	size_t len, n;

	if (rest || !stranger)
		return rest;
	n = split_path(f->path, &kver, &len);
	if (n == 0)
		return NULL;
	rest = f->path + n + 1;
	if (f->bare || !searches_weak_updates(c))
		return is_list(rest) ? NULL : rest;
	if (is_list(rest))
		return NULL;
	buf_printf(&path, "weak-updates/%s", rest);
	return path.err ? NULL : arena_strdup(&d->mem, path.data, path.len);
}

static void set_list(struct job *j, unsigned i, const struct package_file *f)
{
	if (j->own_list[i])
		buf_done(&j->lists[i]);
	j->lists[i] = (struct buf){0};
	j->own_list[i] = j->has_list[i] = f != NULL;
	if (f)
		buf_add(&j->lists[i], f->data, f->len);
}

static int collect_files(struct dry *d, struct job *j, const struct depmodd *c)
{
	const struct package_file *f = vec_data(&d->p.files, struct package_file);
	bool stranger = d->s->named && !brings(d, j->kernel);

	for (uint32_t i = 0; i < vec_len(&d->p.files, struct package_file); i++) {
		const char *rest = place_of(d, j, &f[i], stranger, c);
		struct overlay_file o = {rest, f[i].data, f[i].len, f[i].mtime};
		bool list = false;

		for (unsigned k = 0; rest && k < N_LISTS; k++)
			if (str_eq(rest, list_names[k])) {
				set_list(j, k, &f[i]);
				list = true;
			}
		if (!rest || list || is_excluded(c, rest))
			continue;
		buf_add(&j->files, &o, sizeof(o));
		buf_add(&j->file_of, &i, sizeof(i));
	}
	for (unsigned k = 0; k < N_LISTS; k++)
		if (j->own_list[k] && j->lists[k].err)
			return -ENOMEM;
	return j->files.err ? j->files.err : j->file_of.err;
}

/* Paths of the tree that a removed path names: itself, or all below it. */
static int collect_below(struct dry *d, struct job *j, const struct tables *t,
	const char *path, unsigned *found)
{
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		n--;
	for (mod_row m = 0; m < t->n.mods; m++) {
		_cleanup_(buf_done) struct buf b = {0};
		const char *copy;

		tables_path(t, m, &b);
		if (b.err)
			return b.err;
		if (b.len < n || memcmp(b.data, path, n) != 0 ||
			(b.len > n && n && b.data[n] != '/' &&
				!(b.data[n] == '.' && str_ends(path, n, ".ko"))))
			continue; /* a module may be named without its compression */
		copy = arena_strdup(&d->mem, b.data, b.len);
		if (!copy)
			return -ENOMEM;
		buf_add(&j->removed, &copy, sizeof(copy));
		++*found;
	}
	return j->removed.err;
}

static int collect_removed(struct dry *d, struct job *j, const struct tables *t)
{
	const struct package_old *old = vec_data(&d->p.olds, struct package_old);
	const struct options *o = d->s->o;
	int r = 0;

	for (size_t i = 0; i < vec_len(&d->p.olds, struct package_old); i++) {
		const char *rest = below_kernel(d, j->kernel, old[i].path);

		for (unsigned k = 0; rest && k < N_LISTS; k++)
			if (str_eq(rest, list_names[k]))
				set_list(j, k, NULL);
		if (rest)
			buf_add(&j->removed, &rest, sizeof(rest));
	}
	for (int i = 0; i < o->n_removed && r == 0; i++) {
		const char *path = o->removed[i];
		const char *rest = *path == '/' ? below_kernel(d, j->kernel, path) : path;
		unsigned found = 0;

		if (!rest)
			continue;
		r = collect_below(d, j, t, rest, &found);
		if (r == 0 && found == 0)
			message(&d->s->m,
				"%s: '%s': --remove names no module that is there",
				j->kernel->kver, rest);
	}
	return r ? r : j->removed.err;
}

/* --- one kernel --- */

static int scan_tree_of(const struct dry *d, const struct job *j, const struct target *t,
	struct update *ret)
{
	struct update_options o = {.facts_only = true,
		.full = d->s->o->full,
		.store_dir = d->s->store_dir,
		.donor_dir = -1};
	char name[NAME_MAX + 1];

	session_store_name(d->s, j->kernel, name);
	o.store_name = name;
	return update_run(t, &o, ret);
}

/*
 * Where it is clear which kernel will be asked about, its tree is read at the same time.
 */
static int read_early(struct dry *d)
{
	const struct session *s = d->s;
	const char *kver = s->named            ? s->o->kernels[0]
			   : s->kernels.n == 1 ? s->kernels.list[0].kver
					       : NULL;
	const struct kernel *k =
		kver ? kernel_named(&s->kernels, kver, strlen(kver)) : NULL;
	int r;

	if (!k)
		return 0;
	d->early.kernel = k;
	r = session_target(s, k, &d->early.t, &d->early.outdir);
	if (r == 0) {
		d->early.err = scan_tree_of(d, &d->early, &d->early.t, &d->early.u);
		d->early.scanned = true;
	}
	return r;
}

static int read_tree(struct dry *d, struct job *j)
{
	struct merge_dir end = {0};
	struct merge_input none = {.dirs = &end};
	int r = j->scanned ? j->err : scan_tree_of(d, j, &j->t, &j->u);

	if (r == -ENOENT && j->absent) {
		r = merge_tables(&none, 0, &j->none, &j->none_image);
		j->u.t = j->none;
	}
	j->t_after = j->t;
	if (r < 0 || d->conf.len == 0)
		return r;
	j->t_after.conf = vec_data(&d->conf, struct target_conf);
	j->t_after.n_conf = vec_len(&d->conf, struct target_conf);
	j->reread = true;
	r = scan_tree_of(d, j, &j->t_after, &j->u_after);
	if (r == -ENOENT && j->absent) {
		j->u_after.t = j->none;
		r = 0;
	}
	return r;
}

static void take_lists(struct job *j)
{
	const struct buf *have[N_LISTS] = {
		&j->u.order, &j->u.builtin, &j->u.builtin_modinfo};

	j->has_list[LIST_ORDER] = !j->u.order_err;
	j->has_list[LIST_BUILTIN] = !j->u.builtin_err;
	j->has_list[LIST_MODINFO] = !j->u.modinfo_err;
	for (unsigned i = 0; i < N_LISTS; i++)
		j->lists[i] = *have[i];
}

/* Under other rules the tree was read again: its rows have other numbers. */
static int tie_rows(struct forecast *f, const struct tables *after)
{
	for (mod_row m = 0; m < f->over.t.n.mods; m++) {
		const struct mod *mod;
		dir_row dir;

		if (f->over.base[m] == ID_NONE)
			continue;
		mod = &after->mods[f->over.base[m]];
		dir = tables_find_dir(
			f->before, str_of(after, after->dirs[mod->dir].path));
		f->over.base[m] = dir == ID_NONE ? ID_NONE
						 : tables_find_mod(f->before, dir,
							   str_of(after, mod->file));
	}
	return 0;
}

/*
 * Each index as it is complete: compared with the one on disk, and written below
 * --outdir.
 */
struct emission {
	struct dry *d;
	struct job *j;
	int dir;                     /* the kernel's directory; -1: it is not there */
	struct publisher *publisher; /* NULL: without --outdir */
	int err;
};

static int take_index(void *arg, enum output_id id, const struct buf *data)
{
	struct emission *e = arg;

	e->j->prospect.differs[id] = published_differs(e->dir, id, data);
	return e->publisher ? publish_take(e->publisher, id, data) : 0;
}

static int emit_to(struct emission *e)
{
	struct job *j = e->j;
	struct kernel_lists lists = {
		.builtin = j->has_list[LIST_BUILTIN] ? &j->lists[LIST_BUILTIN] : NULL,
		.builtin_modinfo =
			j->has_list[LIST_MODINFO] ? &j->lists[LIST_MODINFO] : NULL,
	};
	struct output_sink sink = {take_index, e};

	return emit(&j->t_after, &j->f.is, &lists, e->d->s->o->warn, &sink);
}

static int write_indexes(struct emission *e)
{
	_cleanup_(closep) int dir = update_open_outdir(&e->j->t, true);
	struct publish_options o = {.dirfd = dir, .unlocked = true};
	struct published pub;
	struct publisher p;
	int r = dir;

	if (dir >= 0) {
		e->publisher = &p;
		publish_begin(&o, &p);
		r = emit_to(e);
		if (r == 0)
			r = publish_commit(&p, &pub);
		else
			publish_abort(&p);
	}
	if (r < 0)
		message(&e->d->s->m, "'%s': the indexes cannot be written: %s",
			e->j->outdir, strerror(-r));
	return r;
}

static void emit_indexes(struct emission *e)
{
	_cleanup_(closep) int dir = -1;
	struct target own = e->j->t_after;

	if (e->j->f.cycle)
		return;
	own.outdir = NULL;
	e->dir = dir = update_open_outdir(&own, false);
	e->err = e->j->outdir ? write_indexes(e) : emit_to(e);
	for (unsigned id = 0; id < OUT_MAX; id++)
		e->j->prospect.changes |= e->j->prospect.differs[id];
}

/* Two things that only read what was resolved, at the same time. */
struct finishing {
	struct emission e;
	const struct overlay *o;
	int err;
	_Atomic unsigned taken;
};

static void finish_worker(void *arg, unsigned i)
{
	struct finishing *f = arg;

	(void)i;
	for (unsigned what; (what = atomic_fetch_add(&f->taken, 1)) < 2;) {
		if (what == 0)
			emit_indexes(&f->e);
		else
			f->err = forecast_compare(&f->e.j->f, f->o);
	}
}

static int finish(struct dry *d, struct job *j, const struct overlay *o)
{
	struct finishing f = {.e = {.d = d, .j = j, .dir = -1}, .o = o};

	pool_run(MIN(2u, j->t.jobs), finish_worker, &f);
	return f.e.err ? f.e.err : f.err;
}

static int run_job(struct dry *d, struct job *j)
{
	struct overlay o;
	const struct tables *tree;
	struct forecast *f = &j->f;
	int r = read_tree(d, j);

	if (r < 0)
		return r;
	tree = j->reread ? &j->u_after.t : &j->u.t;
	*f = (struct forecast){.t = &j->t_after,
		.packages = &d->p,
		.before = &j->u.t,
		.config_before = &j->u.config,
		.config = j->reread ? &j->u_after.config : &j->u.config,
		.info = &j->info};
	take_lists(j);
	r = collect_removed(d, j, tree);
	if (r == 0)
		r = collect_files(d, j, f->config);
	if (r == 0)
		r = kernelinfo_load(&j->t, d->s->has_vmlinux ? &d->s->vmlinux : NULL,
			d->s->o->symvers ? d->s->o->symvers : d->s->o->sysmap, &j->info);
	o = (struct overlay){vec_data(&j->files, struct overlay_file),
		vec_len(&j->files, struct overlay_file),
		vec_data(&j->removed, const char *), vec_len(&j->removed, const char *)};
	if (r == 0)
		r = overlay_apply(&j->t, tree, &o, &f->over);
	if (r < 0)
		return r;
	if (j->reread)
		tie_rows(f, tree);
	f->file_of = vec_data(&j->file_of, uint32_t);
	f->order_before = !j->u.order_err ? &j->u.order : NULL;
	f->order = j->has_list[LIST_ORDER] ? &j->lists[LIST_ORDER] : NULL;
	f->builtin = j->has_list[LIST_BUILTIN] ? &j->lists[LIST_BUILTIN] : NULL;
	r = forecast_resolve(f);
	if (r == 0)
		r = finish(d, j, &o);
	j->prospect.kernel = j->kernel;
	j->prospect.f = f;
	j->prospect.changes |= f->changes.len || f->cycle;
	return r;
}

static void job_done(struct job *j)
{
	forecast_done(&j->f);
	kernelinfo_done(&j->info);
	for (unsigned i = 0; i < N_LISTS; i++)
		if (j->own_list[i])
			buf_done(&j->lists[i]);
	if (j->reread)
		update_done(&j->u_after);
	update_done(&j->u);
	buf_done(&j->files);
	buf_done(&j->file_of);
	buf_done(&j->removed);
	free(j->none_image);
	free(j->outdir);
}

/* --- all of it --- */

static int show(struct dry *d)
{
	_cleanup_(freep) struct prospect *list = calloc(d->n + 1, sizeof(*list));
	int r = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++)
		list[i] = d->jobs[i].prospect;
	if (d->s->o->json)
		return prospect_json(d->s, &d->p, list, d->n);
	if (d->s->o->dot)
		return prospect_dot(&d->p, list, d->n);
	if (!d->s->o->explain)
		prospect_text(d->s, &d->p, list, d->n);
	for (size_t i = 0; d->s->o->explain && i < d->n && r == 0; i++)
		r = prospect_explain(d->s, &list[i], d->s->o->explain);
	return r;
}

static int exit_status(const struct dry *d)
{
	int status = EXIT_DONE;

	for (size_t i = 0; d->s->o->exit_code && i < d->n; i++) {
		if (forecast_breaks(&d->jobs[i].f))
			return EXIT_SYMBOLS;
		if (d->jobs[i].prospect.changes)
			status = EXIT_CHANGES;
	}
	return status;
}

int dryrun(struct session *s)
{
	struct dry d = {.s = s};
	struct inspector inspector;
	int r = packages_start(
		&s->m, &s->root, s->o->packages, (size_t)s->o->n_packages, &inspector);
	int early = r == 0 ? read_early(&d) : 0;

	if (r == 0)
		r = packages_finish(&s->m, &s->root, &inspector, &d.p);
	if (r == 0)
		r = early;
	if (r == 0)
		r = collect_conf(&d);
	if (r == 0)
		r = place_bare(&d);
	if (r == 0)
		r = choose_kernels(&d);
	for (size_t i = 0; i < d.n && r == 0; i++) {
		r = run_job(&d, &d.jobs[i]);
		if (r < 0 && r != -ENOMEM)
			message(&s->m, "%s: failed: %s", d.jobs[i].kernel->kver,
				failure_text(r));
	}
	if (r == 0)
		r = show(&d);
	if (r == 0)
		r = exit_status(&d);
	for (size_t i = 0; i < d.n; i++)
		job_done(&d.jobs[i]);
	job_done(&d.early);
	free(d.jobs);
	kernels_done(&d.absent);
	buf_done(&d.conf);
	packages_done(&d.p);
	arena_done(&d.mem);
	return r;
}
