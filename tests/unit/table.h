/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * table.h: a table of a few modules, made as the engine makes it: ELF files, read into
 * intakes, merged with an old table.
 */

#include "makeelf.h"
#include "model/merge.h"
#include "model/store.h"

#define N_SAMPLES 6

static const struct {
	const char *dir, *file;
	const char *info;            /* records with '|' for NUL */
	const char *exports, *needs; /* words; a need with '?' is weak */
} samples[N_SAMPLES] = {
	{"", "top.ko", "alias=pci:*|", "", "shared b_get"},
	{"kernel", "a.ko", "alias=a|alias=pci:*|softdep=pre: b|name=a|vermagic=6.1|",
		"shared a_get", ""},
	{"kernel", "b-c.ko.xz", "weakdep=a|alias=devname:b|alias=char-major-1-2|",
		"b_get", "a_get shared?"},
	{"kernel", "empty.ko", "", "", ""},
	{"updates", "a.ko", "alias=a|alias=devname:lonely|name=a|vermagic=6.2|", "shared",
		""},
	{"updates/x", "z.ko", "license=GPL|", "", "nothing a_get b_get"},
};

static inline void sample_file(unsigned i, struct buf *file)
{
	struct elf e = elf_new(i & 1, i & 2);
	char *info = strdup(samples[i].info), *exports = strdup(samples[i].exports);
	char *needs = strdup(samples[i].needs), *save;
	struct buf versions = {0};

	for (char *p = info; *p; p++)
		*p = *p == '|' ? '\0' : *p;
	elf_section(&e, ".modinfo", info, strlen(samples[i].info));
	for (char *w = strtok_r(exports, " ", &save); w; w = strtok_r(NULL, " ", &save))
		elf_export(&e, w, 0x1000 + i);
	for (char *w = strtok_r(needs, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		bool weak = w[strlen(w) - 1] == '?';

		w[strlen(w) - weak] = '\0';
		elf_version(&e, &versions, 0x1001, w);
		elf_symbol(&e, w, 0, SHN_UNDEF, weak ? STB_WEAK : STB_GLOBAL);
	}
	elf_section(&e, "__versions", versions.data, versions.len);
	elf_finish(&e);
	elf_write(&e, file);
	buf_done(&versions);
	elf_done(&e);
	free(info);
	free(exports);
	free(needs);
}

/* Read a sample into an intake. Returns its row. */
static inline uint32_t sample_read(struct intake *in, unsigned i)
{
	struct buf file = {0};
	struct elf_memory m;
	uint32_t row;
	int err;

	sample_file(i, &file);
	m = elf_memory(&file);
	row = intake_module(in, &m.in, &err);
	assert_int_equal(err, 0);
	elf_memory_done(&m);
	buf_done(&file);
	return row;
}

static inline struct stamp sample_stamp(unsigned i)
{
	return (struct stamp){.ino = 100 + i, .size = 1000 + i, .mtime = 5, .ctime = -7};
}

struct made {
	struct tables t;
	void *image; /* with room for a struct store_head in front */
	size_t size; /* of all of it */
};

static inline void made_done(struct made *m)
{
	free(m->image);
}

/*
 * Make the table of the samples in the set present. Those that old has are taken from it,
 * unless they are in the set anew; the others are read into n intakes, in an order that
 * seed decides.
 */
static inline struct made make_table(unsigned present, const struct made *old,
	unsigned anew, unsigned n, unsigned seed)
{
	struct intake intakes[4];
	struct merge_mod mods[N_SAMPLES];
	struct merge_dir dirs[N_SAMPLES + 1] = {0};
	struct merge_input in = {.old = old ? &old->t : NULL,
		.intakes = intakes,
		.n_intakes = n,
		.dirs = dirs,
		.mods = mods};
	int intake_of[N_SAMPLES];
	uint32_t row_of[N_SAMPLES];
	struct made made = {0};

	for (unsigned i = 0; i < n; i++)
		intake_init(&intakes[i]);
	for (unsigned k = 0; k < N_SAMPLES; k++) {
		/* 5 and 6 have no common divisor */
		unsigned i = (k * 5 + seed) % N_SAMPLES;
		dir_row d;

		intake_of[i] = -1;
		if (!(present & 1u << i))
			continue;
		if (old && !(anew & 1u << i)) {
			d = tables_find_dir(&old->t, samples[i].dir);
			row_of[i] = d == ID_NONE ? ID_NONE
						 : tables_find_mod(
							   &old->t, d, samples[i].file);
			if (row_of[i] != ID_NONE)
				continue;
		}
		intake_of[i] = (int)((i * 7 + seed) % n);
		row_of[i] = sample_read(&intakes[intake_of[i]], i);
		intakes[intake_of[i]].err = 0;
	}
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(intake_finish(&intakes[i]), 0);
	for (unsigned i = 0; i < N_SAMPLES; i++) {
		if (!(present & 1u << i))
			continue;
		if (!in.n_dirs || !str_eq(dirs[in.n_dirs - 1].path, samples[i].dir))
			dirs[in.n_dirs++] = (struct merge_dir){.path = samples[i].dir,
				.first = in.n_mods,
				.stamp = sample_stamp(50 + i)};
		mods[in.n_mods++] = (struct merge_mod){.file = samples[i].file,
			.intake = (int16_t)intake_of[i],
			.row = row_of[i],
			.stamp = sample_stamp(i)};
	}
	/*
	 * the first of a directory's modules that is present decides its stamp: make it
	 * the same
	 */
	for (unsigned d = 0; d < in.n_dirs; d++)
		dirs[d].stamp = sample_stamp(50);
	dirs[in.n_dirs].first = in.n_mods;
	assert_int_equal(
		merge_tables(&in, sizeof(struct store_head), &made.t, &made.image), 0);
	made.size = sizeof(struct store_head) + tables_size(&made.t.n);
	for (unsigned i = 0; i < n; i++)
		intake_done(&intakes[i]);
	return made;
}
