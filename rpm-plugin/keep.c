// SPDX-License-Identifier: GPL-2.0-or-later

/*
 * Most packages have no directory of modules: their files are not looked at. Nor is the
 * disk: the program finds out which of the files are there.
 */

#include <stdio.h>
#include <string.h>

#include <rpm/rpmfiles.h>
#include <rpm/rpmte.h>

#include "keep/conf.h"
#include "model/changeset.h"
#include "rpm-plugin/keep.h"

bool keep_is_wanted(const char *dir)
{
	struct root root;
	struct conf conf;
	bool wanted;

	if (root_open(&root, dir) < 0)
		return false;
	wanted = conf_read(&root, &conf, NULL, NULL) == 0 && conf.keep != KEEP_NO;
	root_done(&root);
	return wanted;
}

/*
 * '-' in front of paths that are gone because somebody said so, not because of an
 * upgrade.
 */
static bool add_file(rpmfiles files, int i, bool on_request, struct buf *ret)
{
	char *path = rpmfilesFN(files, i);
	const char *kver;
	size_t len;
	bool is_module = path && changeset_kernel(path, &kver, &len) == 0;

	if (is_module) {
		if (on_request)
			buf_char(ret, '-');
		buf_add(ret, path, strlen(path) + 1);
	}
	free(path);
	return is_module;
}

static bool add_element(rpmte te, struct buf *ret)
{
	bool on_request = rpmteType(te) == TR_REMOVED && !rpmteDependsOn(te), any = false;
	rpmfiles files = rpmteFiles(te);
	int n = rpmfilesDC(files);
	bool *wanted = n > 0 ? calloc((size_t)n, sizeof(*wanted)) : NULL;

	for (int i = 0; wanted && i < n; i++)
		any |= wanted[i] = strstr(rpmfilesDN(files, i), "/lib/modules/") != NULL;
	if (any) {
		any = false;
		for (int i = 0; i < (int)rpmfilesFC(files); i++)
			if (wanted[rpmfilesDI(files, i)])
				any |= add_file(files, i, on_request, ret);
	}
	free(wanted);
	rpmfilesFree(files);
	return any;
}

void keep_list_paths(rpmts ts, struct buf *ret, char **ret_cause)
{
	rpmtsi i = rpmtsiInit(ts);
	rpmte te;

	*ret_cause = NULL;
	while ((te = rpmtsiNext(i, TR_ADDED | TR_REMOVED)))
		if (add_element(te, ret) && !*ret_cause &&
			asprintf(ret_cause, "rpm: %s %s",
				rpmteType(te) == TR_ADDED ? "install" : "erase",
				rpmteNEVRA(te)) < 0)
			*ret_cause = NULL;
	rpmtsiFree(i);
}
