// SPDX-License-Identifier: GPL-2.0-or-later
#include "formats/modname.h"

bool modname_is_module_file(const char *file, size_t len)
{
	static const char *const endings[] = {".ko", ".ko.zst", ".ko.xz", ".ko.gz"};

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (str_ends(file, len, endings[i]))
			return len > strlen(endings[i]);
	return false;
}

size_t modname_len(const char *file)
{
	return strcspn(file, ".");
}

size_t modname_copy(char *to, const char *file)
{
	size_t n = 0;

	for (; file[n] && file[n] != '.'; n++)
		to[n] = file[n] == '-' ? '_' : file[n];
	to[n] = '\0';
	return n;
}

#define EACH_BYTE(b) (0x0101010101010101u * (uint64_t)(b))

/* Has a word a byte of this value? */
static inline uint64_t has_byte(uint64_t word, unsigned char b)
{
	uint64_t x = word ^ EACH_BYTE(b);

	return (x - EACH_BYTE(1)) & ~x & EACH_BYTE(0x80);
}

bool alias_is_plain(const char *alias, size_t len)
{
	uint64_t found = 0, word;

	if (len > ALIAS_MAX)
		return false;
	for (; len >= 8; len -= 8, alias += 8) {
		memcpy(&word, alias, 8);
		found |= has_byte(word, '-') | has_byte(word, '[') | has_byte(word, ']') |
			 (word & EACH_BYTE(0x80));
	}
	word = 0;
	memcpy(&word, alias, len);
	found |= has_byte(word, '-') | has_byte(word, '[') | has_byte(word, ']') |
		 (word & EACH_BYTE(0x80));
	return !found;
}

int alias_normalise(const char *alias, size_t len, char *to, size_t *ret_len)
{
	bool changed = len > ALIAS_MAX, inside = false;

	for (size_t i = 0; i < len; i++) {
		char c = alias[i];

		if (i == ALIAS_MAX) {
			len = ALIAS_MAX;
			break;
		}
		if (inside) {
			inside = c != ']';
		} else if (c == ']') {
			return ALIAS_UNBALANCED;
		} else if (c == '[') {
			inside = true;
		} else if (c == '-') {
			c = '_';
			changed = true;
		}
		to[i] = c;
	}
	if (inside)
		return ALIAS_UNBALANCED;
	if (!changed)
		return ALIAS_SAME;
	to[len] = '\0';
	*ret_len = len;
	return 0;
}

bool key_is_ascii(const char *key, size_t len)
{
	uint64_t all = 0, word;

	for (; len >= 8; len -= 8, key += 8) {
		memcpy(&word, key, 8);
		all |= word;
	}
	word = 0;
	memcpy(&word, key, len);
	return !((all | word) & EACH_BYTE(0x80));
}

static inline uint32_t half(const char *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

uint32_t kmod_hash(const char *key, size_t len)
{
	uint32_t h = (uint32_t)len;
	size_t rest = len & 3;

	for (len /= 4; len > 0; len--, key += 4) {
		h += half(key);
		h = (h << 16) ^ (half(key + 2) << 11) ^ h;
		h += h >> 11;
	}
	switch (rest) {
	case 3:
		h += half(key);
		h ^= h << 16;
		h ^= (uint32_t)key[2] << 18;
		h += h >> 11;
		break;
	case 2:
		h += half(key);
		h ^= h << 11;
		h += h >> 17;
		break;
	case 1:
		h += (uint32_t)key[0];
		h ^= h << 10;
		h += h >> 1;
		break;
	}
	h ^= h << 3;
	h += h >> 5;
	h ^= h << 4;
	h += h >> 17;
	h ^= h << 25;
	h += h >> 6;
	return h;
}
