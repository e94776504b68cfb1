// SPDX-License-Identifier: GPL-2.0-or-later

#include <linux/capability.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/mark.h"
#include "unit.h"

#define MARKS "var/lib/kmp-depmod/dirty"

struct root {
	char path[32];
	int fd;
};

static int setup(void **state)
{
	struct root *root = calloc(1, sizeof(*root));

	strcpy(root->path, "/tmp/test-mark-XXXXXX");
	if (!mkdtemp(root->path))
		return -1;
	root->fd = open(root->path, O_PATH | O_DIRECTORY);
	*state = root;
	return root->fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct root *root = *state;
	char command[64];

	close(root->fd);
	snprintf(command, sizeof(command), "rm -rf %s", root->path);
	free(root);
	return system(command);
}

static bool there(const struct root *root, const char *path)
{
	return faccessat(root->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static size_t listed(const struct root *root, struct mark_found **ret)
{
	size_t n;

	assert_int_equal(mark_list(root->fd, ret, &n), 0);
	return n;
}

static void no_marks_is_no_error(void **state)
{
	const struct root *root = *state;
	struct mark_found *found;

	assert_int_equal(listed(root, &found), 0);
	mark_list_free(found, 0);
	assert_false(there(root, "var"));
}

static void is_set_and_cleared(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;
	struct stat st;

	assert_int_equal(mark_set(root->fd, "6.1", "me", true, &m), 0);
	assert_true(m.alone);
	assert_true(fcntl(m.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstatat(root->fd, MARKS, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstatat(root->fd, MARKS "/6.1", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(mark_clear(root->fd, "6.1", &m), 0);
	assert_int_equal(m.fd, -1);
	assert_false(there(root, MARKS "/6.1"));
}

static void names_that_are_no_kernels(void **state)
{
	static const char *const bad[] = {"", ".", "..", ".x", "a/b", "/"};
	const struct root *root = *state;
	struct mark m;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(mark_set(root->fd, bad[i], "me", false, &m), -EINVAL);
}

static void of_the_living_is_not_healed(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;
	struct mark_found *found;

	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	assert_int_equal(listed(root, &found), 1);
	assert_string_equal(found->kver, "6.1");
	assert_false(found->orphaned);
	/* Its owner dies after the scan began: what it did last was perhaps not seen. */
	mark_leave(&m);
	assert_int_equal(mark_heal(root->fd, found), MARK_LEFT);
	mark_list_free(found, 1);
	assert_true(there(root, MARKS "/6.1"));
}

static void of_the_dead_is_healed(void **state)
{
	const struct root *root = *state;
	struct mark_found *found;
	struct mark m = MARK_NONE;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (mark_set(root->fd, "6.1", "me", false, &m) != 0)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(listed(root, &found), 1);
	assert_true(found->orphaned);
	assert_int_equal(mark_heal(root->fd, found), 0);
	assert_false(there(root, MARKS "/6.1"));
	assert_int_equal(mark_heal(root->fd, found), MARK_LEFT);
	mark_list_free(found, 1);
}

static void set_again_meanwhile_is_left(void **state)
{
	const struct root *root = *state;
	struct mark_found *found;
	struct mark m = MARK_NONE;

	assert_int_equal(mark_set(root->fd, "6.1", "first", false, &m), 0);
	mark_leave(&m);
	assert_int_equal(listed(root, &found), 1);
	assert_true(found->orphaned);
	assert_int_equal(mark_set(root->fd, "6.1", "second", false, &m), 0);
	assert_int_equal(mark_heal(root->fd, found), MARK_LEFT);
	mark_leave(&m);
	assert_int_equal(mark_heal(root->fd, found), MARK_LEFT);
	assert_true(there(root, MARKS "/6.1"));
	mark_list_free(found, 1);
}

static void of_two_owners_is_left_to_a_healer(void **state)
{
	const struct root *root = *state;
	struct mark a = MARK_NONE, b = MARK_NONE;
	struct mark_found *found;

	assert_int_equal(mark_set(root->fd, "6.1", "a", false, &a), 0);
	assert_int_equal(mark_set(root->fd, "6.1", "b", false, &b), 0);
	assert_true(a.alone);
	assert_false(b.alone);
	assert_int_equal(mark_clear(root->fd, "6.1", &b), MARK_LEFT);
	assert_int_equal(mark_clear(root->fd, "6.1", &a), MARK_LEFT);
	assert_int_equal(listed(root, &found), 1);
	assert_int_equal(mark_heal(root->fd, found), 0);
	mark_list_free(found, 1);
}

static void adopts_an_orphan(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;

	assert_int_equal(mark_set(root->fd, "6.1", "a", false, &m), 0);
	mark_leave(&m);
	assert_int_equal(mark_set(root->fd, "6.1", "b", false, &m), 0);
	assert_true(m.alone);
	assert_int_equal(mark_clear(root->fd, "6.1", &m), 0);
	assert_false(there(root, MARKS "/6.1"));
}

static void a_healer_that_does_not_end(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;
	int fd;

	assert_int_equal(mark_set(root->fd, "6.1", "a", false, &m), 0);
	mark_leave(&m);
	fd = openat(root->fd, MARKS "/6.1", O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(mark_set(root->fd, "6.1", "b", false, &m), MARK_BUSY);
	assert_int_equal(m.fd, -1);
	close(fd);
}

static void links_are_not_followed(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;
	struct mark_found *found;

	assert_int_equal(mkdirat(root->fd, "var", 0755), 0);
	assert_int_equal(mkdirat(root->fd, "var/lib", 0755), 0);
	assert_int_equal(mkdirat(root->fd, "elsewhere", 0755), 0);
	assert_int_equal(symlinkat("../../elsewhere", root->fd, "var/lib/kmp-depmod"), 0);
	assert_true(mark_set(root->fd, "6.1", "me", false, &m) < 0);
	assert_int_equal(unlinkat(root->fd, "var/lib/kmp-depmod", 0), 0);

	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	assert_int_equal(mark_clear(root->fd, "6.1", &m), 0);
	assert_int_equal(symlinkat("/etc/passwd", root->fd, MARKS "/6.1"), 0);
	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), -ELOOP);
	assert_int_equal(mkdirat(root->fd, MARKS "/6.2", 0700), 0);
	assert_int_equal(mkfifoat(root->fd, MARKS "/6.3", 0600), 0);
	assert_int_equal(listed(root, &found), 0);
	mark_list_free(found, 0);
}

static void an_absolute_link_stays_inside(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;

	assert_int_equal(mkdirat(root->fd, "data", 0755), 0);
	assert_int_equal(symlinkat("/data", root->fd, "var"), 0);
	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	assert_true(there(root, "data/lib/kmp-depmod/dirty/6.1"));
	assert_int_equal(mark_clear(root->fd, "6.1", &m), 0);
}

static void a_foreign_directory_is_refused(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;
	struct mark_found *found;
	size_t n;

	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	mark_leave(&m);
	assert_int_equal(fchownat(root->fd, MARKS, 65534, 65534, 0), 0);
	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), -EPERM);
	assert_int_equal(mark_list(root->fd, &found, &n), -EPERM);
}

static void an_open_directory_is_closed(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;
	struct stat st;

	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	mark_leave(&m);
	assert_int_equal(fchmodat(root->fd, MARKS, 0777, 0), 0);
	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	mark_leave(&m);
	assert_int_equal(fstatat(root->fd, MARKS, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

/* From a time when others could write there. */
static void a_second_name_is_not_written_to(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;
	struct stat st;

	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	assert_int_equal(mark_clear(root->fd, "6.1", &m), 0);
	close(openat(root->fd, "victim", O_WRONLY | O_CREAT, 0600));
	assert_int_equal(linkat(root->fd, "victim", root->fd, MARKS "/6.1", 0), 0);
	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	mark_leave(&m);
	assert_int_equal(fstatat(root->fd, "victim", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_nlink, 1);
	assert_true(there(root, MARKS "/6.1"));
}

static void a_lock_that_others_can_hold_is_none(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;
	int theirs;

	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	assert_int_equal(mark_clear(root->fd, "6.1", &m), 0);
	theirs = openat(root->fd, MARKS "/6.1", O_RDWR | O_CREAT, 0600);
	assert_int_equal(fchmod(theirs, 0644), 0);
	assert_int_equal(flock(theirs, LOCK_EX), 0);
	assert_int_equal(mark_set(root->fd, "6.1", "me", false, &m), 0);
	assert_true(m.alone);
	assert_int_equal(mark_clear(root->fd, "6.1", &m), 0);
	close(theirs);
}

/*
 * Whose files are another user's, though it is root: as where a network file system says
 * so.
 */
static void be_squashed(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};

	setfsuid(65534);
	syscall(SYS_capget, &head, caps);
	caps[0].effective = caps[0].permitted;
	syscall(SYS_capset, &head, caps);
}

static void files_that_can_be_nobodys_own(void **state)
{
	const struct root *root = *state;
	struct mark m = MARK_NONE;
	pid_t child;
	int status;

	assert_int_equal(mark_set(root->fd, "5.4", "me", false, &m), 0);
	mark_leave(&m);
	child = fork();
	if (child == 0) {
		alarm(20);
		be_squashed();
		_exit(mark_set(root->fd, "6.1", "me", false, &m) == -EPERM ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Owners and healers at random: the mark of one that was killed is never taken from it.
 */
static void stands_a_crowd(void **state)
{
	const struct root *root = *state;
	struct mark_found *found;
	size_t n;

	for (int i = 0; i < 8; i++) {
		if (fork() == 0) {
			for (int j = 0; j < 200; j++) {
				struct mark m = MARK_NONE;

				if (i % 2 == 0) {
					if (mark_set(root->fd, "6.1", "me", false, &m) <
						0)
						_exit(1);
					if (m.fd >= 0 && !there(root, MARKS "/6.1"))
						_exit(2);
					if (mark_clear(root->fd, "6.1", &m) < 0)
						_exit(3);
				} else {
					if (mark_list(root->fd, &found, &n) < 0)
						_exit(4);
					if (n > 0 && mark_heal(root->fd, found) < 0)
						_exit(5);
					mark_list_free(found, n);
				}
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 8; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	struct CMUnitTest tests[] = {
		TEST(no_marks_is_no_error),
		TEST(is_set_and_cleared),
		TEST(names_that_are_no_kernels),
		TEST(of_the_living_is_not_healed),
		TEST(of_the_dead_is_healed),
		TEST(set_again_meanwhile_is_left),
		TEST(of_two_owners_is_left_to_a_healer),
		TEST(adopts_an_orphan),
		TEST(a_healer_that_does_not_end),
		TEST(links_are_not_followed),
		TEST(an_absolute_link_stays_inside),
		TEST(a_foreign_directory_is_refused),
		TEST(an_open_directory_is_closed),
		TEST(a_second_name_is_not_written_to),
		TEST(a_lock_that_others_can_hold_is_none),
		TEST(files_that_can_be_nobodys_own),
		TEST(stands_a_crowd),
	};

	if (geteuid() != 0) {
		LEAVE_OUT(tests, a_foreign_directory_is_refused, "needs root");
		LEAVE_OUT(tests, files_that_can_be_nobodys_own, "needs root");
	}
	return RUN(tests);
}
