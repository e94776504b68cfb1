# SPDX-License-Identifier: GPL-2.0-or-later
"""Throw-away roots to run programs in, and what ran there."""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TESTS, 'lib'), os.path.join(TESTS, 'oracle')]

from tap import Tap, skip_all       # noqa: E402,F401

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


def libraries(path):
    """The shared objects a program needs, the loader among them; none if it is static or a script."""
    done = subprocess.run(['ldd', path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    words = [word for line in done.stdout.splitlines() for word in line.split() if word.startswith('/')]
    return [word for word in words if os.path.exists(word)]


def install(root, path, to=None):
    """A program and the libraries it needs, into a root."""
    for source, target in [(path, to or path)] + [(library, library) for library in libraries(path)]:
        target = os.path.join(root, target.lstrip('/'))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            shutil.copy(source, target)


def kernel(variant):
    """(root, KVER) of a real kernel's modules, for reading only."""
    return [subprocess.run([os.path.join(TESTS, 'lib/kernel'), *words], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.strip() for words in (('path', variant), ('version',))]
