// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <stdio.h>

#include "keep/running.h"

#define NOTES_MAX ((size_t)64 << 10)
#define NT_GNU_BUILD_ID 3u
#define INITIAL_PID_NAMESPACE                                                            \
	0xEFFFFFFCu /* its inode number, part of the kernel's interface */

static const char *const osrelease = "proc/sys/kernel/osrelease";
static const char *const boot_id = "proc/sys/kernel/random/boot_id";
static const char *const notes_file = "sys/kernel/notes";
static const char *const init_root = "proc/1/root";
static const char *const pid_namespace = "proc/self/ns/pid";

int running_build_id(const void *notes, size_t len, char ret[BUILD_ID_HEX_MAX + 1])
{
	const unsigned char *p = notes;

	while (len >= 12) {
		uint32_t head[3]; /* size of name, of description, type */
		size_t name, desc;

		memcpy(head, p, sizeof(head));
		p += sizeof(head);
		len -= sizeof(head);
		name = ((size_t)head[0] + 3) & ~(size_t)3;
		desc = ((size_t)head[1] + 3) & ~(size_t)3;
		if (name > len || desc > len - name)
			break;
		if (head[2] == NT_GNU_BUILD_ID && head[0] == 4 &&
			memcmp(p, "GNU", 4) == 0 && head[1] > 0 &&
			head[1] <= BUILD_ID_HEX_MAX / 2) {
			for (uint32_t i = 0; i < head[1]; i++)
				snprintf(ret + 2 * i, 3, "%02x", p[name + i]);
			return 0;
		}
		p += name + desc;
		len -= name + desc;
	}
	return -EBADMSG;
}

static int read_below(const char *system, const char *file, size_t max, struct buf *to)
{
	_cleanup_(buf_done) struct buf path = {0};
	_cleanup_(closep) int fd = -1;
	int r;

	buf_printf(&path, "%s/%s", system, file);
	if (path.err)
		return path.err;
	fd = open(path.data, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	r = fs_read_all(fd, max, to);
	return r;
}

/* One line that is neither empty nor too long. */
static int read_word(const char *system, const char *file, char *ret, size_t size)
{
	_cleanup_(buf_done) struct buf text = {0};
	size_t n;
	int r = read_below(system, file, 4096, &text);

	if (r < 0)
		return r;
	buf_char(&text, '\0');
	if (text.err)
		return text.err;
	n = strcspn(text.data, "\n");
	if (n == 0 || n >= size)
		return -EBADMSG;
	memcpy(ret, text.data, n);
	ret[n] = '\0';
	return 0;
}

/*
 * A container has a process 1 of its own, but not the machine's first namespace of
 * processes.
 */
static bool in_container(const char *system)
{
	_cleanup_(buf_done) struct buf path = {0};
	struct stat st;

	buf_printf(&path, "%s/%s", system, pid_namespace);
	return !path.err && stat(path.data, &st) == 0 &&
	       st.st_ino != INITIAL_PID_NAMESPACE;
}

static int is_own_root(const char *system, const struct root *root)
{
	_cleanup_(buf_done) struct buf path = {0};
	struct stat ours, theirs;

	if (in_container(system))
		return RUNNING_ELSEWHERE;
	buf_printf(&path, "%s/%s/.", system, init_root);
	if (path.err)
		return path.err;
	if (stat(path.data, &theirs) < 0 || fstat(root->fd, &ours) < 0)
		return neg_errno();
	return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino
		       ? 0
		       : RUNNING_ELSEWHERE;
}

int running_read(const char *system, const struct root *root, struct running *ret,
	const char **ret_bad)
{
	_cleanup_(buf_done) struct buf notes = {0};
	int r;

	*ret_bad = init_root;
	r = is_own_root(system, root);
	if (r)
		return r;
	*ret_bad = osrelease;
	r = read_word(system, osrelease, ret->kver, sizeof(ret->kver));
	if (r == 0 && (strchr(ret->kver, '/') || ret->kver[0] == '.'))
		r = -EBADMSG;
	if (r == 0) {
		*ret_bad = boot_id;
		r = read_word(system, boot_id, ret->boot_id, sizeof(ret->boot_id));
	}
	if (r == 0) {
		*ret_bad = notes_file;
		r = read_below(system, notes_file, NOTES_MAX, &notes);
	}
	return r < 0 ? r : running_build_id(notes.data, notes.len, ret->build_id);
}
