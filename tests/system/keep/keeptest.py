# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine of directories: a root with kernels in it, and beside it what /proc, /sys and /run say of the kernel that runs.

A build of a kernel is a number: the same modules with other bytes of the same size. Packages are sets of files that are
replaced and removed as package managers do that: by rename, and one by one.
"""
import contextlib
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TESTS, 'lib'))

import faults                                       # noqa: E402,F401
import mkmodule                                     # noqa: E402
import traced                                       # noqa: E402
from expected import MODULE, Expected               # noqa: E402
from indexes import FILES, Libkmod                  # noqa: E402
from tap import Tap, skip_all                       # noqa: E402

KVER, OTHER = '6.1.0-1-test', '6.1.0-2-test'
DIRECTORIES = ('fs', 'lib', 'drivers/net/ethernet', 'drivers/usb', 'sound/core')
PACKAGE_TIME = 1_700_000_000

tap = Tap()
expected = Expected()


def need():
    if not os.environ.get('KMP_DEPMOD'):
        skip_all('KMP_DEPMOD does not name the program')
    if not shutil.which('strace'):
        skip_all('strace is not installed')


def facts_of(number, build):
    facts = {'name': f'm{number:02}', 'exports': [[f'symbol_{number}', 0x1000 + number]],
             'aliases': [f'pci:v0000{number:04}d*sv*sd*bc*sc*i*', f'fs-m{number:02}'],
             'vermagic': '6.1.0 SMP mod_unload modversions', 'salt': f'build {build:04}'}
    if number >= len(DIRECTORIES):      # the first ones need nothing
        below = number % len(DIRECTORIES)
        facts['needs'] = [[f'symbol_{below}', 0x1000 + below]]
    if number % 7 == 6:
        facts['softdeps'] = [f'pre: m{number - 1:02}']
    return facts


def kernel_files(build, count=40, codec=''):
    """{path below the kernel's directory: bytes}"""
    files, order = {}, []
    for number in range(count):
        path = f'kernel/{DIRECTORIES[number % len(DIRECTORIES)]}/m{number:02}.ko'
        order.append(path)
        data = mkmodule.build(facts_of(number, build))
        files[path + codec] = mkmodule.compress(data, codec.lstrip('.') or 'none')
    files['modules.order'] = ''.join(path + '\n' for path in order).encode()
    files['modules.builtin'] = b'kernel/lib/inside.ko\n'
    files['modules.builtin.modinfo'] = b'inside.alias=built-in-thing\0inside.license=GPL\0'
    return files


def kmp_files(build, name='kmp', needs=0):
    facts = {'name': name, 'aliases': [f'usb:{name}*'], 'needs': [[f'symbol_{needs}', 0x1000 + needs]],
             'salt': f'kmp {build:04}'}
    return {f'updates/{name}.ko': mkmodule.build(facts)}


def build_id(build):
    return hashlib.sha1(f'build {build}'.encode()).digest()


def note(text):
    """A build id's ELF note."""
    return struct.pack('<III', 4, 20, 3) + b'GNU\0' + hashlib.sha1(text.encode()).digest()


class Machine:
    def __init__(self, path, mode='restore', merged=True, system='system'):
        self.path, self.system, self.mode = path + '/root', f'{path}/{system}', mode
        for directory in ('etc', 'usr/lib', 'run'):
            os.makedirs(self / directory, exist_ok=True)
        if os.path.lexists(self / 'lib'):
            pass
        elif merged:
            os.symlink('usr/lib', self / 'lib')
        else:
            os.mkdir(self / 'lib')
        self.configure(mode)
        for directory in ('proc/1', 'proc/sys/kernel/random', 'sys/kernel'):
            os.makedirs(f'{self.system}/{directory}')
        # relative, so that they lead there from within the root as well
        os.symlink(os.path.relpath(self.path, f'{self.system}/proc/1'), f'{self.system}/proc/1/root')
        os.symlink(os.path.relpath(self / 'run', self.system), f'{self.system}/run')
        self.systemd = False
        self.boot(1)

    def __truediv__(self, rel):
        return os.path.join(self.path, rel)

    def configure(self, mode):
        self.mode = mode
        with open(self / 'etc/kmp-depmod.conf', 'w') as out:
            out.write(f'# what becomes of them\nkeep-running = {mode}\n')

    def boot(self, build, kver=KVER, clean=True):
        """Another build of a kernel, or another kernel; clean: with the unit that runs at boot."""
        self.kver = kver
        shutil.rmtree(self / 'run')
        os.mkdir(self / 'run')
        for name, data in (('proc/sys/kernel/osrelease', kver.encode() + b'\n'),
                           ('proc/sys/kernel/random/boot_id', str(uuid.uuid4()).encode() + b'\n'),
                           ('sys/kernel/notes', struct.pack('<III', 4, 4, 0x100) + b'Xen\0\0\0\0\0' +
                            struct.pack('<III', 4, 20, 3) + b'GNU\0' + build_id(build))):
            with open(f'{self.system}/{name}', 'wb') as out:
                out.write(data)
        self.write_system('proc/sys/kernel/modprobe', '/sbin/modprobe\n')
        if self.systemd:
            os.makedirs(self / 'run/systemd/system')
        if clean and os.path.isdir(self / 'lib/modules'):
            return self.keep('clean')
        return None

    # --- systemd, as far as it is asked ------------------------------------------------------------------------------------

    def write_system(self, path, text):
        os.makedirs(os.path.dirname(f'{self.system}/{path}'), exist_ok=True)
        with open(f'{self.system}/{path}', 'wb') as out:
            out.write(text if isinstance(text, bytes) else text.encode())

    def read_system(self, path):
        with open(f'{self.system}/{path}') as file:
            return file.read()

    def start_systemd(self, status=0):
        """A systemctl that writes down what it is asked for; a restarted udevd has the mount that its drop-in asks for."""
        self.systemd = True
        os.makedirs(self / 'run/systemd/system', exist_ok=True)
        self.write_system('proc/4242/mountinfo', '')
        self.write_system('asked', '')
        self.write_system('usr/bin/systemctl', f"""#!/bin/sh
top=${{0%/usr/bin/systemctl}}
case $* in
show*) echo MainPID=4242; exit 0 ;;
esac
echo "$*" >>"$top/asked"
[ {status} = 0 ] || {{ echo 'Failed to do it'; exit {status}; }}
case $* in
try-restart*)
	: >"$top/proc/4242/mountinfo"
	sed -n 's|^BindReadOnlyPaths=.*:\\(.*\\)|1 2 0:3 / /usr\\1 ro - ext4|p' \\
		"$top"/run/systemd/system/systemd-udevd.service.d/*.conf >"$top/proc/4242/mountinfo" 2>/dev/null ;;
esac
exit 0
""")
        os.chmod(f'{self.system}/usr/bin/systemctl', 0o755)

    def asked(self):
        """What systemctl was asked for since the last call of this."""
        words = self.read_system('asked').splitlines()
        self.write_system('asked', '')
        return words

    # --- what packages do ------------------------------------------------------------------------------------------------

    def put(self, path, data):
        path = self / path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + '.new', 'wb') as out:
            out.write(data)
        os.utime(path + '.new', (PACKAGE_TIME, PACKAGE_TIME))
        os.rename(path + '.new', path)

    def install(self, files, kver=KVER):
        for path, data in files.items():
            self.put(f'lib/modules/{kver}/{path}', data)

    def erase(self, paths, kver=KVER):
        """And the directories that become empty, the kernel's own too."""
        for path in paths:
            path = self / f'lib/modules/{kver}/{path}'
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with contextlib.suppress(OSError):
                while os.path.basename(path) != 'modules':
                    path = os.path.dirname(path)
                    os.rmdir(path)

    def erase_kernel(self, kver=KVER):
        """With what a maintainer script removes."""
        files = [os.path.relpath(os.path.join(at, name), self / f'lib/modules/{kver}')
                 for at, _, names in os.walk(self / f'lib/modules/{kver}') for name in names]
        self.erase([path for path in files if path.startswith(('kernel/', 'modules.'))], kver)

    # --- what runs -----------------------------------------------------------------------------------------------------

    def program(self, *words, trace=False, env=(), **more):
        if trace:
            env = {'ASAN_OPTIONS': 'detect_leaks=0', **dict(env)}       # which needs ptrace for itself
        return traced.run([os.environ['KMP_DEPMOD'], '--root', self.path, *words], trace=trace,
                          env={**os.environ, 'LC_ALL': 'C.UTF-8', **dict(env)}, **more)

    def keep(self, action, *words, paths=None, **more):
        if paths is not None:
            with open(self.path + '.paths', 'w') as out:
                out.writelines(path + '\n' for path in paths)
            words += ('--touched-from', self.path + '.paths')
        return self.program('--system', self.system, '--keep-running', action, *words, **more)

    def transaction(self, change, touched=None, on_request=(), flush=False, trace=False):
        """Save, change, restore, as the plugin does it. touched: paths below the running kernel's directory, or absolute
        ones; flush: the indexes are brought up to date between, as before the first %posttrans. Returns what restore
        printed and how many modules it read."""
        paths = [path if path.startswith('/') else f'/lib/modules/{self.kver}/{path}' for path in touched or ()]
        paths += [f'-/lib/modules/{self.kver}/{path}' if not path.startswith('/') else '-' + path for path in on_request]
        result = self.keep('save', '--cause', 'a test', paths=paths if touched is not None or on_request else None)
        tap.ok(result.status == 0 and not result.output, 'save: without a word', result)
        change()
        if flush:
            self.program()
        result = self.keep('restore', trace=trace)
        tap.same(result.status, 0, 'restore: status', result)
        self.program()
        return result

    # --- what can be said of it -------------------------------------------------------------------------------------------

    def live(self, kver=KVER):
        return self / f'lib/modules/{kver}'

    def kept(self, kver=KVER):
        return self / f'lib/modules/.kmp-kept/lib/modules/{kver}'

    def status(self):
        result = self.keep('status', '--json')
        return json.loads(result.output)

    def case(self):
        kept = self.status().get('kept')
        return kept and kept['case']

    def tree(self, directory):
        """{path: digest, link target, or None for directories and devices}, of everything in it."""
        seen = {}
        for at, subdirectories, names in os.walk(directory):
            for name in subdirectories + names:
                path = os.path.join(at, name)
                rel = os.path.relpath(path, directory)
                if os.path.islink(path):
                    seen[rel] = os.readlink(path)
                elif not os.path.isfile(path):
                    seen[rel] = None            # a device can be without end
                else:
                    with open(path, 'rb') as file:
                        seen[rel] = hashlib.sha1(file.read()).hexdigest()
        return seen

    def entries(self):
        return sorted(os.listdir(self / 'lib/modules'))

    def idle(self):
        """How many modules a run reads now."""
        result = self.program('--json', '--stats')
        stats = [kernel['stats'] for kernel in json.loads(result.output)['kernels']]
        return sum(s['modules_read'] + s['modules_digested'] for s in stats)


def rewrite(path, old, new):
    """In place, its size and times being what they were."""
    with open(path, 'r+b') as file:
        was, data = os.fstat(file.fileno()), file.read()
        file.seek(0)
        file.write(data.replace(old, new))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def makes_indexes(result):
    """Did this run (with --json --stats) make indexes to find out that they are right?"""
    report = result.output[result.output.index('{\n'):]
    return any(kernel['stats']['nanoseconds']['emit'] for kernel in json.loads(report)['kernels'])


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.sha1(file.read()).hexdigest()


def knowledge(directory):
    """{alias: [(module, digest of its file, digests of what it depends on)…]} of all aliases that any build has."""
    found = {}
    aliases = [f'm{n:02}' for n in range(40)] + [f'fs-m{n:02}' for n in range(40)]
    aliases += [f'pci:v0000{n:04}d0000sv00sd00bc00sc00i00' for n in range(40)]
    aliases += ['kmp', 'usb:kmp1', 'weak', 'usb:weak1', 'built-in-thing']
    with Libkmod(directory) as kmod:
        for alias in aliases:
            modules = kmod.lookup(alias.encode())
            found[alias] = modules if isinstance(modules, int) else [
                (name.decode(), path and digest_or_none(path, directory), [digest_or_none(p, directory) for p in deps])
                for name, path, deps in modules]
    return found


def same_knowledge(is_, should, name):
    wrong = [alias for alias in should if is_.get(alias) != should[alias]]
    tap.ok(not wrong, name, *(f'{alias}: is {is_.get(alias)}, should {should[alias]}' for alias in wrong[:5]))


def digest_or_none(path, directory):
    path = path if isinstance(path, str) else os.fsdecode(path)
    try:
        return digest(os.path.join(directory, path))
    except OSError as error:
        return error.strerror


@contextlib.contextmanager
def machine(mode='restore', **more):
    directory = tempfile.mkdtemp(prefix='kmp-depmod-keep-', dir=os.environ.get('KMP_TEST_SCRATCH'))
    try:
        yield Machine(directory, mode, **more)
    finally:
        subprocess.run(['rm', '-rf', '--one-file-system', directory], check=True)


def check_indexes(m, name):
    for kver in m.entries():
        if not kver.startswith('.'):
            tap.same(expected.differing(m.path, kver), [], f"{name}: indexes of {kver} are the oracle's")
