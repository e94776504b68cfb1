# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/system/depmod

SANITIZED_TESTS += \
	tests/system/depmod/conformance

TESTS += \
	tests/system/depmod/callers \
	tests/system/depmod/launcher \
	tests/system/depmod/obstacles \
	tests/system/depmod/weak-modules2
