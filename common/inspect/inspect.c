// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: inspect-package --root DIR OPERAND...
 *
 * What an operand is, its first bytes say: an rpm, a deb, a module, or it is a directory
 * with modules in it. Paths decide where modules belong: below lib/modules/KVER they stay
 * where they are; others have only a name.
 */

#include "config.h"

#include <fcntl.h>
#include <fts.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/std.h"
#include "formats/decompress.h"
#include "formats/modname.h"
#include "inspect/inspect.h"

#define NOBODY 65534
#define MEMORY_MAX ((rlim_t)4 << 30)

/* --- directories and modules --- */

/* Where a path below some lib/modules/KVER is within a root, or NULL. */
static const char *path_in_root(const char *path)
{
	const char *at = NULL;

	/* the last one: a build root may lie below another system's modules */
	for (const char *p = path; (p = strstr(p, "/lib/modules/")); p++)
		at = p;
	if (at && at - path >= 4 && memcmp(at - 4, "/usr", 4) == 0)
		at -= 4;
	return at && is_wanted(at) ? at : NULL;
}

static int send_module(struct inspection *in, const char *operand, const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_(buf_done) struct buf data = {0};
	_cleanup_(freep) char *real = realpath(path, NULL);
	const char *to = real ? path_in_root(real) : NULL;
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) < 0 ? neg_errno() : 0;

	if (r == 0 && !S_ISREG(st.st_mode)) {
		send_note("'%s' is neither a file nor a directory; left out", path);
		return 0;
	}
	if (r == 0)
		r = fs_read_all(fd, WIRE_BYTES_MAX, &data);
	if (r == -EFBIG)
		return send_error(operand, "'%s' is larger than any module may be", path);
	if (r < 0)
		return send_error(operand, "'%s' cannot be read: %s", path, strerror(-r));
	if (!to) {
		to = strrchr(path, '/');
		to = to ? to + 1 : path;
	}
	return send_file(in, operand, to, data.data ? data.data : "", data.len,
		timespec_ns(st.st_mtim), *to == '/' ? 0 : WIRE_BARE);
}

static int path_cmp(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int inspect_dir(struct inspection *in, const char *dir)
{
	char *const paths[] = {(char *)dir, NULL};
	FTS *f = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, path_cmp);
	unsigned n = 0;
	FTSENT *e;
	int r = 0;

	if (!f)
		return send_error(dir, "%s", strerror(errno));
	send_package(dir, "", "directory", 0);
	while (r == 0 && (e = fts_read(f))) {
		bool module = modname_is_module_file(e->fts_name, e->fts_namelen);

		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR ||
			e->fts_info == FTS_NS)
			r = send_error(dir, "'%s' cannot be read: %s", e->fts_path,
				strerror(e->fts_errno));
		if ((e->fts_info != FTS_F && e->fts_info != FTS_SL &&
			    e->fts_info != FTS_DEFAULT) ||
			(!module && !path_in_root(e->fts_path)))
			continue;
		r = send_module(in, dir, e->fts_path);
		n++;
	}
	fts_close(f);
	if (r == 0 && n == 0)
		r = send_error(dir, "no module is in it");
	return r;
}

static int inspect_operand(struct inspection *in, const char *file)
{
	static const unsigned char rpm[] = {0xed, 0xab, 0xee, 0xdb};
	_cleanup_(closep) int fd =
		open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	unsigned char head[16] = {0};
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return send_error(file, "%s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return inspect_dir(in, file);
	if (!S_ISREG(st.st_mode))
		return send_error(file, "neither a file nor a directory");
	n = fs_pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return send_error(file, "cannot be read: %s", strerror((int)-n));
	if (memcmp(head, rpm, sizeof(rpm)) == 0)
		return inspect_rpm(in, file);
	if (memcmp(head, "!<arch>\n", 8) == 0)
		return inspect_deb(in, file);
	if (!modname_is_module_file(file, strlen(file)))
		return send_error(file,
			"not a package (neither rpm nor deb), and no module by its name");
	send_package(file, "", "module", 0);
	return send_module(in, file, file);
}

/*
 * Root becomes somebody who may read everything and write nothing: what a package makes a
 * library do is then of no consequence, and librpm reads a database as any user does.
 */
static int drop_privileges(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};

	if (geteuid() != 0)
		return 0;
	caps[0].permitted = caps[0].effective = 1u << CAP_DAC_READ_SEARCH;
	/* access() must not forget the one capability either */
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0 ||
		setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
		syscall(SYS_capset, &head, caps) < 0)
		return neg_errno();
	return 0;
}

static int confine(void)
{
	const struct rlimit none = {0, 0};

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* which needs more than it uses */
	setrlimit(RLIMIT_AS, &(struct rlimit){MEMORY_MAX, MEMORY_MAX});
#endif
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return drop_privileges();
}

int main(int argc, char **argv)
{
	struct inspection in = {0};
	int r;

	if (!std_take())
		return 1;
	if (argc < 3 || !str_eq(argv[1], "--root")) {
		fputs("usage: inspect-package --root DIR OPERAND...\n", stderr);
		return 2;
	}
	r = root_open(&in.root, argv[2]);
	if (r < 0)
		return 1;
	if (confine() < 0) {
		fprintf(stderr, "inspect-package: privileges cannot be dropped: %s\n",
			strerror(errno));
		return 1;
	}
	for (int i = 3; i < argc && r == 0; i++)
		r = inspect_operand(&in, argv[i]);
	send_end();
	free(in.rpm_place);
	buf_done(&in.diversions);
	root_done(&in.root);
	return fflush(stdout) == 0 ? 0 : 1;
}
