# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/fault

TESTS += \
	tests/fault/changes \
	tests/fault/keep \
	tests/fault/reports \
	tests/fault/traced \
	tests/fault/update

if DPKG
TESTS += \
	tests/fault/scripts
endif

if RPM
TESTS += \
	tests/fault/rpm-plugin
endif
