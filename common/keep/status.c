// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>

#include "keep/tree.h"

static void examine_file(struct keep *k, int kept, int live, dev_t dev, uint32_t d,
	uint32_t f, struct keep_status *to)
{
	const struct kept_file *file = &k->manifest.files[f];
	struct stat st, mine;
	int how = live_look(k, k->dir, live, dev, d, f, &st);

	to->linked += how == LIVE_OURS;
	if (file->kind == KEPT_SYMLINK || kept < 0 ||
		fstatat(kept, file->name, &mine, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	/* of a copy it is not known whether it shares its blocks with somebody */
	if (kept_is_copy(file) ? how == LIVE_SAME || how == LIVE_OURS : mine.st_nlink > 1)
		return;
	to->files++;
	to->bytes += (uint64_t)mine.st_blocks * 512;
}

int keep_examine(struct keep *k, struct keep_status *ret)
{
	struct keep_status s = {0};
	dev_t dev;
	int r = keep_judge(k, &s.found);

	if (r == 0)
		r = kept_dev(k, &dev);
	for (uint32_t d = 0; r == 0 && d < k->manifest.n_dirs; d++) {
		_cleanup_(closep) int kept = keep_open_kept(k, k->manifest.dirs[d].path);
		_cleanup_(closep) int live =
			live_open(k, k->dir, k->manifest.dirs[d].path);

		for (uint32_t f = k->manifest.dirs[d].first;
			f < k->manifest.dirs[d + 1].first; f++)
			examine_file(k, kept, live, dev, d, f, &s);
	}
	*ret = s;
	return r;
}
