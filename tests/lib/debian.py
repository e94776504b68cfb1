# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian systems of any release, made by debootstrap once and kept in the tests' cache.

KMP_TEST_MIRROR    where from (default: where this system's own packages come from)
"""
import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile

from tap import skip_all

ENVIRONMENT = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LC_ALL': 'C.UTF-8',
               'DEBIAN_FRONTEND': 'noninteractive'}
APT = ['apt-get', '-qq', '-y', '-o', 'Dpkg::Use-Pty=0', '-o', 'Dpkg::Options::=--force-unsafe-io']
SCRIPTS = '/usr/share/debootstrap/scripts/'


def own_mirror():
    """The archive that apt is configured for."""
    listed = subprocess.run(['apt-get', 'indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'],
                            stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    return min(listed, key=len, default='')  # that of the release itself, not of its updates


MIRROR = os.environ.get('KMP_TEST_MIRROR') or own_mirror()


@contextlib.contextmanager
def locked(directory):
    """Suites run side by side: one makes what all need."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, '.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def own_namespace():
    """Goes on in a new mount namespace, so that whatever is mounted goes with the suite."""
    if os.environ.get('KMP_TEST_NAMESPACE'):
        return
    if subprocess.run(['unshare', '-m', 'true'], stderr=subprocess.DEVNULL, check=False).returncode:
        skip_all('needs a mount namespace, which the system does not allow')
    os.environ['KMP_TEST_NAMESPACE'] = 'yes'
    os.execvp('unshare', ['unshare', '-m', '--propagation', 'private', sys.executable, *sys.argv])


def command(*words):
    """For what is fetched: if it does not work, the suite cannot run."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', env=ENVIRONMENT, check=False)
    if done.returncode:
        skip_all(f'{" ".join(words[:6])}… failed: {" / ".join(done.stdout.splitlines()[-3:])}')


def bootstrap(release, tree, *options):
    print(f'# debootstrap {release}', flush=True)
    # it does not know releases that are younger than itself; all of them are made like the newest
    script = [] if os.path.exists(SCRIPTS + release) else [SCRIPTS + 'sid']
    command('debootstrap', '--variant=minbase', *options, release, tree, *([MIRROR] if MIRROR or script else []), *script)
    # no service is started in a chroot
    with open(os.path.join(tree, 'usr/sbin/policy-rc.d'), 'w') as out:
        out.write('#!/bin/sh\nexit 101\n')
    os.chmod(out.name, 0o755)


@contextlib.contextmanager
def with_proc(tree):
    command('mount', '-t', 'proc', 'proc', tree + '/proc')
    try:
        yield
    finally:
        command('umount', tree + '/proc')


def image(place, make):
    """A system kept at a place in the cache, made once by make(its directory)."""
    top = os.path.dirname(place)
    with locked(top):
        if not os.path.isdir(place):
            with tempfile.TemporaryDirectory(dir=top, prefix='.new-') as work:
                make(os.path.join(work, 'tree'))
                os.rename(os.path.join(work, 'tree'), place)
    return place
