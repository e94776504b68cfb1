// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where dpkg puts a package's files that somebody diverts: three lines of its file each,
 * the path, where that goes, and the package whose own files stay (":" for none). Paths
 * are compared as text, as dpkg does.
 */

#include "inspect/inspect.h"

#define DIVERSIONS "var/lib/dpkg/diversions"
#define DIVERSIONS_MAX ((size_t)16 << 20)

static void load(struct inspection *in)
{
	in->diversions_asked = true;
	if (fs_read_file(&in->root, DIVERSIONS, DIVERSIONS_MAX, &in->diversions) < 0)
		in->diversions.len = 0;
	buf_char(&in->diversions, '\0');
	if (in->diversions.err)
		send_note("/" DIVERSIONS ": not followed: out of memory");
}

/* The line at *at, its length, and *at moved to the next one. NULL at the end. */
static const char *take_line(const char **at, size_t *ret_len)
{
	const char *line = *at;

	*ret_len = strcspn(line, "\n");
	if (!line[*ret_len])
		return NULL;
	*at = line + *ret_len + 1;
	return line;
}

static bool is_line(const char *line, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(line, text, len) == 0;
}

void divert(struct inspection *in, struct buf *path)
{
	const char *at, *from, *to, *who;
	size_t from_len, to_len, who_len;

	if (!in->owner || path->err)
		return;
	if (!in->diversions_asked)
		load(in);
	at = in->diversions.err ? "" : in->diversions.data;
	while ((from = take_line(&at, &from_len)) && (to = take_line(&at, &to_len)) &&
		(who = take_line(&at, &who_len))) {
		if (!is_line(from, from_len, path->data) ||
			is_line(who, who_len, in->owner))
			continue;
		path->len = 0;
		buf_add(path, to, to_len);
		buf_char(path, '\0');
		return;
	}
}
