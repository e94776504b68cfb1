// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kernel and path first, the cause last, one line an event. The two symbol checks have
 * depmod's own words, since tools look for them.
 */

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "formats/elfmod.h"
#include "model/store.h"
#include "program/messages.h"

#define PROGRESS_MIN 400u /* modules: less than that is over before it is read */

enum level {
	LEVEL_ERROR,
	LEVEL_WARNING,
	LEVEL_NOTE,
	LEVEL_DETAIL,
};

static void clear_progress(struct messages *m)
{
	if (m->shown)
		fputs("\r\033[K", stderr);
	m->shown = false;
}

static void put(struct messages *m, struct buf *text)
{
	clean_text(text->data, text->len);
	clear_progress(m);
	fprintf(stderr, "kmp-depmod: %.*s\n", (int)text->len, text->data);
}

static void vput(struct messages *m, const char *fmt, va_list ap)
{
	char text[16384];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	clean_text(text, n < 0 ? 0 : MIN((size_t)n, sizeof(text) - 1));
	clear_progress(m);
	fprintf(stderr, "kmp-depmod: %s\n", n < 0 ? fmt : text);
}

const char *failure_text(int err)
{
	return err == -E2BIG ? "more names or dependencies than can be indexed"
			     : strerror(-err);
}

void message(struct messages *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vput(m, fmt, ap);
	va_end(ap);
}

void note(struct messages *m, const char *fmt, ...)
{
	va_list ap;

	if (m->verbose < 1)
		return;
	va_start(ap, fmt);
	vput(m, fmt, ap);
	va_end(ap);
}

static enum level level_of(const struct event *e)
{
	switch (e->kind) {
	case EVENT_CYCLE:
	case EVENT_CYCLES:
	case EVENT_OUTPUT:
		return LEVEL_ERROR;
	case EVENT_LIST_MISSING:
		return e->err != -ENOENT                  ? LEVEL_WARNING
		       : str_eq(e->path, "modules.order") ? LEVEL_NOTE
							  : LEVEL_DETAIL;
	case EVENT_STORE:
		if (e->err || e->status == STORE_UNSAFE)
			return LEVEL_WARNING;
		return e->status == STORE_ABSENT ? LEVEL_DETAIL : LEVEL_NOTE;
	default:
		return LEVEL_WARNING;
	}
}

/* What happened, without kernel and path. */
static void describe(const struct event *e, struct buf *b)
{
	const char *detail = e->detail ? e->detail : "";

	switch (e->kind) {
	case EVENT_MODULE_BAD:
		buf_printf(b, "%s; the module keeps its line in modules.dep%s",
			elfmod_status_text((enum elfmod_status)e->status),
			e->status == ELFMOD_BAD_EXPORTS ? "" : " and nothing else");
		break;
	case EVENT_MODULE_UNREADABLE:
		buf_str(b, "cannot be read; the module keeps its line in modules.dep and "
			   "nothing else");
		break;
	case EVENT_MODULE_VANISHED:
		buf_str(b, "vanished while it was looked at; left out");
		break;
	case EVENT_DUPLICATE:
		buf_printf(b,
			"chosen over '%s', of equal rank: depmod's choice depends on the "
			"order "
			"of the directory",
			detail);
		break;
	case EVENT_DEVNODE:
		buf_printf(b,
			"has a device node (%s) without major and minor number; left out",
			detail);
		break;
	case EVENT_ALIAS_BRACKETS:
		buf_printf(b, "alias with unbalanced brackets, left out of the index: %s",
			detail);
		break;
	case EVENT_KEY_ASCII:
		buf_printf(b, "name beyond ASCII, left out of the index: %s", detail);
		break;
	case EVENT_SYMBOL_UNKNOWN:
		buf_printf(b, "needs unknown symbol %s", detail);
		break;
	case EVENT_SYMBOL_CRC:
		buf_printf(b, "disagrees about version of symbol %s", detail);
		break;
	case EVENT_KEY_DUPLICATE:
		buf_printf(b, "twice in the index: %s", detail);
		break;
	case EVENT_SYMBOLS_LINE:
		buf_printf(b, "line %u cannot be read: %.*s", e->line,
			(int)strcspn(detail, "\n"), detail);
		break;
	case EVENT_DIR_UNREADABLE:
		buf_str(b, "cannot be read; left out");
		break;
	case EVENT_LINK_DANGLING:
		buf_str(b, "a symbolic link that leads nowhere; left out");
		break;
	case EVENT_LINK_LOOP:
		buf_str(b, "a symbolic link to a directory above itself; left out");
		break;
	case EVENT_FILE_TYPE:
		buf_str(b, "neither a file nor a directory; left out");
		break;
	case EVENT_TREE_LIMIT:
		buf_str(b, "nested too deeply, or too many directories; left out");
		break;
	case EVENT_CONFIG_FILE:
		buf_str(b, "configuration cannot be read; left out");
		break;
	case EVENT_CONFIG_LINE:
		buf_printf(b, "line %u, starting with '%s', is not understood; left out",
			e->line, detail);
		break;
	case EVENT_LIST_MISSING:
		buf_str(b, e->err == -ENOENT ? "missing"
					     : "cannot be read; done without it");
		break;
	case EVENT_ORDER_CUT:
		buf_printf(b, "line %u lacks its newline; the list is not used", e->line);
		break;
	case EVENT_BUILTIN_LINE:
		buf_printf(b, "line that is no path, left out: %.*s",
			(int)strcspn(detail, "\n"), detail);
		break;
	case EVENT_CYCLE:
		buf_printf(b, "modules that depend on each other: %s", detail);
		break;
	case EVENT_CYCLES:
		buf_printf(b,
			"%u modules are in dependency cycles; the indexes stay as they "
			"are",
			e->number);
		break;
	case EVENT_STORE:
		buf_printf(b, "the store of remembered facts %s%s", detail,
			e->err ? "" : "; every module is read");
		break;
	case EVENT_LOCK:
		buf_str(b, "working without the lock");
		break;
	case EVENT_MARK:
		buf_printf(b, "marks of interrupted transactions cannot be %s; they stay",
			detail);
		break;
	case EVENT_OUTPUT:
		if (e->number)
			buf_printf(b,
				"cannot be written; %u indexes are new, the others old",
				e->number);
		else
			buf_str(b, "cannot be written; the indexes stay as they are");
		break;
	}
	if (e->err && !(e->kind == EVENT_LIST_MISSING && e->err == -ENOENT))
		buf_printf(b, ": %s", strerror(-e->err));
}

void messages_event(void *arg, const struct event *e)
{
	_cleanup_(buf_done) struct buf b = {0};
	struct messages *m = arg;
	enum level level = level_of(e);

	m->errors += level == LEVEL_ERROR;
	m->warnings += level == LEVEL_WARNING;
	if (level > (m->quiet ? LEVEL_ERROR : m->verbose + LEVEL_WARNING))
		return;
	if (e->kind == EVENT_SYMBOL_UNKNOWN || e->kind == EVENT_SYMBOL_CRC) {
		buf_printf(&b, "WARNING: %s ", e->path);
	} else {
		if (e->kver)
			buf_printf(&b, "%s: ", e->kver);
		if (e->path && *e->path)
			buf_printf(&b, "'%s': ", e->path);
	}
	describe(e, &b);
	if (!b.err)
		put(m, &b);
}

void messages_conf(void *arg, const char *path, unsigned line, const char *what)
{
	struct messages *m = arg;

	if (m->quiet)
		return;
	if (line)
		message(m, "/%s:%u: %s", path, line, what);
	else
		message(m, "/%s: %s", path, what);
}

void messages_progress(void *arg, unsigned done, unsigned total)
{
	struct messages *m = arg;

	if (!m->progress || total < PROGRESS_MIN)
		return;
	if (done == total) {
		clear_progress(m);
		return;
	}
	fprintf(stderr, "\rreading modules: %u of %u", done, total);
	fflush(stderr);
	m->shown = true;
}
