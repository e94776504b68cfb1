# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/system/packaging

TESTS += \
	tests/system/packaging/dist \
	tests/system/packaging/images \
	tests/system/packaging/kernel-install \
	tests/system/packaging/labels \
	tests/system/packaging/unit
if DPKG
TESTS += \
	tests/system/packaging/boot \
	tests/system/packaging/debian
endif
if RPM
TESTS += tests/system/packaging/rpm
endif
