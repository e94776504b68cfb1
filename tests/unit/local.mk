# SPDX-License-Identifier: GPL-2.0-or-later
#
# Unit tests: C and cmocka. Each is linked with the library and prints TAP.

if CMOCKA
UNIT_TESTS = \
	tests/unit/test-buf \
	tests/unit/test-changeset \
	tests/unit/test-decompress \
	tests/unit/test-depmodd \
	tests/unit/test-elfmod \
	tests/unit/test-fs \
	tests/unit/test-hwalias \
	tests/unit/test-keep \
	tests/unit/test-lists \
	tests/unit/test-mark \
	tests/unit/test-merge \
	tests/unit/test-modname \
	tests/unit/test-run \
	tests/unit/test-store \
	tests/unit/test-trie

check_PROGRAMS += $(UNIT_TESTS)
unit_cflags = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(ZSTD_CFLAGS) $(XZ_CFLAGS) $(GZIP_CFLAGS)
unit_ldadd = $(common_libs) $(CMOCKA_LIBS)

tests_unit_test_buf_SOURCES = tests/unit/test-buf.c tests/unit/unit.h
tests_unit_test_buf_CFLAGS = $(unit_cflags)
tests_unit_test_buf_LDADD = $(unit_ldadd)

tests_unit_test_changeset_SOURCES = tests/unit/test-changeset.c
tests_unit_test_changeset_CFLAGS = $(unit_cflags)
tests_unit_test_changeset_LDADD = $(unit_ldadd)

tests_unit_test_decompress_SOURCES = tests/unit/test-decompress.c tests/unit/unit.h
tests_unit_test_decompress_CFLAGS = $(unit_cflags)
tests_unit_test_decompress_LDADD = $(unit_ldadd)

tests_unit_test_depmodd_SOURCES = tests/unit/test-depmodd.c tests/unit/unit.h
tests_unit_test_depmodd_CFLAGS = $(unit_cflags)
tests_unit_test_depmodd_LDADD = $(unit_ldadd)

tests_unit_test_elfmod_SOURCES = tests/unit/test-elfmod.c tests/unit/makeelf.h tests/unit/unit.h
tests_unit_test_elfmod_CFLAGS = $(unit_cflags)
tests_unit_test_elfmod_LDADD = $(unit_ldadd)

tests_unit_test_fs_SOURCES = tests/unit/test-fs.c tests/unit/unit.h
tests_unit_test_fs_CFLAGS = $(unit_cflags)
tests_unit_test_fs_LDADD = $(unit_ldadd)

tests_unit_test_hwalias_SOURCES = tests/unit/test-hwalias.c tests/unit/unit.h
tests_unit_test_hwalias_CFLAGS = $(unit_cflags)
tests_unit_test_hwalias_LDADD = $(unit_ldadd)

tests_unit_test_keep_SOURCES = tests/unit/test-keep.c tests/unit/unit.h
tests_unit_test_keep_CFLAGS = $(unit_cflags)
tests_unit_test_keep_LDADD = $(unit_ldadd)

tests_unit_test_lists_SOURCES = tests/unit/test-lists.c tests/unit/unit.h
tests_unit_test_lists_CFLAGS = $(unit_cflags)
tests_unit_test_lists_LDADD = $(unit_ldadd)

tests_unit_test_mark_SOURCES = tests/unit/test-mark.c
tests_unit_test_mark_CFLAGS = $(unit_cflags)
tests_unit_test_mark_LDADD = $(unit_ldadd)

tests_unit_test_merge_SOURCES = tests/unit/test-merge.c tests/unit/makeelf.h tests/unit/table.h tests/unit/unit.h
tests_unit_test_merge_CFLAGS = $(unit_cflags)
tests_unit_test_merge_LDADD = $(unit_ldadd)

tests_unit_test_modname_SOURCES = tests/unit/test-modname.c tests/unit/unit.h
tests_unit_test_modname_CFLAGS = $(unit_cflags)
tests_unit_test_modname_LDADD = $(unit_ldadd)

tests_unit_test_run_SOURCES = tests/unit/test-run.c rpm-plugin/run.c rpm-plugin/run.h
tests_unit_test_run_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)
tests_unit_test_run_CFLAGS = $(unit_cflags)
tests_unit_test_run_LDADD = $(unit_ldadd)

tests_unit_test_store_SOURCES = tests/unit/test-store.c tests/unit/makeelf.h tests/unit/table.h tests/unit/unit.h
tests_unit_test_store_CFLAGS = $(unit_cflags)
tests_unit_test_store_LDADD = $(unit_ldadd)

tests_unit_test_trie_SOURCES = tests/unit/test-trie.c tests/unit/unit.h
tests_unit_test_trie_CFLAGS = $(unit_cflags)
tests_unit_test_trie_LDADD = $(unit_ldadd)
else
UNIT_TESTS =
endif
