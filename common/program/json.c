// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <json.h>

#include "base/buf.h"
#include "program/json.h"

int json_put(struct json_object *to, const char *key, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_object_add(to, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

/* The length of the UTF-8 character at s, 0 if there is none. */
static size_t utf8_length(const unsigned char *s)
{
	size_t n = *s < 0x80             ? 1
		   : (*s & 0xe0) == 0xc0 ? 2
		   : (*s & 0xf0) == 0xe0 ? 3
		   : (*s & 0xf8) == 0xf0 ? 4
					 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* not in its shortest form, a surrogate, or beyond Unicode */
	if (*s == 0xc0 || *s == 0xc1 || (*s == 0xe0 && s[1] < 0xa0) ||
		(*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
		(*s == 0xf4 && s[1] > 0x8f) || *s > 0xf4)
		return 0;
	return n;
}

/* JSON is UTF-8, file names are not: each byte that is none becomes U+FFFD. */
static struct json_object *json_string(const char *s, size_t len)
{
	_cleanup_(buf_done) struct buf b = {0};

	for (size_t i = 0; i < len;) {
		size_t n = utf8_length((const unsigned char *)s + i);

		if (n)
			buf_add(&b, s + i, n);
		else
			buf_lit(&b, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
	buf_char(&b, '\0');
	return b.err ? NULL : json_object_new_string(b.data);
}

int json_str(struct json_object *to, const char *key, const char *s)
{
	return json_put(to, key, json_string(s, strlen(s)));
}

int json_int(struct json_object *to, const char *key, int64_t v)
{
	return json_put(to, key, json_object_new_int64(v));
}

int json_flag(struct json_object *to, const char *key, bool v)
{
	return json_put(to, key, json_object_new_boolean(v));
}

int json_append(struct json_object *list, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_array_add(list, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

struct json_object *json_list(struct json_object *to, const char *key)
{
	struct json_object *list = json_object_new_array();

	return json_put(to, key, list) < 0 ? NULL : list;
}

struct json_object *json_append_object(struct json_object *list)
{
	struct json_object *o = json_object_new_object();

	return json_append(list, o) < 0 ? NULL : o;
}

int json_words(struct json_object *to, const char *key, const char *words)
{
	struct json_object *list = json_list(to, key);

	while (list && *words) {
		size_t n = strcspn(words, " ");

		if (json_append(list, json_string(words, n)) < 0)
			return -ENOMEM;
		words += n + (words[n] == ' ');
	}
	return list ? 0 : -ENOMEM;
}
