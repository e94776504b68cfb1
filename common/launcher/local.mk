# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a diverted /sbin/depmod and scriptlets' $DEPMOD are: needs nothing but libc.

launcherdir = $(libexecdir)/kmp-depmod
launcher_PROGRAMS = common/launcher/depmod
common_launcher_depmod_CPPFLAGS = $(AM_CPPFLAGS) -DSBINDIR='"$(sbindir)"'
common_launcher_depmod_SOURCES = common/launcher/depmod-launcher.c
