# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fuzz targets. Linked with replay.c they try the inputs of corpus/; with libFuzzer, as
# tests/fuzz/run does it, they look for new ones:  make CC=clang LIB_FUZZING_ENGINE=-fsanitize=fuzzer

LIB_FUZZING_ENGINE = tests/fuzz/libreplay.a
noinst_LIBRARIES += tests/fuzz/libreplay.a
tests_fuzz_libreplay_a_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz.h

# a script, which make would make of replay.c if that is younger, as in every other clone
tests/fuzz/replay: ;

FUZZ_TARGETS = \
	tests/fuzz/fuzz-alias \
	tests/fuzz/fuzz-changeset \
	tests/fuzz/fuzz-compressed \
	tests/fuzz/fuzz-depmodd \
	tests/fuzz/fuzz-index \
	tests/fuzz/fuzz-lists \
	tests/fuzz/fuzz-module \
	tests/fuzz/fuzz-records \
	tests/fuzz/fuzz-store \
	tests/fuzz/fuzz-symvers

if PACKAGES
FUZZ_TARGETS += tests/fuzz/fuzz-package
endif

check_PROGRAMS += $(FUZZ_TARGETS)
EXTRA_DIST += tests/fuzz

fuzz_ldadd = $(LIB_FUZZING_ENGINE) $(common_libs)
fuzz_dependencies = tests/fuzz/libreplay.a common/libkmpdepmod.a

tests_fuzz_fuzz_alias_SOURCES = tests/fuzz/alias.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_alias_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_alias_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_changeset_SOURCES = tests/fuzz/changeset.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_changeset_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_changeset_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_compressed_SOURCES = tests/fuzz/compressed.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_compressed_LDADD = $(fuzz_ldadd) -lz
tests_fuzz_fuzz_compressed_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_depmodd_SOURCES = tests/fuzz/depmodd.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_depmodd_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_depmodd_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_index_SOURCES = tests/fuzz/index.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_index_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_index_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_lists_SOURCES = tests/fuzz/lists.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_lists_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_lists_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_module_SOURCES = tests/fuzz/module.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_module_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_module_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_package_SOURCES = tests/fuzz/package.c tests/fuzz/fuzz.h \
	common/inspect/archive.c common/inspect/diversions.c common/inspect/paths.c \
	common/inspect/rpmfile.c
tests_fuzz_fuzz_package_CFLAGS = $(AM_CFLAGS) $(ARCHIVE_CFLAGS) $(RPM_CFLAGS)
tests_fuzz_fuzz_package_LDADD = $(fuzz_ldadd) $(ARCHIVE_LIBS) $(RPM_LIBS)
tests_fuzz_fuzz_package_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_records_SOURCES = tests/fuzz/records.c tests/fuzz/fuzz.h \
	common/program/host.c common/program/messages.c common/program/packages.c
tests_fuzz_fuzz_records_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_records_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_store_SOURCES = tests/fuzz/store.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_store_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_store_DEPENDENCIES = $(fuzz_dependencies)

tests_fuzz_fuzz_symvers_SOURCES = tests/fuzz/symvers.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_symvers_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_symvers_DEPENDENCIES = $(fuzz_dependencies)
