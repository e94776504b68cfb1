# SPDX-License-Identifier: GPL-2.0-or-later
#
# The core library and the program. The folders are layers: a file includes its own or a lower one.

noinst_LIBRARIES += common/libkmpdepmod.a
common_libkmpdepmod_a_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS) $(XZ_CFLAGS) $(GZIP_CFLAGS) $(SELINUX_CFLAGS)
common_libkmpdepmod_a_SOURCES = \
	common/base/arena.c \
	common/base/arena.h \
	common/base/buf.c \
	common/base/buf.h \
	common/base/digest.c \
	common/base/digest.h \
	common/base/fs.c \
	common/base/fs.h \
	common/base/label.c \
	common/base/label.h \
	common/base/lock.c \
	common/base/lock.h \
	common/base/mark.c \
	common/base/mark.h \
	common/base/openat2.h \
	common/base/pages.c \
	common/base/pages.h \
	common/base/pool.c \
	common/base/pool.h \
	common/base/std.h \
	common/base/util.h \
	common/formats/decompress.c \
	common/formats/decompress.h \
	common/formats/depmodd.c \
	common/formats/depmodd.h \
	common/formats/elfmod.c \
	common/formats/elfmod.h \
	common/formats/hwalias.c \
	common/formats/hwalias.h \
	common/formats/lists.c \
	common/formats/lists.h \
	common/formats/modname.c \
	common/formats/modname.h \
	common/formats/symvers.c \
	common/formats/symvers.h \
	common/formats/trie.c \
	common/formats/trie.h \
	common/model/changeset.c \
	common/model/changeset.h \
	common/model/intake.c \
	common/model/intake.h \
	common/model/merge.c \
	common/model/merge.h \
	common/model/store.c \
	common/model/store.h \
	common/model/tables.c \
	common/model/tables.h \
	common/engine/check.c \
	common/engine/check.h \
	common/engine/config.c \
	common/engine/config.h \
	common/engine/donors.c \
	common/engine/donors.h \
	common/engine/emit.c \
	common/engine/emit.h \
	common/engine/kernels.c \
	common/engine/kernels.h \
	common/engine/overlay.c \
	common/engine/overlay.h \
	common/engine/publish.c \
	common/engine/publish.h \
	common/engine/read.c \
	common/engine/read.h \
	common/engine/report.h \
	common/engine/resolve.c \
	common/engine/resolve.h \
	common/engine/scan.c \
	common/engine/scan.h \
	common/engine/target.h \
	common/engine/update.c \
	common/engine/update.h \
	common/keep/clean.c \
	common/keep/conf.c \
	common/keep/conf.h \
	common/keep/copy.c \
	common/keep/copy.h \
	common/keep/dangling.c \
	common/keep/dangling.h \
	common/keep/judge.c \
	common/keep/keep.c \
	common/keep/keep.h \
	common/keep/link.c \
	common/keep/link.h \
	common/keep/loaded.c \
	common/keep/loaded.h \
	common/keep/manifest.c \
	common/keep/manifest.h \
	common/keep/putback.c \
	common/keep/putback.h \
	common/keep/refresh.c \
	common/keep/refresh.h \
	common/keep/restore.c \
	common/keep/running.c \
	common/keep/running.h \
	common/keep/save.c \
	common/keep/status.c \
	common/keep/touched.c \
	common/keep/touched.h \
	common/keep/tree.c \
	common/keep/tree.h
common_libs = common/libkmpdepmod.a $(ZSTD_LIBS) $(XZ_LIBS) $(GZIP_LIBS)

sbin_PROGRAMS += kmp-depmod
kmp_depmod_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(KMOD_CFLAGS)
kmp_depmod_LDADD = $(common_libs) $(JSON_LIBS)
kmp_depmod_SOURCES = \
	common/program/depmod.c \
	common/program/depmod.h \
	common/program/dryrun.c \
	common/program/dryrun.h \
	common/program/forecast.c \
	common/program/forecast.h \
	common/program/forecast_aliases.c \
	common/program/host.c \
	common/program/host.h \
	common/program/json.c \
	common/program/json.h \
	common/program/keep.c \
	common/program/keep.h \
	common/program/keep_show.c \
	common/program/kernelinfo.c \
	common/program/kernelinfo.h \
	common/program/main.c \
	common/program/messages.c \
	common/program/messages.h \
	common/program/options.c \
	common/program/options.h \
	common/program/packages.c \
	common/program/packages.h \
	common/program/plan.c \
	common/program/plan.h \
	common/program/prospect_dot.c \
	common/program/prospect_json.c \
	common/program/prospect_text.c \
	common/program/redirect.c \
	common/program/redirect.h \
	common/program/session.c \
	common/program/session.h \
	common/program/show.h \
	common/program/show_json.c \
	common/program/show_text.c \
	common/program/verify.c \
	common/program/verify.h

# what the kernel calls while another build's modules are installed
kmpscriptsdir = $(libexecdir)/kmp-depmod
dist_kmpscripts_SCRIPTS = common/keep/modprobe-kept
