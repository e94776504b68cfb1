# SPDX-License-Identifier: GPL-2.0-or-later
#
# Manual pages, where scdoc is, and the schema that one of them tells of. The list of differences from kmod's depmod is
# kept by itself, beside the tests that found them.

man_sources = \
	packaging/man/kmp-depmod.8.scd \
	packaging/man/kmp-depmod.conf.5.scd \
	packaging/man/kmp-depmod-depmod.8.scd \
	packaging/man/kmp-depmod-report.5.scd \
	packaging/man/kmp-depmod-store.5.scd

EXTRA_DIST += \
	packaging/kmp-depmod-report.schema.json \
	packaging/man/depmod-differences.inc \
	packaging/man/kmp-depmod-depmod.8.scd.in \
	packaging/man/kmp-depmod-report.5.scd \
	packaging/man/kmp-depmod-store.5.scd \
	packaging/man/kmp-depmod.8.scd \
	packaging/man/kmp-depmod.conf.5.scd \
	packaging/man/rpm-plugin-kmp-depmod.8.scd

dist_doc_DATA = packaging/kmp-depmod-report.schema.json

if SCDOC
man_pages = $(man_sources:.scd=)
if RPM
man_pages += packaging/man/rpm-plugin-kmp-depmod.8
endif
man_MANS = $(man_pages)
CLEANFILES += $(man_pages) packaging/man/kmp-depmod-depmod.8.scd

# A first line tells man that a page has tables; scdoc does not write it.
SUFFIXES = .scd
.scd:
	$(AM_V_GEN)$(MKDIR_P) packaging/man && $(SCDOC) <$< >$@.tmp && \
		{ ! grep -q '^\.TS' $@.tmp || printf '%s\n' "'\\\" t"; cat $@.tmp; } >$@.new && rm $@.tmp && mv $@.new $@

packaging/man/kmp-depmod-depmod.8.scd: packaging/man/kmp-depmod-depmod.8.scd.in packaging/man/depmod-differences.inc
	$(AM_V_GEN)$(MKDIR_P) packaging/man && sed \
		-e '/^@DIFFERENCES@$$/r $(srcdir)/packaging/man/depmod-differences.inc' -e '/^@DIFFERENCES@$$/d' \
		$(srcdir)/packaging/man/kmp-depmod-depmod.8.scd.in >$@
endif
