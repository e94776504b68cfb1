# SPDX-License-Identifier: GPL-2.0-or-later
"""A packager's workshop: modules built with the kernel's headers, packages of them, and roots to try them in.

The modules are built once into the test cache, under a name made of their source and the kernel's version. Packages
and roots are made anew by each test, in a directory of its own.
"""
import atexit
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LIB = os.path.join(HERE, '..', '..', 'lib')
sys.path.insert(0, LIB)
import tap  # noqa: E402

PROGRAM = os.environ['KMP_DEPMOD']
BUILT = os.path.join(os.path.dirname(PROGRAM), 'common/inspect')
if os.path.isdir(BUILT):                # else it is an installed one
    os.environ['KMP_DEPMOD_LIBEXECDIR'] = BUILT
CACHE = os.environ.get('KMP_TEST_CACHE') or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'kmp-depmod-tests')
PACKAGE_TIME = 1_600_000_000
INDEXES = ('dep', 'dep.bin', 'alias', 'alias.bin', 'softdep', 'weakdep', 'symbols', 'symbols.bin', 'builtin.bin',
           'builtin.alias.bin', 'devname')
TEXTS = ('dep', 'alias', 'softdep', 'symbols', 'devname')     # weakdep: kmod 33 and later
SLICE = ('kernel/drivers/net/ethernet/intel', 'kernel/drivers/net/phy', 'kernel/drivers/ptp', 'kernel/drivers/pps',
         'kernel/drivers/net/usb', 'kernel/drivers/net/mii.ko', 'kernel/drivers/usb', 'kernel/drivers/virtio',
         'kernel/fs/ext4', 'kernel/fs/jbd2', 'kernel/fs/mbcache.ko', 'kernel/lib', 'kernel/crypto')

FRAME = '''
#include <linux/module.h>
#include <linux/pci.h>
%s
static int __init begin(void) { %s; return 0; }
static void __exit end(void) { }
module_init(begin);
module_exit(end);
MODULE_LICENSE("GPL");
'''
PCI = '''
static const struct pci_device_id ids[] = { { PCI_DEVICE(%s) }, {} };
MODULE_DEVICE_TABLE(pci, ids);
'''
DECLARE = 'extern int %s(void);'
EXPORT = 'int {0}(void); int {0}(void) {{ return 1; }} EXPORT_SYMBOL_GPL({0});'

# name: what stands in front of the frame, what is called in it
MODULES = {
    'kmptest_core': (EXPORT.format('kmptest_get') + PCI % '0x1d55, 0x0001', '_printk("loaded")'),
    'kmptest_user': (DECLARE % 'kmptest_get' + 'MODULE_SOFTDEP("pre: kmptest_core post: kmptest_nowhere");',
                     'kmptest_get()'),
    'kmptest_lost': (DECLARE % 'kmptest_missing', 'kmptest_missing()'),
    'kmptest_nic': (PCI % '0x8086, 0x10d3', '_printk("takes the 82574L")'),
    'e1000e': ('', '_printk("has no alias")'),
    'kmptest_twin': (EXPORT.format('kmptest_get'), '_printk("twin")'),
}


def kernel(*arguments):
    return subprocess.run([os.path.join(LIB, 'kernel'), *arguments], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def headers(*arguments):
    return subprocess.run([os.path.join(LIB, 'headers'), *arguments], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def build_modules(kver):
    """The directory of the modules above, as kbuild makes them."""
    key = hashlib.sha256(json.dumps([kver, FRAME, MODULES]).encode()).hexdigest()[:16]
    out = os.path.join(CACHE, f'kbuild-{key}')
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, 'kbuild.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)        # the tests run side by side
        if not os.path.isdir(out):
            new = out + '.new'
            shutil.rmtree(new, ignore_errors=True)
            os.makedirs(new)
            with open(os.path.join(new, 'Kbuild'), 'w') as file:
                file.write('obj-m := ' + ' '.join(f'{name}.o' for name in MODULES) + '\n')
            for name, (front, call) in MODULES.items():
                with open(os.path.join(new, name + '.c'), 'w') as file:
                    file.write(FRAME % (front, call))
            # an unknown symbol is what one of them is for
            done = subprocess.run([os.path.join(LIB, 'headers'), 'build', new], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, env={**os.environ, 'KBUILD_MODPOST_WARN': '1'})
            if done.returncode:
                raise RuntimeError(done.stdout)
            for name in os.listdir(new):
                if not name.endswith('.ko'):
                    path = os.path.join(new, name)
                    shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            os.rename(new, out)
    return out


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def with_crc(module, symbol, crc):
    """The module with another CRC for a symbol that it needs; also the CRC that it had."""
    at = module.index(symbol.encode() + b'\0' * (56 - len(symbol))) - 8
    return module[:at] + crc.to_bytes(8, 'little') + module[at + 8:], int.from_bytes(module[at:at + 8], 'little')


class Workshop:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix='kmp-depmod-packages-')
        atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        self.kver = kernel('version')
        self.real = os.path.join(kernel('path', 'plain'), 'lib/modules', self.kver)
        self.built = build_modules(self.kver)
        self.vermagic = re.search(rb'\0vermagic=([^\0]*)', self.module('kmptest_core'))[1].decode()

    def module(self, name):
        return read(os.path.join(self.built, name + '.ko'))

    def __truediv__(self, rel):
        return os.path.join(self.directory, rel)

    # --- roots -----------------------------------------------------------------------------------------------------

    def root(self, name, whole=False):
        """A root with part of the real kernel in it, its indexes and facts made."""
        root = self / name
        to = os.path.join(root, 'lib/modules', self.kver)
        os.makedirs(to)
        for rel in ('modules.order', 'modules.builtin', 'modules.builtin.modinfo'):
            shutil.copy2(os.path.join(self.real, rel), to)
        for rel in ['kernel'] if whole else SLICE:
            source, target = os.path.join(self.real, rel), os.path.join(to, rel)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            subprocess.run(['cp', '-a', source, target], check=True)
        for rel in ('info', 'updates', 'triggers'):
            os.makedirs(os.path.join(root, 'var/lib/dpkg', rel))
        with open(os.path.join(root, 'var/lib/dpkg/status'), 'w'):
            pass
        os.makedirs(os.path.join(root, 'var/lib/rpm'))
        self.run('--root', root)
        return root

    def indexes(self, root, kver=None):
        at = os.path.join(root, 'lib/modules', kver or self.kver)
        return {name: read(os.path.join(at, 'modules.' + name)) for name in INDEXES}

    # --- packages --------------------------------------------------------------------------------------------------

    def fill(self, files):
        """files: path within the root -> bytes, or a link's target. Returns a directory with them."""
        tree = tempfile.mkdtemp(dir=self.directory)
        os.chmod(tree, 0o755)
        for rel, data in files.items():
            path = os.path.join(tree, rel)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(data, str):
                os.symlink(data, path)
            else:
                with open(path, 'wb') as file:
                    file.write(data)
            os.utime(path, (PACKAGE_TIME, PACKAGE_TIME), follow_symlinks=False)
        return tree

    def updates(self, **modules):
        """For packages: these modules below updates/ of the kernel."""
        return {f'lib/modules/{self.kver}/updates/{name}.ko': data for name, data in modules.items()}

    def deb(self, name, files, version='1', scripts={}, compress='xz'):
        tree = self.fill(files)
        os.makedirs(os.path.join(tree, 'DEBIAN'))
        with open(os.path.join(tree, 'DEBIAN/control'), 'w') as file:
            file.write(f'Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Test <t@example.org>\n'
                       'Description: for tests\n')
        for script, text in scripts.items():
            path = os.path.join(tree, 'DEBIAN', script)
            with open(path, 'w') as file:
                file.write('#!/bin/sh\n' + text)
            os.chmod(path, 0o755)
        out = self / f'{name}-{version}.deb'
        subprocess.run(['dpkg-deb', '--root-owner-group', f'-Z{compress}', '-b', tree, out], check=True,
                       stdout=subprocess.DEVNULL)
        return out

    def rpm(self, name, files, version='1', scripts='', tags='', payload='w3.zstdio'):
        tree = self.fill(files)
        spec = self / f'{name}.spec'
        listed = sorted('/' + rel for rel in files)
        with open(spec, 'w') as file:
            file.write(f'''Name: {name}
Version: {version}
Release: 1
Summary: For tests
License: GPL-2.0-or-later
AutoReqProv: no
BuildArch: noarch
{tags}
%define _binary_payload {payload}
%define _build_id_links none
%define _binaries_in_noarch_packages_terminate_build 0
%define __os_install_post %{{nil}}
%description
For tests.
%install
cp -a {tree}/. %{{buildroot}}
{scripts}
%files
''' + '\n'.join(listed) + '\n')
        done = subprocess.run(['rpmbuild', '-bb', '--quiet', '--define', f'_topdir {self / "top"}', '--define',
                               f'_rpmdir {self.directory}', '--define', '_rpmfilename %{NAME}-%{VERSION}.rpm',
                               '--define', f'_tmppath {self.directory}', spec], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout)
        return self / f'{name}-{version}.rpm'

    # --- doing -----------------------------------------------------------------------------------------------------

    def run(self, *arguments, status=0, env={}):
        done = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **env}, cwd=self.directory)
        if status is not None and done.returncode != status:
            raise RuntimeError(f'{arguments}: exit status {done.returncode}\n{done.stdout}{done.stderr}')
        return done

    def ask(self, root, *arguments, status=0):
        """The report of a dry run: its only kernel."""
        report = json.loads(self.run('--dry-run', '--json', '--root', root, *arguments, status=status).stdout)
        assert len(report['kernels']) == 1, [k['kernel'] for k in report['kernels']]
        return report['kernels'][0]

    def install_rpm(self, root, *packages, upgrade=False):
        subprocess.run(['rpm', '--root', root, '-U' if upgrade else '-i', '--nodeps', '--nosignature', '--noscripts',
                        '--notriggers', '--noplugins', '--ignorearch', '--ignoreos', *packages], check=True,
                       stderr=subprocess.DEVNULL)

    def install_deb(self, root, *packages):
        subprocess.run(['dpkg', f'--root={root}', '--force-all', '--no-triggers', '-i', *packages], check=True,
                       stdout=subprocess.DEVNULL)


def problems(kernel, kind=None, path=None):
    return [p for p in kernel['problems'] if (kind is None or p['kind'] == kind) and
            (path is None or p.get('path') == path)]


def paths(kernel, how):
    return [m['path'] for m in kernel['modules'][how]]
