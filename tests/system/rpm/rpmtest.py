# SPDX-License-Identifier: GPL-2.0-or-later
"""Throw-away roots, transactions in them, and what can be said about each: which indexers ran, what they read, and
whether the indexes are what the oracle says.
"""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TESTS, 'lib'))

import indexes                                      # noqa: E402
import traced                                       # noqa: E402
from expected import Expected                       # noqa: E402
from tap import Tap, skip_all                       # noqa: E402

import packages                                     # noqa: E402
from packages import BIG, RT, SMALL                 # noqa: E402,F401

PROGRAM, DROP_IN = 'usr/sbin/kmp-depmod', 'usr/libexec/kmp-depmod/depmod'
MARKS = 'var/lib/kmp-depmod/dirty'

tap = Tap()
expected = Expected()


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

    def run(self, *command, **more):
        """Runs it to its end, under strace unless told otherwise."""
        return traced.run(command, env=self.environment(), **more)

    def rpm(self, *arguments, **more):
        return self.run('rpm', '--root', self.path, *arguments, **more)

    def add_rpm(self):
        """rpm and the plugin in the root itself, for pivoted()."""
        self.copy(shutil.which('rpm'), 'usr/bin/rpm')
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
        script = ('mount --make-rprivate / && mount --bind "$1" "$1" && cd "$1" && mkdir -p old && busybox pivot_root . old && '
                  'exec /usr/bin/busybox sh -c \'b=/usr/bin/busybox; '
                  '$b umount -l /old && $b mount -t proc proc /proc && $b mount --make-rshared / && '
                  'cat /proc/self/mountinfo && echo ---; "$@"; status=$?; '
                  'echo ---; cat /proc/self/mountinfo; exit $status\' "$@"')
        result = self.run('unshare', '--mount', 'env', 'HOME=/', 'sh', '-c', script, 'sh', self.path, *command)
        parts = result.output.split('---\n')
        if len(parts) != 3:
            return result, False
        result.output = parts[1]
        return result, parts[0] == parts[2]

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


def warnings(result):
    """The lines that are ours."""
    return [line for line in result.output.splitlines() if '[kmp_depmod]' in line]


# --- assertions that every transaction is held against -------------------------------------------------------------

def check_transaction(root, result, name, program_runs, drop_in=None, status=0, seen=(), marks=(), told=False):
    """told: at rpm's verbosity, one line says what was done.
    program_runs: for each run of the program that the plugin starts, how many modules it may read at most.
    status: None is any but success.
    drop_in: how many all runs of the drop-in may read together; None: it is not called.
    seen: packages whose %posttrans ran; what it saw of every kernel must be what is there now."""
    tap.ok(result.status == status if status is not None else result.status > 0, f'{name}: its own outcome', result)
    reads = result.reads('program')
    tap.ok(len(reads) == len(program_runs) and all(a <= b for a, b in zip(reads, program_runs)),
           f'{name}: {len(program_runs)} runs of the program, {program_runs} modules read at most', f'is {reads}', result)
    if drop_in is None:
        tap.same(result.reads('drop-in'), [], f'{name}: no call of the drop-in', result)
    else:
        tap.ok(result.reads('drop-in') and sum(result.reads('drop-in')) <= drop_in,
               f'{name}: the drop-in was called and read {drop_in} modules at most', result)
    if status == 0:
        tap.ok('scriptlet failed' not in result.output, f'{name}: no scriptlet failed', result)
    tap.same([run for run in result.runs if run.kind == 'kmod'], [], f'{name}: kmod\'s depmod never ran', result)
    for kver in root.kernels():
        tap.same(root.differing(kver), [], f'{name}: indexes of {kver} are the oracle\'s', result)
        for package in seen:
            tap.same(root.differing(kver, root / f'var/seen/{package}/{kver}'), [],
                     f'{name}: %posttrans of {package} saw those of {kver}', result)
    said = warnings(result)
    if told:
        tap.ok(len(said) == 1 and 'module indexes up to date after' in said[0], f'{name}: one line, and no warning', result)
    else:
        tap.same(said, [], f'{name}: no warning', result)
    tap.same(root.marks(), list(marks), f'{name}: marks left', result)
