// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disk is the judge, each time anew. Only what became of modules that were added to
 * the kernel cannot be seen there: gone with an upgrade of their package they are put
 * back, gone since somebody wanted that they are not; so that is noted when they are
 * kept.
 */

#include "keep/putback.h"
#include "keep/tree.h"

/*
 * Is the kept tree needed any longer? 1, 0 or -errno. Indexes and lists are nobody's but
 * the kernel's that is there now.
 */
static int has_ours(const struct keep *k)
{
	const struct manifest *m = &k->manifest;
	dev_t dev;
	int r = kept_dev(k, &dev);

	for (uint32_t d = 0; r == 0 && d < m->n_dirs; d++) {
		_cleanup_(closep) int fd = -1;

		for (uint32_t f = m->dirs[d].first; f < m->dirs[d + 1].first; f++) {
			struct stat st;
			int how;

			if (k->marks[m->n_dirs + f] != 'L' ||
				!is_module(m->files[f].name))
				continue;
			if (fd < 0)
				fd = live_open_plain(k, k->dir, m->dirs[d].path);
			how = live_look(k, k->dir, fd, dev, d, f, &st);
			if (how < 0)
				return how;
			if (how == LIVE_OURS)
				return 1;
		}
	}
	return r;
}

static int act(struct keep *k, struct keep_restored *ret)
{
	unsigned removed;
	int r;

	if (ret->found != KEEP_GONE && k->marks[0] == 'L') {
		k->marks[0] = '.'; /* the directory is a package's again */
		r = keep_write_marks(k);
		if (r < 0)
			return r;
	}
	if (ret->found == KEEP_REPLACED) {
		/* another build has come into the directory that was put back */
		r = live_remove_ours(k, k->dir, &removed);
		ret->needs_index = removed > 0;
		return r;
	}
	if (ret->found != KEEP_GONE && !k->pending)
		return 0;
	r = put_back(k, ret->found == KEEP_GONE, &ret->linked, &ret->missing);
	ret->needs_index = ret->linked > 0;
	return r;
}

int keep_restore(struct keep *k, struct keep_restored *ret)
{
	int r = keep_judge(k, &ret->found), ours = 0;

	if (r == 0)
		r = act(k, ret);
	if (r == 0 && ret->found == KEEP_SAME)
		r = ours = has_ours(k);
	if (r < 0)
		return keep_fail(k, r, "/%s", k->dir);
	ret->unneeded = ret->found == KEEP_SAME && !ours;
	if (ret->unneeded)
		return 0;
	ret->is_news = k->state != ret->found || ret->linked;
	if (!ret->is_news && !k->pending)
		return 0;
	k->state = ret->found;
	k->pending = false;
	return keep_write_state(k);
}
