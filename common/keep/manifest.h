/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * manifest.h: what a kept tree consists of, as it was made. Whatever else is found in it
 * is somebody else's.
 *
 *   file       directory+
 *   directory  "d 0 0 0 " path NUL, then its files
 *   file       kind ' ' inode ' ' inode of the source ' ' ctime of the source ' ' name NUL
 *
 * Directories stand behind those that they are in; the first is the kernel's own, "".
 */

#include "base/buf.h"

enum kept_kind {
	KEPT_LINKED = 'f', /* a hard link of the file */
	KEPT_COPIED = 'c',
	KEPT_SYMLINK = 's', /* the symbolic link itself */
	/* the same two of the target of a symbolic link that leads out of the tree */
	KEPT_TARGET_LINKED = 'F',
	KEPT_TARGET_COPIED = 'C',
};

struct kept_file {
	const char *name; /* borrowed from the text */
	uint64_t ino;     /* of the kept one */
	/*
	 * of a copy: what it was made of; of one that restore put back: that one. Links
	 * move their ctime.
	 */
	uint64_t src_ino;
	int64_t src_ctime; /* ns */
	char kind;
};

struct kept_dir {
	const char *path; /* below the kernel's directory, "" for itself */
	uint32_t first;   /* of its files; up to the next directory's first */
};

struct manifest {
	struct buf text;
	struct kept_dir *dirs; /* one more, a sentinel */
	uint32_t n_dirs;
	struct kept_file *files;
	uint32_t n_files;
};

static inline bool kept_is_copy(const struct kept_file *f)
{
	return f->kind == KEPT_COPIED || f->kind == KEPT_TARGET_COPIED;
}

static inline bool kept_is_target(const struct kept_file *f)
{
	return f->kind == KEPT_TARGET_LINKED || f->kind == KEPT_TARGET_COPIED;
}

/* Append a directory, or a file of the last one, to the text of a manifest. */
void manifest_add_dir(struct buf *text, const char *path);
void manifest_add_file(struct buf *text, const struct kept_file *f);

/*
 * Take over text and find directories and files in it. 0, -EBADMSG if it is no whole
 * manifest (a path could lead out of the tree, say), -ENOMEM. Release with
 * manifest_done() in each case.
 */
int manifest_parse(struct buf *text, struct manifest *ret);
void manifest_done(struct manifest *m);
