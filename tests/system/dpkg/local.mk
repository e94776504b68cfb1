# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/system/dpkg

if DPKG
TESTS += \
	tests/system/dpkg/0-package \
	tests/system/dpkg/1-install \
	tests/system/dpkg/2-clients \
	tests/system/dpkg/3-broken \
	tests/system/dpkg/4-unusual \
	tests/system/dpkg/5-drop-in \
	tests/system/dpkg/6-kernel \
	tests/system/dpkg/7-initramfs \
	tests/system/dpkg/8-same \
	tests/system/dpkg/9-roots
endif
