# SPDX-License-Identifier: GPL-2.0-or-later
"""Throw-away roots to run programs in, and what ran there."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TESTS, 'lib'), os.path.join(TESTS, 'oracle')]

import indexes                      # noqa: E402
from tap import Tap, skip_all       # noqa: E402,F401

CACHE = os.environ.get('KMP_TEST_CACHE') or os.path.expanduser('~/.cache/kmp-depmod-tests')
tap = Tap()


def program():
    if not os.environ.get('KMP_DEPMOD'):
        skip_all('KMP_DEPMOD does not name the program')
    return os.environ['KMP_DEPMOD']


def launcher():
    return os.path.join(os.path.dirname(program()), 'common/launcher/depmod')


def need(*tools, root=True):
    """Ends the test, with the reason, where it cannot run."""
    program()
    if root and os.geteuid() != 0:
        skip_all('needs root, for chroot')
    for tool in tools:
        if not shutil.which(tool):
            skip_all(f'{tool} is not installed')


@contextlib.contextmanager
def directory(name='kmp-depmod-test'):
    path = tempfile.mkdtemp(prefix=name + '-')
    try:
        yield path
    finally:
        if os.environ.get('KMP_TEST_KEEP'):
            print(f'# kept: {path}')
        else:
            shutil.rmtree(path)


def libraries(*paths):
    """The shared objects that programs need, the loader among them; a static program or a script needs none."""
    done = subprocess.run(['ldd', *paths], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    words = {word for line in done.stdout.splitlines() for word in line.split() if word.startswith('/')}
    return sorted(word for word in words if os.path.exists(word) and word not in paths)


def install(root, path, to=None):
    """A program and the libraries it needs, into a root."""
    copy(root, path, to or path)
    for library in libraries(path):
        copy(root, library, library)


def install_all(root, paths):
    for path in paths + libraries(*paths):
        copy(root, path, path)


def copy(root, source, target):
    target = os.path.join(root, target.lstrip('/'))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.exists(target):
        shutil.copy(source, target)


def program_path():
    """Where the launcher looks for the program."""
    with open(launcher(), 'rb') as file:
        return re.search(rb"'(/[^']*/kmp-depmod)' does not work", file.read())[1].decode()


class System:
    """A root in which depmod is ours, behind the launcher, or kmod's."""

    def __init__(self, path, ours, **environment):
        self.path, self.ours, self.depmod = path, ours, '/usr/sbin/depmod'
        self.environment = {'PATH': os.environ['PATH'], 'PKGSYSTEM_ENABLE_FSYNC': '0', **environment}
        kmod = os.path.realpath(shutil.which('depmod'))
        install(path, kmod, '/usr/bin/kmod')
        if ours:
            install(path, launcher(), self.depmod)
            install(path, program(), program_path())
        else:
            os.makedirs(self / 'usr/sbin', exist_ok=True)
            os.symlink('../bin/kmod', self / 'usr/sbin/depmod')
        for directory in ('boot', 'dev', 'tmp', 'var/tmp', 'lib/modules'):
            os.makedirs(self / directory, exist_ok=True)
        os.mknod(self / 'dev/null', 0o020666, os.makedev(1, 3))
        self.times = []         # (arguments, seconds) of each call
        self.stats = []         # what each call of ours said of itself

    def __truediv__(self, path):
        return os.path.join(self.path, path.lstrip('/'))

    def call(self, *arguments):
        """depmod as a script in the root calls it."""
        start = time.perf_counter()
        done = subprocess.run(['chroot', self.path, self.depmod, *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              env={**self.environment, 'KMP_DEPMOD_STATS': '/tmp/stats'})
        self.times.append((arguments, time.perf_counter() - start))
        if self.ours:
            with open(self / 'tmp/stats') as file:
                self.stats.append({**json.loads(file.read()), 'arguments': arguments})
            os.unlink(self / 'tmp/stats')
        return done

    def indexes(self, kver, base='lib/modules'):
        """{name: text, or content of .bin} of the index files that both write."""
        found = {}
        for name in indexes.FILES:
            path = self / f'{base}/{kver}/{name}'
            if os.path.lexists(path) and name != 'modules.weakdep':
                with open(path, 'rb') as file:
                    found[name] = indexes.trie(file.read()) if name.endswith('.bin') else file.read()
        return found


def kernel(variant):
    """(root, KVER) of a real kernel's modules, for reading only."""
    return [subprocess.run([os.path.join(TESTS, 'lib/kernel'), *words], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.strip() for words in (('path', variant), ('version',))]
