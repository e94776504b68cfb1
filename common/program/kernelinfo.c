// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Nothing is run to find out: a root may be of another machine. kmod's features are the
 * string that its --version prints, found in its file.
 */

#include <stdio.h>

#include "program/kernelinfo.h"

#define FILE_MAX ((size_t)256 << 20)

/* Read a file of the root, decompressed. 0 or -errno. */
static int read_any(const struct target *t, const char *path, struct buf *ret)
{
	_cleanup_(buf_done) struct buf raw = {0};
	struct decoder *d;
	const uint8_t *data;
	size_t len;
	int r = fs_read_file(t->root, path, FILE_MAX, &raw);

	if (r < 0)
		return r;
	if (codec_of(raw.data, raw.len) == CODEC_NONE) {
		*ret = raw;
		raw = (struct buf){0};
		return 0;
	}
	d = decoder_new();
	if (!d)
		return -ENOMEM;
	r = decompress(d, raw.data, raw.len, &data, &len);
	if (r == 0) {
		buf_add(ret, data, len);
		r = ret->err;
	}
	decoder_free(d);
	return r > 0 ? -EBADMSG : r;
}

/* %k: the kernel's version, %d: its module directory. */
static int expand(const struct target *t, const char *pattern, struct buf *ret)
{
	ret->len = 0;
	for (const char *p = pattern; *p; p++) {
		if (*p == '%')
			buf_str(ret, *++p == 'k' ? t->kver : t->dir);
		else
			buf_char(ret, *p);
	}
	buf_char(ret, '\0');
	return ret->err;
}

static int find_file(const struct target *t, const char *const *patterns,
	struct buf *path, struct buf *ret)
{
	int r = -ENOENT;

	for (; *patterns && r < 0 && r != -ENOMEM; patterns++) {
		r = expand(t, *patterns, path);
		if (r == 0)
			r = read_any(t, path->data, ret);
	}
	return r;
}

static int hash_symbols(struct kernelinfo *k)
{
	const struct vmlinux_symbol *s =
		vec_data(&k->vmlinux.entries, struct vmlinux_symbol);
	size_t n = vec_len(&k->vmlinux.entries, struct vmlinux_symbol);

	for (k->mask = 1023; k->mask < n * 2;)
		k->mask = k->mask * 2 + 1;
	k->slots = calloc((size_t)k->mask + 1, sizeof(*k->slots));
	for (size_t i = 0; k->slots && i < n; i++) {
		const char *name = k->vmlinux.names.data + s[i].name;
		uint32_t at = (uint32_t)digest_hash(name, strlen(name)) & k->mask;

		while (k->slots[at])
			at = (at + 1) & k->mask;
		k->slots[at] = (uint32_t)i + 1;
	}
	return k->slots ? 0 : -ENOMEM;
}

const struct vmlinux_symbol *kernelinfo_symbol(
	const struct kernelinfo *k, const char *name)
{
	const struct vmlinux_symbol *s =
		vec_data(&k->vmlinux.entries, struct vmlinux_symbol);

	if (!k->slots)
		return NULL;
	for (uint32_t at = (uint32_t)digest_hash(name, strlen(name)) & k->mask;
		k->slots[at]; at = (at + 1) & k->mask)
		if (str_eq(k->vmlinux.names.data + s[k->slots[at] - 1].name, name))
			return &s[k->slots[at] - 1];
	return NULL;
}

static int take_symbols(const struct target *t, const struct buf *path,
	const struct buf *text, bool symvers, struct kernelinfo *k)
{
	int r = vmlinux_parse(t, path->data, text->data, text->len, symvers, &k->vmlinux);

	/* Debian's System.map says that the real one is elsewhere */
	if (r == 0 && vec_len(&k->vmlinux.entries, struct vmlinux_symbol) > 100) {
		k->vmlinux_path = strdup(path->data);
		return k->vmlinux_path ? hash_symbols(k) : -ENOMEM;
	}
	vmlinux_done(&k->vmlinux);
	k->vmlinux = (struct vmlinux){0};
	return r == -ENOMEM ? r : 0;
}

static int find_symbols(const struct target *t, struct kernelinfo *k)
{
	static const char *const symvers[] = {"boot/symvers-%k.gz", "boot/symvers-%k.xz",
		"boot/symvers-%k.zst", "boot/symvers-%k", "%d/symvers.gz",
		"%d/symvers.xz", "%d/symvers.zst", "%d/symvers",
		"%d/build/Module.symvers", "usr/src/linux-headers-%k/Module.symvers",
		"usr/src/kernels/%k/Module.symvers", NULL};
	static const char *const maps[] = {"boot/System.map-%k", "%d/System.map", NULL};
	_cleanup_(buf_done) struct buf path = {0}, text = {0};
	int r = find_file(t, symvers, &path, &text);

	if (r == 0)
		r = take_symbols(t, &path, &text, true, k);
	if (r == -ENOMEM || k->vmlinux_path)
		return r;
	text.len = 0;
	r = find_file(t, maps, &path, &text);
	if (r == 0)
		r = take_symbols(t, &path, &text, false, k);
	return r == -ENOMEM ? r : 0;
}

static bool has_line(const struct buf *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *p = text->data; (p = strstr(p, line)); p += n)
		if ((p == text->data || p[-1] == '\n') && (p[n] == '\n' || !p[n]))
			return true;
	return false;
}

static int find_config(const struct target *t, struct kernelinfo *k)
{
	static const char *const configs[] = {
		"boot/config-%k", "%d/config", "%d/build/.config", NULL};
	static const char *const codecs[CODECS] = {
		[CODEC_ZSTD] = "CONFIG_MODULE_COMPRESS_ZSTD=y",
		[CODEC_XZ] = "CONFIG_MODULE_COMPRESS_XZ=y",
		[CODEC_GZIP] = "CONFIG_MODULE_COMPRESS_GZIP=y",
	};
	_cleanup_(buf_done) struct buf path = {0}, text = {0};
	int r = find_file(t, configs, &path, &text);

	if (r == -ENOMEM)
		return r;
	buf_char(&text, '\0');
	if (r < 0 || text.err)
		return text.err;
	k->config_path = strdup(path.data);
	k->decompress = has_line(&text, "CONFIG_MODULE_DECOMPRESS=y");
	for (enum codec c = CODEC_ZSTD; c < CODECS; c++)
		if (has_line(&text, codecs[c]))
			k->codec = c;
	return k->config_path ? 0 : -ENOMEM;
}

static int find_kmod(const struct target *t, struct kernelinfo *k)
{
	static const char *const tools[] = {
		"usr/bin/kmod", "bin/kmod", "usr/sbin/kmod", "sbin/kmod", NULL};
	static const char *const words[CODECS] = {
		[CODEC_ZSTD] = "ZSTD ", [CODEC_XZ] = "XZ ", [CODEC_GZIP] = "ZLIB "};
	_cleanup_(buf_done) struct buf path = {0}, file = {0};
	int r = find_file(t, tools, &path, &file);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (enum codec c = CODEC_ZSTD; c < CODECS; c++) {
		size_t n = strlen(words[c]);
		char *at = file.data;

		while ((at = memmem(
				at, (size_t)(file.data + file.len - at), words[c], n)) &&
			!(at > file.data && (at[-1] == '+' || at[-1] == '-')))
			at += n;
		if (!at)
			return 0; /* another build's words: not known */
		k->kmod_reads[c] = at[-1] == '+';
	}
	k->kmod_path = strdup(path.data);
	return k->kmod_path ? 0 : -ENOMEM;
}

static int copy_symbols(
	const struct vmlinux *given, const char *path, struct kernelinfo *k)
{
	k->vmlinux.has_crcs = given->has_crcs;
	buf_add(&k->vmlinux.names, given->names.data, given->names.len);
	buf_add(&k->vmlinux.entries, given->entries.data, given->entries.len);
	k->vmlinux_path = strdup(path);
	return k->vmlinux.names.err || k->vmlinux.entries.err || !k->vmlinux_path
		       ? -ENOMEM
		       : hash_symbols(k);
}

int kernelinfo_load(const struct target *t, const struct vmlinux *given,
	const char *given_path, struct kernelinfo *ret)
{
	int r;

	*ret = (struct kernelinfo){0};
	r = given ? copy_symbols(given, given_path, ret) : find_symbols(t, ret);
	if (r == 0)
		r = find_config(t, ret);
	if (r == 0)
		r = find_kmod(t, ret);
	if (r < 0)
		kernelinfo_done(ret);
	return r;
}

void kernelinfo_done(struct kernelinfo *k)
{
	vmlinux_done(&k->vmlinux);
	free(k->vmlinux_path);
	free(k->slots);
	free(k->config_path);
	free(k->kmod_path);
	*k = (struct kernelinfo){0};
}
