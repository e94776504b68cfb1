# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += packaging/kernel-install/45-kmp-depmod.install.in

if KERNEL_INSTALL
kernelinstall_SCRIPTS = packaging/kernel-install/45-kmp-depmod.install
CLEANFILES += $(kernelinstall_SCRIPTS)

packaging/kernel-install/45-kmp-depmod.install: packaging/kernel-install/45-kmp-depmod.install.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging/kernel-install && \
		sed 's|[@]sbindir@|$(sbindir)|' $(srcdir)/packaging/kernel-install/45-kmp-depmod.install.in >$@ && chmod +x $@
endif
