# SPDX-License-Identifier: GPL-2.0-or-later
"""faults.c for Python: which calls a command makes, and the command with one of them failing or its death there."""
import collections
import errno
import functools
import os
import re
import struct
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
# what a call of a kind can say when it fails; None: nobody writes into a variable of it
FAILURES = ('EIO', 'ENOSPC', 'EROFS', 'ENOMEM', 'EINTR')
MAKES = ('write', 'sync', 'rename', 'create', 'remove', 'change', 'lock')      # what leads from one state on disk to the next
TAKES = ('process', 'memory')
LOOKS = ('open', 'read', 'stat')

Point = collections.namedtuple('Point', 'kind number function what')   # the number-th call of its kind


def build(directory):
    """Compiles the library there. Returns its path."""
    path = os.path.join(directory, 'faults.so')
    subprocess.run(['cc', '-O1', '-Wall', '-shared', '-fPIC', '-o', path, os.path.join(HERE, 'faults.c'), '-ldl'], check=True)
    return path


@functools.lru_cache(None)
def sanitizer(program):
    """Its library, which must be loaded before any other, if the program has one."""
    done = subprocess.run(['ldd', program], stdout=subprocess.PIPE, text=True, check=False)
    return re.findall(r'(/\S*lib[alt]san\S*) \(', done.stdout)


def preload(library, program):
    return {'LD_PRELOAD': ':'.join([*sanitizer(program), library])}


def points(path):
    """What KMP_TEST_POINTS wrote: the points in order, each counted in its kind."""
    found, seen = [], collections.Counter()
    with open(path, errors='replace') as file:
        for line in file:
            _, kind, function, what = (line.rstrip('\n').split(' ', 3) + [''])[:4]
            seen[kind] += 1
            found.append(Point(kind, seen[kind], function, what))
    return found


def failures(point, looks=('EIO', 'ENOMEM')):
    """All that is tried at a point: names of errors, 'short', 'kill'."""
    if point.kind == 'memory':
        return ['ENOMEM']
    if point.kind == 'process':
        return ['EAGAIN', 'ENOMEM', 'kill']
    if point.kind in LOOKS:
        return list(looks)
    more = ['short'] if point.function in ('write', 'pwrite') else ['EWOULDBLOCK'] if point.kind == 'lock' else []
    return [*FAILURES, *more, 'kill']


def fault(point, failure):
    """The value of KMP_TEST_FAULT."""
    return f'{point.kind} {point.number} {getattr(errno, failure, failure)}'


class Counter:
    """Numbers that all processes of a tree share."""

    def __init__(self, path):
        self.path = path
        self.reset()

    def reset(self):
        with open(self.path, 'wb') as out:
            out.write(bytes(16))

    def value(self):
        with open(self.path, 'rb') as file:
            return struct.unpack('=QQ', file.read())[0]
