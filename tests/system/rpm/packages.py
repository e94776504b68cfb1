# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the packages that the tests install: modules of a real Debian kernel, packaged the way SUSE and Fedora do.

Everything is built once into the test cache, under a name made of what went into it.

SUSE's set, for the kernel BIG (about 4,000 modules) and a second, smaller kernel RT:
  kernel-default, -optional, -extra   zstd modules; %post calls $DEPMOD, %posttrans looks at the indexes
  foo-kmp, bar-kmp                    plain modules in updates/; %post and %postun do as weak-modules2 does: depmod
                                      for their own kernel, and links in weak-updates/ and depmod for each other one
  kernel-rt                           the other kernel
Fedora's, for the kernel SMALL:
  kernel-core, kernel-modules-extra, kmod-foo     call /sbin/depmod by absolute path
And packages that are wrong in some way, or have nothing to do with kernels.
"""
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../lib'))
import expected         # noqa: E402

CACHE = os.path.join(expected.CACHE, 'rpm')
PACKAGE_TIME = 1_600_000_000
BIG, RT, SMALL = '6.1.0-1-default', '6.1.0-1-rt', '6.1.0-1.fc'
LISTS = ('modules.order', 'modules.builtin', 'modules.builtin.modinfo')

OPTIONAL = ('kernel/sound/', 'kernel/drivers/iio/', 'kernel/drivers/hid/', 'kernel/drivers/comedi/')
EXTRA = ('kernel/drivers/input/', 'kernel/drivers/hwmon/')
RT_DIRS = ('kernel/fs/', 'kernel/drivers/i2c/')
SMALL_DIRS = ('kernel/fs/', 'kernel/lib/', 'kernel/drivers/net/usb/', 'kernel/drivers/usb/serial/')
FOO = ('videobuf2-common', 'videobuf2-v4l2', 'videobuf2-vmalloc', 'videobuf2-memops', 'videobuf2-dma-sg',
       'videobuf2-dma-contig', 'videobuf2-dvb', 'em28xx', 'uvcvideo', 'gspca_main')
BAR = ('em28xx-v4l', 'em28xx-dvb', 'em28xx-alsa', 'gspca_ov534', 'gspca_zc3xx')

HEAD = '''
Name: {name}
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
%define _buildhost localhost
%define use_source_date_epoch_as_buildtime 1
%description
For tests.
%install
cp -al {files}/. %{{buildroot}}
'''

# What an initrd builder would take: all indexes of every kernel, as they are at that moment.
LOOK = '''
for dir in /lib/modules/*/; do
	kver=${dir#/lib/modules/}; kver=${kver%/}
	mkdir -p /var/seen/NAME/$kver
	cp $dir/modules.* /var/seen/NAME/$kver/
done
'''

SUSE_KERNEL = '''
%post
depmod=${{DEPMOD-}}; [ -x "$depmod" ] || depmod=/sbin/depmod
$depmod -a {kver}
%postun
depmod=${{DEPMOD-}}; [ -x "$depmod" ] || depmod=/sbin/depmod
[ ! -e /lib/modules/{kver}/modules.order ] || $depmod -a {kver}
%posttrans
{look}
'''

SUSE_KMP = '''
%post
depmod=${{DEPMOD-}}; [ -x "$depmod" ] || depmod=/sbin/depmod
$depmod -b / -a {kver}
$depmod -a {kver}
for dir in /lib/modules/*/; do
	other=${{dir#/lib/modules/}}; other=${{other%/}}
	[ $other != {kver} ] && [ -e $dir/modules.order ] || continue
	mkdir -p $dir/weak-updates/updates/{short}
	for module in /lib/modules/{kver}/updates/{short}/*; do
		ln -sf $module $dir/weak-updates/updates/{short}/
	done
	$depmod -b / -a $other
	$depmod -a $other
done
%postun
depmod=${{DEPMOD-}}; [ -x "$depmod" ] || depmod=/sbin/depmod
for link in /lib/modules/*/weak-updates/updates/{short}/*; do
	[ -e $link ] || rm -f $link
done
for dir in /lib/modules/*/weak-updates/updates/{short}; do
	rmdir $dir ${{dir%/*}} ${{dir%/*/*}} 2> /dev/null
done
for dir in /lib/modules/*/; do
	kver=${{dir#/lib/modules/}}; kver=${{kver%/}}
	[ ! -e $dir/modules.order ] || $depmod -a $kver
done
:
%posttrans
{look}
'''

FEDORA = '''
%post
/sbin/depmod -a {kver}
%postun
[ ! -e /lib/modules/{kver}/modules.order ] || /sbin/depmod -a {kver}
%posttrans
{look}
'''


def stem(path):
    return os.path.basename(path).split('.')[0]


def changed(data):
    """The same module with other aliases, in as many bytes."""
    out = re.sub(rb'(alias=usb:v)([0-9A-F]{4})', lambda m: m[1] + m[2][::-1], data)
    return re.sub(rb'(?<=\0)description=.', b'description=~', out)


class Source:
    """A directory of plain modules, and which of them goes where."""

    def __init__(self, directory):
        self.directory = directory
        self.all = sorted(os.path.relpath(os.path.join(at, name), directory)
                          for at, _, names in os.walk(directory) for name in names if name.endswith('.ko'))
        self.foo = [p for p in self.all if stem(p) in FOO]
        self.bar = [p for p in self.all if stem(p) in BAR]
        rest = [p for p in self.all if p not in self.foo + self.bar]
        self.optional = [p for p in rest if p.startswith(OPTIONAL)]
        self.extra = [p for p in rest if p.startswith(EXTRA)]
        self.default = [p for p in rest if not p.startswith(OPTIONAL + EXTRA)]
        self.rt = [p for p in rest if p.startswith(RT_DIRS)]
        self.small = [p for p in self.all if p.startswith(SMALL_DIRS)]


class Builder:
    def __init__(self, source):
        self.source = Source(source)
        # each version of rpm installs what it has built itself
        key = hashlib.sha256(subprocess.run(['rpmbuild', '--version'], stdout=subprocess.PIPE, check=True).stdout)
        with open(__file__, 'rb') as file:
            key.update(file.read())
        for path in self.source.all:
            key.update(f'{path} {os.path.getsize(os.path.join(source, path))}\n'.encode())
        self.directory = os.path.join(CACHE, key.hexdigest()[:16])

    # --- files ---------------------------------------------------------------------------------------------------

    def put(self, rel, data=None, link=None, copy=None, mode=0o644):
        path = os.path.join(self.files, rel)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if link is not None:
            os.symlink(link, path)
            return
        if copy is not None:
            shutil.copyfile(copy, path)
        else:
            with open(path, 'wb') as file:
                file.write(data)
        os.chmod(path, mode)

    def put_modules(self, kver, paths, to=None, change=False, codec=''):
        """to: all into this directory, else where they are in the source. One compressor call for all of them."""
        placed = []
        for path in paths:
            rel = f'lib/modules/{kver}/' + (f'{to}/{os.path.basename(path)}' if to else path)
            source = os.path.join(self.source.directory, path)
            if change:
                with open(source, 'rb') as file:
                    self.put(rel, changed(file.read()))
            else:
                self.put(rel, copy=source)
            placed.append(os.path.join(self.files, rel))
        if codec:
            tool = {'zst': ['zstd', '-q', '-1', '--rm'], 'xz': ['xz', '-0', '-T2', '--check=crc32'], 'gz': ['gzip', '-1n']}
            for i in range(0, len(placed), 1000):
                subprocess.run(tool[codec] + placed[i:i + 1000], check=True)

    def put_lists(self, kver):
        for name in LISTS:
            self.put(f'lib/modules/{kver}/{name}', copy=os.path.join(self.source.directory, name))

    # --- packages ------------------------------------------------------------------------------------------------

    def package(self, name, fill, scripts='', version='1', tags='', payload='w0.ufdio', directory='suse'):
        """fill() puts the files; the package owns them, and the directories below a kernel's name and its own."""
        self.files = os.path.join(self.work, 'files')
        shutil.rmtree(self.files, ignore_errors=True)
        os.makedirs(self.files)
        fill()
        listed = []
        for at, _, names in os.walk(self.files):
            rel = at[len(self.files):]
            if rel.startswith('/lib/modules/'):
                listed.append('%dir ' + rel)
            for file in names:
                path = os.path.join(at, file)
                os.utime(path, (PACKAGE_TIME, PACKAGE_TIME), follow_symlinks=False)
                listed.append(path[len(self.files):])
        spec = os.path.join(self.work, name + '.spec')
        with open(spec, 'w') as out:
            out.write(HEAD.format(name=name, version=version, tags=tags, payload=payload, files=self.files))
            out.write(scripts)
            out.write('\n%files\n' + ''.join(path + '\n' for path in sorted(listed)))
        subprocess.run(['rpmbuild', '-bb', '--quiet', '--define', f'_topdir {self.work}/top', '--define',
                        f'_rpmdir {self.out}/{directory}', '--define', '_rpmfilename %{NAME}-%{VERSION}.rpm',
                        '--define', f'_tmppath {self.work}', spec],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={**os.environ, 'SOURCE_DATE_EPOCH': str(PACKAGE_TIME)})

    def build(self):
        """The directory of the packages; they are built unless that was done before."""
        os.makedirs(CACHE, exist_ok=True)
        with open(os.path.join(CACHE, 'lock'), 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)    # the tests run side by side
            if os.path.isdir(self.directory):
                return self.directory
            self.out = self.directory + '.new'
            self.work = self.directory + '.work'
            for directory in (self.out, self.work):
                shutil.rmtree(directory, ignore_errors=True)
                os.makedirs(directory)
            self.build_suse()
            self.build_fedora()
            self.build_odd()
            shutil.rmtree(self.work)
            for repository in ('suse', 'fedora'):
                subprocess.run(['createrepo_c', '-q', os.path.join(self.out, repository)], check=True)
            os.rename(self.out, self.directory)
        return self.directory

    def base(self):
        """What the scriptlets run on."""
        def fill():
            self.put('usr/bin/busybox', copy=shutil.which('busybox'), mode=0o755)
            for tool in ('sh', 'cp', 'mkdir', 'ln', 'rm', 'rmdir', 'cat', 'kill', 'sleep', 'mv', 'touch'):
                self.put('bin/' + tool, link='/usr/bin/busybox')
        self.package('base', fill, tags='Provides: /bin/sh', directory='suse')

    def build_suse(self):
        source = self.source
        look = {name: LOOK.replace('NAME', name) for name in (
            'kernel-default', 'kernel-default-optional', 'kernel-default-extra', 'kernel-rt', 'foo-kmp', 'bar-kmp')}
        self.base()

        def kernel(name, kver, paths, lists=False, tags=''):
            def fill():
                self.put_modules(kver, paths, codec='zst')
                if lists:
                    self.put_lists(kver)
            self.package(name, fill, SUSE_KERNEL.format(kver=kver, look=look[name]), tags='Requires: base\n' + tags)

        def kmp(name, paths, version='1', change=False):
            short = name.split('-')[0]
            self.package(name, lambda: self.put_modules(BIG, paths, f'updates/{short}', change),
                         SUSE_KMP.format(kver=BIG, short=short, look=look[name]), version,
                         tags='Requires: base kernel-default\nPrefix: /lib/modules')

        kernel('kernel-default', BIG, source.default, lists=True)
        kernel('kernel-default-optional', BIG, source.optional, tags='Requires: kernel-default')
        kernel('kernel-default-extra', BIG, source.extra, tags='Requires: kernel-default')
        kernel('kernel-rt', RT, source.rt, lists=True)
        kmp('foo-kmp', source.foo)
        kmp('foo-kmp', source.foo, '2', change=True)
        kmp('bar-kmp', source.bar)

    def build_fedora(self):
        source = self.source

        def package(name, paths, to=None, lists=False, codec='xz'):
            def fill():
                self.put_modules(SMALL, paths, to, codec=codec)
                if lists:
                    self.put_lists(SMALL)
            self.package(name, fill, FEDORA.format(kver=SMALL, look=LOOK.replace('NAME', name)),
                         tags='' if lists else 'Requires: kernel-core', directory='fedora')

        small = [p for p in source.small if '/usb/' not in p]
        package('kernel-core', small, lists=True)
        package('kernel-modules-extra', [p for p in source.small if '/usb/' in p])
        package('kmod-foo', source.foo, 'extra/foo', codec='')

    def build_odd(self):
        source = self.source

        def kmp(name, paths, scripts='', codec='', to=None, change=False, **more):
            self.package(name, lambda: self.put_modules(SMALL, paths, to or f'updates/{name}', change, codec), scripts,
                         directory='odd', **more)

        self.package('unrelated', lambda: self.put('usr/share/unrelated', b'nothing\n'), directory='odd')
        self.package('looker', lambda: self.put('usr/share/looker', b'nothing\n'), '%posttrans\n' +
                     LOOK.replace('NAME', 'looker'), directory='odd')
        kmp('prober', source.bar[:1], '%post\n/sbin/modprobe -V > /var/modprobe-says\n'
            '/sbin/depmod -V > /var/depmod-says\nfor i in /proc/self/mounts; do cat $i > /var/mounts; done\n')
        kmp('filler', source.bar[:4], '%post\nwhile cat /usr/bin/busybox; do :; done > /lib/modules/filler 2> /dev/null\n:\n')
        kmp('quiet', source.foo[:3], tags='Prefix: /lib/modules')
        kmp('quiet', source.foo[:3], version='2', change=True, tags='Prefix: /lib/modules')
        kmp('clash', source.foo[:3], to='updates/quiet', change=True)
        kmp('bad-pre', source.foo[3:5], '%pre\nexit 1\n')
        kmp('killer', source.foo[5:7], '%post\nkill -9 $PPID\nsleep 1\n', tags='Requires: caller')
        kmp('caller', source.foo[7:9], f'%post\n$DEPMOD -a {SMALL}\n')
        kmp('slow', source.bar, '%post\n: > /var/slow-began\nsleep 1\n')
        kmp('signer', source.bar[:2], '%posttrans\nfor module in /lib/modules/*/updates/signer/*.ko; do\n'
            'cp $module $module.new; printf signature >> $module.new; mv $module.new $module\ndone\n')
        kmp('zstd', source.bar[2:], codec='zst')
        kmp('gzip', source.foo[:5], codec='gz')
        kmp('truncated', source.extra[:60], payload='w1.gzdio')
        path = os.path.join(self.out, 'odd', 'truncated-1.rpm')
        os.truncate(path, os.path.getsize(path) * 3 // 4)
