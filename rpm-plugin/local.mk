# SPDX-License-Identifier: GPL-2.0-or-later
#
# kmp_depmod.so, which rpm loads. It shares the marks and the change set with the program, compiled anew: only the
# hook table may be seen from outside.

EXTRA_DIST += rpm-plugin/macros.transaction_kmp_depmod.in

if RPM
rpmplugin_PROGRAMS = rpm-plugin/kmp_depmod.so

rpm_plugin_kmp_depmod_so_SOURCES = \
	common/base/buf.c \
	common/base/buf.h \
	common/base/fs.c \
	common/base/fs.h \
	common/base/mark.c \
	common/base/mark.h \
	common/base/openat2.h \
	common/base/util.h \
	common/keep/conf.c \
	common/keep/conf.h \
	common/model/changeset.c \
	common/model/changeset.h \
	rpm-plugin/hooks.h \
	rpm-plugin/intercept.c \
	rpm-plugin/intercept.h \
	rpm-plugin/keep.c \
	rpm-plugin/keep.h \
	rpm-plugin/kmp_depmod.c \
	rpm-plugin/options.c \
	rpm-plugin/options.h \
	rpm-plugin/run.c \
	rpm-plugin/run.h
rpm_plugin_kmp_depmod_so_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir) -I$(top_srcdir)/common \
	-DPROGRAM_PATH='"$(sbindir)/kmp-depmod"' -DDROP_IN_PATH='"$(libexecdir)/kmp-depmod/depmod"'
rpm_plugin_kmp_depmod_so_CFLAGS = $(AM_CFLAGS) $(RPM_CFLAGS) -fPIC -fvisibility=hidden
rpm_plugin_kmp_depmod_so_LDFLAGS = $(AM_LDFLAGS) -shared -Wl,-z,defs -Wl,-z,now
rpm_plugin_kmp_depmod_so_LDADD = $(RPM_LIBS)

rpmmacros_DATA = rpm-plugin/macros.transaction_kmp_depmod
CLEANFILES += rpm-plugin/macros.transaction_kmp_depmod

rpm-plugin/macros.transaction_kmp_depmod: rpm-plugin/macros.transaction_kmp_depmod.in Makefile
	$(AM_V_GEN)$(MKDIR_P) rpm-plugin && \
		sed 's|[@]RPM_INTERCEPT@|$(RPM_INTERCEPT)|' $(srcdir)/rpm-plugin/macros.transaction_kmp_depmod.in >$@
endif
