# SPDX-License-Identifier: GPL-2.0-or-later
"""Throw-away roots, transactions in them, and what can be said about each: which indexers ran, what they read, and
whether the indexes are what the oracle says.

What ran is taken from strace, not from what the program says of itself: each process that executes an indexer counts
as a run, whoever started it, and each module file that it opened counts as read.
"""
import contextlib
import glob
import hashlib
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TESTS, 'lib'), os.path.join(TESTS, 'oracle')]

import depmod_oracle as oracle      # noqa: E402
import indexes                      # noqa: E402
import packages                     # noqa: E402
from packages import BIG, RT, SMALL  # noqa: E402,F401

sys.setrecursionlimit(20000)
PROGRAM, DROP_IN = 'usr/sbin/kmp-depmod', 'usr/libexec/kmp-depmod/depmod'
MARKS = 'var/lib/kmp-depmod/dirty'


# --- TAP -----------------------------------------------------------------------------------------------------------

class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, name, *details):
        self.count += 1
        print(f'{"ok" if good else "not ok"} {self.count} - {name}', flush=True)
        if not good:
            self.failed += 1
            for detail in details:
                for line in str(detail).rstrip().splitlines():
                    print('#   ' + line, flush=True)
        return bool(good)

    def same(self, is_, should, name, *details):
        return self.ok(is_ == should, name, f'is     {is_!r}', f'should {should!r}', *details)

    def skip(self, name, reason):
        self.count += 1
        print(f'ok {self.count} - {name} # SKIP {reason}', flush=True)

    def done(self):
        print(f'1..{self.count}', flush=True)
        sys.exit(1 if self.failed else 0)


tap = Tap()


def skip_all(reason):
    print(f'1..0 # SKIP {reason}')
    sys.exit(0)


def need(*tools):
    """Ends the test, with the reason, where it cannot run."""
    if os.geteuid() != 0:
        skip_all('needs root, for chroot')
    for tool in ('rpm', 'rpmbuild', 'createrepo_c', 'busybox', 'strace', 'zstd', 'xz') + tools:
        if not shutil.which(tool):
            skip_all(f'{tool} is not installed')
    if not os.environ.get('KMP_DEPMOD'):
        skip_all('KMP_DEPMOD does not name the program')
    if not os.path.exists(plugin()):
        skip_all(f'the plugin was not built: {plugin()}')


def program():
    return os.environ['KMP_DEPMOD']


def plugin():
    return os.environ.get('KMP_RPM_PLUGIN') or os.path.join(os.path.dirname(program()), 'rpm-plugin/kmp_depmod.so')


def sbindir():
    """Where the launcher was built to find the program."""
    with open(os.path.join(os.path.dirname(program()), 'config.log')) as file:
        values = dict(re.findall(r"^(\w+)='(.*)'$", file.read(), re.M))
    path = values['sbindir']
    while '$' in path:
        path = re.sub(r'\$\{(\w+)\}', lambda m: values[m[1]], path)
    return path


def kernel_source():
    """A directory of plain modules of a real kernel."""
    if os.environ.get('KMP_TEST_KERNEL'):
        return os.environ['KMP_TEST_KERNEL']
    root, kver = (subprocess.run([os.path.join(TESTS, 'lib/kernel'), *words], stdout=subprocess.PIPE, text=True,
                                 check=True).stdout.strip() for words in (('path', 'plain'), ('version',)))
    return os.path.join(root, 'lib/modules', kver)


# --- the oracle, remembered ----------------------------------------------------------------------------------------

class Expected:
    """What the oracle says of a tree. It takes seconds for thousands of modules, so its answers are kept in the cache
    under all that they were made from: the oracle's text, every path, and every file's bytes."""

    def __init__(self):
        with open(oracle.__file__, 'rb') as file:
            self.version = hashlib.blake2b(file.read()).hexdigest()[:16]
        self.directory = os.path.join(packages.CACHE, 'expected-' + self.version)
        os.makedirs(self.directory, exist_ok=True)
        self.digests, self.facts = {}, None

    def digest(self, path):
        info = os.stat(path)
        key = (info.st_ino, info.st_ctime_ns, info.st_size)
        if key not in self.digests:
            with open(path, 'rb') as file:
                self.digests[key] = hashlib.blake2b(file.read(), digest_size=16).hexdigest()
        return self.digests[key]

    def state(self, root, kver):
        top, lines = os.path.join(root, 'lib/modules', kver), []
        for at, _, names in os.walk(top):
            for name in names:
                path = os.path.join(at, name)
                if name in packages.LISTS or re.search(r'\.ko(\.\w+)?$', name):
                    real = oracle.inside(path.encode(), root)
                    lines.append(f'{path[len(top):]} {self.digest(real) if os.path.exists(real) else None}')
        for directory in oracle.CONFIG_DIRS:
            for path in glob.glob(os.path.join(root, directory, '*')):
                lines.append(f'{path[len(root):]} {self.digest(path)}')
        return hashlib.blake2b('\n'.join([kver] + sorted(lines)).encode()).hexdigest()[:32]

    def reader(self, path):
        digest = self.digest(path) if os.path.exists(path) else None
        if digest not in self.facts:
            self.facts[digest] = oracle.read_module(path)
        return self.facts[digest]

    def files(self, root, kver):
        """{name: bytes} of the index files."""
        kept = os.path.join(self.directory, self.state(root, kver))
        if os.path.exists(kept):
            with open(kept, 'rb') as file:
                return pickle.load(file)
        self.facts = self.load('facts') if self.facts is None else self.facts
        known = len(self.facts)
        configs = [os.path.join(root, d) for d in oracle.CONFIG_DIRS if os.path.isdir(os.path.join(root, d))]
        files = oracle.generate(os.path.join(root, 'lib/modules', kver), oracle.Config(configs, kver, root), 'pre',
                                root, self.reader)
        files = {'modules.' + name: data for name, data in files.items()}
        self.store(kept, files)
        if len(self.facts) > known + 100:
            self.store(os.path.join(self.directory, 'facts'), self.facts)
        return files

    def load(self, name):
        try:
            with open(os.path.join(self.directory, name), 'rb') as file:
                return pickle.load(file)
        except (FileNotFoundError, EOFError):
            return {}

    @staticmethod
    def store(path, what):
        with open(f'{path}.{os.getpid()}', 'wb') as out:
            pickle.dump(what, out)
        os.rename(out.name, path)


expected = Expected()


# --- what ran --------------------------------------------------------------------------------------------------------

class Run:
    """One execution of an indexer: kind is 'program', 'drop-in' or 'depmod' (kmod's)."""

    def __init__(self, path, argv, order):
        self.path, self.argv, self.order = path, argv, order
        self.opened, self.launched = set(), False

    @property
    def kind(self):
        if os.path.basename(self.path) != 'kmp-depmod':
            return 'depmod'
        return 'drop-in' if os.path.basename(self.argv[0]) == 'depmod' else 'program'

    @property
    def modules(self):
        return {p for p in self.opened if re.search(r'\.ko(\.(zst|xz|gz))?$', p)}

    def __repr__(self):
        return f'{self.kind}: {" ".join(self.argv)}: {len(self.modules)} modules read'


def parse_trace(prefix):
    """strace -ff writes a file for each thread; a run is its process's main thread and all it created. The launcher, a
    depmod that starts the program in its place, is no run."""
    events = {}
    for path in glob.glob(prefix + '.*'):
        with open(path, errors='replace') as file:
            events[int(path.rsplit('.', 1)[1])] = file.read().splitlines()
    runs = []

    def follow(pid, run):
        for line in events.pop(pid, ()):
            stamp, line = line.split(' ', 1)
            match = re.match(r'execve\("([^"]+)", \[(.*)\]', line)
            if match and line.endswith(' = 0'):
                argv = re.findall(r'"((?:[^"\\]|\\.)*)"', match[2])
                names = os.path.basename(match[1]), os.path.basename(argv[0])
                if run and names[0] == 'kmp-depmod':
                    run.launched = True
                run = None
                if names[0] in ('kmp-depmod', 'depmod') or names == ('kmod', 'depmod'):
                    run = Run(match[1], argv, float(stamp))
                    runs.append(run)
                continue
            match = re.match(r'(?:clone3?|v?fork)\(.* = (\d+)', line)
            if match:
                follow(int(match[1]), run)
                continue
            match = re.match(r'openat2?\([^<"]*(?:<([^>]*)>)?, "([^"]*)".* = \d+', line)
            if match and run and 'O_PATH' not in line:
                path = os.path.join(match[1] or '', match[2])
                if '/modules/' in path:
                    run.opened.add(path[path.rindex('/modules/') + 9:])

    while events:
        children = {int(m[1]) for lines in events.values() for line in lines
                    for m in [re.search(r' (?:clone3?|v?fork)\(.* = (\d+)', line)] if m}
        follow(min(set(events) - children, default=min(events)), None)
    return sorted((run for run in runs if not run.launched and '-V' not in run.argv), key=lambda run: run.order)


class Result:
    def __init__(self, command, status, output, runs):
        self.command, self.status, self.output, self.runs = command, status, output, runs

    def reads(self, kind='program'):
        return [len(run.modules) for run in self.runs if run.kind == kind]

    @property
    def warnings(self):
        return [line for line in self.output.splitlines() if '[kmp_depmod]' in line]

    def __str__(self):
        return '\n'.join([f'{" ".join(self.command)}: status {self.status}'] + [repr(run) for run in self.runs] +
                         self.output.splitlines()[-20:])


# --- roots -----------------------------------------------------------------------------------------------------------

def libraries(binary):
    out = subprocess.run(['ldd', binary], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    return re.findall(r'(/\S+) \(0x', out)


class Root:
    def __init__(self, path, merged=False, with_program=True, options=''):
        self.path, self.options = path, options
        for directory in ('usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'var/lib/rpm', 'var/tmp', 'dev', 'tmp', 'etc'):
            os.makedirs(self / directory)
        for name in ('bin', 'sbin', 'lib', 'lib64'):
            if merged:
                os.symlink('usr/' + name, self / name)
            else:
                os.mkdir(self / name)
        os.mknod(self / 'dev/null', 0o20666, os.makedev(1, 3))
        self.copy(shutil.which('kmod') or '/usr/bin/kmod', 'usr/bin/kmod')
        for tool in ('depmod', 'modprobe'):
            for directory in ('usr/sbin',) if merged else ('usr/sbin', 'sbin'):
                os.symlink('/usr/bin/kmod', self / f'{directory}/{tool}')
        if with_program:
            self.add_program()
        self.home = path + '.home'
        os.makedirs(self.home)
        self.set_macros()

    def __truediv__(self, rel):
        return os.path.join(self.path, rel)

    def copy(self, binary, rel):
        os.makedirs(os.path.dirname(self / rel), exist_ok=True)
        shutil.copy(binary, self / rel)
        for library in libraries(binary):
            if not os.path.exists(self.path + library):
                os.makedirs(os.path.dirname(self.path + library), exist_ok=True)
                shutil.copy(library, self.path + library)

    def add_program(self):
        """Where `make install` puts it, and under the name that it has outside: the plugin knows one path for both."""
        build = os.path.dirname(program())
        subprocess.run(['make', '-s', '-C', build, 'install-sbinPROGRAMS', 'install-launcherPROGRAMS',
                        'DESTDIR=' + self.path, 'prefix=/usr'], check=True, stdout=subprocess.DEVNULL,
                       env={k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS'))})
        self.copy(program(), PROGRAM)
        for name in (program(), sbindir() + '/kmp-depmod'):
            if not os.path.exists(self.path + name):
                os.makedirs(os.path.dirname(self.path + name), exist_ok=True)
                os.symlink('/' + PROGRAM, self.path + name)

    def set_macros(self, **extra):
        """rpm, zypper and dnf all read them."""
        directory = os.path.dirname(plugin())
        macros = {'__plugindir': directory, '__transaction_kmp_depmod': f'{plugin()} program={program()} depmod=/{DROP_IN} {self.options}',
                  '_dbpath': '/var/lib/rpm', '_install_script_path': '/sbin:/bin:/usr/sbin:/usr/bin', **extra}
        with open(os.path.join(self.home, '.rpmmacros'), 'w') as out:
            out.writelines(f'%{name} {value}\n' for name, value in macros.items())

    # --- transactions --------------------------------------------------------------------------------------------

    def environment(self):
        return {**{k: v for k, v in os.environ.items() if k != 'DEPMOD'}, 'HOME': self.home, 'LC_ALL': 'C.UTF-8'}

    def run(self, *command, trace=True, cwd=None):
        """Runs it to its end, under strace unless told otherwise."""
        with tempfile.TemporaryDirectory() as logs:
            traced = ['strace', '-qq', '-ff', '-y', '-ttt', '--seccomp-bpf', '-s', '4096', '-e', 'signal=none', '-e',
                      'trace=execve,openat,openat2,clone,clone3,fork,vfork', '-o', logs + '/t'] if trace else []
            done = subprocess.run(traced + list(command), env=self.environment(), cwd=cwd, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                                  timeout=300, check=False)
            return Result(command, done.returncode, done.stdout, parse_trace(logs + '/t') if trace else [])

    def rpm(self, *arguments, **more):
        return self.run('rpm', '--root', self.path, *arguments, **more)

    def add_rpm(self):
        """rpm and the plugin in the root itself, for pivoted()."""
        for tool in ('rpm', 'mount', 'umount'):
            self.copy(shutil.which(tool), 'usr/bin/' + tool)
        self.copy(plugin(), os.path.relpath(plugin(), '/'))
        config = subprocess.run(['rpm', '-E', '%_rpmconfigdir'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        os.mkdir(self / 'usr/lib/rpm')
        for name in ('macros', 'rpmrc', 'platform'):
            subprocess.run(['cp', '-a', f'{config}/{name}', self / 'usr/lib/rpm/'], check=True)
        shutil.copy(os.path.join(self.home, '.rpmmacros'), self / '.rpmmacros')
        os.mkdir(self / 'proc')

    def pivoted(self, *command):
        """Runs it with the root as the machine's own, its mounts shared with others as systemd makes them. Returns its
        result, and the mounts that are there when it has ended."""
        script = ('mount --make-rprivate / && mount --bind "$1" "$1" && cd "$1" && mkdir -p old && pivot_root . old && '
                  'exec /usr/bin/busybox sh -c \'umount -l /old && mount -t proc proc /proc && mount --make-rshared / && '
                  'cat /proc/self/mountinfo && echo ---; "$@"; status=$?; '
                  'echo ---; cat /proc/self/mountinfo; exit $status\' "$@"')
        result = self.run('unshare', '--mount', 'env', 'HOME=/', 'sh', '-c', script, 'sh', self.path, *command)
        before, result.output, after = ([*result.output.split('---\n'), '', ''])[:3]
        return result, before == after and before != ''

    def start(self, *command):
        return subprocess.Popen(command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, errors='replace')

    # --- what became of it -----------------------------------------------------------------------------------------

    def kernels(self):
        try:
            return sorted(os.listdir(self / 'lib/modules'))
        except FileNotFoundError:
            return []

    def modules(self, kver):
        return [os.path.join(at, name) for at, _, names in os.walk(self / f'lib/modules/{kver}') for name in names
                if re.search(r'\.ko(\.\w+)?$', name)]

    def differing(self, kver, directory=None):
        """Names of the index files that are not what the oracle says."""
        files, wrong = expected.files(self.path, kver), []
        for name, data in files.items():
            try:
                with open(os.path.join(directory or self / f'lib/modules/{kver}', name), 'rb') as file:
                    if file.read() != data:
                        wrong.append(name)
            except FileNotFoundError:
                wrong.append(name + ' (missing)')
        return wrong

    def marks(self):
        try:
            return sorted(os.listdir(self / MARKS))
        except FileNotFoundError:
            return []

    def stores(self):
        return [path for path in glob.glob(self / 'var/cache/kmp-depmod/*') if not path.endswith('.lock')]

    def indexes_left(self, kver):
        return [name for name in indexes.FILES if os.path.lexists(self / f'lib/modules/{kver}/{name}')]


@contextlib.contextmanager
def scratch():
    """A directory that goes with the test, on disk rather than in memory: it holds whole kernels."""
    directory = tempfile.mkdtemp(prefix='rpm-plugin-', dir=os.environ.get('KMP_TEST_SCRATCH') or '/var/tmp')
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def build_packages():
    return packages.Builder(kernel_source()).build()


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


# --- assertions that every transaction is held against -------------------------------------------------------------

def check_transaction(root, result, name, program_runs, drop_in=None, status=0, seen=(), warnings=0, marks=()):
    """program_runs: for each run of the program that the plugin starts, how many modules it may read at most.
    status: None is any but success.
    drop_in: how many all runs of the drop-in may read together; None: it is not called.
    seen: packages whose %posttrans ran; what it saw of every kernel must be what is there now."""
    tap.ok(result.status == status if status is not None else result.status > 0, f'{name}: its own outcome', result)
    reads = result.reads()
    tap.ok(len(reads) == len(program_runs) and all(a <= b for a, b in zip(reads, program_runs)),
           f'{name}: {len(program_runs)} runs of the program, {program_runs} modules read at most', f'is {reads}', result)
    if drop_in is None:
        tap.same(result.reads('drop-in'), [], f'{name}: no call of the drop-in', result)
    else:
        tap.ok(result.reads('drop-in') and sum(result.reads('drop-in')) <= drop_in,
               f'{name}: the drop-in was called and read {drop_in} modules at most', result)
    if status == 0:
        tap.ok('scriptlet failed' not in result.output, f'{name}: no scriptlet failed', result)
    tap.same([run for run in result.runs if run.kind == 'depmod'], [], f'{name}: kmod\'s depmod never ran', result)
    for kver in root.kernels():
        tap.same(root.differing(kver), [], f'{name}: indexes of {kver} are the oracle\'s', result)
        for package in seen:
            tap.same(root.differing(kver, root / f'var/seen/{package}/{kver}'), [],
                     f'{name}: %posttrans of {package} saw those of {kver}', result)
    tap.same(len(result.warnings), warnings, f'{name}: {warnings} warnings', result)
    tap.same(root.marks(), list(marks), f'{name}: marks left', result)


def stop(process, number=signal.SIGKILL):
    process.send_signal(number)
    process.communicate()
