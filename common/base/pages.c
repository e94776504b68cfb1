// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/mman.h>

#include "base/pages.h"

void pages_prepare(void *data, size_t n)
{
#ifdef MADV_POPULATE_WRITE /* Linux 5.14; an older kernel says EINVAL, and nothing is lost */
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)data + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)data + n) & ~(page - 1);

	if (data && end > first)
		madvise((void *)first, end - first, MADV_POPULATE_WRITE);
#else
	(void)data;
	(void)n;
#endif
}

void *pages_alloc(size_t n)
{
	void *p = malloc(n);

	pages_prepare(p, n);
	return p ? memset(p, 0, n) : NULL;
}
