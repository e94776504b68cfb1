// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * There are two ways through. If every module, list and configuration file is as it was
 * remembered, and the indexes are the ones that were published, nothing is left to do:
 * that is proven by stats and digests alone. Otherwise everything behind the facts is
 * done anew; each index goes to disk as it is made, if its bytes differ, and all are
 * renamed together.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>

#include "base/pool.h"
#include "engine/update.h"
#include "model/merge.h"

#define LIST_SIZE_MAX ((size_t)256 << 20)

const char *const phase_names[PHASE_MAX] = {
	[PHASE_LOAD] = "load",
	[PHASE_SCAN] = "scan",
	[PHASE_READ] = "read",
	[PHASE_MERGE] = "merge",
	[PHASE_RESOLVE] = "resolve",
	[PHASE_EMIT] = "emit",
	[PHASE_PUBLISH] = "publish",
	[PHASE_STORE] = "store",
};

struct run {
	const struct target *t;
	struct target counting; /* t, with a report that counts */
	struct report report;
	const struct update_options *o;
	struct update *u;
	struct store_writer store;
	bool store_failed; /* and that was said */
	int64_t since;
};

/*
 * Events while the indexes are made are counted: a later run that proves them right is
 * silent.
 */
static void count_event(void *arg, const struct event *e)
{
	struct run *run = arg;

	run->u->warnings++;
	run->report.event(run->report.arg, e);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return timespec_ns(t);
}

/* The time since the last call belongs to this phase. */
static void lap(struct run *run, enum phase p)
{
	int64_t now = now_ns();

	run->u->ns[p] += now - run->since;
	run->since = now;
}

/* --- what is remembered, and what it must agree with --- */

static int read_list(struct run *run, const char *name, struct buf *text, int *ret_err,
	struct digest *digest)
{
	_cleanup_(buf_done) struct buf path = {0};
	int r;

	buf_printf(&path, "%s/%s", run->t->dir, name);
	if (path.err)
		return path.err;
	r = fs_read_file(run->t->root, path.data, LIST_SIZE_MAX, text);
	if (r < 0 && !fs_err_is_files_own(r)) {
		report_event(run->t->report, .kind = EVENT_CONFIG_FILE,
			.kver = run->t->kver, .path = path.data, .err = r);
		return r;
	}
	*ret_err = r;
	*digest = digest_join(*digest, r == 0 ? digest_bytes(text->data, text->len)
					      : digest_bytes("missing", 7));
	return 0;
}

static int load_inputs(struct run *run)
{
	const struct target *t = run->t;
	struct update *u = run->u;
	int r;

	u->inputs.where = digest_bytes(t->dir, strlen(t->dir));
	u->inputs.lists = digest_bytes(&t->symbol_prefix, 1);
	r = config_read(t, &u->config, &u->inputs.config);
	/* which of the external directories are in the kernel's, its name says */
	if (r == 0 && u->config.n_external && t->name)
		u->inputs.config = digest_join(
			u->inputs.config, digest_bytes(t->name, strlen(t->name)));
	if (r == 0)
		r = read_list(
			run, "modules.order", &u->order, &u->order_err, &u->inputs.lists);
	if (r == 0)
		r = read_list(run, "modules.builtin", &u->builtin, &u->builtin_err,
			&u->inputs.lists);
	if (r == 0)
		r = read_list(run, "modules.builtin.modinfo", &u->builtin_modinfo,
			&u->modinfo_err, &u->inputs.lists);
	return r;
}

static int load_store(struct run *run)
{
	struct update *u = run->u;

	if (run->o->store_dir < 0 || run->o->full)
		return 0;
	u->store_outcome = store_open(
		run->o->store_dir, run->o->store_name, &u->inputs.where, &u->store);
	if (u->store_outcome < 0)
		return u->store_outcome;
	if (u->store_outcome > 0)
		report_event(run->t->report, .kind = EVENT_STORE, .kver = run->t->kver,
			.detail = store_outcome_text(u->store_outcome),
			.status = u->store_outcome);
	return 0;
}

_Static_assert(STORE_OUTPUTS == OUT_MAX, "the store has a place for each index");

static const struct tables *remembered(const struct update *u)
{
	return u->store.head ? &u->store.t : NULL;
}

static int scan(struct run *run)
{
	struct update *u = run->u;
	struct scan_options o = {
		.old = remembered(u),
		.believe_dirs = u->store.head &&
				digest_eq(u->store.head->inputs.config, u->inputs.config),
		.touched = run->o->touched,
		.n_touched = run->o->n_touched,
	};

	if (run->o->files)
		return scan_list(run->t, run->o->files, run->o->n_files, &o, &u->scan,
			&u->bad_file);
	return scan_tree(run->t, &u->config, &o, &u->scan);
}

/* --- is there anything to do? --- */

static bool all_same(const struct scan *s)
{
	for (uint32_t i = 0; i < s->n_files; i++)
		if (s->files[i].state != FILE_SAME)
			return false;
	return true;
}

/* After reading: did every doubtful file prove to be the remembered one? */
static bool facts_same(const struct update *u)
{
	if (!u->store.head || u->scan.changed)
		return false;
	for (uint32_t i = 0; i < u->scan.n_files; i++) {
		const struct read_file *f = &u->reading.files[i];

		if (u->scan.files[i].state != FILE_SAME && (f->intake >= 0 || f->gone))
			return false;
	}
	return true;
}

/* Older than a module, though its bytes may be right: see publish_age(). */
static bool dep_is_old(const struct update *u)
{
	return u->store.head->outputs[OUT_DEP].stamp.mtime < u->scan.newest_mtime;
}

static bool outputs_intact(const struct run *run, int outdir)
{
	const struct update *u = run->u;

	if (run->o->repeat_warnings && u->store.head && u->store.head->warnings)
		return false;
	return u->store.head && !run->t->outdir && outdir >= 0 &&
	       digest_eq(u->store.head->inputs.config, u->inputs.config) &&
	       digest_eq(u->store.head->inputs.lists, u->inputs.lists) &&
	       published_intact(outdir, u->store.head) &&
	       (run->o->write || !dep_is_old(u));
}

/* In the kernel's directory, that is, not in external ones. */
static bool hides_modules(const struct scan *s)
{
	for (uint32_t i = 0; i < s->n_dirs; i++)
		if ((s->dirs[i].flags & ROW_HIDES) && *s->dirs[i].path != '/')
			return true;
	return false;
}

/* Modules that depmod.d leaves out are modules: depmod then writes empty indexes. */
static bool is_kernel(const struct update *u)
{
	return u->scan.n_files > 0 || u->order_err != -ENOENT ||
	       u->builtin_err != -ENOENT || hides_modules(&u->scan);
}

/* Only then is it known that there are no modules. */
static bool saw_everything(const struct scan *s)
{
	const struct scan_event *e = vec_data(&s->events, struct scan_event);

	for (size_t i = 0; i < vec_len(&s->events, struct scan_event); i++)
		if (e[i].kind == EVENT_DIR_UNREADABLE || e[i].kind == EVENT_TREE_LIMIT)
			return false;
	return true;
}

/* --- the new table --- */

static int merge(struct run *run)
{
	struct update *u = run->u;
	const struct scan *s = &u->scan;
	_cleanup_(freep) struct merge_dir *dirs =
		calloc((size_t)s->n_dirs + 1, sizeof(*dirs));
	_cleanup_(freep) struct merge_mod *mods =
		calloc((size_t)s->n_files + 1, sizeof(*mods));
	struct merge_input in = {.old = remembered(u),
		.intakes = u->reading.intakes,
		.n_intakes = u->reading.n_intakes,
		.dirs = dirs,
		.n_dirs = s->n_dirs,
		.mods = mods};

	if (!dirs || !mods)
		return -ENOMEM;
	for (uint32_t d = 0; d < s->n_dirs; d++) {
		dirs[d] = (struct merge_dir){.path = s->dirs[d].path,
			.flags = s->dirs[d].flags,
			.first = in.n_mods,
			.stamp = s->dirs[d].stamp};
		for (uint32_t f = s->dirs[d].first; f < s->dirs[d + 1].first; f++) {
			const struct scan_file *file = &s->files[f];
			struct merge_mod m = {.file = file->name,
				.flags = file->flags,
				.intake = -1,
				.row = file->old,
				.stamp = file->stamp};

			if (file->state != FILE_SAME) {
				const struct read_file *read = &u->reading.files[f];

				if (read->gone)
					continue;
				m.flags |= read->flags;
				m.stamp = read->stamp;
				if (read->intake >= 0) {
					m.intake = read->intake;
					m.row = read->row;
				}
			}
			mods[in.n_mods++] = m;
		}
	}
	dirs[s->n_dirs].first = in.n_mods;
	return merge_tables(&in, sizeof(struct store_head), &u->t, &u->image);
}

/* --- resolve and emit --- */

static void report_list(const struct run *run, const char *name, int err)
{
	if (err < 0)
		report_event(run->t->report, .kind = EVENT_LIST_MISSING,
			.kver = run->t->kver, .path = name, .err = err);
}

static void report_unreadable(const struct run *run, mod_row m)
{
	const struct update *u = run->u;
	_cleanup_(buf_done) struct buf path = {0};

	tables_path(&u->t, m, &path);
	buf_char(&path, '\0');
	if (!path.err)
		report_event(run->t->report, .kind = EVENT_MODULE_BAD,
			.kver = run->t->kver, .path = path.data,
			.status = u->t.mods[m].status);
}

static int resolve_tables(struct run *run)
{
	struct update *u = run->u;
	int r;

	report_list(run, "modules.order", u->order_err);
	u->resolved_valid = true;
	r = resolve(run->t, &u->t, &u->config, u->order_err ? NULL : &u->order, &u->r);
	for (mod_idx i = 0; r >= 0 && i < u->r.n; i++)
		if (u->t.mods[u->r.row[i]].status != ELFMOD_OK)
			report_unreadable(run, u->r.row[i]);
	if (r == 0 && run->o->check)
		r = check_symbols(&u->r, run->o->check, &u->problems);
	return r;
}

static int emit_to(struct run *run, const struct output_sink *sink)
{
	struct update *u = run->u;
	struct kernel_lists lists = {
		.builtin = u->builtin_err ? NULL : &u->builtin,
		.builtin_modinfo = u->modinfo_err ? NULL : &u->builtin_modinfo,
	};

	report_list(run, "modules.builtin", u->builtin_err);
	report_list(run, "modules.builtin.modinfo", u->modinfo_err);
	return emit(run->t, &u->r, &lists, run->o->warn_duplicates, sink);
}

static int emit_to_memory(struct run *run)
{
	struct output_sink sink = {outputs_take, &run->u->out};

	run->u->outputs_valid = true;
	return emit_to(run, &sink);
}

/* --- to disk --- */

int update_open_outdir(const struct target *t, bool make)
{
	struct root host;
	int r, fd;

	if (!t->outdir)
		return root_openat(t->root, t->dir, O_RDONLY | O_DIRECTORY, 0);
	r = root_open(&host, "");
	if (r < 0)
		return r;
	if (make)
		r = root_mkdirs(&host, t->outdir, 0755);
	fd = r < 0 ? r : root_openat(&host, t->outdir, O_RDONLY | O_DIRECTORY, 0);
	root_done(&host);
	return fd;
}

static void report_output(const struct run *run, enum output_id id, int err)
{
	report_event(run->t->report, .kind = EVENT_OUTPUT, .kver = run->t->kver,
		.path = id < OUT_MAX ? output_names[id] : "", .err = err,
		.number = run->u->pub.n_replaced);
}

/* A store that cannot be written costs time later and is otherwise no harm. */
static void store_failed(struct run *run, int r)
{
	run->store_failed = true;
	report_event(run->t->report, .kind = EVENT_STORE, .kver = run->t->kver,
		.detail = "cannot be written", .err = r);
}

static bool store_wanted(const struct run *run)
{
	const struct update *u = run->u;

	if (run->o->store_dir < 0 || !u->image || run->o->keep_store || run->o->files ||
		run->store_failed)
		return false;
	/* what it says of the indexes in the module directory stays true */
	return !run->t->outdir || !u->store.head;
}

static int begin_store(struct run *run)
{
	const struct update_options *o = run->o;

	if (!store_wanted(run) || run->store.fd >= 0)
		return 0;
	return store_begin(
		o->store_dir, o->store_name, run->u->image, &run->u->t.n, &run->store);
}

static int commit_store(struct run *run, bool published)
{
	struct update *u = run->u;
	struct store_head *h = u->image;
	int r;

	if (!store_wanted(run))
		return 0;
	h->inputs = u->inputs;
	h->valid_outputs = !run->t->outdir && published;
	h->warnings = u->warnings;
	if (u->outcome == UPDATE_IDLE) {
		h->valid_outputs = u->store.head->valid_outputs;
		h->warnings = u->store.head->warnings;
		memcpy(h->outputs, u->store.head->outputs, sizeof(h->outputs));
		if (u->aged)
			h->outputs[OUT_DEP] = u->pub.outputs[OUT_DEP];
	} else if (h->valid_outputs) {
		memcpy(h->outputs, u->pub.outputs, sizeof(h->outputs));
	}
	if (store_same(&u->store, u->image, &u->t.n)) {
		store_abort(&run->store);
		return 0;
	}
	r = begin_store(run);
	if (r == 0)
		r = store_commit(&run->store, u->image, &u->t.n);
	u->stored = r == 0;
	return r;
}

static void write_store(struct run *run, bool published)
{
	int r = commit_store(run, published);

	if (r < 0)
		store_failed(run, r);
	lap(run, PHASE_STORE);
}

/*
 * Publishing is mostly waiting: the store is written meanwhile, up to what it says of the
 * indexes.
 */
struct publishing {
	struct run *run;
	struct publisher *p;
	_Atomic unsigned taken;
	int err, store_err;
};

static void publish_worker(void *arg, unsigned i)
{
	struct publishing *s = arg;

	(void)i;
	for (unsigned what; (what = atomic_fetch_add(&s->taken, 1)) < 2;) {
		if (what == 0)
			s->err = publish_commit(s->p, &s->run->u->pub);
		else
			s->store_err = begin_store(s->run);
	}
}

static int publish(struct run *run, struct publisher *p)
{
	struct publishing s = {.run = run, .p = p};
	struct update *u = run->u;

	pool_run(MIN(run->t->jobs, 2u), publish_worker, &s);
	lap(run, PHASE_PUBLISH);
	if (s.store_err < 0)
		store_failed(run, s.store_err);
	if (s.err < 0) {
		report_output(run, u->pub.failed, s.err);
		return s.err;
	}
	memcpy(u->differs, u->pub.written, sizeof(u->differs));
	u->outcome = u->pub.n_written ? UPDATE_CHANGED : UPDATE_SAME;
	return 0;
}

static int emit_and_publish(struct run *run, int outdir)
{
	struct update *u = run->u;
	_cleanup_(buf_done) struct buf path = {0};
	struct publish_options o = {.dirfd = outdir,
		.sync = run->o->sync,
		.unlocked = run->o->unlocked,
		.known = run->t->outdir || !u->store.head ? NULL : u->store.head,
		.newest_module = u->scan.newest_mtime};
	struct publisher p;
	struct output_sink sink = {publish_take, &p};
	int r;

	if (run->t->root->host && !run->t->outdir) {
		buf_printf(&path, "/%s", run->t->dir);
		o.path = path.data;
	}
	publish_begin(&o, &p);
	r = emit_to(run, &sink);
	lap(run, PHASE_EMIT);
	if (r == 0)
		return publish(run, &p);
	publish_abort(&p);
	if (p.pub.failed < OUT_MAX)
		report_output(run, p.pub.failed, r);
	return r;
}

/* --- all of it --- */

static int load(struct run *run)
{
	int r = load_inputs(run);

	if (r == 0)
		r = load_store(run);
	lap(run, PHASE_LOAD);
	return r;
}

static int scan_and_read(struct run *run)
{
	_cleanup_(donors_done) struct donors donors = {0};
	const struct update_options *o = run->o;
	struct update *u = run->u;
	int r = scan(run), dir = o->donor_dir >= 0 ? o->donor_dir : o->store_dir;

	lap(run, PHASE_SCAN);
	if (r < 0 || all_same(&u->scan))
		return r;
	if (!o->full)
		r = donors_open(dir, dir == o->store_dir ? o->store_name : NULL,
			remembered(u), &donors);
	if (r == 0)
		r = read_modules(run->t, &u->scan, remembered(u), &donors, &u->reading);
	lap(run, PHASE_READ);
	return r;
}

/* The table is all that is asked for. */
static int finish_facts(struct run *run)
{
	struct update *u = run->u;
	int r = 0;

	scan_report(run->t, &u->scan);
	if (facts_same(u)) {
		u->outcome = UPDATE_SAME;
		u->t = u->store.t;
	} else {
		u->outcome = UPDATE_CHANGED;
		r = merge(run);
	}
	lap(run, PHASE_MERGE);
	return r;
}

static int make_dep_younger(struct run *run, int outdir)
{
	struct update *u = run->u;
	int r;

	u->pub.outputs[OUT_DEP] = u->store.head->outputs[OUT_DEP];
	r = publish_age(outdir, u->scan.newest_mtime, &u->pub.outputs[OUT_DEP]);
	if (r < 0)
		report_output(run, OUT_DEP, r);
	u->aged = r == 0;
	lap(run, PHASE_PUBLISH);
	return r;
}

/* Nothing to publish. The store is written again only to remember stats that moved. */
static int finish_idle(struct run *run, int outdir)
{
	struct update *u = run->u;
	int r = 0;

	u->outcome = UPDATE_IDLE;
	if (run->o->write && dep_is_old(u))
		r = make_dep_younger(run, outdir);
	if (r == 0 && run->o->write && (u->scan.stats_moved || u->aged) && !u->image) {
		r = merge(run);
		lap(run, PHASE_MERGE);
	}
	if (r == 0 && run->o->write)
		write_store(run, true);
	if (!u->image)
		u->t = u->store.t;
	if (r == 0 && (run->o->check || run->o->want_outputs)) {
		r = resolve_tables(run);
		lap(run, PHASE_RESOLVE);
	}
	if (r == 0 && run->o->want_outputs) {
		r = emit_to_memory(run);
		lap(run, PHASE_EMIT);
	}
	return r;
}

/* Find out which index files would be written. */
static int emit_and_compare(struct run *run, int outdir)
{
	struct update *u = run->u;
	int r = emit_to_memory(run);

	lap(run, PHASE_EMIT);
	u->outcome = UPDATE_SAME;
	for (unsigned i = 0; i < OUT_MAX && r == 0; i++) {
		u->differs[i] = published_differs(outdir, i, &u->out.file[i]);
		if (u->differs[i])
			u->outcome = UPDATE_CHANGED;
	}
	return r;
}

static int finish_changed(struct run *run, int outdir)
{
	int r = run->u->image ? 0 : merge(run);

	run->u->outcome = UPDATE_SAME;
	lap(run, PHASE_MERGE);
	if (r < 0)
		return r;
	r = resolve_tables(run);
	lap(run, PHASE_RESOLVE);
	if (r == 0 && !run->o->write)
		return emit_and_compare(run, outdir);
	if (r == 0 && outdir < 0) {
		report_output(run, OUT_MAX, outdir);
		return outdir;
	}
	if (r == 0)
		r = emit_and_publish(run, outdir);
	/*
	 * what was read is true also where it cannot be published, because of a cycle say
	 */
	if (run->o->write)
		write_store(run, r == 0);
	return r;
}

/*
 * Is it proven that the indexes are right? *ret_proven is set on 0. Modules that had to
 * be read again, uncompressed ones say, may have the facts that were remembered.
 */
static int prove(struct run *run, int outdir, bool *ret_proven)
{
	struct update *u = run->u;
	bool same = all_same(&u->scan) || facts_same(u);
	int r;

	*ret_proven = false;
	/*
	 * looking at the indexes may mean reading them: only where that can be the proof
	 */
	if (u->scan.changed || !outputs_intact(run, outdir))
		return 0;
	if (!same) {
		r = merge(run);
		lap(run, PHASE_MERGE);
		if (r < 0)
			return r;
		same = tables_same_facts(&u->t, &u->store.t);
	}
	*ret_proven = same;
	return 0;
}

int update_run(const struct target *t, const struct update_options *o, struct update *ret)
{
	struct run run = {.t = t, .o = o, .u = ret, .store.fd = -1, .since = now_ns()};
	_cleanup_(closep) int outdir = -1;
	bool proven;
	int r;

	*ret = (struct update){0};
	r = load(&run);
	if (r == 0)
		r = scan_and_read(&run);
	if (r < 0)
		return r;
	if (o->only_if_kernel && !is_kernel(ret) && saw_everything(&ret->scan)) {
		ret->outcome = UPDATE_NO_KERNEL;
		return 0;
	}
	if (o->facts_only)
		return finish_facts(&run);
	outdir = update_open_outdir(t, o->write);
	/*
	 * a scan has seen what is in the module directory, not elsewhere, and of named
	 * files nothing
	 */
	if (o->write && (ret->scan.leftovers || t->outdir || o->files) && !o->unlocked &&
		outdir >= 0)
		publish_clean(outdir);
	r = prove(&run, outdir, &proven);
	if (r < 0)
		return r;
	if (proven) {
		if (o->repeat_warnings)
			scan_report(t, &ret->scan);
		return finish_idle(&run, outdir);
	}
	/* what is odd about a tree is said when it is indexed anew */
	scan_report(t, &ret->scan);
	run.counting = *t;
	run.report = *t->report;
	run.counting.report = &(struct report){.event = count_event, .arg = &run};
	run.t = &run.counting;
	return finish_changed(&run, outdir);
}

void update_done(struct update *u)
{
	if (u->outputs_valid)
		outputs_done(&u->out);
	if (u->resolved_valid)
		resolved_done(&u->r);
	reading_done(&u->reading);
	scan_done(&u->scan);
	store_close(&u->store);
	depmodd_done(&u->config);
	buf_done(&u->order);
	buf_done(&u->builtin);
	buf_done(&u->builtin_modinfo);
	buf_done(&u->problems);
	free(u->image);
	*u = (struct update){0};
}
