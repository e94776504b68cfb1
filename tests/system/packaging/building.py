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

import debs                         # noqa: E402
from tap import Tap, skip_all       # noqa: E402

tap = Tap()
EPOCH = 1_700_000_000
# the second time on another machine, as far as a program can tell
ELSEWHERE = {'TZ': 'Pacific/Kiritimati', 'LC_ALL': 'C', 'HOME': '/nonexistent', 'USER': 'somebody'}


def builddir():
    if not os.environ.get('KMP_DEPMOD'):
        skip_all('KMP_DEPMOD does not name the program')
    return os.path.dirname(os.environ['KMP_DEPMOD'])


def run(*command, cwd=None, env=(), umask=0o022):
    """(status, output)"""
    done = subprocess.run(command, cwd=cwd, env={**debs.without_make(), **dict(env)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
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


def passed_in_build(log, name):
    """What a package's build says of the tests that it ran."""
    with open(log, encoding='utf-8', errors='replace') as file:
        counts = {key: int(number) for key, number in re.findall(r'^# (TOTAL|PASS|SKIP): +(\d+)$', file.read(), re.M)}
    tap.ok(counts and counts['PASS'] + counts['SKIP'] == counts['TOTAL'] and counts['PASS'] > 300, f'{name}: {counts}')


def scratch():
    return tempfile.TemporaryDirectory(prefix='kmp-depmod-packaging-', dir='/var/tmp')
