// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packages: an rpm or a deb, through librpm and libarchive, as the inspector opens them.
 * What it would send keeps to what wire.h says.
 */

#include <stdarg.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "inspect/inspect.h"

static unsigned packages, errors;

static void check_text(const char *text)
{
	PROMISE(text);
	use_bytes(text, strlen(text));
}

/* Absolute, and no component that leads elsewhere. */
static void check_path(const char *path)
{
	PROMISE(packages > 0 && *path == '/' && strlen(path) < WIRE_NAME_MAX &&
		is_wanted(path));
	PROMISE(!strstr(path, "//") && !strstr(path, "/../") && !strstr(path, "/./"));
}

void send_package(const char *file, const char *name, const char *kind, uint32_t flags)
{
	check_text(file);
	check_text(name);
	check_text(kind);
	PROMISE((flags & ~(uint32_t)WIRE_BESIDE) == 0);
	packages++;
}

void send_script(const char *name, const char *calls)
{
	PROMISE(packages > 0 && *name && *calls);
}

void send_link(const char *path, const char *to, bool hard)
{
	(void)hard;
	check_path(path);
	check_text(to);
}

void send_old(const char *path, const char *owner)
{
	PROMISE(packages > 0 && *path == '/');
	check_text(owner);
}

static void check_words(const char *fmt, va_list ap)
{
	char text[1024];

	PROMISE(vsnprintf(text, sizeof(text), fmt, ap) > 0);
}

void send_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	check_words(fmt, ap);
	va_end(ap);
}

int send_error(const char *file, const char *fmt, ...)
{
	va_list ap;

	check_text(file);
	va_start(ap, fmt);
	check_words(fmt, ap);
	va_end(ap);
	errors++;
	return -EBADMSG;
}

int send_file(struct inspection *in, const char *operand, const char *path,
	const void *data, size_t len, int64_t mtime, uint32_t flags)
{
	(void)in;
	(void)operand;
	(void)mtime;
	PROMISE(flags == 0 && data && len <= WIRE_BYTES_MAX);
	check_path(path);
	use_bytes(data, len);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct inspection in;
	int fd = memfd_create("package", MFD_CLOEXEC), r;
	char path[32];

	if (!in.root.path)
		PROMISE(root_open(&in.root, "/proc/self/fdinfo") ==
			0); /* nothing is installed there */
	PROMISE(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	packages = errors = 0;
	r = len && *data == '!' ? inspect_deb(&in, path) : inspect_rpm(&in, path);
	/* refused, with one reason, or not */
	PROMISE((r == 0 && errors == 0 && packages == 1) ||
		(r == -EBADMSG && errors == 1));
	close(fd);
	return 0;
}
