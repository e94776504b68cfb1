// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A .bin index, as --verify reads the one that it finds. What is in one can be written,
 * and is then read as it was.
 */

#include "base/arena.h"
#include "formats/modname.h"
#include "formats/trie.h"
#include "fuzz.h"

struct list {
	struct arena mem;
	struct buf entries; /* struct trie_entry */
};

static int take(
	void *arg, const char *key, size_t len, uint32_t priority, const char *value)
{
	struct list *l = arg;
	struct trie_entry *e = vec_push(&l->entries, struct trie_entry);

	PROMISE(e && key[len] == '\0');
	*e = (struct trie_entry){arena_strdup(&l->mem, key, len),
		arena_strdup(&l->mem, value, strlen(value)), (uint32_t)len,
		(uint32_t)strlen(value), priority};
	return 0;
}

/* Rising, and without a NUL: what a writer may be given. */
static bool in_order(const struct trie_entry *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(e[i].key) != e[i].key_len ||
			!key_is_ascii(e[i].key, e[i].key_len))
			return false;
		if (i > 0 && strcmp(e[i - 1].key, e[i].key) > 0)
			return false;
	}
	return true;
}

static void check_rewritten(const struct list *l)
{
	const struct trie_entry *e = vec_data(&l->entries, struct trie_entry), *again;
	size_t n = vec_len(&l->entries, struct trie_entry);
	struct list copy = {0};
	struct buf out = {0};

	PROMISE(trie_write(e, n, &out) == 0);
	PROMISE(trie_walk(out.data, out.len, take, &copy) == 0);
	PROMISE(vec_len(&copy.entries, struct trie_entry) == n);
	again = vec_data(&copy.entries, struct trie_entry);
	for (size_t i = 0; i < n; i++)
		PROMISE(strcmp(e[i].key, again[i].key) == 0 &&
			strcmp(e[i].value, again[i].value) == 0 &&
			e[i].priority == again[i].priority);
	arena_done(&copy.mem);
	buf_done(&copy.entries);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	void *file = exact(data, len);
	struct list l = {0};
	int r = trie_walk(file, len, take, &l);

	PROMISE(r == 0 || r == -EBADMSG);
	if (r == 0 && in_order(vec_data(&l.entries, struct trie_entry),
			      vec_len(&l.entries, struct trie_entry)))
		check_rewritten(&l);
	arena_done(&l.mem);
	buf_done(&l.entries);
	free(file);
	return 0;
}
