# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each suite is one executable that prints TAP; it finds the program through KMP_DEPMOD.

AM_TESTS_ENVIRONMENT = KMP_DEPMOD='$(abs_builddir)/kmp-depmod'; export KMP_DEPMOD;
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh

# what is worth running in a build with sanitizers: all that is the program's own
SANITIZED_TESTS = \
	$(UNIT_TESTS) \
	tests/fuzz/replay \
	tests/cases/run \
	tests/diff/synthetic \
	tests/system/keep/1-cases \
	tests/system/keep/4-redirect

# what the build of a package can run: it needs neither root nor a network, and no other package manager
BUILD_TESTS = \
	$(UNIT_TESTS) \
	tests/fuzz/replay \
	tests/cases/run \
	tests/diff/synthetic

TESTS = \
	$(SANITIZED_TESTS) \
	tests/cases/self-check \
	tests/fuzz/oracle \
	tests/limits/edges \
	tests/diff/real-slices \
	tests/diff/live \
	tests/diff/judges \
	tests/diff/other-libkmod \
	tests/diff/self-check

EXTRA_DIST += \
	tests/cases \
	tests/coverage \
	tests/check \
	tests/diff \
	tests/lib \
	tests/limits \
	tests/live \
	tests/oracle \
	tests/README.md \
	tests/setup

include $(srcdir)/tests/fuzz/local.mk
include $(srcdir)/tests/unit/local.mk
include $(srcdir)/tests/fault/local.mk
include $(srcdir)/tests/load/local.mk
include $(srcdir)/tests/system/attack/local.mk
include $(srcdir)/tests/system/depmod/local.mk
include $(srcdir)/tests/system/dpkg/local.mk
include $(srcdir)/tests/system/keep/local.mk
include $(srcdir)/tests/system/packages/local.mk
include $(srcdir)/tests/system/packaging/local.mk
include $(srcdir)/tests/system/rpm/local.mk
