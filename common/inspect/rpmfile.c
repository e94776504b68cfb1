// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * librpm reads the header of a package and the database below the root; the payload is
 * libarchive's. Signatures are not this program's business: a packager looks at what he
 * just built. Nothing is locked or written.
 */

#include "config.h"

#if WITH_RPM

#include <fcntl.h>
#include <rpm/header.h>
#include <rpm/rpmdb.h>
#include <rpm/rpmds.h>
#include <rpm/rpmfi.h>
#include <rpm/rpmfiles.h>
#include <rpm/rpmlib.h>
#include <rpm/rpmlog.h>
#include <rpm/rpmmacro.h>
#include <rpm/rpmtd.h>
#include <rpm/rpmts.h>
#include <stdio.h>

#include "inspect/inspect.h"

static char last_log[512];

/* The first complaint is the cause; it is told with the operand it is about. */
static int keep_log(rpmlogRec rec, rpmlogCallbackData data)
{
	(void)data;
	if (rpmlogRecPriority(rec) <= RPMLOG_ERR && !*last_log) {
		snprintf(last_log, sizeof(last_log), "%s", rpmlogRecMessage(rec));
		last_log[strcspn(last_log, "\n")] = '\0';
	}
	return 0;
}

static rpmts new_set(void)
{
	rpmts ts = rpmtsCreate();

	rpmlogSetCallback(keep_log, NULL);
	rpmtsSetVSFlags(
		ts, RPMVSF_MASK_NOSIGNATURES | RPMVSF_MASK_NODIGESTS | RPMVSF_NOHDRCHK);
	return ts;
}

/* "%post: depmod" for each scriptlet that matters. */
static void send_scripts(Header h)
{
	static const struct {
		rpmTagVal tag;
		const char *name;
	} scripts[] = {
		{RPMTAG_PRETRANS, "%pretrans"},
		{RPMTAG_PREIN, "%pre"},
		{RPMTAG_POSTIN, "%post"},
		{RPMTAG_PREUN, "%preun"},
		{RPMTAG_POSTUN, "%postun"},
		{RPMTAG_POSTTRANS, "%posttrans"},
		{RPMTAG_TRIGGERSCRIPTS, "%trigger"},
		{RPMTAG_FILETRIGGERSCRIPTS, "%filetrigger"},
		{RPMTAG_TRANSFILETRIGGERSCRIPTS, "%transfiletrigger"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		_cleanup_(buf_done) struct buf text = {0}, calls = {0};
		struct rpmtd_s td;
		const char *s;

		if (!headerGet(h, scripts[i].tag, &td, HEADERGET_MINMEM))
			continue;
		while ((s = rpmtdNextString(&td)))
			buf_printf(&text, "%s\n", s);
		rpmtdFreeData(&td);
		if (text.err || !text.data)
			continue;
		script_calls(text.data, &calls);
		if (calls.len > 1)
			send_script(scripts[i].name, calls.data);
	}
}

/* Kernels, and what says so of itself, are installed beside older ones, not over them. */
static bool is_beside(Header h)
{
	struct rpmtd_s td;
	const char *s;
	bool found = false;

	if (!headerGet(h, RPMTAG_PROVIDENAME, &td, HEADERGET_MINMEM))
		return false;
	while (!found && (s = rpmtdNextString(&td)))
		found = str_starts(s, "multiversion(") ||
			str_starts(s, "installonlypkg(");
	rpmtdFreeData(&td);
	return found;
}

/* --- what is installed --- */

/* Is there a database in this directory of the root? A missing one must not be made. */
static bool has_database(struct inspection *in, const char *place)
{
	static const char *const files[] = {"rpmdb.sqlite", "Packages.db", "Packages"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_(buf_done) struct buf path = {0};
		struct stat st;

		buf_printf(&path, "%s/%s", place, files[i]);
		if (!path.err && root_stat(&in->root, path.data, &st) == 0)
			return true;
	}
	return false;
}

/* The root's rpm may keep it elsewhere than this system's. */
static void find_database(struct inspection *in)
{
	static const char *const usual[] = {
		"/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm"};
	_cleanup_(freep) char *configured = NULL;
	const char *place = NULL;

	rpmReadConfigFiles(NULL, NULL);
	configured = rpmExpand("%{?_dbpath}", NULL);
	if (configured && *configured == '/' && has_database(in, configured))
		place = configured;
	for (size_t i = 0; i < ARRAY_SIZE(usual) && !place; i++)
		if (has_database(in, usual[i]))
			place = usual[i];
	if (place)
		rpmPushMacro(NULL, "_dbpath", NULL, place, RMIL_CMDLINE);
	in->rpm_place = place ? strdup(place) : NULL;
}

static rpmts open_database(struct inspection *in)
{
	rpmts ts;

	/* once: all of rpm's macros take longer to read than a package */
	if (!in->rpm_asked)
		find_database(in);
	in->rpm_asked = true;
	if (!in->rpm_place)
		return NULL;
	ts = new_set();
	*last_log = '\0';
	rpmtsSetRootDir(ts, *in->root.path ? in->root.path : "/");
	if (rpmtsOpenDB(ts, O_RDONLY) == 0)
		return ts;
	send_note("rpm's database in '%s%s' cannot be read: what an upgrade takes away "
		  "is not known%s%s",
		in->root.path, in->rpm_place, *last_log ? ": " : "", last_log);
	return rpmtsFree(ts);
}

static bool owned_by_others(rpmts ts, const char *path)
{
	rpmdbMatchIterator it = rpmtsInitIterator(ts, RPMDBI_INSTFILENAMES, path, 0);
	int n = 0;

	while (rpmdbNextIterator(it))
		n++;
	rpmdbFreeIterator(it);
	return n > 1;
}

static void send_installed(rpmts ts, Header h)
{
	rpmfiles files = rpmfilesNew(NULL, h, 0, RPMFI_KEEPHEADER);
	rpmfi fi = rpmfilesIter(files, RPMFI_ITER_FWD);
	char *nevra = headerGetAsString(h, RPMTAG_NEVRA);

	while (fi && rpmfiNext(fi) >= 0) {
		const char *path = rpmfiFN(fi);

		if (*path == '/' && is_wanted(path) && !owned_by_others(ts, path))
			send_old(path, nevra ? nevra : "");
	}
	free(nevra);
	rpmfiFree(fi);
	rpmfilesFree(files);
}

static void send_match(rpmts ts, rpmDbiTagVal tag, const char *name, rpmds obsoletes)
{
	rpmdbMatchIterator it = rpmtsInitIterator(ts, tag, name, 0);
	Header old;

	while ((old = rpmdbNextIterator(it)))
		if (!obsoletes || rpmdsNVRMatchesDep(old, obsoletes, 1))
			send_installed(ts, old);
	rpmdbFreeIterator(it);
}

/*
 * An upgrade takes away the files of older packages of its name and of those it
 * obsoletes.
 */
static void send_replaced(struct inspection *in, Header h, bool beside)
{
	rpmts ts = open_database(in);
	rpmds obsoletes;

	if (!ts)
		return;
	if (!beside)
		send_match(ts, RPMDBI_NAME, headerGetString(h, RPMTAG_NAME), NULL);
	obsoletes = rpmdsNew(h, RPMTAG_OBSOLETENAME, 0);
	while (rpmdsNext(obsoletes) >= 0)
		send_match(ts, RPMDBI_NAME, rpmdsN(obsoletes), obsoletes);
	rpmdsFree(obsoletes);
	rpmtsFree(ts);
}

int inspect_rpm(struct inspection *in, const char *file)
{
	rpmts ts = new_set();
	FD_t fd = Fopen(file, "r.ufdio");
	Header h = NULL;
	char *nevra;
	bool beside;
	rpmRC rc;

	*last_log = '\0';
	rc = fd && !Ferror(fd) ? rpmReadPackageFile(ts, fd, file, &h) : RPMRC_FAIL;
	if (fd)
		Fclose(fd);
	rpmtsFree(ts);
	if ((rc != RPMRC_OK && rc != RPMRC_NOKEY && rc != RPMRC_NOTTRUSTED) || !h) {
		headerFree(h);
		return send_error(file, "damaged or cut short%s%s", *last_log ? ": " : "",
			last_log);
	}
	nevra = headerGetAsString(h, RPMTAG_NEVRA);
	beside = is_beside(h);
	if (headerIsSource(h)) {
		free(nevra);
		headerFree(h);
		return send_error(file, "a source package: it installs no module");
	}
	send_package(file, nevra ? nevra : "", "rpm", beside ? WIRE_BESIDE : 0);
	send_scripts(h);
	send_replaced(in, h, beside);
	free(nevra);
	headerFree(h);
	return inspect_payload(in, file);
}

#else

#include "inspect/inspect.h"

int inspect_rpm(struct inspection *in, const char *file)
{
	(void)in;
	return send_error(file, "this build cannot read rpm packages");
}

#endif
