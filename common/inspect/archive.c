// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Payloads, streamed. A deb is an ar archive whose members are archives: the inner one
 * reads from the outer one's current member. Only the members that matter are held in
 * memory.
 */

#include "config.h"

#include <archive.h>
#include <archive_entry.h>
#include <limits.h>
#include <stdio.h>

#include "inspect/inspect.h"

#define BLOCK 65536u
#define ENTRIES_MAX 2000000u
#define PAYLOAD_MAX ((int64_t)16 << 30) /* decompressed */
#define CONTROL_MAX ((int64_t)4 << 20)

static int fail(const char *file, struct archive *a)
{
	const char *text = archive_error_string(a);

	return send_error(
		file, "damaged or cut short: %s", text ? text : "it cannot be read");
}

/* All of a member, which is at most max bytes long. */
static int read_member(const char *file, struct archive *a, struct archive_entry *e,
	int64_t max, struct buf *ret)
{
	if (archive_entry_size(e) > max)
		return send_error(file, "'%s' is larger than any module may be",
			archive_entry_pathname(e));
	ret->len = 0;
	for (;;) {
		char *to = buf_reserve(ret, BLOCK);
		la_ssize_t n;

		if (!to)
			return send_error(file, "out of memory");
		n = archive_read_data(a, to, BLOCK);
		if (n < 0)
			return fail(file, a);
		if (n == 0)
			return 0;
		ret->len += (size_t)n;
		if ((int64_t)ret->len > max)
			return send_error(file, "'%s' is larger than any module may be",
				archive_entry_pathname(e));
	}
}

static bool fits_a_disk(const char *path)
{
	for (const char *p = path; *p; p += strcspn(p, "/"))
		if (strcspn(++p, "/") > NAME_MAX)
			return false;
	return strlen(path) < PATH_MAX;
}

static int take_member(struct inspection *in, const char *file, struct archive *a,
	struct archive_entry *e, struct buf *path, struct buf *data)
{
	const char *name = archive_entry_pathname(e), *link = archive_entry_hardlink(e);
	int r;

	if (!name)
		return send_error(file, "a member has no readable name");
	if (str_eq(name, ".") || str_eq(name, "./") || str_eq(name, "/"))
		return 0;
	if (!member_path(name, path))
		return send_error(
			file, "'%s' leads out of the root; the package is refused", name);
	divert(in, path);
	if (path->err)
		return send_error(file, "out of memory");
	if (!is_wanted(path->data))
		return 0;
	if (!fits_a_disk(path->data))
		return send_error(file, "a path is longer than any may be: '%s'", name);
	if (link) {
		_cleanup_(buf_done) struct buf to = {0};

		if (!member_path(link, &to))
			return send_error(file,
				"'%s' leads out of the root; the package is refused",
				link);
		divert(in, &to);
		send_link(path->data, to.err ? link : to.data, true);
		return 0;
	}
	switch (archive_entry_filetype(e)) {
	case AE_IFLNK:
		send_link(path->data, archive_entry_symlink(e), false);
		return 0;
	case AE_IFREG:
		break;
	case AE_IFDIR:
		return 0;
	default:
		send_note("%s: '%s' is a device or the like; left out", file, name);
		return 0;
	}
	r = read_member(file, a, e, WIRE_BYTES_MAX, data);
	if (r < 0)
		return r;
	return send_file(in, file, path->data, data->data, data->len,
		(int64_t)archive_entry_mtime(e) * 1000000000 +
			archive_entry_mtime_nsec(e),
		0);
}

static int walk_members(struct inspection *in, const char *file, struct archive *a)
{
	_cleanup_(buf_done) struct buf path = {0}, data = {0};
	struct archive_entry *e;
	int r;

	for (unsigned n = 0;
		(r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN;
		n++) {
		if (n >= ENTRIES_MAX || archive_filter_bytes(a, 0) > PAYLOAD_MAX)
			return send_error(file, "too many members, or too large");
		r = take_member(in, file, a, e, &path, &data);
		if (r < 0)
			return r;
	}
	return r == ARCHIVE_EOF ? 0 : fail(file, a);
}

static struct archive *new_reader(void)
{
	struct archive *a = archive_read_new();

	if (a)
		archive_read_support_filter_all(a);
	return a;
}

int inspect_payload(struct inspection *in, const char *file)
{
	struct archive *a = new_reader();
	int r;

	if (!a)
		return send_error(file, "out of memory");
	archive_read_support_format_cpio(a);
	r = archive_read_open_filename(a, file, BLOCK) == ARCHIVE_OK
		    ? walk_members(in, file, a)
		    : fail(file, a);
	archive_read_free(a);
	return r;
}

/* --- deb --- */

struct inner {
	struct archive *outer;
	const char *file;
	char block[BLOCK];
};

static la_ssize_t read_inner(struct archive *a, void *arg, const void **ret)
{
	struct inner *i = arg;
	la_ssize_t n = archive_read_data(i->outer, i->block, sizeof(i->block));

	if (n < 0)
		archive_set_error(a, EIO, "%s", archive_error_string(i->outer));
	*ret = i->block;
	return n;
}

static struct archive *open_inner(struct inner *i)
{
	struct archive *a = new_reader();

	if (!a)
		return NULL;
	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	archive_read_open(a, i, NULL, read_inner, NULL);
	return a;
}

struct control {
	char *name, *version, *arch;
	bool same; /* Multi-Arch: same */
};

static void control_done(struct control *c)
{
	free(c->name);
	free(c->version);
	free(c->arch);
}

/* The value of a field of the first paragraph, or NULL. The caller frees it. */
static char *field(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = text; *line && *line != '\n'; line += *line == '\n') {
		size_t len = strcspn(line, "\n");

		if (len > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
			const char *v = line + n + 1, *end = line + len;

			v += strspn(v, " \t");
			while (end > v &&
				(end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
				end--;
			return v < end ? strndup(v, (size_t)(end - v)) : NULL;
		}
		line += len;
	}
	return NULL;
}

static void take_control(struct control *c, const char *text)
{
	_cleanup_(freep) char *multi = field(text, "Multi-Arch");

	control_done(c);
	*c = (struct control){field(text, "Package"), field(text, "Version"),
		field(text, "Architecture"), multi && str_eq(multi, "same")};
}

static bool is_script(const char *name)
{
	return str_eq(name, "preinst") || str_eq(name, "postinst") ||
	       str_eq(name, "prerm") || str_eq(name, "postrm");
}

/* control.tar: the names, and what the maintainer scripts call. */
static int read_control(
	const char *file, struct archive *a, struct control *c, struct buf *scripts)
{
	_cleanup_(buf_done) struct buf data = {0};
	struct archive_entry *e;
	int r;

	while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		_cleanup_(buf_done) struct buf calls = {0};
		const char *path = archive_entry_pathname(e),
			   *slash = path ? strrchr(path, '/') : NULL;
		const char *name = slash ? slash + 1 : path;

		if (!name || archive_entry_filetype(e) != AE_IFREG ||
			(!str_eq(name, "control") && !is_script(name)))
			continue;
		r = read_member(file, a, e, CONTROL_MAX, &data);
		if (r < 0)
			return r;
		buf_char(&data, '\0');
		if (data.err)
			return send_error(file, "out of memory");
		if (str_eq(name, "control")) {
			take_control(c, data.data);
			continue;
		}
		script_calls(data.data, &calls);
		if (calls.len > 1) {
			buf_add(scripts, name, strlen(name) + 1);
			buf_add(scripts, calls.data, calls.len);
		}
	}
	if (r != ARCHIVE_EOF)
		return fail(file, a);
	return c->name && c->version
		       ? 0
		       : send_error(file, "its control file lacks Package or Version");
}

/*
 * dpkg's own list of the installed package's files. Its text is looked at, nothing
 * locked.
 */
static void send_installed(struct inspection *in, const struct control *c)
{
	_cleanup_(buf_done) struct buf list = {0}, path = {0}, place = {0};
	int r = -ENOENT;

	if (strpbrk(c->name, "/ ") || (c->arch && strpbrk(c->arch, "/ ")))
		return;
	if (c->same && c->arch) {
		buf_printf(&path, "var/lib/dpkg/info/%s:%s.list", c->name, c->arch);
		r = path.err ? path.err
			     : fs_read_file(&in->root, path.data, WIRE_BYTES_MAX, &list);
	}
	if (r == -ENOENT) {
		path.len = 0;
		buf_printf(&path, "var/lib/dpkg/info/%s.list", c->name);
		r = path.err ? path.err
			     : fs_read_file(&in->root, path.data, WIRE_BYTES_MAX, &list);
	}
	buf_char(&list, '\0');
	if (r < 0 || list.err)
		return;
	for (char *line = list.data, *next; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (*line != '/')
			continue;
		place.len = 0;
		buf_add(&place, line, strlen(line) + 1);
		divert(in, &place);
		if (!place.err && is_wanted(place.data))
			send_old(place.data, c->name);
	}
}

static void send_scripts(const struct buf *scripts)
{
	for (size_t at = 0; at < scripts->len;) {
		const char *name = scripts->data + at, *calls = name + strlen(name) + 1;

		send_script(name, calls);
		at += strlen(name) + strlen(calls) + 2;
	}
}

static int take_deb_member(struct inspection *in, const char *file, struct archive *outer,
	struct archive_entry *e, unsigned number, struct control *c)
{
	_cleanup_(buf_done) struct buf scripts = {0}, id = {0};
	struct inner i = {.outer = outer, .file = file};
	const char *name = archive_entry_pathname(e);
	struct archive *a;
	int r = 0;

	if (number == 0)
		return name && str_eq(name, "debian-binary")
			       ? 0
			       : send_error(file, "an ar archive, but not a package");
	if (!name || (!str_starts(name, "control.tar") && !str_starts(name, "data.tar")))
		return 0;
	a = open_inner(&i);
	if (!a)
		return send_error(file, "out of memory");
	if (*name == 'c') {
		r = read_control(file, a, c, &scripts);
		buf_printf(&id, "%s-%s", c->name, c->version);
		if (r == 0) {
			in->owner = c->name;
			send_package(file, id.data ? id.data : "", "deb", 0);
			send_scripts(&scripts);
			send_installed(in, c);
		}
	} else {
		r = c->name ? walk_members(in, file, a)
			    : send_error(file, "its data come before its control file");
	}
	archive_read_free(a);
	return r;
}

int inspect_deb(struct inspection *in, const char *file)
{
	_cleanup_(control_done) struct control c = {0};
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	bool data = false;
	int r, n = 0;

	if (!a)
		return send_error(file, "out of memory");
	archive_read_support_format_ar(a);
	r = archive_read_open_filename(a, file, BLOCK) == ARCHIVE_OK ? 0 : fail(file, a);
	while (r == 0) {
		r = archive_read_next_header(a, &e);
		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN) {
			r = fail(file, a);
			break;
		}
		data |= archive_entry_pathname(e) &&
			str_starts(archive_entry_pathname(e), "data.tar");
		r = take_deb_member(in, file, a, e, (unsigned)n++, &c);
	}
	archive_read_free(a);
	in->owner = NULL;
	if (r == ARCHIVE_EOF)
		r = data && c.name
			    ? 0
			    : send_error(file, "damaged or cut short: no data in it");
	return r;
}
