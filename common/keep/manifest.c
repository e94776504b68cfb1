// SPDX-License-Identifier: GPL-2.0-or-later
#include <limits.h>

#include "keep/manifest.h"

/*
 * Thousands are written while a package manager waits: printf() would take a tenth of it
 * all.
 */
static void add_number(struct buf *text, uint64_t n)
{
	char digits[20], *first = digits + sizeof(digits);

	do
		*--first = (char)('0' + n % 10);
	while (n /= 10);
	buf_add(text, first, (size_t)(digits + sizeof(digits) - first));
	buf_char(text, ' ');
}

static void add(struct buf *text, char kind, uint64_t ino, uint64_t src_ino,
	int64_t ctime, const char *name)
{
	buf_char(text, kind);
	buf_char(text, ' ');
	add_number(text, ino);
	add_number(text, src_ino);
	if (ctime < 0)
		buf_char(text, '-');
	add_number(text, ctime < 0 ? -(uint64_t)ctime : (uint64_t)ctime);
	buf_add(text, name, strlen(name) + 1);
}

void manifest_add_dir(struct buf *text, const char *path)
{
	add(text, 'd', 0, 0, 0, path);
}

void manifest_add_file(struct buf *text, const struct kept_file *f)
{
	add(text, f->kind, f->ino, f->src_ino, f->src_ctime, f->name);
}

static bool is_name(const char *s)
{
	return *s && !strchr(s, '/') && !str_eq(s, ".") && !str_eq(s, "..") &&
	       strlen(s) <= NAME_MAX;
}

/* A relative path whose components are names; or "". */
static bool is_path(const char *s)
{
	if (!*s)
		return true;
	for (;;) {
		size_t n = strcspn(s, "/");

		if (n == 0 || (n == 1 && s[0] == '.') ||
			(n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		s += n;
		if (!*s++)
			return true;
	}
}

static const char *number(const char *s, bool negative, uint64_t *ret)
{
	char *end;

	if (!(*s >= '0' && *s <= '9') && !(negative && *s == '-'))
		return NULL;
	errno = 0;
	*ret = *s == '-' ? (uint64_t)strtoll(s, &end, 10) : strtoull(s, &end, 10);
	return errno || *end != ' ' ? NULL : end + 1;
}

static int take(const char *line, struct buf *dirs, struct buf *files)
{
	struct kept_file f = {.kind = line[0]};
	const char *s = line[0] && line[1] == ' ' ? line + 2 : NULL;
	uint64_t ctime = 0;

	if (s)
		s = number(s, false, &f.ino);
	if (s)
		s = number(s, false, &f.src_ino);
	if (s)
		s = number(s, true, &ctime);
	if (!s)
		return -EBADMSG;
	f.name = s;
	f.src_ctime = (int64_t)ctime;
	if (f.kind == 'd') {
		struct kept_dir *d = vec_push(dirs, struct kept_dir);

		if (!d)
			return -ENOMEM;
		*d = (struct kept_dir){
			.path = s, .first = (uint32_t)vec_len(files, struct kept_file)};
		return is_path(s) && !*s == (vec_len(dirs, struct kept_dir) == 1)
			       ? 0
			       : -EBADMSG;
	}
	if (!strchr("fcsFC", f.kind) || !dirs->len || !is_name(s))
		return -EBADMSG;
	buf_add(files, &f, sizeof(f));
	return files->err;
}

int manifest_parse(struct buf *text, struct manifest *ret)
{
	struct buf dirs = {0}, files = {0};
	struct kept_dir *end;
	int r = text->err;

	*ret = (struct manifest){.text = *text};
	*text = (struct buf){0};
	text = &ret->text;
	if (r == 0 && (!text->len || text->data[text->len - 1] != '\0'))
		r = -EBADMSG;
	for (size_t at = 0; r == 0 && at < text->len; at += strlen(text->data + at) + 1)
		r = take(text->data + at, &dirs, &files);
	ret->n_dirs = (uint32_t)vec_len(&dirs, struct kept_dir);
	ret->n_files = (uint32_t)vec_len(&files, struct kept_file);
	end = vec_push(&dirs, struct kept_dir);
	if (end)
		end->first = ret->n_files;
	else if (r == 0)
		r = -ENOMEM;
	ret->dirs = vec_data(&dirs, struct kept_dir);
	ret->files = vec_data(&files, struct kept_file);
	return r;
}

void manifest_done(struct manifest *m)
{
	free(m->dirs);
	free(m->files);
	buf_done(&m->text);
	*m = (struct manifest){0};
}
