# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run by hand: they measure, or are to be watched.

EXTRA_DIST += \
	tests/bench \
	tests/demo
