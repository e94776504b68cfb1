// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <inttypes.h>
#include <json.h>
#include <stdio.h>
#include <time.h>

#include "program/json.h"
#include "program/keep.h"

#define REPORT_SCHEMA 1

static const char *const mode_names[] = {
	[KEEP_NO] = "no", [KEEP_RESTORE] = "restore", [KEEP_REDIRECT] = "redirect"};

static const char *const case_texts[] = {
	[KEEP_SAME] = "the kernel's own modules are in place",
	[KEEP_GONE] = "the kernel was removed; its modules are put back by restore, "
		      "until the reboot",
	[KEEP_REPLACED] = "another build is in its place",
};

/* Who does not find the kept modules: each a string, "" after the last. At most 6. */
static void list_not_reached(
	const struct keep_status *s, struct redirected led, const char *ret[7])
{
	if (s->found == KEEP_REPLACED) {
		if (!led.kernel)
			*ret++ = "the kernel's own requests";
		*ret++ = led.udev ? "modules that are installed later, for udev" : "udev";
		*ret++ = "modprobe without -d";
		*ret++ = "containers";
		*ret++ = "insmod and modinfo, which show what is installed";
	}
	*ret = NULL;
}

static struct redirected look(struct keeping *k)
{
	struct redirect r = keep_redirect(k, "");

	return redirect_look(&r);
}

static void format_time(int64_t t, char *ret, size_t size)
{
	time_t seconds = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(ret, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(ret, size, "%" PRId64, t);
}

static void show_text(struct keeping *k, const struct keep_status *s)
{
	const struct keep_stamp *stamp = &k->keep.stamp;
	const char *not_reached[7];
	struct redirected led;
	char when[32];

	if (!s) {
		printf("%s: nothing is kept (keep-running = %s)\n", k->running.kver,
			mode_names[k->conf.keep]);
		return;
	}
	format_time(stamp->time, when, sizeof(when));
	printf("%s: kept in /%s/" KEPT_DIR " since %s, because of: %s\n", stamp->kver,
		k->keep.modules, when, stamp->cause);
	printf("    build %s\n    %s\n", stamp->build_id, case_texts[s->found]);
	if (s->linked)
		printf("    %u of its files are names of kept ones\n", s->linked);
	printf("    %" PRIu64 " files with %" PRIu64 " bytes are nowhere else\n",
		s->files, s->bytes);
	led = look(k);
	if (led.kernel || led.udev)
		printf("    led to the kept ones: %s%s%s\n",
			led.kernel ? "the kernel's own requests" : "",
			led.kernel && led.udev ? ", " : "", led.udev ? "udev" : "");
	if (s->found == KEEP_REPLACED)
		printf("    by hand: modprobe -d /%s/" KEPT_DIR " MODULE\n",
			k->keep.modules);
	list_not_reached(s, led, not_reached);
	for (const char **p = not_reached; *p; p++)
		printf("    not reached: %s\n", *p);
}

static int put_kept(
	struct json_object *to, struct keeping *k, const struct keep_status *s)
{
	const char *not_reached[7];
	struct redirected led = look(k);
	const struct keep_stamp *stamp = &k->keep.stamp;
	_cleanup_(freep) char *path = keep_path(&k->keep);
	struct json_object *list;
	char when[32];
	int r = path ? 0 : -ENOMEM;

	format_time(stamp->time, when, sizeof(when));
	if (r < 0 || json_str(to, "path", path) < 0 ||
		json_str(to, "build_id", stamp->build_id) < 0 ||
		json_str(to, "boot_id", stamp->boot_id) < 0 ||
		json_str(to, "since", when) < 0 ||
		json_str(to, "cause", stamp->cause) < 0 ||
		json_str(to, "case", keep_case_name(s->found)) < 0 ||
		json_int(to, "linked", s->linked) < 0 ||
		json_int(to, "files", (int64_t)s->files) < 0 ||
		json_int(to, "bytes", (int64_t)s->bytes) < 0 ||
		json_flag(to, "kernel_redirected", led.kernel) < 0 ||
		json_flag(to, "udev_redirected", led.udev) < 0 ||
		!(list = json_list(to, "not_reached")))
		return -ENOMEM;
	list_not_reached(s, led, not_reached);
	for (const char **p = not_reached; r == 0 && *p; p++)
		r = json_append(list, json_object_new_string(*p));
	return r;
}

static int show_json(struct keeping *k, const struct keep_status *s)
{
	struct json_object *o = json_object_new_object(), *kept = NULL;
	int r = o ? 0 : -ENOMEM;

	if (r < 0 || json_int(o, "schema", REPORT_SCHEMA) < 0 ||
		json_str(o, "program", "kmp-depmod") < 0 ||
		json_str(o, "version", PACKAGE_VERSION) < 0 ||
		json_str(o, "keep_running", mode_names[k->conf.keep]) < 0 ||
		json_str(o, "kernel", k->running.kver) < 0 ||
		json_str(o, "build_id", k->running.build_id) < 0)
		r = -ENOMEM;
	if (r == 0 && s) {
		kept = json_object_new_object();
		r = json_put(o, "kept", kept);
		if (r == 0)
			r = put_kept(kept, k, s);
	}
	if (r == 0)
		puts(json_object_to_json_string_ext(
			o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return r;
}

int keep_show(struct keeping *k, const struct keep_status *kept)
{
	if (k->o->json)
		return show_json(k, kept);
	show_text(k, kept);
	return 0;
}
