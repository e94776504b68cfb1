# SPDX-License-Identifier: GPL-2.0-or-later
"""Throw-away Debian systems: made by debootstrap once, copied for each test, entered with chroot.

Each suite runs in a mount namespace of its own, so that whatever is mounted in a system goes with it.

KMP_TEST_RELEASE   the release (default: bookworm)
"""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TESTS, 'lib')]

import debian                                   # noqa: E402
import debs                                     # noqa: E402
import traced                                   # noqa: E402
from debian import APT, ENVIRONMENT, bootstrap, command, own_namespace, with_proc      # noqa: E402
from expected import CACHE, LISTS, MODULE, Expected     # noqa: E402
from tap import Tap, skip_all                   # noqa: E402

RELEASE = os.environ.get('KMP_TEST_RELEASE', 'bookworm')
# ours needs the first three, which a minimal system lacks
INCLUDED = 'kmod,libdeflate0,libjson-c5,zstd'
SYNC, PROGRAM, DROP_IN = ('usr/libexec/kmp-depmod/dpkg-sync', 'usr/sbin/kmp-depmod', 'usr/libexec/kmp-depmod/depmod')
STORE, MARKS = 'var/cache/kmp-depmod', 'var/lib/kmp-depmod/dirty'
SMALL, BIG = '6.1.0-1-small', '6.1.0-2-big'
PREPARED = ('busybox', 'cpio', 'dpkg-dev', 'dracut-core', 'eatmydata', 'gcc', 'initramfs-tools', 'libc6-dev', 'libelf1', 'lsb-release',
            'make', 'patch', 'perl')
DOWNLOADED = ('acpi-call-dkms', 'dkms', 'linux-headers-amd64', 'linux-image-amd64')
# a test's dpkg need not survive a power failure
FAST = ['--force-unsafe-io']

tap = Tap()
expected = Expected()


def need(*tools):
    """Ends the suite, with the reason, where it cannot run; else goes on in a new mount namespace."""
    if os.geteuid() != 0:
        skip_all('needs root, for chroot')
    for tool in ('debootstrap', 'dpkg', 'dpkg-buildpackage', 'dh', 'strace', 'unshare') + tools:
        if not shutil.which(tool):
            skip_all(f'{tool} is not installed')
    own_namespace()


# --- modules ---------------------------------------------------------------------------------------------------------------

class Source:
    """A real kernel's modules, in slices that do not overlap."""

    def __init__(self, variant):
        root, self.kver = (subprocess.run([os.path.join(TESTS, 'lib/kernel'), *words], stdout=subprocess.PIPE, text=True,
                                          check=True).stdout.strip() for words in (('path', variant), ('version',)))
        self.top = os.path.join(root, 'lib/modules', self.kver)
        self.all = sorted(os.path.relpath(os.path.join(at, name), self.top) for at, _, names in os.walk(self.top)
                          for name in names if MODULE.search(name))

    def slice(self, start, n):
        return self.all[start:start + n]

    def files(self, kver, modules, below='', rotate=0, prefix='lib/modules'):
        """For a package. rotate: each module has another one's bytes under its name."""
        rotated = modules[rotate:] + modules[:rotate]
        return {f'{prefix}/{kver}/{below + os.path.basename(path) if below else path}': os.path.join(self.top, bytes_of)
                for path, bytes_of in zip(modules, rotated)}

    def lists(self, kver, prefix='lib/modules'):
        return {f'{prefix}/{kver}/{name}': os.path.join(self.top, name) for name in LISTS
                if os.path.exists(os.path.join(self.top, name))}


def modules_source(variant='zst'):
    return Source(variant)


# --- systems -----------------------------------------------------------------------------------------------------------------

def copy_tree(tree, to):
    subprocess.run(['cp', '-a', '--reflink=auto', tree, to], check=True)


def make_image(name, make):
    """A system kept in the cache, made once by make(its directory)."""
    return debian.image(os.path.join(CACHE, 'dpkg', f'system-{RELEASE}{name}'), make)


def image():
    """The minimal system."""
    def make(tree):
        bootstrap(RELEASE, tree, '--include=' + INCLUDED)
        shutil.rmtree(os.path.join(tree, 'var/cache/apt'))
    return make_image('', make)


def kernel_image():
    """One with what a kernel package, DKMS and the makers of an initramfs need, and these packages downloaded."""
    base = image()

    def make(tree):
        print('# downloading a kernel, its headers and a compiler', flush=True)
        copy_tree(base, tree)
        with with_proc(tree):
            command('chroot', tree, *APT, 'update')
            command('chroot', tree, *APT, 'install', '--no-install-recommends', *PREPARED)
            command('chroot', tree, 'apt-get', 'clean')
            command('chroot', tree, *APT, 'install', '--no-install-recommends', '--download-only', *DOWNLOADED)
            command('chroot', tree, *APT, 'install', '--reinstall', '--download-only', 'kmod')
        # quick rather than small
        with open(os.path.join(tree, 'etc/initramfs-tools/conf.d/quick'), 'w') as out:
            out.write('COMPRESS=zstd\nCOMPRESSLEVEL=1\n')
    return make_image('-kernel', make)


class System:
    def __init__(self, path, base=None, ours=True):
        """A copy of base, by default of the minimal system; there ours is installed, if so wanted."""
        self.path = path
        copy_tree(base or image(), path)
        self.mount('-t', 'proc', 'proc', self / 'proc')
        if ours and not base:
            self.dpkg('-i', debs.own('kmp-depmod'), trace=False, must=True)

    def __truediv__(self, rel):
        return os.path.join(self.path, rel)

    def mount(self, *words):
        subprocess.run(['mount', *words], check=True)

    def copy(self, path):
        """Another system like this one."""
        subprocess.run(['umount', self / 'proc'], check=True)
        try:
            return System(path, base=self.path)
        finally:
            self.mount('-t', 'proc', 'proc', self / 'proc')

    # --- commands ----------------------------------------------------------------------------------------------------------

    def environment(self, more=()):
        return {**ENVIRONMENT, **dict(more)}

    def run(self, *command, must=False, env=(), **more):
        """Runs it in the system, under strace unless told otherwise."""
        result = traced.run(['chroot', self.path, *command], env=self.environment(env), **more)
        if must and result.status:
            sys.exit(f'Bail out! {result}')
        return result

    def dpkg(self, *arguments, **more):
        """.debs are named by their paths outside."""
        return self.run('dpkg', *FAST, *(self.bring(word) for word in arguments), **more)

    def bring(self, word):
        if not word.endswith('.deb'):
            return word
        os.makedirs(self / 'debs', exist_ok=True)
        inside = '/debs/' + os.path.basename(word)
        shutil.copy(word, self.path + inside)
        return inside

    def start(self, *command):
        return subprocess.Popen(['chroot', self.path, *command], env=self.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                                start_new_session=True)

    def sync(self, *arguments, **more):
        return self.run('/' + SYNC, *arguments, **more)

    # --- what became of it ---------------------------------------------------------------------------------------------------

    def kernels(self):
        return sorted({name for top in ('lib/modules', 'usr/lib/modules') if os.path.isdir(self / top)
                       for name in os.listdir(self / top)})

    def modules(self, kver):
        return [os.path.join(at, name) for at, _, names in os.walk(self / f'lib/modules/{kver}') for name in names
                if MODULE.search(name)]

    def differing(self, kver):
        return expected.differing(self.path, kver)

    def marks(self):
        return sorted(os.listdir(self / MARKS)) if os.path.isdir(self / MARKS) else []

    def stores(self):
        return sorted(os.listdir(self / STORE)) if os.path.isdir(self / STORE) else []

    def leftovers(self):
        """Temporary files of ours, and marks."""
        found = [path for kver in self.kernels() for path in glob.glob(self / f'lib/modules/{kver}/*')
                 if os.path.isfile(path) and os.path.basename(path) not in LISTS + INDEXES and not MODULE.search(path)]
        return found + self.marks() + [name for name in self.stores() if not name.endswith('.facts')]

    def state_of(self, package):
        return subprocess.run(['dpkg-query', '--admindir', self / 'var/lib/dpkg', '-W', '-f', '${db:Status-Status}', package],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout


INDEXES = tuple('modules.' + name for name in (
    'dep', 'dep.bin', 'alias', 'alias.bin', 'softdep', 'weakdep', 'symbols', 'symbols.bin', 'builtin.bin',
    'builtin.alias.bin', 'devname'))


def check(system, result, name, reads, kinds=('program',), kmod=0, status=0, kernels=None):
    """After each step: what ran and what it read, and the indexes of every kernel against the oracle's.

    reads: how many modules each run of these kinds read; kmod: how many times kmod's own depmod ran.
    """
    tap.same(result.status, status, f'{name}: status', result)
    tap.same(result.reads(*kinds), reads, f'{name}: modules that each run read', result)
    tap.same(len(result.reads('kmod')), kmod, f"{name}: runs of kmod's depmod", result)
    settled(system, name, kernels, result)


def settled(system, name, kernels=None, *details):
    """The indexes are right and nothing is left over."""
    found = system.kernels()
    if kernels is not None:
        tap.same(found, sorted(kernels), f'{name}: kernels', *details)
    wrong = {kver: files for kver in found for files in [system.differing(kver)] if files}
    tap.same(wrong, {}, f'{name}: indexes', *details)
    tap.same(system.leftovers(), [], f'{name}: nothing is left over')
    # the facts of what is there, and of nothing else
    top = os.path.realpath(system / 'lib/modules')[len(os.path.realpath(system.path)) + 1:].replace('/', '!')
    tap.same(system.stores(), [f'{top}!{kver}.facts' for kver in found], f'{name}: stores')


def report_of(result):
    """dpkg-sync's report, which is as the schema says."""
    found = json.loads(result.output[result.output.index('{'):])
    try:
        import jsonschema
    except ImportError:
        tap.skip('a report is as the schema says', 'python3-jsonschema is not installed')
        return found
    with open(os.path.join(os.path.dirname(TESTS), 'packaging/kmp-depmod-report.schema.json'), encoding='utf-8') as file:
        errors = [f'{"/".join(map(str, e.absolute_path))}: {e.message}'
                  for e in jsonschema.Draft7Validator(json.load(file)).iter_errors(found)]
    tap.same(errors, [], 'a report is as the schema says', result)
    return found


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def kill(process):
    """With everything that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@contextlib.contextmanager
def scratch(in_memory=False):
    """A directory that goes with all that is in it; in memory, if there is enough: that is quicker than many fsyncs."""
    directory = tempfile.mkdtemp(prefix='kmp-depmod-dpkg-')
    try:
        os.mkdir(directory + '/it')
        with open('/proc/meminfo') as info:
            available = int(re.search(r'MemAvailable: *(\d+)', info.read())[1])
        if in_memory and available > 6 << 20:
            command('mount', '-t', 'tmpfs', '-o', 'size=4g', 'tmpfs', directory + '/it')
        yield directory + '/it'
    finally:
        with open('/proc/self/mounts') as mounts:
            points = [line.split()[1] for line in mounts]
        for point in sorted((p for p in points if p.startswith(directory + '/')), reverse=True):
            subprocess.run(['umount', '-l', point], check=False)
        subprocess.run(['rm', '-rf', '--one-file-system', directory], check=True)
