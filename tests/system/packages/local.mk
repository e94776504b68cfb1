# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/system/packages

if PACKAGES
TESTS += \
	tests/system/packages/1-report \
	tests/system/packages/2-installed \
	tests/system/packages/3-bad \
	tests/system/packages/4-shape \
	tests/system/packages/5-words
endif
