# SPDX-License-Identifier: GPL-2.0-or-later
#
# dpkg-sync, the helper of the trigger. dpkgdb.c alone sees dpkg's headers.

EXTRA_DIST += packaging/debian

if DPKG
dpkgsyncdir = $(libexecdir)/kmp-depmod
dpkgsync_PROGRAMS = dpkg-trigger/dpkg-sync

dpkg_trigger_dpkg_sync_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir) -DPROGRAM_PATH='"$(sbindir)/kmp-depmod"'
dpkg_trigger_dpkg_sync_CFLAGS = $(AM_CFLAGS) $(DPKG_CFLAGS) $(JSON_CFLAGS)
dpkg_trigger_dpkg_sync_LDFLAGS = $(AM_LDFLAGS) -Wl,--as-needed
dpkg_trigger_dpkg_sync_LDADD = $(common_libs) $(DPKG_LIBS) $(JSON_LIBS)
dpkg_trigger_dpkg_sync_SOURCES = \
	dpkg-trigger/child.c \
	dpkg-trigger/child.h \
	dpkg-trigger/dpkg-sync.c \
	dpkg-trigger/dpkgdb.c \
	dpkg-trigger/dpkgdb.h \
	dpkg-trigger/owners.c \
	dpkg-trigger/owners.h
endif
