// SPDX-License-Identifier: GPL-2.0-or-later
/* What is found goes to the standard output, record by record. */

#include <stdarg.h>
#include <stdio.h>

#include "inspect/inspect.h"

static void put(const void *data, size_t len)
{
	if (fwrite(data, 1, len, stdout) != len)
		exit(1);
}

static void put_record(enum wire_type type, uint32_t flags, int64_t mtime, const char *a,
	const char *b, const void *bytes, size_t len)
{
	struct wire w = {.type = type,
		.flags = flags,
		.mtime = mtime,
		.len = {(uint32_t)MIN(strlen(a), WIRE_NAME_MAX),
			(uint32_t)MIN(strlen(b), WIRE_NAME_MAX), (uint32_t)len}};

	put(&w, sizeof(w));
	put(a, w.len[0]);
	put(b, w.len[1]);
	put(bytes, len);
}

void send_package(const char *file, const char *name, const char *kind, uint32_t flags)
{
	put_record(WIRE_PACKAGE, flags, 0, file, name, kind, strlen(kind));
}

void send_script(const char *name, const char *calls)
{
	put_record(WIRE_SCRIPT, 0, 0, name, calls, "", 0);
}

void send_link(const char *path, const char *to, bool hard)
{
	put_record(WIRE_LINK, hard ? WIRE_HARD : 0, 0, path, to, "", 0);
}

void send_old(const char *path, const char *owner)
{
	put_record(WIRE_OLD, 0, 0, path, owner, "", 0);
}

void send_note(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_record(WIRE_NOTE, 0, 0, text, "", "", 0);
}

int send_error(const char *file, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_record(WIRE_ERROR, 0, 0, file, text, "", 0);
	return -EBADMSG;
}

int send_file(struct inspection *in, const char *operand, const char *path,
	const void *data, size_t len, int64_t mtime, uint32_t flags)
{
	if (len > WIRE_BYTES_MAX)
		return send_error(operand, "'%s' is larger than any module may be", path);
	if (in->total + len > WIRE_TOTAL_MAX)
		return send_error(operand, "its modules are larger than 1 GiB together");
	in->total += len;
	put_record(WIRE_FILE, flags, mtime, path, "", data, len);
	return 0;
}

void send_end(void)
{
	put_record(WIRE_END, 0, 0, "", "", "", 0);
}
