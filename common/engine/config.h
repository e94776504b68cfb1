/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * config.h: find and read depmod.d: of one base name the first directory's file counts,
 * all are taken in the order of their base names.
 */

#include "base/digest.h"
#include "engine/target.h"
#include "formats/depmodd.h"

/*
 * Read the target's configuration. *ret_digest covers all that was read. Files that
 * cannot be read are reported and left out, as depmod does. 0 or -ENOMEM.
 */
int config_read(const struct target *t, struct depmodd *ret, struct digest *ret_digest);
