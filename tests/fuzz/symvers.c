// SPDX-License-Identifier: GPL-2.0-or-later
/* Module.symvers and System.map: each text as both. */

#include "formats/symvers.h"
#include "fuzz.h"

static int take(void *arg, const char *name, size_t len, uint32_t crc)
{
	(void)crc;
	PROMISE(strlen(name) == len && !memchr(name, '\n', len));
	return ++*(unsigned *)arg == 1000; /* whoever takes them may stop */
}

static void bad(void *arg, unsigned line, const char *text)
{
	(void)arg;
	PROMISE(line > 0);
	use_bytes(text, strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = exact(data, len);
	unsigned n = 0;
	int r;

	r = symvers_parse(text, len, take, bad, &n);
	PROMISE(r == (n == 1000));
	n = 0;
	r = sysmap_parse(text, len, '\0', take, bad, &n);
	PROMISE(r == (n == 1000));
	n = 0;
	r = sysmap_parse(text, len, '_', take, bad, &n);
	PROMISE(r == (n == 1000));
	free(text);
	return 0;
}
