/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * json.h: the few calls that reports are built with. All return 0 (or an object) or
 * -ENOMEM (NULL).
 */

#include "base/util.h"

struct json_object;

/* Add a value under a key; it is owned by to, or freed. NULL stands for no memory. */
int json_put(struct json_object *to, const char *key, struct json_object *value);
int json_str(struct json_object *to, const char *key, const char *s);
int json_int(struct json_object *to, const char *key, int64_t v);
int json_flag(struct json_object *to, const char *key, bool v);
int json_append(struct json_object *list, struct json_object *value);
/* A new array under a key, owned by to. */
struct json_object *json_list(struct json_object *to, const char *key);
/* A new object at the end of an array, owned by it. */
struct json_object *json_append_object(struct json_object *list);
/* Words separated by blanks, as an array. */
int json_words(struct json_object *to, const char *key, const char *words);
