# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command under strace and tells which indexers it ran and what each read.

Not taken from what the program says of itself: each process that executes kmp-depmod or a depmod is a run, whoever
started it, and each module file that it or a thread of it opened counts as read.
"""
import glob
import os
import re
import subprocess
import tempfile

from expected import MODULE

STRACE = ['strace', '-qq', '-ff', '-y', '-ttt', '--seccomp-bpf', '-s', '4096', '-e', 'signal=none', '-e',
          'trace=execve,openat,openat2,clone,clone3,fork,vfork']
CHILD = re.compile(r'(?:clone3?|v?fork)\(.* = (\d+)')


class Run:
    """kind: 'program', 'drop-in' (the program as depmod), or 'kmod' (kmod's depmod)."""

    def __init__(self, path, argv, order, parent):
        self.argv, self.order, self.parent, self.modules, self.launches = argv, order, parent, set(), False
        as_depmod = os.path.basename(argv[0]) == 'depmod' or '--as-depmod' in argv[1:2]
        self.kind = 'kmod' if os.path.basename(path) != 'kmp-depmod' else 'drop-in' if as_depmod else 'program'

    def __repr__(self):
        return f'{self.kind}: {" ".join(self.argv)}: {len(self.modules)} modules read'


def is_indexer(path, argv):
    name = os.path.basename(path)
    return name in ('kmp-depmod', 'depmod') or name == 'kmod' and os.path.basename(argv[0]) == 'depmod'


def parse(prefix):
    """strace -ff writes a file for each thread; a run is its process's main thread and all it created."""
    events, runs = {}, []
    for path in glob.glob(prefix + '.*'):
        with open(path, errors='replace') as file:
            events[int(path.rsplit('.', 1)[1])] = [line.split(' ', 1) for line in file.read().splitlines()]

    def follow(pid, run):
        for stamp, line in events.pop(pid, ()):
            match = re.match(r'execve\("([^"]+)", \[(.*)\]', line)
            if match and line.endswith(' = 0'):
                argv, parent, run = re.findall(r'"((?:[^"\\]|\\.)*)"', match[2]), run, None
                if is_indexer(match[1], argv):
                    run = Run(match[1], argv, float(stamp), parent)
                    runs.append(run)
                    if parent:
                        parent.launches = True
                continue
            match = CHILD.match(line)
            if match:
                follow(int(match[1]), run)
                continue
            match = re.match(r'openat2?\([^<"]*(?:<([^>]*)>)?, "([^"]*)".* = \d+', line)
            if match and run and 'O_PATH' not in line and MODULE.search(match[2]):
                run.modules.add(os.path.join(match[1] or '', match[2]))

    while events:
        children = {int(match[1]) for lines in events.values() for _, line in lines for match in [CHILD.match(line)] if match}
        follow(min(set(events) - children, default=min(events)), None)
    # what stands in front of another is not a run of its own
    return sorted((run for run in runs if not run.launches), key=lambda run: run.order)


class Result:
    def __init__(self, command, status, output, runs):
        self.command, self.status, self.output, self.runs = command, status, output, runs

    def reads(self, *kinds):
        """How many modules each run of these kinds (default: all) read."""
        return [len(run.modules) for run in self.runs if not kinds or run.kind in kinds]

    def __str__(self):
        return '\n'.join([f'{" ".join(self.command)}: status {self.status}'] + [repr(run) for run in self.runs] +
                         self.output.splitlines()[-30:])


def run(command, trace=True, inject=(), **more):
    with tempfile.TemporaryDirectory() as logs:
        words = STRACE + [word for what in inject for word in ('-e', what)] + ['-o', logs + '/t'] if trace else []
        done = subprocess.run(words + list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors='replace', timeout=900, check=False, **more)
        return Result(command, done.returncode, done.stdout, parse(logs + '/t') if trace else [])
