/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * publish.h: put the indexes on disk, so that a reader sees each as a whole, old or new,
 * and so that they are there after a power loss.
 */

#include "engine/emit.h"
#include "model/store.h"

/*
 * How names of files end that are being written. Without the lock a random number
 * follows.
 */
#define PUBLISH_SUFFIX ".kmp-new"

struct publish_options {
	int dirfd;
	/* of that directory on the running system, for labels; or NULL */
	const char *path;
	bool sync;
	bool unlocked;                  /* others may be at work in the same directory */
	const struct store_head *known; /* what was published before, or NULL */
	int64_t newest_module;          /* modules.dep will not be older; ns */
};

struct published {
	struct store_output outputs[OUT_MAX];
	bool written[OUT_MAX];
	unsigned n_written;
	unsigned n_replaced; /* of these: after an error, not all or even none */
	unsigned device_flushes;
	enum output_id failed; /* after an error: which file */
};

struct publisher {
	const struct publish_options *o;
	int fds[OUT_MAX];
	uint32_t numbers[OUT_MAX]; /* of temporary names, without the lock */
	struct digest digests[OUT_MAX];
	/* of the files as they were written, or found to be right */
	struct stamp stamps[OUT_MAX];
	bool failed[OUT_MAX];
	struct published pub;
};

/*
 * Prepare to publish. Nothing can fail yet; end with publish_commit() or publish_abort().
 */
void publish_begin(const struct publish_options *o, struct publisher *ret);
/* An output_sink's take(): write a file beside the old one if it differs. 0 or -errno. */
int publish_take(void *publisher, enum output_id id, const struct buf *data);
/*
 * Put all that was written in place. Each file is whole after an error, too:
 * ret->n_replaced tells how many are the new ones. 0 or -errno.
 */
int publish_commit(struct publisher *p, struct published *ret);
void publish_abort(struct publisher *p);

/* Are the bytes of an index on disk not these? dirfd may be -1: then there is none. */
bool published_differs(int dirfd, enum output_id id, const struct buf *want);
/* Is each index on disk still the one that was published? */
bool published_intact(int dirfd, const struct store_head *known);
/*
 * Make modules.dep as young as the newest module. *dep is what was and will be known of
 * it.
 */
int publish_age(int dirfd, int64_t newest_module, struct store_output *dep);

/* Under the lock: remove what a killed run left half-written. */
void publish_clean(int dirfd);
/*
 * Remove all indexes and whatever a killed run left. Returns how many there were, or
 * -errno.
 */
int publish_remove(int dirfd);
