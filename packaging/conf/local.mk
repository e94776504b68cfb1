# SPDX-License-Identifier: GPL-2.0-or-later

dist_sysconf_DATA = packaging/conf/kmp-depmod.conf
