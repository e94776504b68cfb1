// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/mman.h>

#include "base/pages.h"

void *pages_alloc(size_t n)
{
	void *p = malloc(n);

#ifdef MADV_POPULATE_WRITE /* Linux 5.14; an older kernel says EINVAL, and nothing is lost */
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)p + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)p + n) & ~(page - 1);

	if (p && end > first)
		madvise((void *)first, end - first, MADV_POPULATE_WRITE);
#endif
	return p ? memset(p, 0, n) : NULL;
}
