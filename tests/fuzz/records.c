// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the package inspector says to the program: records of wire.h, from a process gone
 * bad.
 */

#include <fcntl.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "program/packages.h"

/* Nobody: there is no process to wait for. */
#define NO_CHILD ((pid_t)INT32_MAX)

static void check_packages(const struct packages *p)
{
	for (size_t i = 0; i < vec_len(&p->list, struct package); i++) {
		const struct package *k = package_of(p, (unsigned)i);

		use_bytes(k->file, strlen(k->file));
		use_bytes(package_label(k), strlen(package_label(k)));
		use_bytes(k->kind, strlen(k->kind));
		for (size_t s = 0; s < vec_len(&k->scripts, struct package_script); s++) {
			const struct package_script *c =
				vec_data(&k->scripts, struct package_script) + s;

			use_bytes(c->name, strlen(c->name));
			use_bytes(c->calls, strlen(c->calls));
		}
	}
	for (size_t i = 0; i < vec_len(&p->files, struct package_file); i++) {
		const struct package_file *f =
			vec_data(&p->files, struct package_file) + i;

		PROMISE(f->package < vec_len(&p->list, struct package));
		PROMISE(f->bare ? !strchr(f->path, '/') && *f->path : *f->path == '/');
		PROMISE(f->data);
		use_bytes(f->data, f->len);
	}
	for (size_t i = 0; i < vec_len(&p->olds, struct package_old); i++) {
		const struct package_old *o = vec_data(&p->olds, struct package_old) + i;

		PROMISE(o->package < vec_len(&p->list, struct package));
		PROMISE(*o->path == '/');
		use_bytes(o->owner, strlen(o->owner));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct root root;
	static int real_stderr, null;
	struct messages m = {0};
	struct packages p;
	struct inspector i = {
		.pid = NO_CHILD, .fd = memfd_create("records", MFD_CLOEXEC)};
	int r;

	if (!root.path) {
		PROMISE(root_open(&root, "/proc/self/fdinfo") ==
			0); /* where no module is */
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		real_stderr = dup(STDERR_FILENO);
		PROMISE(null >= 0 && real_stderr >= 0);
	}
	PROMISE(i.fd >= 0 && write(i.fd, data, len) == (ssize_t)len);
	PROMISE(lseek(i.fd, 0, SEEK_SET) == 0);
	/* messages are wanted, but not thousands of them a second */
	dup2(null, STDERR_FILENO);
	r = packages_finish(&m, &root, &i, &p);
	dup2(real_stderr, STDERR_FILENO);
	PROMISE(r == 0 || r == -EBADMSG);
	if (r == 0)
		check_packages(&p);
	packages_done(&p);
	return 0;
}
