// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel runs the program that kernel.modprobe names: a helper of ours, which adds -d
 * and calls the former one. udev and systemd-modules-load have libkmod in them: each gets
 * a mount of its own over the kernel's directory, from a drop-in for its unit.
 *
 * A transaction that removes that directory takes udevd's mount along. So each call looks
 * whether it is still there.
 */

#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#include "program/messages.h"
#include "program/redirect.h"

#define HELPER LIBEXECDIR "/modprobe-kept"
#define DROP_IN "kmp-depmod-keep.conf"
#define RETIRED DROP_IN ".off"
#define UDEVD "systemd-udevd.service"

#define SYSTEMCTL_SECONDS 60
#define OUTPUT_MAX ((size_t)64 << 10)

extern char **environ;

static const char *const units[] = {UDEVD, "systemd-modules-load.service"};

/* What CONFIG_MODPROBE_PATH is in one kernel or another. */
static const char *const built_in[] = {
	"/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe"};

static char *path_of(const struct redirect *r, const char *fmt, const char *name)
{
	char *below = NULL, *path = NULL;

	if (asprintf(&below, fmt, name) < 0)
		return NULL;
	if (asprintf(&path, "%s/%s", r->system, below) < 0)
		path = NULL;
	free(below);
	return path;
}

static int read_line(const char *path, struct buf *ret)
{
	_cleanup_(closep) int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	int r = fd < 0 ? neg_errno() : fs_read_all(fd, 65536, ret);

	buf_char(ret, '\0');
	if (r < 0 || ret->err)
		return r < 0 ? r : ret->err;
	ret->data[strcspn(ret->data, "\n")] = '\0';
	return 0;
}

static int write_line(const char *path, int flags, const char *text)
{
	_cleanup_(closep) int fd =
		path ? open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0644) : -1;
	int r = fd < 0 ? neg_errno() : fs_write_all(fd, text, strlen(text));

	return r == 0 && fd >= 0 && close(TAKE_FD(fd)) < 0 ? neg_errno() : r;
}

/* --- systemctl --- */

/* Of a clock that nobody sets: at boot the other one may jump. */
static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Up to its end. False if that takes too long: others wait for the lock. */
static bool read_in_time(int fd, struct buf *to)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	time_t end = seconds() + SYSTEMCTL_SECONDS;

	for (;;) {
		time_t left = end - seconds();
		int n = poll(&p, 1, left > 0 ? (int)left * 1000 : 0);
		char block[4096];
		ssize_t got;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		got = read(fd, block, sizeof(block));
		if (got <= 0)
			return true;
		if (to->len < OUTPUT_MAX)
			buf_add(to, block, (size_t)got);
	}
}

static int spawn_and_wait(char *const argv[], struct buf *output)
{
	posix_spawn_file_actions_t actions;
	int ends[2], r, status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return neg_errno();
	r = -posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = -posix_spawn_file_actions_addopen(
			&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(
				&actions, ends[1], STDOUT_FILENO);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(
				&actions, ends[1], STDERR_FILENO);
		if (r == 0)
			r = -posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	if (r == 0 && !read_in_time(ends[0], output)) {
		kill(pid, SIGKILL);
		r = -ETIMEDOUT;
	}
	close(ends[0]);
	if (r < 0 && r != -ETIMEDOUT)
		return r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return neg_errno();
	if (r < 0)
		return r;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Its exit status, or -errno. */
static int systemctl(const struct redirect *r, const char *verb, const char *option,
	const char *unit, struct buf *output)
{
	static const char *const places[] = {"usr/bin/systemctl", "bin/systemctl"};
	int err = -ENOENT;

	for (size_t i = 0; err == -ENOENT && i < ARRAY_SIZE(places); i++) {
		_cleanup_(freep) char *program = path_of(r, "%s", places[i]);
		char *argv[] = {program, (char *)verb, (char *)(option ? option : unit),
			(char *)(option ? unit : NULL), NULL};

		if (!program)
			return -ENOMEM;
		err = spawn_and_wait(argv, output);
	}
	return err;
}

/* True if it worked; else it is said, what being what comes of it. */
static bool systemctl_do(const struct redirect *r, const char *what, const char *verb,
	const char *option, const char *unit)
{
	_cleanup_(buf_done) struct buf output = {0};
	int err = systemctl(r, verb, option, unit, &output);

	if (err == 0)
		return true;
	buf_char(&output, '\0');
	if (err < 0)
		message(r->m, "%s: %s: systemctl: %s", r->kver, what, strerror(-err));
	else
		message(r->m, "%s: %s: systemctl %s: exit status %d%s%.*s", r->kver, what,
			verb, err, output.err || !*output.data ? "" : ": ",
			output.err ? 0 : (int)strcspn(output.data, "\n"),
			output.err ? "" : output.data);
	return false;
}

/* The restart is not waited for: udevd's workers may be busy. */
static bool reload_and_restart(const struct redirect *r, const char *else_what)
{
	return systemctl_do(r, else_what, "daemon-reload", NULL, NULL) &&
	       systemctl_do(r, else_what, "try-restart", "--no-block", UDEVD);
}

static bool systemd_runs(const struct redirect *r)
{
	_cleanup_(freep) char *path = path_of(r, "%s", "run/systemd/system");

	return path && access(path, F_OK) == 0;
}

/* --- udev --- */

/* Would systemd read it as what it is? */
static bool is_plain(const char *s)
{
	return !s[strspn(s,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_+~-")];
}

static char *drop_in_text(const struct redirect *r)
{
	char *text = NULL;

	if (!is_plain(r->kver) || !is_plain(r->kept) ||
		asprintf(&text,
			"# written by kmp-depmod: another build's modules are installed, "
			"see kmp-depmod(8)\n"
			"[Service]\nBindReadOnlyPaths=-%s/lib/modules/%s:/lib/modules/"
			"%s\n",
			r->kept, r->kver, r->kver) < 0)
		return NULL;
	return text;
}

/* *ret_changed: it was not there, or another one. 0 or -errno. */
static int write_drop_in(
	const struct redirect *r, const char *unit, const char *text, bool *ret_changed)
{
	_cleanup_(freep) char *dir = path_of(r, "run/systemd/system/%s.d", unit),
			      *path = NULL;
	_cleanup_(buf_done) struct buf have = {0};
	_cleanup_(closep) int fd = -1;

	if (!dir || asprintf(&path, "%s/" DROP_IN, dir) < 0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fs_read_all(fd, 65536, &have) == 0 && have.len == strlen(text) &&
		memcmp(have.data, text, have.len) == 0)
		return 0;
	*ret_changed = true;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return neg_errno();
	return write_line(path, O_CREAT | O_TRUNC, text);
}

/*
 * Does udevd see a mount over the kernel's directory? Where it does not run there is no
 * need, and one systemctl that hangs is enough.
 */
static bool udevd_has_mount(const struct redirect *r)
{
	_cleanup_(buf_done) struct buf output = {0}, text = {0};
	_cleanup_(freep) char *path = NULL, *point = NULL;
	_cleanup_(closep) int fd = -1;
	int err = systemctl(r, "show", "--property=MainPID", UDEVD, &output);

	if (err)
		return err == -ETIMEDOUT;
	buf_char(&output, '\0');
	if (output.err || !str_starts(output.data, "MainPID=") ||
		atol(output.data + 8) <= 0)
		return true;
	output.data[strcspn(output.data, "\n")] = '\0';
	path = path_of(r, "proc/%s/mountinfo", output.data + 8);
	fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || asprintf(&point, " /%s ", r->dir) < 0)
		return false;
	if (fs_read_all(fd, (size_t)16 << 20, &text) < 0)
		return false;
	buf_char(&text, '\0');
	return !text.err && strstr(text.data, point);
}

static bool lead_udev(const struct redirect *r)
{
	_cleanup_(freep) char *text = drop_in_text(r);
	bool changed = false;
	int err = text ? 0 : -EINVAL;

	for (size_t i = 0; err == 0 && i < ARRAY_SIZE(units); i++)
		err = write_drop_in(r, units[i], text, &changed);
	if (err < 0) {
		message(r->m,
			"%s: udev is not led to the kept modules: /run/systemd/system: "
			"%s",
			r->kver, strerror(-err));
		return false;
	}
	/* also where a former reload failed */
	return (!changed && udevd_has_mount(r)) ||
	       reload_and_restart(r, "udev is not led to the kept modules");
}

/*
 * Under another name, which systemd does not read, until systemd knows that they are
 * gone. True if one was there.
 */
static bool retire_drop_ins(const struct redirect *r)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		_cleanup_(freep) char *from = path_of(r,
					      "run/systemd/system/%s.d/" DROP_IN,
					      units[i]),
				      *to = path_of(r, "run/systemd/system/%s.d/" RETIRED,
					      units[i]);

		if (from && to)
			any |= rename(from, to) == 0 || access(to, F_OK) == 0;
	}
	return any;
}

static void remove_retired(const struct redirect *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		_cleanup_(freep) char *dir = path_of(
					      r, "run/systemd/system/%s.d", units[i]),
				      *path = path_of(r,
					      "run/systemd/system/%s.d/" RETIRED,
					      units[i]);

		if (path)
			unlink(path);
		if (dir)
			rmdir(dir); /* others may have drop-ins there */
	}
}

/* --- the kernel's own requests --- */

static bool is_built_in(const char *program)
{
	for (size_t i = 0; i < ARRAY_SIZE(built_in); i++)
		if (str_eq(program, built_in[i]))
			return true;
	return false;
}

static bool lead_kernel(const struct redirect *r)
{
	_cleanup_(freep) char *sysctl = path_of(r, "%s", "proc/sys/kernel/modprobe"),
			      *dir = path_of(r, "%s", "run/kmp-depmod"),
			      *former = path_of(r, "%s", "run/kmp-depmod/modprobe"),
			      *kept = path_of(r, "%s", "run/kmp-depmod/kept");
	_cleanup_(buf_done) struct buf now = {0};
	int err = read_line(sysctl, &now);

	if (err == 0 && str_eq(now.data, HELPER))
		return true;
	if (err == 0 && !is_built_in(now.data)) {
		message(r->m,
			"%s: kernel.modprobe is '%s', which is not the kernel's own: "
			"left alone",
			r->kver, now.data);
		return false;
	}
	if (err == 0 && mkdir(dir, 0755) < 0 && errno != EEXIST)
		err = neg_errno();
	if (err == 0)
		err = write_line(former, O_CREAT | O_TRUNC, now.data);
	if (err == 0)
		err = write_line(kept, O_CREAT | O_TRUNC, r->kept);
	if (err == 0)
		err = write_line(sysctl, O_TRUNC, HELPER);
	if (err < 0)
		message(r->m,
			"%s: the kernel's requests are not led to the kept modules: "
			"kernel.modprobe: %s",
			r->kver, strerror(-err));
	return err == 0;
}

static void release_kernel(const struct redirect *r)
{
	_cleanup_(freep) char *sysctl = path_of(r, "%s", "proc/sys/kernel/modprobe"),
			      *former = path_of(r, "%s", "run/kmp-depmod/modprobe"),
			      *kept = path_of(r, "%s", "run/kmp-depmod/kept");
	_cleanup_(buf_done) struct buf now = {0}, before = {0};

	if (read_line(sysctl, &now) < 0 || !str_eq(now.data, HELPER))
		return;
	if (read_line(former, &before) < 0 || !is_built_in(before.data))
		write_line(sysctl, O_TRUNC, built_in[0]);
	else
		write_line(sysctl, O_TRUNC, before.data);
	unlink(former);
	unlink(kept);
}

/* --- both --- */

bool redirect_on(const struct redirect *r)
{
	bool kernel = lead_kernel(r), udev = !systemd_runs(r) || lead_udev(r);

	return kernel && udev;
}

void redirect_off(const struct redirect *r)
{
	release_kernel(r);
	if (retire_drop_ins(r) &&
		reload_and_restart(r, "udev is still led to modules that are not kept"))
		remove_retired(r);
}

struct redirected redirect_look(const struct redirect *r)
{
	_cleanup_(freep) char *sysctl = path_of(r, "%s", "proc/sys/kernel/modprobe"),
			      *drop_in = path_of(
				      r, "run/systemd/system/" UDEVD ".d/%s", DROP_IN);
	_cleanup_(buf_done) struct buf now = {0};

	return (struct redirected){
		.kernel = read_line(sysctl, &now) == 0 && str_eq(now.data, HELPER),
		.udev = drop_in && access(drop_in, F_OK) == 0,
	};
}
