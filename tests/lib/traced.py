# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command under strace and tells which indexers it ran and what each read.

Not taken from what the program says of itself: each process that executes kmp-depmod or a depmod is a run, whoever
started it, and each module file that it or a thread of it opened counts as read.
"""
import os
import re
import subprocess
import tempfile

from expected import MODULE

STRACE = ['strace', '-f', '-qq', '-ttt', '--seccomp-bpf', '-s', '4096', '-e', 'signal=none', '-e',
          'trace=execve,openat,openat2,clone,clone3,fork,vfork']


class Run:
    """kind: 'program', 'drop-in' (the program as depmod), or 'kmod' (kmod's depmod)."""

    def __init__(self, path, argv, order):
        self.argv, self.order, self.modules, self.launches = argv, order, set(), False
        as_depmod = os.path.basename(argv[0]) == 'depmod' or '--as-depmod' in argv[1:2]
        self.kind = 'kmod' if os.path.basename(path) != 'kmp-depmod' else 'drop-in' if as_depmod else 'program'

    def __repr__(self):
        return f'{self.kind}: {" ".join(self.argv)}: {len(self.modules)} modules read'


def is_indexer(path, argv):
    name = os.path.basename(path)
    return name in ('kmp-depmod', 'depmod') or name == 'kmod' and os.path.basename(argv[0]) == 'depmod'


def calls(path):
    """[(number of the line where it began, pid, time, text)…] of all system calls, by when they began.

    A call that another one interrupts is in two lines: it lasts, as a vfork does until the child's execve."""
    begun, found = {}, []
    with open(path, errors='replace') as file:
        for number, line in enumerate(file):
            pid, stamp, text = line.rstrip().split(None, 2)
            if text.endswith('<unfinished ...>'):
                begun[pid] = number, stamp, text[:-len('<unfinished ...>')]
                continue
            start = number
            if text.startswith('<... ') and pid in begun:
                start, stamp, first = begun.pop(pid)
                text = first + text.partition('resumed>')[2]
            found.append((start, pid, float(stamp), text))
    return sorted(found)


def parse(path):
    """A run is its process's main thread and all that it created, until they execute something else.

    A number is given to many processes in turn: which one is meant is told by who was created last."""
    current, runs = {}, []      # pid: the run that it is part of
    for _, pid, stamp, text in calls(path):
        run = current.get(pid)
        match = re.match(r'(?:clone3?|v?fork)\(.* = (\d+)', text)
        if match:
            current[match[1]] = run
            continue
        match = re.match(r'execve\("([^"]+)", \[(.*)\]', text)
        if match and text.endswith(' = 0'):
            argv = re.findall(r'"((?:[^"\\]|\\.)*)"', match[2])
            current[pid] = None
            if is_indexer(match[1], argv):
                current[pid] = Run(match[1], argv, stamp)
                runs.append(current[pid])
                if run:
                    run.launches = True
            continue
        match = re.match(r'openat2?\([^"]*"([^"]*)".* = \d+', text)
        if match and run and 'O_PATH' not in text and MODULE.search(match[1]):
            run.modules.add(match[1])
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
