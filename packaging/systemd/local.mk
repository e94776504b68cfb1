# SPDX-License-Identifier: GPL-2.0-or-later
#
# The unit that heals, and the one that removes modules kept of a kernel that does not run any more; what lies in /var, for
# systems that ship it empty; and a preset for packages where presets rule.

EXTRA_DIST += \
	packaging/systemd/90-kmp-depmod.preset \
	packaging/systemd/kmp-depmod-heal.service.in \
	packaging/systemd/kmp-depmod-keep.service.in \
	packaging/systemd/kmp-depmod.tmpfiles

if SYSTEMD
systemdsystemunit_DATA = packaging/systemd/kmp-depmod-heal.service packaging/systemd/kmp-depmod-keep.service
tmpfilesdir = $(prefix)/lib/tmpfiles.d
nodist_tmpfiles_DATA = packaging/systemd/kmp-depmod.conf
CLEANFILES += $(systemdsystemunit_DATA) $(nodist_tmpfiles_DATA)

packaging/systemd/%.service: packaging/systemd/%.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging/systemd && \
		sed 's|[@]sbindir@|$(sbindir)|' $(srcdir)/$@.in >$@

packaging/systemd/kmp-depmod.conf: packaging/systemd/kmp-depmod.tmpfiles
	$(AM_V_GEN)$(MKDIR_P) packaging/systemd && cp $(srcdir)/packaging/systemd/kmp-depmod.tmpfiles $@
endif
