# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/system/docs

TESTS += \
	tests/system/docs/completions \
	tests/system/docs/layout \
	tests/system/docs/options \
	tests/system/docs/pages \
	tests/system/docs/report \
	tests/system/docs/store
