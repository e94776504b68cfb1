// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Called by package managers in the middle of their work: what is not the running
 * system's concern is no error and not worth a word, and a failure is one line.
 */

#include "config.h"

#include <fcntl.h>

#include "base/lock.h"
#include "program/host.h"
#include "program/keep.h"
#include "program/redirect.h"
#include "program/session.h"

#define LIST_MAX ((size_t)256 << 20)

/* --- the list of paths --- */

/*
 * Entries are separated by NULs, or newlines where there is none. A '-' in front: asked
 * to go.
 */
static int split_list(
	const struct buf *text, struct changeset *touched, struct changeset *removed)
{
	char separator = text->len && memchr(text->data, '\0', text->len) ? '\0' : '\n';

	for (size_t at = 0; at < text->len;) {
		const char *entry = text->data + at;
		const char *end = memchr(entry, separator, text->len - at);
		size_t len = end ? (size_t)(end - entry) : text->len - at;
		_cleanup_(freep) char *path = strndup(entry, len);
		int r;

		at += len + 1;
		if (!path)
			return -ENOMEM;
		if (!*path)
			continue;
		r = changeset_add(touched, path + (*path == '-'));
		if (r == 0 && *path == '-')
			r = changeset_add(removed, path + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_list(
	struct keeping *k, struct changeset *touched, struct changeset *removed)
{
	_cleanup_(buf_done) struct buf text = {0};
	_cleanup_(closep) int fd = -1;
	const char *from = k->o->touched_from;
	int r;

	if (!str_eq(from, "-")) {
		fd = open(from, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return neg_errno();
	}
	r = fs_read_all(fd < 0 ? STDIN_FILENO : fd, LIST_MAX, &text);
	return r < 0 ? r : split_list(&text, touched, removed);
}

/* --- actions --- */

static int save(struct keeping *k)
{
	struct changeset touched, removed;
	struct keep_request request = {.touched = k->o->touched_from ? &touched : NULL,
		.removed = &removed,
		.cause = k->o->cause ? k->o->cause : "by hand",
		.system = k->o->system ? k->o->system : ""};
	int r = 0;

	changeset_init(&touched);
	changeset_init(&removed);
	if (k->o->touched_from) {
		r = read_list(k, &touched, &removed);
		if (r < 0)
			message(&k->m,
				"'%s': the list of touched paths cannot be read: %s",
				k->o->touched_from,
				r == -EINVAL ? "a path is relative or has '..' in it"
					     : strerror(-r));
	}
	if (r == 0)
		r = keep_save(&k->keep, &request);
	if (r == 0)
		note(&k->m, "%s: the running kernel's modules are kept in /%s/" KEPT_DIR,
			k->running.kver, k->keep.modules);
	else if (r == SAVE_NOTHING)
		note(&k->m, "%s: the running kernel has no modules here",
			k->running.kver);
	else if (r == SAVE_OTHER)
		message(&k->m,
			"%s: not kept: another build's modules are in place of the "
			"running kernel's "
			"already",
			k->running.kver);
	changeset_done(&touched);
	changeset_done(&removed);
	return MIN(r, 0);
}

struct redirect keep_redirect(struct keeping *k, const char *kept)
{
	return (struct redirect){.system = k->o->system ? k->o->system : "",
		.kver = k->running.kver,
		.dir = k->keep.dir,
		.kept = kept,
		.m = &k->m};
}

static void tell_case(struct keeping *k, const struct keep_restored *r, bool redirected)
{
	const char *kver = k->running.kver;

	if (r->found == KEEP_REPLACED) {
		if (r->is_news)
			message(&k->m,
				"%s: modules of the running kernel were replaced or "
				"removed; its own "
				"are kept until the reboot%s: modprobe -d /%s/" KEPT_DIR,
				kver,
				redirected ? " for the kernel and udev; by hand" : "",
				k->keep.modules);
	} else if (r->found == KEEP_GONE && r->linked) {
		message(&k->m,
			"%s: the running kernel's modules were removed; put back until "
			"the reboot "
			"(%u files)",
			kver, r->linked);
	} else if (r->linked) {
		message(&k->m,
			"%s: modules that an upgrade removed from the running kernel are "
			"put back "
			"until the reboot (%u files)",
			kver, r->linked);
	} else if (r->unneeded) {
		note(&k->m, "%s: the running kernel's modules are in place", kver);
	}
}

/*
 * Before the tree goes that it leads to, and where none is used: after a kill, or if
 * others could write it.
 */
static void end_redirect(struct keeping *k)
{
	struct redirect redirect = keep_redirect(k, "");

	redirect_off(&redirect);
	if (k->keep.foreign)
		message(&k->m, "/%s/" KEPT_DIR " is not ours: not used", k->keep.modules);
}

static int restore(struct keeping *k)
{
	_cleanup_(freep) char *kept = keep_path(&k->keep);
	struct redirect redirect = keep_redirect(k, kept);
	struct keep_restored res = {0};
	bool redirected = false;
	int r;

	if (!kept)
		return -ENOMEM;
	if (!keep_is_current(&k->keep)) {
		end_redirect(k);
		return 0;
	}
	r = keep_restore(&k->keep, &res);
	k->needs_index |= res.needs_index || res.linked;
	if (r < 0)
		return r;
	if (res.found == KEEP_REPLACED && k->conf.keep == KEEP_REDIRECT)
		redirected = redirect_on(&redirect);
	else
		redirect_off(&redirect);
	if (res.unneeded)
		r = keep_drop(&k->keep);
	if (r < 0)
		return r;
	if (res.missing)
		message(&k->m,
			"%s: %u files are not put back: they are missing in %s, too",
			k->running.kver, res.missing, kept);
	tell_case(k, &res, redirected);
	return 0;
}

/* A tree of a kernel that does not run any more. */
static int clean_stale(struct keeping *k)
{
	int r;

	if (k->keep.kept_fd < 0 || k->keep.foreign || keep_is_current(&k->keep))
		return 0;
	r = keep_clean(&k->keep, &k->stale);
	if (r < 0)
		return r;
	note(&k->m, "%s: the modules kept of this kernel are removed",
		*k->keep.stamp.kver ? k->keep.stamp.kver : "?");
	/* where there are two directories of kernels, it may be the other one's turn */
	return keep_reopen(&k->keep);
}

static int clean(struct keeping *k)
{
	int r = keep_clean_new(&k->keep);

	if (!keep_is_current(&k->keep) || k->conf.keep == KEEP_NO)
		end_redirect(k);
	if (r < 0 || !keep_is_current(&k->keep))
		return r;
	if (k->conf.keep == KEEP_NO)
		return keep_clean(&k->keep, &k->stale);
	/* booted again: what is on the disk may be another build by now */
	return str_eq(k->keep.stamp.boot_id, k->running.boot_id) ? 0 : restore(k);
}

static int status(struct keeping *k)
{
	struct keep_status s;
	bool kept = keep_is_current(&k->keep);
	int r = kept ? keep_examine(&k->keep, &s) : 0;

	return r < 0 ? r : keep_show(k, kept ? &s : NULL);
}

/* --- around them --- */

static int act(struct keeping *k)
{
	int r = k->o->keep == KEEP_STATUS ? 0 : clean_stale(k);

	if (r < 0)
		return r;
	switch (k->o->keep) {
	case KEEP_SAVE:
		return save(k);
	case KEEP_RESTORE_NOW:
		return restore(k);
	case KEEP_CLEAN:
		return clean(k);
	default:
		return status(k);
	}
}

static void tell_strangers(struct keeping *k)
{
	for (size_t i = 0; i < vec_len(&k->keep.strange, char *); i++)
		message(&k->m, "%s: left alone: not ours",
			vec_data(&k->keep.strange, char *)[i]);
}

static int open_all(struct keeping *k)
{
	bool want_store = !k->o->store || !str_eq(k->o->store, "none");
	int r = keep_open(&k->root, &k->running, &k->keep);

	k->keep.store_root = k->o->store ? k->root.path : "";
	k->keep.sync = !k->o->no_sync;
	if (r == -ENOENT && !k->keep.modules)
		return 1; /* there are no kernels at all */
	if (r == 0 && want_store) {
		struct root host;

		if (root_open(&host, "") == 0) {
			k->store_dir = host_open_store(k->o->store ? &host : &k->root,
				k->o->store ? k->o->store : "/" HOST_STORE_DIR, false);
			k->keep.store_dir = MAX(k->store_dir, -1);
			root_done(&host);
		}
	}
	return r;
}

static int with_lock(struct keeping *k)
{
	bool told = false;
	int r = 0;

	if (k->o->keep != KEEP_STATUS)
		r = lock_take(&k->root, k->o->wait_ms, &k->lock);
	if (r == LOCK_BUSY) {
		message(&k->m, "another run has not ended within %u seconds",
			k->o->wait_ms / 1000);
		return EXIT_BUSY;
	}
	if (r < 0) {
		message(&k->m,
			"the running kernel's modules cannot be kept: '/" LOCK_DIR
			"/lock': %s",
			strerror(-r));
		told = true;
	}
	if (r == 0)
		r = open_all(k);
	if (r == 0)
		r = act(k);
	tell_strangers(k);
	if (r < 0 && !told)
		message(&k->m, "the running kernel's modules cannot be kept: %s",
			k->keep.why.len ? k->keep.why.data : strerror(-r));
	return r < 0 ? EXIT_ERROR : EXIT_DONE;
}

/*
 * Afterwards, with a lock of its own. kver NULL: all kernels, one of which may be none
 * any more.
 */
static int bring_up_to_date(const struct keeping *k, char *kver)
{
	struct options o = *k->o;

	o.keep = KEEP_NONE;
	o.touched_from = NULL;
	o.kernels = &kver;
	o.n_kernels = kver != NULL;
	return session_run(&o);
}

static bool is_there(const struct root *root, const char *path)
{
	_cleanup_(closep) int fd = root_openat(root, path, O_PATH | O_NOFOLLOW, 0);

	return fd >= 0;
}

static bool anything_kept(const struct root *root)
{
	return is_there(root, "lib/modules/" KEPT_DIR) ||
	       is_there(root, "lib/modules/" NEW_DIR) ||
	       is_there(root, "usr/lib/modules/" KEPT_DIR) ||
	       is_there(root, "usr/lib/modules/" NEW_DIR);
}

/* True to go on. */
static bool is_concerned(struct keeping *k, int *ret_status)
{
	const char *bad;
	int r;

	*ret_status = EXIT_DONE;
	if (k->conf.keep == KEEP_NO &&
		(k->o->keep == KEEP_SAVE || k->o->keep == KEEP_RESTORE_NOW))
		return false;
	r = running_read(k->o->system ? k->o->system : "", &k->root, &k->running, &bad);
	if (r == 0)
		return true;
	if (r == RUNNING_ELSEWHERE) {
		note(&k->m, "this is not the system that runs: a chroot or a container");
		return false;
	}
	/* packages' scripts ask for it in bare chroots, too */
	if (k->o->keep == KEEP_CLEAN && !anything_kept(&k->root))
		return false;
	message(&k->m, "it cannot be told which kernel runs: '/%s': %s", bad,
		strerror(-r));
	*ret_status = EXIT_ERROR;
	return false;
}

int keep_run(const struct options *o)
{
	struct keeping k = {.o = o,
		.lock = -1,
		.store_dir = -1,
		.m = {.verbose = o->verbose, .quiet = o->quiet}};
	int r = root_open(&k.root, o->root ? o->root : ""), result = EXIT_ERROR;

	if (r < 0) {
		message(&k.m, "'%s': %s", o->root ? o->root : "/", strerror(-r));
		return EXIT_ERROR;
	}
	/* whoever calls: directories are made that others must be able to enter */
	umask(022);
	k.keep.modules_fd = k.keep.kept_fd = -1;
	r = conf_read(&k.root, &k.conf, messages_conf, &k.m);
	if (r < 0)
		message(&k.m, "the configuration cannot be read: %s", strerror(-r));
	if (r == 0 && is_concerned(&k, &result))
		result = with_lock(&k);
	closep(&k.lock);
	if (k.stale && bring_up_to_date(&k, NULL) != EXIT_DONE)
		result = EXIT_ERROR;
	if (k.needs_index && bring_up_to_date(&k, k.running.kver) != EXIT_DONE)
		result = EXIT_ERROR;
	free(k.stale);
	keep_done(&k.keep);
	closep(&k.store_dir);
	root_done(&k.root);
	return result;
}
