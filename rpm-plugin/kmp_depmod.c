// SPDX-License-Identifier: GPL-2.0-or-later

/*
 * The rpm plugin. It collects what a transaction does to kernel modules and has the
 * program bring their indexes up to date, at the end, once. It does nothing else in rpm's
 * process.
 *
 *	tsm_pre             (outside)  note the root; are there marks of the dead? keep the
 *	                               running kernel's modules
 *	fsm_file_pre        (inside)   mark the kernel before its first file changes
 *	fsm_file_post       (inside)   collect the path, whatever became of it
 *	scriptlet_pre       (inside)   before the first that may read the indexes: flush
 *	scriptlet_fork_post (child)    offer the drop-in
 *	tsm_post            (outside)  put the running kernel's modules back; flush what is
 *	                               left; clear the marks
 *
 * "Inside" is inside the chroot of --root, where the program is the root's own. If it has
 * none, the flush waits for tsm_post, which calls ours from outside.
 *
 * Which path holds what is not decided here. The disk is the truth when the program scans
 * it; that is why scriptlets after a flush are a reason for another one, and why the
 * result of a file operation, or of the transaction, does not matter.
 *
 * Every hook returns RPMRC_OK: nothing here is worth a failed transaction. If the indexes
 * may be stale at the end, one warning says so, and the marks stay for a later run.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rpm/rpmfi.h>
#include <rpm/rpmfiles.h>
#include <rpm/rpmlog.h>
#include <rpm/rpmts.h>

#include "base/mark.h"
#include "base/util.h"
#include "model/changeset.h"
#include "rpm-plugin/hooks.h"
#include "rpm-plugin/intercept.h"
#include "rpm-plugin/keep.h"
#include "rpm-plugin/options.h"
#include "rpm-plugin/run.h"

#define LOG(level, format, ...) rpmlog(level, "[kmp_depmod] " format "\n", ##__VA_ARGS__)

/* A kernel whose files this transaction changes. */
struct kernel {
	char *kver;
	struct mark mark; /* not held where it could not be set */
};

struct plugin {
	struct options options;

	/* One transaction; all zero (and descriptors -1) outside of one. */
	bool active;
	char *root; /* absolute, as seen from outside the chroot */
	int root_fd;
	int outer_root_fd;        /* for intercept_mount(); -1 without chroot */
	struct changeset changes; /* since the last good flush */
	struct kernel *kernels;   /* of the whole transaction */
	size_t n_kernels;
	bool dirty;    /* a run is needed */
	bool touched;  /* a path was collected, now or before a flush */
	bool early;    /* the flush before the first %posttrans was tried */
	bool warned;   /* once is enough */
	bool hopeless; /* it hung: not tried again */
	/* the transaction changes modules, and those that run are to be kept */
	bool keeping;
};

/* --- one transaction --- */

static void transaction_end(struct plugin *p)
{
	struct options options = p->options;

	for (size_t i = 0; i < p->n_kernels; i++) {
		mark_leave(&p->kernels[i].mark);
		free(p->kernels[i].kver);
	}
	free(p->kernels);
	free(p->root);
	changeset_done(&p->changes);
	if (p->root_fd >= 0)
		close(p->root_fd);
	if (p->outer_root_fd >= 0)
		close(p->outer_root_fd);
	*p = (struct plugin){.options = options, .root_fd = -1, .outer_root_fd = -1};
}

static bool in_chroot(const struct plugin *p)
{
	return strcmp(p->root, "/") != 0;
}

/* Has anybody died over a kernel of this root? */
static bool orphans_left(int root_fd)
{
	struct mark_found *found;
	bool ret = false;
	size_t n;
	int r;

	r = mark_list(root_fd, &found, &n);
	if (r < 0) {
		LOG(RPMLOG_DEBUG, "marks cannot be listed: %s", strerror(-r));
		return false;
	}
	for (size_t i = 0; i < n; i++)
		ret |= found[i].orphaned;
	mark_list_free(found, n);
	return ret;
}

static void transaction_begin(struct plugin *p, const char *root)
{
	p->root = strdup(root && *root ? root : "/");
	if (p->root)
		p->root_fd = open(p->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->root_fd < 0) {
		LOG(RPMLOG_WARNING, "module indexes will not be updated: %s: %s",
			p->root ? p->root : "the root", strerror(errno));
		return;
	}
	if (p->options.intercept && in_chroot(p))
		p->outer_root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	p->active = true;
	if (orphans_left(p->root_fd)) {
		LOG(RPMLOG_INFO,
			"an earlier transaction did not end, checking the indexes");
		p->dirty = true;
	}
}

static bool sync_wanted(void)
{
	const char *value = getenv("PKGSYSTEM_ENABLE_FSYNC");

	return !value || strcmp(value, "0") != 0;
}

static void kernel_mark(struct plugin *p, struct kernel *k)
{
	char who[32];
	int r;

	snprintf(who, sizeof(who), "rpm, pid %d", getpid());
	r = mark_set(p->root_fd, k->kver, who, sync_wanted(), &k->mark);
	if (r != 0)
		LOG(RPMLOG_DEBUG, "%s: no mark: %s", k->kver,
			r < 0 ? strerror(-r) : "its lock is taken");
}

static void kernel_begin(struct plugin *p, const char *kver, size_t len)
{
	struct kernel *longer, *k;

	for (size_t i = 0; i < p->n_kernels; i++)
		if (strncmp(p->kernels[i].kver, kver, len) == 0 &&
			p->kernels[i].kver[len] == '\0')
			return;
	longer = reallocarray(p->kernels, p->n_kernels + 1, sizeof(*longer));
	if (!longer)
		return;
	p->kernels = longer;
	k = &longer[p->n_kernels];
	*k = (struct kernel){.kver = strndup(kver, len), .mark = MARK_NONE};
	if (!k->kver)
		return;
	p->n_kernels++;
	kernel_mark(p, k);
}

/* --- flush --- */

/* The last line is the cause; of a long story the user sees that. */
static const char *last_line(struct run *run)
{
	char *newline;

	while (run->len > 0 && run->output[run->len - 1] == '\n')
		run->output[--run->len] = '\0';
	newline = strrchr(run->output, '\n');
	return newline ? newline + 1 : run->output;
}

static void describe(int r, struct run *run, unsigned timeout, char *buf, size_t size)
{
	const char *said;

	switch (r) {
	case RUN_FAILED:
		said = last_line(run);
		snprintf(buf, size, "exit status %d%s%.900s", run->status,
			*said ? ": " : "", said);
		break;
	case RUN_KILLED:
		snprintf(buf, size, "killed by signal %d", run->status);
		break;
	case RUN_TIMEOUT:
		snprintf(buf, size, "given up after %u seconds", timeout);
		break;
	default:
		snprintf(buf, size, "cannot be run: %s", strerror(-r));
	}
}

static void warn_once(struct plugin *p, const char *what, const char *cause)
{
	LOG(p->warned ? RPMLOG_INFO : RPMLOG_WARNING, "%s%s", what, cause);
	p->warned = true;
}

/* What it says when all went well is about single modules, unless asked for. */
static void report_output(struct plugin *p, struct run *run)
{
	if (run->len > 0 && !rpmIsDebug())
		warn_once(p, "", last_line(run));
	if (run->len > 0)
		LOG(RPMLOG_DEBUG, "%s", run->output);
}

static void report_success(struct plugin *p, struct run *run)
{
	report_output(p, run);
	if (p->changes.n > 0)
		LOG(RPMLOG_INFO,
			"module indexes up to date after %zu changed file%s, %.3f s",
			p->changes.n, p->changes.n == 1 ? "" : "s", run->seconds);
}

static void report_failure(struct plugin *p, bool inside, int r, struct run *run)
{
	char cause[1024];

	describe(r, run, p->options.timeout, cause, sizeof(cause));
	/* Inside, it may lack its interpreter; outside is another try. */
	if (r < 0 && inside && in_chroot(p))
		LOG(RPMLOG_DEBUG, "%s: %s", p->options.program, cause);
	else
		warn_once(p, "module indexes may be out of date: ", cause);
	p->hopeless = r == RUN_TIMEOUT;
}

static void flush(struct plugin *p, bool inside)
{
	char inside_root[] = "/", *root = inside ? inside_root : p->root;
	char *verbose = rpmIsDebug() ? "-v" : NULL;
	char *argv[] = {
		p->options.program, "--root", root, "--touched-from", "-", verbose, NULL};
	struct run run;
	int r;

	if (p->hopeless)
		return;
	if (access(p->options.program, X_OK) < 0) {
		LOG(RPMLOG_DEBUG, "%s: %s", p->options.program, strerror(errno));
		return;
	}
	LOG(RPMLOG_DEBUG, "%s --root %s, %zu paths", p->options.program, root,
		p->changes.n);
	r = run_program(argv, p->changes.wire, p->changes.len, p->options.timeout, &run);
	if (r == RUN_UNKNOWN) {
		LOG(RPMLOG_DEBUG, "the status of %s was taken by another",
			p->options.program);
		return;
	}
	if (r != 0) {
		report_failure(p, inside, r, &run);
		return;
	}
	report_success(p, &run);
	changeset_clear(&p->changes);
	p->dirty = false;
}

static void clear_marks(struct plugin *p)
{
	for (size_t i = 0; i < p->n_kernels; i++) {
		struct kernel *k = &p->kernels[i];
		int r;

		if (k->mark.fd < 0)
			continue;
		r = mark_clear(p->root_fd, k->kver, &k->mark);
		if (r != 0)
			LOG(RPMLOG_DEBUG, "%s: mark stays: %s", k->kver,
				r < 0 ? strerror(-r) : "it is another's too");
	}
}

/* --- the running kernel --- */

/* action is save or restore. */
static void keep_running(
	struct plugin *p, char *action, const struct buf *paths, char *cause)
{
	char *argv[16],
		what[] = "the running kernel's modules cannot be kept: ", reason[1024];
	struct run run;
	size_t n = 0;
	int r;

	if (p->hopeless || access(p->options.program, X_OK) < 0)
		return;
	argv[n++] = p->options.program;
	argv[n++] = (char *)"--keep-running";
	argv[n++] = action;
	argv[n++] = (char *)"--root";
	argv[n++] = p->root;
	if (paths) {
		argv[n++] = (char *)"--touched-from";
		argv[n++] = (char *)"-";
	}
	if (cause) {
		argv[n++] = (char *)"--cause";
		argv[n++] = cause;
	}
	if (p->options.system) {
		argv[n++] = (char *)"--system";
		argv[n++] = p->options.system;
	}
	if (rpmIsDebug())
		argv[n++] = (char *)"-v";
	argv[n] = NULL;
	r = run_program(argv, paths ? paths->data : "", paths ? paths->len : 0,
		p->options.timeout, &run);
	if (r == RUN_UNKNOWN)
		return;
	if (r == 0) {
		report_output(p, &run);
		return;
	}
	describe(r, &run, p->options.timeout, reason, sizeof(reason));
	warn_once(p, what, reason);
	p->hopeless = r == RUN_TIMEOUT;
}

/* Before anything changes. */
static void keep_before(struct plugin *p, rpmts ts)
{
	struct buf paths = {0};
	char *cause;

	if (!p->active || !keep_is_wanted(p->root))
		return;
	keep_list_paths(ts, &paths, &cause);
	p->keeping = paths.len > 0;
	if (p->keeping && !paths.err)
		keep_running(p, (char *)"save", &paths, cause);
	free(cause);
	buf_done(&paths);
}

/* --- hooks --- */

static rpmRC hook_init(rpmPlugin plugin, rpmts ts)
{
	struct plugin *p = calloc(1, sizeof(*p));
	const char *bad;

	(void)ts;
	if (!p) {
		LOG(RPMLOG_WARNING, "disabled: %s", strerror(errno));
		return RPMRC_NOTFOUND;
	}
	p->root_fd = p->outer_root_fd = -1;
	if (options_parse(&p->options, rpmPluginOpts(plugin), &bad) < 0) {
		LOG(RPMLOG_WARNING,
			"%%__transaction_kmp_depmod: bad option at '%s', disabled", bad);
		options_done(&p->options);
		free(p);
		return RPMRC_NOTFOUND;
	}
	rpmPluginSetData(plugin, p);
	return RPMRC_OK;
}

static void hook_cleanup(rpmPlugin plugin)
{
	struct plugin *p = rpmPluginGetData(plugin);

	if (!p)
		return;
	transaction_end(p);
	options_done(&p->options);
	free(p);
	rpmPluginSetData(plugin, NULL);
}

static rpmRC hook_tsm_pre(rpmPlugin plugin, rpmts ts)
{
	struct plugin *p = rpmPluginGetData(plugin);

	transaction_end(p);
	if (!(rpmtsFlags(ts) & (RPMTRANS_FLAG_TEST | RPMTRANS_FLAG_BUILD_PROBS)))
		transaction_begin(p, rpmtsRootDir(ts));
	keep_before(p, ts);
	return RPMRC_OK;
}

/* The name that the file has in the end: what rpm passes may be a temporary one. */
static const char *touched_path(
	const struct plugin *p, rpmfi fi, mode_t mode, hook_file_op op)
{
	if (!p->active || !fi || S_ISDIR(mode) || XFA_SKIPPING(HOOK_FILE_ACTION(op)))
		return NULL;
	return rpmfiFN(fi);
}

static rpmRC hook_fsm_file_pre(
	rpmPlugin plugin, rpmfi fi, const char *path, mode_t mode, hook_file_op op)
{
	struct plugin *p = rpmPluginGetData(plugin);
	const char *kver;
	size_t len;

	path = touched_path(p, fi, mode, op);
	if (path && changeset_kernel(path, &kver, &len) == 0) {
		kernel_begin(p, kver, len);
		/* Even if the file is not heard of again. */
		p->dirty = p->touched = true;
	}
	return RPMRC_OK;
}

static rpmRC hook_fsm_file_post(rpmPlugin plugin, rpmfi fi, const char *path, mode_t mode,
	hook_file_op op, int res)
{
	struct plugin *p = rpmPluginGetData(plugin);
	int r;

	(void)res;
	path = touched_path(p, fi, mode, op);
	if (!path)
		return RPMRC_OK;
	r = changeset_add(&p->changes, path);
	if (r == CHANGESET_ELSEWHERE)
		return RPMRC_OK;
	/* Also if the path could not be kept: the scan then does without the hint. */
	p->dirty = p->touched = true;
	return RPMRC_OK;
}

/* Those that run when all files are in place, and may read the indexes. */
static bool is_late(const char *scriptlet)
{
	static const char *const late[] = {
		"%posttrans(",
		"%postuntrans(",
		"%transfiletriggerin(",
		"%transfiletriggerpostun(",
	};

	for (size_t i = 0; i < ARRAY_SIZE(late); i++)
		if (strncmp(scriptlet, late[i], strlen(late[i])) == 0)
			return true;
	return false;
}

static rpmRC hook_scriptlet_pre(rpmPlugin plugin, const char *s_name, int type)
{
	struct plugin *p = rpmPluginGetData(plugin);

	(void)type;
	if (!p->active)
		return RPMRC_OK;
	if (p->dirty && !p->early && is_late(s_name)) {
		p->early = true;
		flush(p, true);
	}
	/* It may sign or link modules; a scan finds that, once there was a reason. */
	p->dirty |= p->touched;
	return RPMRC_OK;
}

static rpmRC hook_scriptlet_fork_post(rpmPlugin plugin, const char *path, int type)
{
	struct plugin *p = rpmPluginGetData(plugin);
	int r;

	(void)path;
	(void)type;
	if (!p->active)
		return RPMRC_OK;
	intercept_environment(p->options.depmod);
	if (p->options.intercept) {
		r = intercept_mount(p->options.depmod, p->outer_root_fd);
		if (r < 0)
			LOG(RPMLOG_DEBUG, "depmod is not intercepted: %s", strerror(-r));
	}
	return RPMRC_OK;
}

static rpmRC hook_tsm_post(rpmPlugin plugin, rpmts ts, int res)
{
	struct plugin *p = rpmPluginGetData(plugin);

	(void)ts;
	(void)res;
	if (!p->active)
		return RPMRC_OK;
	/* what it puts back is indexed already when the others' turn comes */
	if (p->keeping)
		keep_running(p, (char *)"restore", NULL, NULL);
	if (p->dirty)
		flush(p, false);
	if (!p->dirty)
		clear_marks(p);
	transaction_end(p);
	return RPMRC_OK;
}

extern const struct hooks kmp_depmod_hooks;

__attribute__((visibility("default"))) const struct hooks kmp_depmod_hooks = {
	.init = hook_init,
	.cleanup = hook_cleanup,
	.tsm_pre = hook_tsm_pre,
	.tsm_post = hook_tsm_post,
	.scriptlet_pre = hook_scriptlet_pre,
	.scriptlet_fork_post = hook_scriptlet_fork_post,
	.fsm_file_pre = hook_fsm_file_pre,
	.fsm_file_post = hook_fsm_file_post,
};
