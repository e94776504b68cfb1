# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/system/keep

# 1-cases and 4-redirect are among the tests that a build with sanitizers runs, too
TESTS += \
	tests/system/keep/5-faults \
	tests/system/keep/6-walk
if RPM
TESTS += tests/system/keep/2-rpm
endif
if DPKG
TESTS += tests/system/keep/3-dpkg
endif
