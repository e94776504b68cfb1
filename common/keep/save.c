// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tree is made under another name and renamed when it is whole and stamped. A killed
 * save leaves that other name, which is nobody else's; the next one removes it.
 */

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "keep/copy.h"
#include "keep/link.h"
#include "keep/loaded.h"
#include "keep/touched.h"
#include "keep/tree.h"

struct saving {
	struct keep *k;
	int src, dst; /* the kernel's directory and what it becomes */
	char store[STORE_NAME_MAX + 1];
	struct refresh refresh;
	struct copied copied;
};

static int make_frame(struct saving *s, int new_dir, const struct stat *top)
{
	_cleanup_(buf_done) struct buf path = {0};
	int fd;

	/* first of all what says whose directory this is */
	fd = openat(new_dir, "stamp", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return neg_errno();
	close(fd);
	buf_printf(&path, "lib/modules/%s", s->k->running->kver);
	if (path.err)
		return path.err;
	if (mkdirat(new_dir, "lib", 0755) < 0 ||
		mkdirat(new_dir, "lib/modules", 0755) < 0 ||
		mkdirat(new_dir, path.data, top->st_mode & KEPT_DIR_MODE) < 0 ||
		symlinkat(".", new_dir, "usr") < 0)
		return neg_errno();
	s->dst = openat(new_dir, path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->dst < 0 ? neg_errno() : 0;
}

static int write_stamp(const struct saving *s, int new_dir, const char *cause)
{
	const struct running *running = s->k->running;
	_cleanup_(buf_done) struct buf text = {0};
	int r = keep_write_file(new_dir, "files", s->copied.manifest.data,
		s->copied.manifest.len, s->k->sync);

	if (r < 0)
		return r;
	buf_printf(&text,
		"KERNEL=%s\nBUILD_ID=%s\nBOOT_ID=%s\nTIME=%lld\nCAUSE=", running->kver,
		running->build_id, running->boot_id, (long long)time(NULL));
	for (const char *p = cause; *p; p++)
		buf_char(&text, (unsigned char)*p < ' ' ? ' ' : *p);
	buf_char(&text, '\n');
	return text.err ? text.err
			: keep_write_file(
				  new_dir, "stamp", text.data, text.len, s->k->sync);
}

static int remember(struct saving *s)
{
	const struct keep *k = s->k;

	return refresh_finish(&s->refresh, k->root, k->dir, k->store_dir, s->store);
}

/*
 * Before anybody finds what is kept: of a file that was in doubt he would take for true
 * what is remembered. Where that cannot be written all is read again.
 */
static void remember_doubts(struct saving *s)
{
	s->refresh.all_told = true;
	if (remember(s) < 0)
		unlinkat(s->k->store_dir, s->store, 0);
}

static int fill(struct saving *s, int new_dir, const struct stat *top, const char *cause)
{
	struct keep *k = s->k;
	int r = make_frame(s, new_dir, top);

	if (r < 0)
		return keep_fail(k, r, "/%s/" NEW_DIR, k->modules);
	r = copy_tree(k, s->src, s->dst, top, s->store, &s->refresh, &s->copied);
	if (r < 0)
		return keep_fail(k, r, "/%s", k->dir);
	if (s->copied.modules == 0)
		return SAVE_NOTHING;
	r = write_stamp(s, new_dir, cause);
	if (r == 0)
		remember_doubts(s);
	if (r == 0 && renameat(k->modules_fd, NEW_DIR, k->modules_fd, KEPT_DIR) < 0)
		r = neg_errno();
	return r < 0 ? keep_fail(k, r, "/%s/" NEW_DIR, k->modules) : 0;
}

/*
 * The facts are kept as well: with the kernel's directory the engine's own go. Each save
 * takes them anew, since a module may have been written in place: unless they are another
 * build's by now.
 */
static void keep_facts(const struct keep *k, int kept)
{
	char store[STORE_NAME_MAX + 1];
	struct link_source from = {.root = k->root, .dirfd = k->store_dir, .name = store};

	if (k->store_dir < 0 || k->state == KEEP_REPLACED)
		return;
	store_name(k->store_root, k->dir, store);
	unlinkat(kept, "facts.new", 0);
	if (link_file(&from, kept, "facts.new", NULL) >= 0)
		renameat(kept, "facts.new", kept, "facts");
	/* of two names of one file neither goes */
	unlinkat(kept, "facts.new", 0);
}

static void saving_done(struct saving *s)
{
	buf_done(&s->copied.manifest);
	refresh_close(&s->refresh);
	closep(&s->src);
	closep(&s->dst);
}

static int save_new(struct keep *k, const char *cause)
{
	_cleanup_(saving_done) struct saving s = {
		.k = k, .src = -1, .dst = -1, .refresh = {.store_dir = -1}};
	_cleanup_(closep) int new_dir = -1;
	struct links links;
	struct stat top;
	int r;

	store_name(k->store_root, k->dir, s.store);
	s.src = root_openat(k->root, k->dir, O_RDONLY | O_DIRECTORY, 0);
	if (s.src < 0)
		return s.src == -ENOENT ? SAVE_NOTHING
					: keep_fail(k, s.src, "/%s", k->dir);
	if (fstat(s.src, &top) < 0)
		return keep_fail(k, neg_errno(), "/%s", k->dir);
	r = links_open(k, k->dir, &links);
	if (r < 0)
		keep_fail(k, r, "/%s", k->modules);
	else if (mkdirat(k->modules_fd, NEW_DIR, 0755) < 0)
		r = keep_fail(k, neg_errno(), "/%s/" NEW_DIR, k->modules);
	if (r == 0) {
		new_dir = openat(k->modules_fd, NEW_DIR,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = new_dir < 0 ? keep_fail(k, neg_errno(), "/%s/" NEW_DIR, k->modules)
				: fill(&s, new_dir, &top, cause);
		if (r) {
			keep_clean_new(k);
			refresh_again(&s.refresh);
			remember(&s);
		}
	}
	links_close(k, &links);
	if (r == 0)
		keep_facts(k, new_dir);
	return r;
}

/* --- save --- */

int keep_save(struct keep *k, const struct keep_request *request)
{
	int r = 0, was = 0;

	if (request->touched && !keep_is_touched(k, request->touched))
		return SAVE_UNTOUCHED;
	if (k->foreign)
		return keep_fail(k, -EEXIST, "/%s/" KEPT_DIR " is not ours", k->modules);
	if (k->kept_fd >= 0 && keep_is_current(k)) {
		was = SAVE_ALREADY;
		keep_facts(k, k->kept_fd);
	} else {
		r = keep_clean_new(k);
		if (r == 0 &&
			loaded_compare(request->system, k->root, k->dir) == LOADED_OTHER)
			return SAVE_OTHER;
		if (r == 0)
			r = save_new(k, request->cause);
		if (r == 0)
			r = keep_reopen(k);
	}
	if (r)
		return r < 0 ? keep_fail(k, r, "/%s/" KEPT_DIR, k->modules) : r;
	r = touched_note(k, request->removed);
	return r < 0 ? keep_fail(k, r, "/%s/" KEPT_DIR, k->modules) : was;
}
