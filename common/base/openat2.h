/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * openat2.h: what openat2(2) needs, whatever the age of the headers.
 *
 * The kernel that a program runs on is often newer than the headers that it is built
 * with: <linux/openat2.h> came with Linux 5.6, SYS_openat2 with glibc 2.32. Whether the
 * kernel has the call is for the caller to see: it fails with ENOSYS.
 */

#include <stdint.h>
#include <sys/syscall.h>

#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#else
struct open_how {
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
};
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08
#define RESOLVE_IN_ROOT 0x10
#endif

#ifndef SYS_openat2
#ifdef __alpha__
#define SYS_openat2 547
#else
#define SYS_openat2 437
#endif
#endif
