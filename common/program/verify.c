// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two judges. The bytes: each file against what the tree demands; a .bin file of other
 * bytes is right if it has the same keys, values and priorities, since kmod before 34
 * wrote the nodes in another order. And libkmod, asked through its library as modprobe
 * asks it: every module with its dependencies, every so-many-th alias and symbol.
 *
 * libkmod is loaded here and nowhere else: it brings a crypto library along, and an
 * update must not pay for that.
 */

#include "config.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <libkmod.h>

#include "formats/modname.h"
#include "formats/trie.h"
#include "program/verify.h"

#define SAMPLES 500u

/* --- bytes --- */

static int list_value(
	void *arg, const char *key, size_t key_len, uint32_t priority, const char *value)
{
	struct buf *b = arg;

	buf_add(b, key, key_len);
	buf_printf(b, "%c%u %s\n", 0, priority, value);
	return b->err;
}

/*
 * Do two indexes have the same keys with the same values and priorities? Another order of
 * the nodes does not change the size.
 */
static bool same_content(const struct buf *a, const struct buf *b)
{
	_cleanup_(buf_done) struct buf x = {0}, y = {0};

	return a->len == b->len && trie_walk(a->data, a->len, list_value, &x) == 0 &&
	       trie_walk(b->data, b->len, list_value, &y) == 0 && x.len == y.len &&
	       (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
}

/* The first line that differs, for the message. */
static unsigned first_line(const struct buf *a, const struct buf *b)
{
	unsigned line = 1;

	for (size_t i = 0; i < a->len && i < b->len && a->data[i] == b->data[i]; i++)
		line += a->data[i] == '\n';
	return line;
}

static int compare_file(struct messages *m, const struct target *t, int dir,
	enum output_id id, const struct buf *want, struct verify_result *v)
{
	_cleanup_(buf_done) struct buf have = {0};
	_cleanup_(closep) int fd = openat(
		dir, output_names[id], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r = fd < 0 ? neg_errno() : fs_read_all(fd, (size_t)1 << 30, &have);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		v->differences++;
		message(m, "%s: '%s': cannot be read: %s", t->kver, output_names[id],
			strerror(-r));
		return 0;
	}
	if (have.len == want->len &&
		(have.len == 0 || memcmp(have.data, want->data, have.len) == 0))
		return 0;
	if (!output_is_text[id] && same_content(&have, want)) {
		v->other_layout = true;
		return 0;
	}
	v->differences++;
	if (output_is_text[id])
		message(m,
			"%s: '%s': differs from what the modules demand, first in line "
			"%u",
			t->kver, output_names[id], first_line(&have, want));
	else
		message(m, "%s: '%s': differs from what the modules demand", t->kver,
			output_names[id]);
	return 0;
}

/* --- libkmod --- */

struct kmod_api {
	void *lib;
	__typeof__(kmod_new) *new;
	__typeof__(kmod_unref) *unref;
	__typeof__(kmod_set_log_fn) *set_log_fn;
	__typeof__(kmod_module_new_from_lookup) *lookup;
	__typeof__(kmod_module_new_from_name) *from_name;
	__typeof__(kmod_module_get_path) *path;
	__typeof__(kmod_module_get_name) *name;
	__typeof__(kmod_module_get_module) *get;
	__typeof__(kmod_module_unref) *unref_module;
	__typeof__(kmod_module_unref_list) *unref_list;
	__typeof__(kmod_module_get_dependencies) *dependencies;
	__typeof__(kmod_list_next) *next;
};

static bool load_kmod(struct kmod_api *k)
{
	const struct {
		const char *name;
		void *to;
	} symbols[] = {
		{"kmod_new", &k->new},
		{"kmod_unref", &k->unref},
		{"kmod_set_log_fn", &k->set_log_fn},
		{"kmod_module_new_from_lookup", &k->lookup},
		{"kmod_module_new_from_name", &k->from_name},
		{"kmod_module_get_path", &k->path},
		{"kmod_module_get_name", &k->name},
		{"kmod_module_get_module", &k->get},
		{"kmod_module_unref", &k->unref_module},
		{"kmod_module_unref_list", &k->unref_list},
		{"kmod_module_get_dependencies", &k->dependencies},
		{"kmod_list_next", &k->next},
	};

	k->lib = dlopen("libkmod.so.2", RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; k->lib && i < ARRAY_SIZE(symbols); i++) {
		void *f = dlsym(k->lib, symbols[i].name);

		if (!f)
			return false;
		memcpy(symbols[i].to, &f, sizeof(f));
	}
	return k->lib != NULL;
}

struct asking {
	const struct kmod_api *k;
	struct kmod_ctx *ctx;
	struct messages *m;
	const struct target *t;
	const struct update *u;
	struct verify_result *v;
	const char *prefix; /* the module directory as libkmod names it */
};

static const struct mod *mod_of(const struct asking *a, mod_idx i)
{
	return &a->u->t.mods[a->u->r.row[i]];
}

/* Does libkmod's path name this module file? */
static bool is_path_of(const struct asking *a, const char *path, mod_idx i)
{
	_cleanup_(buf_done) struct buf want = {0};
	size_t n = strlen(a->prefix);

	tables_path(&a->u->t, a->u->r.row[i], &want);
	buf_char(&want, '\0');
	if (want.err || !path)
		return false;
	if (*want.data != '/' && strncmp(path, a->prefix, n) == 0 && path[n] == '/')
		path += n + 1;
	return str_eq(path, want.data);
}

/*
 * libkmod looks at each file, and where an absolute link leads to, on the host, whatever
 * the root.
 */
static bool can_be_reached(const struct asking *a, mod_idx i)
{
	_cleanup_(buf_done) struct buf path = {0};

	if (a->t->root->host)
		return true;
	buf_printf(&path, "%s/", a->prefix);
	tables_path(&a->u->t, a->u->r.row[i], &path);
	buf_char(&path, '\0');
	return !path.err && access(path.data, F_OK) == 0;
}

/*
 * libkmod looks for external modules on the host, too, finds no names beyond ASCII in an
 * index, and cannot tell a blank in a path from the end of it.
 */
static bool can_be_asked(const struct asking *a, mod_idx i)
{
	const struct tables *t = &a->u->t;
	const struct mod *m = mod_of(a, i);
	const char *dir = str_of(t, t->dirs[m->dir].path);

	return (a->t->root->host || *dir != '/') && !strpbrk(dir, " \t") &&
	       !strpbrk(str_of(t, m->file), " \t") && str_len(t, m->name) > 0 &&
	       key_is_ascii(str_of(t, m->name), str_len(t, m->name)) &&
	       can_be_reached(a, i);
}

static void ask_module(struct asking *a, mod_idx i)
{
	const char *name = str_of(&a->u->t, mod_of(a, i)->name);
	struct id_range deps = resolved_deps(&a->u->r, i);
	struct kmod_list *list = NULL, *l;
	struct kmod_module *mod = NULL;
	uint32_t n = 0;
	bool ok;

	for (uint32_t d = 0; d < deps.n; d++)
		if (!can_be_asked(a, deps.ids[d]))
			return;
	if (!can_be_asked(a, i))
		return;
	a->v->modules++;
	if (a->k->from_name(a->ctx, name, &mod) < 0 ||
		!is_path_of(a, a->k->path(mod), i)) {
		a->v->differences++;
		message(a->m, "%s: libkmod finds module %s at '%s'", a->t->kver, name,
			mod && a->k->path(mod) ? a->k->path(mod) : "no place");
		if (mod)
			a->k->unref_module(mod);
		return;
	}
	list = a->k->dependencies(mod);
	ok = true;
	for (l = list; l; l = a->k->next(list, l), n++) {
		struct kmod_module *d = a->k->get(l);

		/*
		 * libkmod lists what must be loaded first, first: modules.dep has it last
		 */
		ok = ok && n < deps.n &&
		     is_path_of(a, a->k->path(d), deps.ids[deps.n - 1 - n]);
		a->k->unref_module(d);
	}
	if (!ok || n != deps.n) {
		a->v->differences++;
		message(a->m, "%s: libkmod finds other dependencies of module %s",
			a->t->kver, name);
	}
	a->k->unref_list(list);
	a->k->unref_module(mod);
}

/* libkmod takes each '-' of what it is asked for as a '_'. */
static bool asks_for(const char *asked, const char *name)
{
	while (*name && *name == (*asked == '-' ? '_' : *asked))
		name++, asked++;
	return !*name && !*asked;
}

/*
 * Then libkmod finds that module, and looks no further for those that have it as an
 * alias.
 */
static bool is_module_name(const struct asking *a, const char *alias)
{
	for (mod_idx i = 0; i < a->u->r.n; i++)
		if (asks_for(alias, str_of(&a->u->t, mod_of(a, i)->name)))
			return true;
	return false;
}

/* The same with the symbols' index, where a name that begins so is looked for first. */
static bool is_symbol(const struct asking *a, const char *alias)
{
	static const char prefix[] = "symbol:";
	const struct resolved *r = &a->u->r;

	if (!str_starts(alias, prefix))
		return false;
	for (sym_key k = 0; k < r->n_keys; k++)
		if (r->owner[k] != ID_NONE &&
			asks_for(alias + strlen(prefix), resolved_key_name(r, k)))
			return true;
	return false;
}

static void ask_lookup(struct asking *a, const char *alias, const char *name)
{
	struct kmod_list *list = NULL, *l;
	bool found = false;

	if (a->k->lookup(a->ctx, alias, &list) == 0)
		for (l = list; l && !found; l = a->k->next(list, l)) {
			struct kmod_module *mod = a->k->get(l);

			found = str_eq(a->k->name(mod), name);
			a->k->unref_module(mod);
		}
	a->k->unref_list(list);
	if (found || is_module_name(a, alias))
		return;
	a->v->differences++;
	message(a->m, "%s: libkmod does not find module %s for '%s'", a->t->kver, name,
		alias);
}

/* Aliases without wildcards are names that the kernel asks for as they are. */
static void ask_aliases(struct asking *a)
{
	const struct tables *t = &a->u->t;
	uint32_t step = MAX(1u, t->n.values / SAMPLES);

	for (mod_idx i = 0; i < a->u->r.n; i++) {
		const struct mod *m = mod_of(a, i);

		for (uint32_t v = m->values; v < m->softdeps; v++) {
			const char *alias = str_of(t, t->values[v]);

			if (v % step || !*alias || strpbrk(alias, "*?[]") ||
				strlen(alias) > 1000 ||
				!key_is_ascii(alias, strlen(alias)) ||
				is_symbol(a, alias))
				continue;
			a->v->aliases++;
			ask_lookup(a, alias, str_of(t, m->name));
		}
	}
}

static void ask_symbols(struct asking *a)
{
	const struct resolved *r = &a->u->r;
	uint32_t step = MAX(1u, a->u->t.n.exports / SAMPLES), seen = 0;

	for (sym_key k = 0; k < r->n_keys; k++) {
		_cleanup_(buf_done) struct buf alias = {0};

		/* no symbol of C's has a '-', which libkmod would take for a '_' */
		if (r->owner[k] == ID_NONE || seen++ % step ||
			strchr(resolved_key_name(r, k), '-'))
			continue;
		buf_printf(&alias, "symbol:%s", resolved_key_name(r, k));
		if (alias.err || alias.len > 1000)
			continue;
		a->v->symbols++;
		ask_lookup(a, alias.data, str_of(r->t, mod_of(a, r->owner[k])->name));
	}
}

static void no_log(void *data, int priority, const char *file, int line, const char *fn,
	const char *format, va_list args)
{
	(void)data, (void)priority, (void)file, (void)line, (void)fn, (void)format,
		(void)args;
}

static int ask_libkmod(struct messages *m, const struct target *t, const struct update *u,
	struct verify_result *v)
{
	static const char *const no_config = NULL;
	_cleanup_(buf_done) struct buf dir = {0};
	struct kmod_api k = {0};
	struct asking a = {.k = &k, .m = m, .t = t, .u = u, .v = v};

	if (!load_kmod(&k)) {
		note(m, "libkmod cannot be loaded: only the bytes of the indexes were "
			"compared");
		return 0;
	}
	buf_printf(&dir, "%s%s%s", t->outdir ? "" : t->root->path, "/",
		t->outdir ? t->outdir : t->dir);
	if (dir.err)
		return dir.err;
	a.prefix = dir.data;
	a.ctx = k.new(dir.data, &no_config);
	if (!a.ctx)
		return -ENOMEM;
	k.set_log_fn(a.ctx, no_log, NULL);
	v->libkmod = true;
	for (mod_idx i = 0; i < u->r.n; i++)
		ask_module(&a, i);
	ask_aliases(&a);
	ask_symbols(&a);
	k.unref(a.ctx);
	return 0;
}

int verify_indexes(struct messages *m, const struct target *t, const struct update *u,
	struct verify_result *ret)
{
	_cleanup_(closep) int dir = update_open_outdir(t, false);
	int r = 0;

	*ret = (struct verify_result){0};
	if (dir < 0)
		return dir;
	for (unsigned i = 0; i < OUT_MAX && r == 0; i++)
		r = compare_file(m, t, dir, i, &u->out.file[i], ret);
	/* what libkmod finds in wrong indexes is no news */
	if (r == 0 && ret->differences == 0)
		r = ask_libkmod(m, t, u, ret);
	return r;
}
