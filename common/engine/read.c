// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plain module is not read as a whole, only the parts that elfmod asks for; a
 * compressed one is read, digested and, if the digest is not the remembered one,
 * decompressed. Nothing is mapped: a file that shrinks under a mapping would kill the
 * process.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/pool.h"
#include "engine/read.h"
#include "formats/decompress.h"

#define SMALL_FILE 32768u /* read as a whole at once */
#define FIRST_READ 4096u
#define PROGRESS_STEP 64u
#define WAIT_MAX_MS 20 /* two ticks of the slowest kernel */

struct window {
	uint64_t off, len;
	const uint8_t *data;
};

/* A file as an input of elfmod: parts of it, each read once. */
struct file_input {
	struct elf_input in;
	struct arena *mem;
	int fd;
	unsigned n;
	struct window windows[16];
	uint64_t bytes;
};

struct reader {
	struct intake *intake;
	const struct donors *donors;
	struct decoder *decoder;
	struct arena mem; /* one module's parts */
	struct buf raw;   /* one compressed file */
	struct read_stats stats;
	int err;
};

struct readers {
	const struct target *t;
	const struct scan *s;
	const struct tables *old;
	const struct donors *donors;
	struct read_file *out;
	const uint32_t *todo; /* files of the scan */
	const dir_row *todo_dir;
	uint32_t n_todo;
	_Atomic uint32_t taken;
	struct reader *readers;
	int64_t racy_limit;
	pthread_mutex_t report;
};

/* --- one file --- */

/* Read a part of the file into a window of its own. */
static const uint8_t *read_part(
	struct file_input *f, uint64_t off, uint64_t len, int *err)
{
	uint8_t *data =
		len <= DECOMPRESS_MAX ? arena_alloc(f->mem, (size_t)len + 1) : NULL;
	ssize_t n;

	if (!data) {
		*err = -ENOMEM;
		return NULL;
	}
	n = fs_pread(f->fd, data, (size_t)len, (off_t)off);
	if (n < 0 || (uint64_t)n < len) {
		*err = n < 0 ? (int)n : -ESTALE; /* it shrank while we read */
		return NULL;
	}
	f->bytes += len;
	f->windows[f->n++] = (struct window){off, len, data};
	return data;
}

static const uint8_t *file_load(
	struct elf_input *in, uint64_t off, uint64_t len, int *err)
{
	struct file_input *f = (struct file_input *)in;

	for (unsigned i = 0; i < f->n; i++) {
		const struct window *w = &f->windows[i];

		if (off >= w->off && off - w->off <= w->len &&
			len <= w->len - (off - w->off))
			return w->data + (off - w->off);
	}
	/* many parts, or overlapping ones: the whole file at last, which has them all */
	if (f->n == ARRAY_SIZE(f->windows) - 1 || f->bytes + len > in->size) {
		const uint8_t *all = read_part(f, 0, in->size, err);

		return all ? all + off : NULL;
	}
	return read_part(f, off, len, err);
}

struct memory_input {
	struct elf_input in;
	const uint8_t *data;
};

static const uint8_t *memory_load(
	struct elf_input *in, uint64_t off, uint64_t len, int *err)
{
	(void)len;
	(void)err;
	return ((struct memory_input *)in)->data + off;
}

static void tell(struct readers *rs, enum event_kind kind, uint32_t i, int err)
{
	const struct scan_dir *d = &rs->s->dirs[rs->todo_dir[i]];
	const struct scan_file *f = &rs->s->files[rs->todo[i]];
	_cleanup_(buf_done) struct buf path = {0};

	buf_printf(&path, "%s%s%s", d->path, *d->path ? "/" : "", f->name);
	if (path.err)
		return;
	pthread_mutex_lock(&rs->report);
	report_event(rs->t->report, .kind = kind, .kver = rs->t->kver, .path = path.data,
		.err = err);
	pthread_mutex_unlock(&rs->report);
}

/* Decompress a module and take in its facts, with the digest that it is known by. */
static int take_compressed(struct intake *in, struct decoder *d, const void *bytes,
	size_t n, struct digest digest, struct read_stats *stats)
{
	static const enum elfmod_status status[] = {
		[DECOMPRESS_CORRUPT] = ELFMOD_CORRUPT,
		[DECOMPRESS_TOO_LARGE] = ELFMOD_TOO_LARGE,
		[DECOMPRESS_UNSUPPORTED] = ELFMOD_UNSUPPORTED,
	};
	struct memory_input m = {.in = {.load = memory_load}};
	uint32_t row;
	size_t len;
	int err = decompress(d, bytes, n, &m.data, &len);

	if (err < 0)
		return err;
	stats->modules_read++;
	if (err > 0) {
		row = intake_unreadable(in, status[err]);
	} else {
		stats->modules_decompressed++;
		stats->bytes_decompressed += len;
		m.in.size = len;
		row = intake_module(in, &m.in, &err);
		if (err < 0)
			return err;
	}
	if (in->err || in->mods.err)
		return in->err ? in->err : -ENOMEM;
	vec_data(&in->mods, struct raw_mod)[row].flags |= ROW_COMPRESSED;
	vec_data(&in->mods, struct raw_mod)[row].digest = digest;
	return (int)row;
}

int read_bytes(struct intake *in, struct decoder *d, const void *data, size_t len,
	uint32_t *ret_row)
{
	struct memory_input m = {.in = {.size = len, .load = memory_load}, .data = data};
	struct read_stats unused = {0};
	int r = 0;

	if (codec_of(data, len) == CODEC_NONE) {
		*ret_row = intake_module(in, &m.in, &r);
		return in->err ? in->err : r;
	}
	r = take_compressed(in, d, data, len, digest_bytes(data, len), &unused);
	if (r >= 0)
		*ret_row = (uint32_t)r;
	return MIN(r, 0);
}

/*
 * Facts of a compressed file, unless its digest proves that the remembered ones are true.
 */
static int read_compressed(
	struct reader *r, int fd, const struct mod *old, bool *ret_same)
{
	const struct tables *donor;
	mod_row donated;
	struct digest digest;
	int err;

	r->raw.len = 0;
	err = fs_read_all(fd, DECOMPRESS_MAX, &r->raw);
	if (err == -EFBIG)
		return (int)intake_unreadable(r->intake, ELFMOD_TOO_LARGE);
	if (err < 0)
		return err;
	r->stats.bytes_read += r->raw.len;
	digest = digest_bytes(r->raw.data, r->raw.len);
	*ret_same =
		old && (old->flags & ROW_COMPRESSED) && digest_eq(old->digest, digest);
	if (*ret_same) {
		r->stats.digested++;
		return 0;
	}
	donor = donors_find(r->donors, digest, &donated);
	if (donor) {
		r->stats.digested++;
		r->stats.donated++;
		return (int)intake_import(r->intake, donor, donated);
	}
	return take_compressed(
		r->intake, r->decoder, r->raw.data, r->raw.len, digest, &r->stats);
}

/* Returns the row in the intake, or a negative errno of reading the file. */
static int read_open_file(
	struct reader *r, int fd, uint64_t size, const struct mod *old, bool *ret_same)
{
	struct file_input in = {
		.in = {.size = size, .load = file_load}, .mem = &r->mem, .fd = fd};
	const uint8_t *head;
	uint64_t first = size <= SMALL_FILE ? size : FIRST_READ;
	uint32_t row;
	int err = 0;

	arena_reset(&r->mem);
	if (r->raw.cap > DECOMPRESS_MAX / 8)
		buf_done(&r->raw);
	if (size > DECOMPRESS_MAX)
		return (int)intake_unreadable(r->intake, ELFMOD_TOO_LARGE);
	head = file_load(&in.in, 0, first, &err);
	if (!head)
		return err;
	if (codec_of(head, (size_t)first) != CODEC_NONE)
		return read_compressed(r, fd, old, ret_same);
	row = intake_module(r->intake, &in.in, &err);
	r->stats.modules_read++;
	r->stats.bytes_read += in.bytes;
	if (err < 0) {
		/*
		 * what was taken in before the error belongs to nobody: an empty row
		 * follows
		 */
		return err;
	}
	return (int)row;
}

/*
 * A file that another store knows by its stat, as a link's target: it need not be opened.
 */
static bool take_known_file(struct readers *rs, struct reader *r, uint32_t i)
{
	const struct scan_file *f = &rs->s->files[rs->todo[i]];
	struct read_file *out = &rs->out[rs->todo[i]];
	const struct tables *t = NULL;
	mod_row row;

	if (f->trusted && (f->why == WHY_NEW || f->why == WHY_STAT || f->why == WHY_SIZE))
		t = donors_find_file(rs->donors, &f->stamp, &row);
	if (!t)
		return false;
	out->stamp = f->stamp;
	out->intake = (int16_t)(r - rs->readers);
	out->row = intake_import(r->intake, t, row);
	return true;
}

static int read_one(struct readers *rs, struct reader *r, uint32_t i)
{
	const struct scan_dir *d = &rs->s->dirs[rs->todo_dir[i]];
	const struct scan_file *f = &rs->s->files[rs->todo[i]];
	const struct mod *old = f->old == ID_NONE ? NULL : &rs->old->mods[f->old];
	struct read_file *out = &rs->out[rs->todo[i]];
	_cleanup_(closep) int fd = scan_open_file(rs->t, d, f->name);
	struct stat before, after;
	bool same = false;
	int row = fd;

	out->stamp = f->stamp;
	if (fd >= 0 && fstat(fd, &before) < 0)
		row = neg_errno();
	if (row >= 0) {
		out->stamp = stamp_of(&before);
		row = S_ISREG(before.st_mode)
			      ? read_open_file(r, fd, out->stamp.size, old, &same)
			      : -EINVAL;
	}
	if (r->intake->err)
		return r->intake->err;
	if (row == -ENOENT) {
		out->gone = true;
		tell(rs, EVENT_MODULE_VANISHED, i, row);
		return 0;
	}
	if (row == -ENOMEM || row == -EMFILE || row == -ENFILE)
		return row; /* that is no fault of the module */
	if (row < 0) {
		tell(rs, EVENT_MODULE_UNREADABLE, i, row);
		row = (int)intake_unreadable(r->intake, ELFMOD_OK);
		out->flags |= ROW_RACY; /* never believed: it is tried again next time */
	} else {
		struct stamp s =
			fstat(fd, &after) == 0 ? stamp_of(&after) : (struct stamp){0};

		if (!stamp_eq(&s, &out->stamp) || stamp_racy(&s, rs->racy_limit))
			out->flags |= ROW_RACY;
	}
	out->intake = same ? -1 : (int16_t)(r - rs->readers);
	out->row = (uint32_t)row;
	return 0;
}

/* --- all files --- */

static void show_progress(struct readers *rs, uint32_t done)
{
	if (!rs->t->report->progress)
		return;
	pthread_mutex_lock(&rs->report);
	rs->t->report->progress(rs->t->report->arg, done, rs->n_todo);
	pthread_mutex_unlock(&rs->report);
}

static void read_worker(void *arg, unsigned i)
{
	struct readers *rs = arg;
	struct reader *r = &rs->readers[i];
	uint32_t at;

	r->decoder = decoder_new();
	if (!r->decoder)
		r->err = -ENOMEM;
	while (!r->err && (at = atomic_fetch_add(&rs->taken, 1)) < rs->n_todo) {
		r->err =
			take_known_file(rs, r, at) ? r->intake->err : read_one(rs, r, at);
		if (i == 0 && at % PROGRESS_STEP < 2)
			show_progress(rs, at);
	}
	decoder_free(r->decoder);
	arena_done(&r->mem);
	buf_done(&r->raw);
	if (!r->err)
		r->err = intake_finish(r->intake);
}

static int list_todo(const struct scan *s, struct buf *files, struct buf *dirs)
{
	for (dir_row d = 0; d < s->n_dirs; d++)
		for (uint32_t f = s->dirs[d].first; f < s->dirs[d + 1].first; f++)
			if (s->files[f].state != FILE_SAME) {
				buf_add(files, &f, sizeof(f));
				buf_add(dirs, &d, sizeof(d));
			}
	return files->err ? files->err : dirs->err;
}

/*
 * Let the clock pass the youngest file's ctime, so that none is racy: a tick, if at all.
 */
static int64_t outwait_racy(const struct scan *s)
{
	int64_t youngest = 0, now = scan_racy_limit();

	for (uint32_t f = 0; f < s->n_files; f++)
		if (s->files[f].state != FILE_SAME)
			youngest = MAX(youngest, s->files[f].stamp.ctime);
	for (int i = 0; i < WAIT_MAX_MS && now <= youngest &&
			youngest - now < WAIT_MAX_MS * 1000000ll;
		i++) {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		now = scan_racy_limit();
	}
	return now;
}

static int run_readers(struct readers *rs, struct reading *out, unsigned n)
{
	int r = 0;

	out->intakes = calloc(n, sizeof(*out->intakes));
	rs->readers = calloc(n, sizeof(*rs->readers));
	out->files = rs->out = calloc((size_t)rs->s->n_files + 1, sizeof(*rs->out));
	if (!out->intakes || !rs->readers || !out->files)
		return -ENOMEM;
	out->n_intakes = n;
	for (unsigned i = 0; i < n; i++) {
		intake_init(&out->intakes[i]);
		rs->readers[i].intake = &out->intakes[i];
		rs->readers[i].donors = rs->donors;
	}
	pool_run(n, read_worker, rs);
	for (unsigned i = 0; i < n; i++) {
		const struct read_stats *s = &rs->readers[i].stats;

		r = r ? r : rs->readers[i].err;
		out->stats.modules_read += s->modules_read;
		out->stats.digested += s->digested;
		out->stats.donated += s->donated;
		out->stats.bytes_read += s->bytes_read;
		out->stats.bytes_decompressed += s->bytes_decompressed;
		out->stats.modules_decompressed += s->modules_decompressed;
	}
	show_progress(rs, rs->n_todo);
	return r;
}

int read_modules(const struct target *t, const struct scan *s, const struct tables *old,
	const struct donors *donors, struct reading *ret)
{
	_cleanup_(buf_done) struct buf todo = {0}, todo_dir = {0};
	struct readers rs = {.t = t,
		.s = s,
		.old = old,
		.donors = donors,
		.racy_limit = outwait_racy(s),
		.report = PTHREAD_MUTEX_INITIALIZER};
	struct reading out = {0};
	int r = list_todo(s, &todo, &todo_dir);

	if (r < 0)
		return r;
	rs.todo = vec_data(&todo, uint32_t);
	rs.todo_dir = vec_data(&todo_dir, dir_row);
	rs.n_todo = (uint32_t)vec_len(&todo, uint32_t);
	/* a thread is worth its start for a few modules */
	r = run_readers(&rs, &out, MAX(1u, MIN(t->jobs, rs.n_todo / 4)));
	free(rs.readers);
	if (r < 0) {
		reading_done(&out);
		return r;
	}
	*ret = out;
	return 0;
}

void reading_done(struct reading *r)
{
	for (unsigned i = 0; i < r->n_intakes; i++)
		intake_done(&r->intakes[i]);
	free(r->intakes);
	free(r->files);
	*r = (struct reading){0};
}
