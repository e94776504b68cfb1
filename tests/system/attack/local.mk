# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/system/attack

TESTS += \
	tests/system/attack/kept \
	tests/system/attack/user \
	tests/system/attack/tree
