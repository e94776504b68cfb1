# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += packaging/systemd/kmp-depmod-heal.service.in

if SYSTEMD
systemdsystemunit_DATA = packaging/systemd/kmp-depmod-heal.service
CLEANFILES += $(systemdsystemunit_DATA)

packaging/systemd/kmp-depmod-heal.service: packaging/systemd/kmp-depmod-heal.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging/systemd && \
		sed 's|@sbindir@|$(sbindir)|' $(srcdir)/packaging/systemd/kmp-depmod-heal.service.in >$@
endif
