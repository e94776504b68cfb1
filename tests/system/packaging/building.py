# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of the sources: the archive, and packages of it, each twice where the two are to be the same."""
import contextlib
import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM = os.path.dirname(HERE)
TOP = os.path.dirname(os.path.dirname(SYSTEM))
sys.path[:0] = [os.path.join(TOP, 'tests/lib'), os.path.join(SYSTEM, 'dpkg')]

from tap import Tap, skip_all       # noqa: E402

tap = Tap()
EPOCH = 1_700_000_000
# the second time on another machine, as far as a program can tell
ELSEWHERE = {'TZ': 'Pacific/Kiritimati', 'LC_ALL': 'C', 'HOME': '/nonexistent', 'USER': 'somebody'}


def builddir():
    if not os.environ.get('KMP_DEPMOD'):
        skip_all('KMP_DEPMOD does not name the program')
    return os.path.dirname(os.environ['KMP_DEPMOD'])


def environment(more=()):
    """Without what make tells its children."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS', 'TESTS', 'TEST_'))}, **dict(more)}


def run(*command, cwd=None, env=(), umask=0o022):
    """(status, output)"""
    done = subprocess.run(command, cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace', check=False,
                          preexec_fn=lambda: os.umask(umask))
    return done.returncode, done.stdout


def must(*command, **more):
    status, output = run(*command, **more)
    if status:
        print('\n'.join('# ' + line for line in output.splitlines()[-40:]))
        sys.exit(f'Bail out! {" ".join(command[:4])} exits {status}')
    return output


def version():
    with open(os.path.join(TOP, 'configure.ac'), encoding='utf-8') as file:
        return re.search(r'AC_INIT\(\[[^]]*\], \[([^]]*)\]', file.read())[1]


@contextlib.contextmanager
def alone():
    """Suites run side by side, and make dist has one place to work in."""
    with open(os.path.join(builddir(), 'config.status'), encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def archive(directory, **more):
    """make dist; the archive's path, in the directory."""
    build, name = builddir(), f'kmp-depmod-{version()}.tar.xz'
    with alone():
        must('make', '-s', '-C', build, 'dist', **more)
        os.rename(os.path.join(build, name), os.path.join(directory, name))
    return os.path.join(directory, name)


def digests(directory, ending):
    """{name: digest} of the files below a directory."""
    found = {}
    for at, _, names in os.walk(directory):
        for name in names:
            if name.endswith(ending):
                with open(os.path.join(at, name), 'rb') as file:
                    found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def scratch():
    return tempfile.TemporaryDirectory(prefix='kmp-depmod-packaging-', dir='/var/tmp')
