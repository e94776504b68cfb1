# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/load

TESTS += \
	tests/load/crowd \
	tests/load/many

check_PROGRAMS += tests/load/updates
tests_load_updates_SOURCES = tests/load/updates.c
tests_load_updates_LDADD = $(common_libs)
