// SPDX-License-Identifier: GPL-2.0-or-later

#include "unit.h"

#include "keep/conf.h"
#include "keep/link.h"
#include "keep/manifest.h"
#include "keep/running.h"

/* --- the manifest --- */

static void manifest_as_written(void **state)
{
	struct kept_file linked = {.name = "a b\n.ko",
				 .ino = UINT64_MAX,
				 .src_ino = 7,
				 .kind = KEPT_LINKED},
			 copied = {.name = "-",
				 .ino = 1,
				 .src_ino = 2,
				 .src_ctime = -3,
				 .kind = KEPT_TARGET_COPIED};
	struct buf text = {0};
	struct manifest m;

	(void)state;
	manifest_add_dir(&text, "");
	manifest_add_dir(&text, "kernel/x y");
	manifest_add_file(&text, &linked);
	manifest_add_file(&text, &copied);
	assert_int_equal(manifest_parse(&text, &m), 0);
	assert_null(text.data);
	assert_int_equal(m.n_dirs, 2);
	assert_int_equal(m.n_files, 2);
	assert_string_equal(m.dirs[1].path, "kernel/x y");
	assert_int_equal(m.dirs[0].first, 0);
	assert_int_equal(m.dirs[1].first, 0);
	assert_int_equal(m.dirs[2].first, 2);
	assert_string_equal(m.files[0].name, "a b\n.ko");
	assert_true(m.files[0].ino == UINT64_MAX && m.files[0].src_ino == 7);
	assert_false(kept_is_copy(&m.files[0]) || kept_is_target(&m.files[0]));
	assert_true(m.files[1].src_ctime == -3);
	assert_true(kept_is_copy(&m.files[1]) && kept_is_target(&m.files[1]));
	manifest_done(&m);
}

static int parse(const char *bytes, size_t n)
{
	struct buf text = {0};
	struct manifest m;
	int r;

	buf_add(&text, bytes, n);
	r = manifest_parse(&text, &m);
	manifest_done(&m);
	buf_done(&text);
	return r;
}

static void manifest_bad(void **state)
{
	(void)state;
	assert_int_equal(parse(BYTES("d 0 0 0 \0f 1 1 0 a\0")), 0);
	assert_int_equal(parse(BYTES("d 0 0 0 \0d 0 0 0 a/..b\0")), 0);
	/* nothing, or not to the end */
	assert_int_equal(parse(BYTES("")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0f 1 1 0 a")), -EBADMSG);
	/* a path that leads out, a name that is one */
	assert_int_equal(parse(BYTES("d 0 0 0 \0d 0 0 0 a/../b\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0d 0 0 0 /a\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0d 0 0 0 a/\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0d 0 0 0 a//b\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0f 1 1 0 ..\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0f 1 1 0 a/b\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0f 1 1 0 \0")), -EBADMSG);
	/* the first directory is the kernel's, and no other is */
	assert_int_equal(parse(BYTES("d 0 0 0 a\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0d 0 0 0 \0")), -EBADMSG);
	assert_int_equal(parse(BYTES("f 1 1 0 a\0d 0 0 0 \0")), -EBADMSG);
	/* kinds and numbers */
	assert_int_equal(parse(BYTES("d 0 0 0 \0x 1 1 0 a\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0f 1 1 a\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0f -1 1 0 a\0")), -EBADMSG);
	assert_int_equal(
		parse(BYTES("d 0 0 0 \0f 99999999999999999999 1 0 a\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0f\0")), -EBADMSG);
	assert_int_equal(parse(BYTES("d 0 0 0 \0\0")), -EBADMSG);
}

/* --- build ids --- */

#define XEN "\x04\0\0\0\x03\0\0\0\x01\0\0\0Xen\0abc\0"
#define GNU(size) "\x04\0\0\0" size "\0\0\0\x03\0\0\0GNU\0"

static int build_id(const char *bytes, size_t n, char *ret)
{
	char *copy = exact(bytes, n);
	int r = running_build_id(copy, n, ret);

	free(copy);
	return r;
}

static void build_ids(void **state)
{
	char id[BUILD_ID_HEX_MAX + 1];

	(void)state;
	assert_int_equal(build_id(BYTES(XEN GNU("\x02") "\x01\xfe\0\0"), id), 0);
	assert_string_equal(id, "01fe");
	assert_int_equal(build_id(BYTES(GNU("\x04") "\x01\xfe\xab\0" XEN), id), 0);
	assert_string_equal(id, "01feab00");
	assert_int_equal(build_id(BYTES(""), id), -EBADMSG);
	assert_int_equal(build_id(BYTES(XEN), id), -EBADMSG);
	assert_int_equal(build_id(BYTES(GNU("\x04") "\x01\xfe\xab"), id), -EBADMSG);
	assert_int_equal(build_id(BYTES(GNU("\x00")), id), -EBADMSG);
	assert_int_equal(
		build_id(BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\x03\0\0\0GNU\0"), id),
		-EBADMSG);
}

/* --- configuration --- */

static void list_bad(void *arg, const char *path, unsigned line, const char *what)
{
	buf_printf(arg, "%s:%u: %s|", path, line, what);
}

static void configured(struct scratch *s, enum keep_mode want, const char *want_bad)
{
	struct buf bad = {0};
	struct root root;
	struct conf conf;

	assert_int_equal(root_open(&root, s->path), 0);
	assert_int_equal(conf_read(&root, &conf, list_bad, &bad), 0);
	assert_int_equal(conf.keep, want);
	assert_text(&bad, want_bad);
	buf_done(&bad);
	root_done(&root);
}

static void put(struct scratch *s, const char *path, const char *text)
{
	put_file(s->fd, path, text, strlen(text), 0644);
}

static void make_dirs(struct scratch *s, const char *const *dirs)
{
	for (; *dirs; dirs++)
		assert_int_equal(mkdirat(s->fd, *dirs, 0755), 0);
}

static void configuration(void **state)
{
	static const char *const dirs[] = {"etc", "run", "usr", "usr/lib",
		"etc/kmp-depmod.conf.d", "run/kmp-depmod.conf.d",
		"usr/lib/kmp-depmod.conf.d", NULL};
	struct scratch *s = *state;

	configured(s, KEEP_NO, "");
	make_dirs(s, dirs);
	configured(s, KEEP_NO, "");
	put(s, "usr/lib/kmp-depmod.conf", "keep-running=redirect");
	configured(s, KEEP_REDIRECT, "");
	put(s, "etc/kmp-depmod.conf",
		"\n# a comment\n  ; another\n\t keep-running\t=  restore \r\n");
	configured(s, KEEP_RESTORE, "");
	put(s, "etc/kmp-depmod.conf",
		"keep-running\nkeep = no\nkeep-running = yes\nkeep-running = restore\n= "
		"x\n");
	configured(s, KEEP_RESTORE,
		"etc/kmp-depmod.conf:1: no '='|etc/kmp-depmod.conf:2: unknown setting|"
		"etc/kmp-depmod.conf:3: keep-running is no, restore or redirect|"
		"etc/kmp-depmod.conf:5: unknown setting|");
	put(s, "etc/kmp-depmod.conf", "keep-running = restore\n");
	/* drop-ins by name, masks, and what is none */
	put(s, "usr/lib/kmp-depmod.conf.d/20.conf", "keep-running = no\n");
	configured(s, KEEP_NO, "");
	put(s, "usr/lib/kmp-depmod.conf.d/30.conf", "keep-running = redirect\n");
	configured(s, KEEP_REDIRECT, "");
	assert_int_equal(
		symlinkat("/dev/null", s->fd, "etc/kmp-depmod.conf.d/30.conf"), 0);
	configured(s, KEEP_NO, "");
	put(s, "run/kmp-depmod.conf.d/20.conf", "");
	configured(s, KEEP_RESTORE, "");
	put(s, "run/kmp-depmod.conf.d/.90.conf", "keep-running = no\n");
	put(s, "run/kmp-depmod.conf.d/90.conf.rpmsave", "keep-running = no\n");
	configured(s, KEEP_RESTORE, "");
	assert_int_equal(mkdirat(s->fd, "run/kmp-depmod.conf.d/90.conf", 0755), 0);
	configured(s, KEEP_RESTORE, "run/kmp-depmod.conf.d/90.conf:0: Is a directory|");
}

/* --- links --- */

static void links(void **state)
{
	struct scratch *s = *state;
	struct root root;
	struct link_source from = {
		.root = &root, .dirfd = s->fd, .name = "a", .path = "a"};
	struct stat a, b;

	assert_int_equal(root_open(&root, s->path), 0);
	assert_int_equal(link_file(&from, s->fd, "b", NULL), -ENOENT);
	put(s, "a", "bytes");
	assert_int_equal(link_file(&from, s->fd, "b", NULL), 0);
	assert_int_equal(fstatat(s->fd, "a", &a, 0), 0);
	assert_int_equal(fstatat(s->fd, "b", &b, 0), 0);
	assert_true(a.st_ino == b.st_ino && b.st_nlink == 2);
	assert_int_equal(link_file(&from, s->fd, "b", NULL), -EEXIST);
	/* a link is followed only if that is meant, and within the root */
	assert_int_equal(symlinkat("/a", s->fd, "l"), 0);
	from.name = from.path = "l";
	from.follow = true;
	assert_int_equal(link_file(&from, s->fd, "c", NULL), 0);
	assert_int_equal(fstatat(s->fd, "c", &b, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(a.st_ino == b.st_ino);
	root_done(&root);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_as_written),
		cmocka_unit_test(manifest_bad),
		cmocka_unit_test(build_ids),
		cmocka_unit_test_setup_teardown(
			configuration, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(links, scratch_make, scratch_remove),
	};

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		LEAVE_OUT(tests, build_ids, "its notes are of a little-endian machine");
	return RUN(tests);
}
