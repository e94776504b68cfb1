// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A note is 36 bytes that no other build has: where a file is does not have to be known
 * to find it there. Three modules are enough to tell another build from one module that
 * somebody replaced.
 */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include "formats/decompress.h"
#include "formats/modname.h"
#include "keep/loaded.h"

#define TRIES 3u
#define NOTE_HEAD 16u /* sizes, type and "GNU" */
#define NOTE_MAX ((size_t)256)
#define DEP_MAX ((size_t)64 << 20)

struct comparing {
	const struct root *root;
	const char *dir;
	struct buf dep; /* modules.dep, ended by a NUL */
	struct decoder *decoder;
};

/* path is not ended. */
static bool is_module_called(const char *path, size_t len, const char *name)
{
	const char *slash = memrchr(path, '/', len);
	const char *base = slash ? slash + 1 : path;
	char file[NAME_MAX + 1], is[NAME_MAX + 1];

	len -= (size_t)(base - path);
	if (len > NAME_MAX)
		return false;
	memcpy(file, base, len);
	file[len] = '\0';
	modname_copy(is, file);
	return str_eq(is, name);
}

/*
 * The file of one of the kernel's own modules, as modules.dep has it; or NULL. To be
 * freed.
 */
static char *find_file(const struct comparing *c, const char *name)
{
	for (const char *line = c->dep.data; line && *line; line = strchr(line, '\n')) {
		size_t len;

		line += *line == '\n';
		len = strcspn(line, ":\n");
		if (line[len] == ':' && str_starts(line, "kernel/") &&
			is_module_called(line, len, name))
			return strndup(line, len);
	}
	return NULL;
}

static enum loaded compare(
	const struct comparing *c, const char *name, const struct buf *note)
{
	_cleanup_(buf_done) struct buf path = {0}, data = {0};
	_cleanup_(freep) char *file = find_file(c, name);
	const uint8_t *bytes;
	size_t len;

	if (!file)
		return LOADED_UNKNOWN;
	buf_printf(&path, "%s/%s", c->dir, file);
	if (path.err || fs_read_file(c->root, path.data, DECOMPRESS_MAX, &data) < 0)
		return LOADED_UNKNOWN;
	bytes = (const uint8_t *)data.data;
	len = data.len;
	if (codec_of(data.data, data.len) != CODEC_NONE &&
		decompress(c->decoder, data.data, data.len, &bytes, &len) != 0)
		return LOADED_UNKNOWN;
	if (memmem(bytes, len, note->data, note->len))
		return LOADED_SAME;
	/* a file from which the notes were stripped tells nothing */
	return memmem(bytes, len, note->data, NOTE_HEAD) ? LOADED_OTHER : LOADED_UNKNOWN;
}

static bool read_note(int modules, const char *name, struct buf *ret)
{
	_cleanup_(buf_done) struct buf path = {0};
	_cleanup_(closep) int fd = -1;

	buf_printf(&path, "%s/notes/.note.gnu.build-id", name);
	fd = path.err ? -1 : openat(modules, path.data, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && fs_read_all(fd, NOTE_MAX, ret) == 0 && ret->len > NOTE_HEAD;
}

static enum loaded compare_some(const struct comparing *c, DIR *modules)
{
	const struct dirent *e;
	unsigned others = 0;

	while (others < TRIES && (e = readdir(modules))) {
		_cleanup_(buf_done) struct buf note = {0};
		enum loaded is;

		if (e->d_name[0] == '.' || !read_note(dirfd(modules), e->d_name, &note))
			continue;
		is = compare(c, e->d_name, &note);
		if (is == LOADED_SAME)
			return is;
		others += is == LOADED_OTHER;
	}
	return others ? LOADED_OTHER : LOADED_UNKNOWN;
}

enum loaded loaded_compare(const char *system, const struct root *root, const char *dir)
{
	struct comparing c = {.root = root, .dir = dir, .decoder = decoder_new()};
	_cleanup_(buf_done) struct buf path = {0}, dep = {0};
	enum loaded result = LOADED_UNKNOWN;
	DIR *modules = NULL;

	buf_printf(&path, "%s/sys/module", system);
	buf_printf(&dep, "%s/modules.dep", dir);
	if (!path.err)
		modules = opendir(path.data);
	if (modules && c.decoder && !dep.err &&
		fs_read_file(root, dep.data, DEP_MAX, &c.dep) == 0) {
		buf_char(&c.dep, '\0');
		if (!c.dep.err)
			result = compare_some(&c, modules);
	}
	if (modules)
		closedir(modules);
	decoder_free(c.decoder);
	buf_done(&c.dep);
	return result;
}
