/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * rpm's plugin interface, in our own words. <rpm/rpmplugin.h> is installed since rpm 4.20
 * only, but what it declares is the same from 4.14 on; so one declaration serves every
 * rpm, and where the header is there the compiler holds ours against it.
 *
 * An rpm newer than this file may look for hooks behind the last one it knows of. The
 * spare pointers make it find NULL there, which means "no such hook".
 */

#include <assert.h>
#include <stddef.h>
#include <sys/types.h>

#include <rpm/rpmfi.h>
#include <rpm/rpmtypes.h>

typedef rpmFlags hook_file_op;

/* The action of an rpmFsmOp; the upper half holds flags. */
#define HOOK_FILE_ACTION(op) ((rpmFileAction)((op)&0xffff))

struct hooks {
	rpmRC (*init)(rpmPlugin, rpmts);
	void (*cleanup)(rpmPlugin);
	rpmRC (*tsm_pre)(rpmPlugin, rpmts);
	rpmRC (*tsm_post)(rpmPlugin, rpmts, int res);
	rpmRC (*psm_pre)(rpmPlugin, rpmte);
	rpmRC (*psm_post)(rpmPlugin, rpmte, int res);
	rpmRC (*scriptlet_pre)(rpmPlugin, const char *s_name, int type);
	rpmRC (*scriptlet_fork_post)(rpmPlugin, const char *path, int type);
	rpmRC (*scriptlet_post)(rpmPlugin, const char *s_name, int type, int res);
	rpmRC (*fsm_file_pre)(rpmPlugin, rpmfi, const char *path, mode_t, hook_file_op);
	rpmRC (*fsm_file_post)(
		rpmPlugin, rpmfi, const char *path, mode_t, hook_file_op, int res);
	void (*fsm_file_prepare)(void); /* arguments differ between versions: unused */
	void (*spare[12])(void);
};

const char *rpmPluginOpts(rpmPlugin plugin);
void rpmPluginSetData(rpmPlugin plugin, void *data);
void *rpmPluginGetData(rpmPlugin plugin);

#if __has_include(<rpm/rpmplugin.h>)
#include <rpm/rpmplugin.h>

#define HOOK_IS_RPMS(hook)                                                               \
	static_assert(                                                                   \
		offsetof(struct hooks, hook) == offsetof(struct rpmPluginHooks_s, hook), \
		#hook " is at rpm's place");                                             \
	static_assert(                                                                   \
		__builtin_types_compatible_p(__typeof__(((struct hooks *)0)->hook),      \
			__typeof__(((struct rpmPluginHooks_s *)0)->hook)),               \
		#hook " takes rpm's arguments")

HOOK_IS_RPMS(init);
HOOK_IS_RPMS(cleanup);
HOOK_IS_RPMS(tsm_pre);
HOOK_IS_RPMS(tsm_post);
HOOK_IS_RPMS(psm_pre);
HOOK_IS_RPMS(psm_post);
HOOK_IS_RPMS(scriptlet_pre);
HOOK_IS_RPMS(scriptlet_fork_post);
HOOK_IS_RPMS(scriptlet_post);
HOOK_IS_RPMS(fsm_file_pre);
HOOK_IS_RPMS(fsm_file_post);
static_assert(offsetof(struct hooks, fsm_file_prepare) ==
		      offsetof(struct rpmPluginHooks_s, fsm_file_prepare),
	"fsm_file_prepare is at rpm's place");
static_assert(sizeof(struct hooks) >= sizeof(struct rpmPluginHooks_s),
	"the table is as long as rpm's");
static_assert(XFO_ACTION(0xffffffff) == 0xffff, "the action is the lower half");
#endif
