// SPDX-License-Identifier: GPL-2.0-or-later
#include <pthread.h>
#include <signal.h>

#include "base/pool.h"
#include "base/util.h"

#define POOL_MAX 64

struct share {
	void (*worker)(void *arg, unsigned i);
	void *arg;
	unsigned i;
};

static void *share_run(void *p)
{
	struct share *s = p;

	s->worker(s->arg, s->i);
	return NULL;
}

void pool_run(unsigned n, void (*worker)(void *arg, unsigned i), void *arg)
{
	pthread_t threads[POOL_MAX];
	bool started[POOL_MAX] = {false};
	struct share shares[POOL_MAX];
	sigset_t all, before;

	n = MIN(n, (unsigned)POOL_MAX);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 1; i < n; i++) {
		shares[i] = (struct share){worker, arg, i};
		started[i] =
			pthread_create(&threads[i], NULL, share_run, &shares[i]) == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	worker(arg, 0);
	for (unsigned i = 1; i < n; i++) {
		if (started[i])
			pthread_join(threads[i], NULL);
		else
			worker(arg, i);
	}
}
