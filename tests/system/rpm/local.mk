# SPDX-License-Identifier: GPL-2.0-or-later

EXTRA_DIST += tests/system/rpm

if RPM
TESTS += \
	tests/system/rpm/0-object \
	tests/system/rpm/1-rpm \
	tests/system/rpm/2-clients \
	tests/system/rpm/3-unusual \
	tests/system/rpm/4-killed \
	tests/system/rpm/5-behind \
	tests/system/rpm/6-roots \
	tests/system/rpm/7-boot \
	tests/system/rpm/8-release
endif
