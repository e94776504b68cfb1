# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages for dpkg: written here, byte by byte, since some are to be unusual; and the project's own, built.

KMP_TEST_DEBS names a directory of the project's packages, instead of building them.

A package's files are {path: bytes, or the path of a file, ('link', target), or None for a directory}.
"""
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

from debian import locked
from expected import CACHE

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
MTIME = 1700000000


def tar(files, directories):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.GNU_FORMAT) as archive:
        def add(name, kind, data=b'', mode=0o644, target=''):
            info = tarfile.TarInfo('./' + name)
            info.type, info.size, info.mode, info.mtime, info.linkname = kind, len(data), mode, MTIME, target
            info.uname = info.gname = 'root'
            archive.addfile(info, io.BytesIO(data))

        seen = set()
        for path, what in sorted(files.items()):
            parts = path.split('/')
            for depth in range(1, len(parts) if directories else 1):
                parent = '/'.join(parts[:depth])
                if parent not in seen:
                    seen.add(parent)
                    add(parent, tarfile.DIRTYPE, mode=0o755)
            if what is None:
                add(path, tarfile.DIRTYPE, mode=0o755)
                continue
            if isinstance(what, tuple):
                add(path, tarfile.SYMTYPE, target=what[1], mode=0o777)
                continue
            if isinstance(what, str):
                with open(what, 'rb') as file:
                    what = file.read()
            add(path, tarfile.REGTYPE, what, 0o755 if what[:2] == b'#!' else 0o644)
    return out.getvalue()


def write(directory, name, version, files, fields=(), scripts=(), triggers='', directories=True):
    """Returns the path of the .deb. scripts: {'postinst': shell commands}."""
    fields = {'Package': name, 'Version': str(version), 'Architecture': 'all', 'Maintainer': 'nobody <root@localhost>',
              'Description': 'a test', **dict(fields)}
    control = {'control': ''.join(f'{key}: {value}\n' for key, value in fields.items()).encode()}
    for script, commands in dict(scripts).items():
        control[script] = f'#!/bin/sh\nset -e\n{commands}\n'.encode()
    if triggers:
        control['triggers'] = triggers.encode()
    path = os.path.join(directory, f'{name}_{version}_all.deb')
    with open(path, 'wb') as out:
        out.write(b'!<arch>\n')
        for member, data in (('debian-binary', b'2.0\n'), ('control.tar', tar(control, False)),
                             ('data.tar', tar(files, directories))):
            out.write(f'{member:<16}{MTIME:<12}{0:<6}{0:<6}{"100644":<8}{len(data):<10}`\n'.encode())
            out.write(data + b'\n' * (len(data) % 2))
    return path


def index(directory, debs):
    """Packages, which makes an apt repository of a directory with these packages."""
    text = ''
    for deb in debs:
        control = subprocess.run(['dpkg-deb', '-f', deb], stdout=subprocess.PIPE, text=True, check=True).stdout
        with open(deb, 'rb') as file:
            data = file.read()
        text += (f'{control.rstrip()}\nFilename: ./{os.path.basename(deb)}\nSize: {len(data)}\n'
                 f'SHA256: {hashlib.sha256(data).hexdigest()}\n\n')
    with open(os.path.join(directory, 'Packages'), 'w') as out:
        out.write(text)


# --- the project's own ---------------------------------------------------------------------------------------------------

BUILT_FROM = ('Makefile.am', 'common', 'configure.ac', 'dpkg-trigger', 'packaging', 'rpm-plugin')
GENERATED = shutil.ignore_patterns('.git', 'autom4te.cache', 'build*', '*.o', '__pycache__')


def source_digest():
    state = hashlib.blake2b(digest_size=12)
    for top in BUILT_FROM:
        top = os.path.join(SOURCE, top)
        paths = [os.path.join(at, name) for at, _, names in os.walk(top) for name in names] or [top]
        for path in sorted(paths):
            if not path.endswith(('~', '.swp')):
                with open(path, 'rb') as file:
                    state.update(f'{path} {hashlib.blake2b(file.read()).hexdigest()}\n'.encode())
    return state.hexdigest()


# nobody, without a network: what may a distribution's build machine give
NOBODY = ['unshare', '--net', 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']


def without_make():
    """The environment without what make tells its children."""
    return {k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS', 'TESTS', 'TEST_'))}


def source_tree(work):
    """A clean copy of the source below a directory, with debian/ where it belongs."""
    tree = os.path.join(work, 'source')
    shutil.copytree(SOURCE, tree, symlinks=True, ignore=GENERATED)
    shutil.copytree(os.path.join(tree, 'packaging/debian'), os.path.join(tree, 'debian'), symlinks=True)
    return tree


def build_in(work, env=(), umask=0o022, tested=False):
    """Builds the packages below an empty directory, from a clean copy of the source. Returns where they are.

    tested: as a distribution would, with the tests that the package has for that, by nobody and without a network."""
    tree = source_tree(os.path.join(work, 'debs'))
    words, options = [], 'nocheck noautodbgsym'
    if tested:
        os.chmod(work, 0o755)
        subprocess.run(['chown', '-R', '65534:65534', work], check=True)
        words, options = NOBODY, 'noautodbgsym'
    done = subprocess.run([*words, 'dpkg-buildpackage', '-b', '-us', '-uc', f'-j{os.cpu_count()}'], cwd=tree,
                          env={**without_make(), 'DEB_BUILD_OPTIONS': options, **dict(env)},
                          preexec_fn=lambda: os.umask(umask),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    with open(os.path.join(work, 'log'), 'w', encoding='utf-8') as out:
        out.write(done.stdout)
    if done.returncode:
        print('\n'.join('# ' + line for line in done.stdout.splitlines()[-40:]))
        sys.exit('Bail out! the packages cannot be built')
    shutil.rmtree(tree)
    return os.path.dirname(tree)


def build():
    """The same, once for each state of the source."""
    if os.environ.get('KMP_TEST_DEBS'):
        return os.environ['KMP_TEST_DEBS']
    top = os.path.join(CACHE, 'dpkg')
    with locked(top):
        place = os.path.join(top, 'built-' + source_digest())
        if not os.path.isdir(place):
            for old in sorted((n for n in os.listdir(top) if n.startswith('built-')),
                              key=lambda n: os.stat(os.path.join(top, n)).st_mtime)[:-2]:
                shutil.rmtree(os.path.join(top, old))
            with tempfile.TemporaryDirectory(dir=top, prefix='.build-') as work:
                os.rename(build_in(work), place)
    return place


def own(name):
    directory = build()
    for file in os.listdir(directory):
        if file.startswith(name + '_') and file.endswith('.deb'):
            return os.path.join(directory, file)
    sys.exit(f'Bail out! no {name} was built')
