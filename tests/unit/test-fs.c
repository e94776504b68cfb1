// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every look below a root is done twice: as the kernel does it, and by hand as where
 * openat2() is missing, which is seen to by a syscall() of our own in front of libc's.
 */

#include "unit.h"

#include <dlfcn.h>
#include <sys/syscall.h>

#include "base/fs.h"

static int refuse_with; /* errno of openat2(), or 0 */
static unsigned n_refused;

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_openat2 && refuse_with) {
		n_refused++;
		errno = refuse_with;
		return -1;
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

struct tree {
	struct scratch s;
	struct root root;
};

static int make_tree(void **state)
{
	struct tree *t;
	char path[64];

	if (scratch_make(state) < 0)
		return -1;
	t = calloc(1, sizeof(*t));
	t->s = *(struct scratch *)*state;
	free(*state);
	*state = t;
	assert_int_equal(mkdirat(t->s.fd, "root", 0755), 0);
	assert_int_equal(mkdirat(t->s.fd, "root/a", 0755), 0);
	assert_int_equal(mkdirat(t->s.fd, "root/a/b", 0755), 0);
	put_file(t->s.fd, "secret", "outside", 7, 0644);
	put_file(t->s.fd, "root/secret", "inside", 6, 0644);
	put_file(t->s.fd, "root/a/file", "file", 4, 0644);
	snprintf(path, sizeof(path), "%s/root", t->s.path);
	return root_open(&t->root, path);
}

static int remove_tree(void **state)
{
	struct tree *t = *state;
	struct scratch *s = malloc(sizeof(*s));

	root_done(&t->root);
	*s = t->s;
	free(t);
	*state = s;
	return scratch_remove(state);
}

static void link_to(const struct tree *t, const char *target, const char *name)
{
	unlinkat(t->s.fd, name, 0);
	assert_int_equal(symlinkat(target, t->s.fd, name), 0);
}

/* What is read at a path, by the kernel's way and by hand; or the error. */
static void expect(const struct tree *t, const char *path, const char *text, int err)
{
	static const int ways[] = {0, ENOSYS, EPERM};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct buf b = {0};
		int r;

		refuse_with = ways[i];
		n_refused = 0;
		r = fs_read_file(&t->root, path, 4096, &b);
		assert_int_equal(n_refused > 0, ways[i] != 0);
		if (r != err || (!r && (b.len != strlen(text) ||
					       memcmp(b.data, text, b.len) != 0)))
			fail_msg("%s: %d, not %d; %.*s, not %s", path, r, err, (int)b.len,
				b.data ? b.data : "", text ? text : "");
		buf_done(&b);
	}
	refuse_with = 0;
}

static void plain_paths(void **state)
{
	const struct tree *t = *state;

	expect(t, "secret", "inside", 0);
	expect(t, "/secret", "inside", 0);
	expect(t, "///secret", "inside", 0);
	expect(t, "a//b/.././file", "file", 0);
	expect(t, "a/missing", NULL, -ENOENT);
	expect(t, "missing/file", NULL, -ENOENT);
	expect(t, "secret/file", NULL, -ENOTDIR);
	expect(t, "a", NULL, -EISDIR);
}

static void dots_stay_inside(void **state)
{
	const struct tree *t = *state;

	expect(t, "../secret", "inside", 0);
	expect(t, "../../../../secret", "inside", 0);
	expect(t, "a/../../secret", "inside", 0);
	expect(t, "a/b/../../../../secret", "inside", 0);
}

static void links_stay_inside(void **state)
{
	const struct tree *t = *state;
	char outside[64];

	snprintf(outside, sizeof(outside), "%s/secret", t->s.path);
	link_to(t, "/secret", "root/absolute");
	expect(t, "absolute", "inside", 0);
	link_to(t, "../../../secret", "root/a/up");
	expect(t, "a/up", "inside", 0);
	link_to(t, outside, "root/out");
	expect(t, "out", NULL, -ENOENT);
	link_to(t, "..", "root/a/parent");
	expect(t, "a/parent/secret", "inside", 0);
	expect(t, "a/parent/../../secret", "inside", 0);
	link_to(t, "/a", "root/a/b/top");
	expect(t, "a/b/top/file", "file", 0);
	expect(t, "a/b/top/b/../file", "file", 0);
	link_to(t, "absolute", "root/twice");
	expect(t, "twice", "inside", 0);
	link_to(t, "/", "root/slash");
	expect(t, "slash/secret", "inside", 0);
	expect(t, "slash/../secret", "inside", 0);
	link_to(t, "/proc/self/root/etc/hostname", "root/magic");
	expect(t, "magic", NULL, -ENOENT);
}

static void loops_end(void **state)
{
	const struct tree *t = *state;

	link_to(t, "loop", "root/loop");
	expect(t, "loop", NULL, -ELOOP);
	link_to(t, "y", "root/x");
	link_to(t, "x", "root/y");
	expect(t, "x", NULL, -ELOOP);
	expect(t, "x/file", NULL, -ELOOP);
	link_to(t, "../a/round/x", "root/a/round");
	expect(t, "a/round", NULL, -ELOOP);
}

static void last_link_is_not_followed_where_told(void **state)
{
	struct tree *t = *state;

	link_to(t, "/secret", "root/absolute");
	for (int way = 0; way < 2; way++) {
		refuse_with = way ? ENOSYS : 0;
		assert_int_equal(
			root_openat(&t->root, "absolute", O_RDONLY | O_NOFOLLOW, 0),
			-ELOOP);
	}
	refuse_with = 0;
}

static void opens_where_no_link_leads(void **state)
{
	static const int ways[] = {0, ENOSYS, EPERM};
	const struct tree *t = *state;
	struct stat st;

	link_to(t, "b", "root/a/link");
	link_to(t, "gone", "root/a/dangling");
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		_cleanup_(closep) int fd = -1, parent = -1;
		const char *name;
		int r;

		refuse_with = ways[i];
		n_refused = 0;
		fd = fs_open_plain(t->root.fd, "a/b", O_RDONLY | O_DIRECTORY);
		assert_true(fd >= 0);
		assert_int_equal(n_refused, ways[i] != 0);
		parent = fs_open_parent(t->root.fd, "a/file", &name);
		assert_true(parent >= 0);
		assert_string_equal(name, "file");
		assert_int_equal(fstatat(parent, name, &st, 0), 0);
		/* a link at the end, and in between */
		r = fs_open_plain(t->root.fd, "a/link", O_RDONLY | O_DIRECTORY);
		assert_true(r == -ELOOP || r == -ENOTDIR);
		assert_int_equal(
			fs_open_plain(t->root.fd, "a/dangling", O_RDONLY), -ELOOP);
		assert_int_equal(mkdirat(t->root.fd, "a/b/c", 0700), 0);
		r = fs_open_plain(t->root.fd, "a/link/c", O_RDONLY);
		assert_true(r == -ELOOP || r == -ENOTDIR);
		r = fs_remove(t->root.fd, "a/link/c", AT_REMOVEDIR);
		assert_true(r == -ELOOP || r == -ENOTDIR);
		assert_int_equal(fs_remove(t->root.fd, "a/b/c", AT_REMOVEDIR), 0);
		assert_int_equal(fs_remove(t->root.fd, "a/b/c", AT_REMOVEDIR), -ENOENT);
		/* what else can be wrong */
		assert_int_equal(
			fs_open_plain(t->root.fd, "a/missing/x", O_RDONLY), -ENOENT);
		assert_int_equal(
			fs_open_plain(t->root.fd, "secret/x", O_RDONLY), -ENOTDIR);
	}
	refuse_with = 0;
}

static void knows_what_is_its_own(void **state)
{
	static const struct {
		mode_t mode;
		bool is_own;
	} modes[] = {{0600, true}, {0644, true}, {0755, true}, {0664, false},
		{0646, false}, {01777, false}};
	struct stat st;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		st = (struct stat){.st_mode = modes[i].mode, .st_uid = geteuid()};
		assert_int_equal(fs_is_own(&st), modes[i].is_own);
		st.st_uid = 0;
		assert_int_equal(fs_is_own(&st), modes[i].is_own);
		st.st_uid = geteuid() + 1;
		assert_false(fs_is_own(&st));
	}
}

static void makes_files_inside(void **state)
{
	struct tree *t = *state;
	struct stat st;

	link_to(t, "/../../created", "root/dangling");
	for (int way = 0; way < 2; way++) {
		int fd;

		refuse_with = way ? ENOSYS : 0;
		fd = root_openat(&t->root, "a/new", O_WRONLY | O_CREAT, 0600);
		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(fstatat(t->s.fd, "root/a/new", &st, 0), 0);
		assert_int_equal(unlinkat(t->s.fd, "root/a/new", 0), 0);
		fd = root_openat(&t->root, "dangling", O_WRONLY | O_CREAT, 0600);
		if (fd >= 0)
			close(fd);
		assert_int_equal(fstatat(t->s.fd, "created", &st, 0), -1);
		unlinkat(t->s.fd, "root/created", 0);
	}
	refuse_with = 0;
}

static void long_names(void **state)
{
	const struct tree *t = *state;
	char name[300];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	expect(t, name, NULL, -ENAMETOOLONG);
	memcpy(name, "a/", 2);
	expect(t, name, NULL, -ENAMETOOLONG);
}

static void real_paths(void **state)
{
	struct tree *t = *state;
	char *path;

	link_to(t, "/a", "root/lib");
	for (int way = 0; way < 2; way++) {
		refuse_with = way ? ENOSYS : 0;
		assert_int_equal(root_realpath(&t->root, "/lib/b/..//b", &path), 0);
		assert_string_equal(path, "a/b");
		free(path);
		assert_int_equal(root_realpath(&t->root, "lib/file", &path), -ENOTDIR);
		assert_int_equal(root_realpath(&t->root, "gone", &path), -ENOENT);
	}
	refuse_with = 0;
}

static void makes_directories(void **state)
{
	struct tree *t = *state;
	struct stat st;

	assert_int_equal(root_mkdirs(&t->root, "/var/lib/x", 0700), 0);
	assert_int_equal(fstatat(t->s.fd, "root/var/lib/x", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(root_mkdirs(&t->root, "var/lib/x", 0700), 0);
	assert_int_equal(root_mkdirs(&t->root, "secret/x", 0700), -ENOTDIR);
	link_to(t, "/a/b", "root/linked");
	assert_int_equal(root_mkdirs(&t->root, "linked/deep/er", 0755), 0);
	assert_int_equal(fstatat(t->s.fd, "root/a/b/deep/er", &st, 0), 0);
}

static void reads_up_to_a_limit(void **state)
{
	struct tree *t = *state;
	struct buf b = {0};

	assert_int_equal(fs_read_file(&t->root, "a/file", 4, &b), 0);
	assert_int_equal(fs_read_file(&t->root, "a/file", 3, &b), -EFBIG);
	b.len = 1;
	assert_int_equal(fs_read_file(&t->root, "a/file", 4, &b), 0);
	assert_int_equal(b.len, 5); /* appends */
	buf_done(&b);
}

static void reads_no_devices(void **state)
{
	struct tree *t = *state;
	struct root host;
	struct buf b = {0};

	assert_int_equal(mkfifoat(t->s.fd, "root/pipe", 0600), 0);
	/* and does not wait */
	assert_int_equal(fs_read_file(&t->root, "pipe", 100, &b), -EINVAL);
	assert_int_equal(root_open(&host, ""), 0);
	assert_true(host.host);
	assert_int_equal(fs_read_file(&host, "/dev/null", 100, &b), 0);
	assert_int_equal(b.len, 0);
	root_done(&host);
	buf_done(&b);
}

static void no_root(void **state)
{
	struct root root;

	(void)state;
	assert_int_equal(root_open(&root, "/nonexistent"), -ENOENT);
	assert_int_equal(root_open(&root, "/dev/null"), -ENOTDIR);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_tree, remove_tree)
	const struct CMUnitTest tests[] = {
		TEST(plain_paths),
		TEST(dots_stay_inside),
		TEST(links_stay_inside),
		TEST(loops_end),
		TEST(last_link_is_not_followed_where_told),
		TEST(opens_where_no_link_leads),
		cmocka_unit_test(knows_what_is_its_own),
		TEST(makes_files_inside),
		TEST(long_names),
		TEST(real_paths),
		TEST(makes_directories),
		TEST(reads_up_to_a_limit),
		TEST(reads_no_devices),
		cmocka_unit_test(no_root),
	};

	return RUN(tests);
}
