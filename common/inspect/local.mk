# SPDX-License-Identifier: GPL-2.0-or-later
#
# What dry runs open packages with. It alone links libarchive, and librpm where there is one.

if PACKAGES
inspectdir = $(libexecdir)/kmp-depmod
inspect_PROGRAMS = common/inspect/inspect-package

common_inspect_inspect_package_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)
common_inspect_inspect_package_CFLAGS = $(AM_CFLAGS) $(ARCHIVE_CFLAGS) $(RPM_CFLAGS)
common_inspect_inspect_package_LDFLAGS = $(AM_LDFLAGS) -Wl,--as-needed
common_inspect_inspect_package_LDADD = $(common_libs) $(ARCHIVE_LIBS) $(RPM_LIBS)
common_inspect_inspect_package_SOURCES = \
	common/inspect/archive.c \
	common/inspect/diversions.c \
	common/inspect/inspect.c \
	common/inspect/inspect.h \
	common/inspect/paths.c \
	common/inspect/records.c \
	common/inspect/rpmfile.c \
	common/inspect/wire.h
endif
