/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * pool.h: run a function on several threads at once and wait for all.
 *
 * worker(arg, i) is called once for each i in [0, n), i == 0 on the calling thread. Where
 * a thread cannot be made its share is run on the calling thread afterwards, in the order
 * of i: so a worker must take its work from a shared counter, or wait for one before it at
 * most, or for one that is known to have begun. Threads block all signals.
 */
void pool_run(unsigned n, void (*worker)(void *arg, unsigned i), void *arg);
