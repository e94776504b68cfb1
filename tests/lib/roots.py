# SPDX-License-Identifier: GPL-2.0-or-later
"""A throw-away root with kernels in it, and steps that change it.

A step is plain data: [operation, {argument: value}]. Whatever was chosen at random is in its arguments, so a sequence
of steps can be kept in a file and replayed, and steps can be left out of it: one that has lost its object (the file
was added by a step that is gone) does nothing. Paths are relative to the root; "lib/modules/K/..." as a rule.

A fixed mtime is given to every module that is written, as package managers do: only `touch` moves it.
"""
import errno
import gzip
import lzma
import os
import shutil
import subprocess

import indexes
import mkmodule

PACKAGE_TIME = 1_700_000_000
CONFIG_DIRS = ('etc/depmod.d', 'run/depmod.d', 'usr/local/lib/depmod.d', 'usr/lib/depmod.d', 'lib/depmod.d')
STORE_DIR = 'var/cache/kmp-depmod'


def plain_bytes(path):
    """The module's uncompressed bytes."""
    with open(path, 'rb') as file:
        data = file.read()
    if data[:4] == b'\x28\xb5\x2f\xfd':
        return subprocess.run(['zstd', '-dcq'], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True).stdout
    if data[:6] == b'\xfd7zXZ\0':
        return lzma.decompress(data)
    if data[:2] == b'\x1f\x8b':
        return gzip.decompress(data)
    return data


class Root:
    def __init__(self, path, real=None):
        self.path, self.real = path, real       # real: a directory of modules that `copy` steps take theirs from
        self.saved_store = path + '.store'
        os.makedirs(path)

    def __truediv__(self, rel):
        return os.path.join(self.path, rel)

    def apply(self, step):
        name, arguments = step
        if any(not self.contains(arguments[key]) for key in ('path', 'to') if key in arguments):
            return                              # an absolute link stands where a directory was
        try:
            getattr(self, 'do_' + name)(**arguments)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY,
                                   errno.EINVAL):
                raise
            # its object went with another step, or is a directory that was to move into itself

    def contains(self, path):
        parent = os.path.realpath(os.path.dirname(self / path))
        return (parent + '/').startswith(os.path.realpath(self.path) + '/')

    def put(self, path, data, in_place=False, mtime=PACKAGE_TIME):
        """In place: the same inode, overwritten; else a new file renamed over what was there."""
        path = self / path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if in_place and os.path.isfile(path) and not os.path.islink(path):
            with open(path, 'r+b') as out:
                out.write(data)
                out.truncate()
        else:
            if os.path.isdir(path) and not os.path.islink(path):
                return
            with open(path + '.new', 'wb') as out:
                out.write(data)
            os.rename(path + '.new', path)
        os.utime(path, (mtime, mtime))

    # --- modules -------------------------------------------------------------------------------------------------

    def do_write(self, path, facts, codec=None, frames=1, in_place=False):
        self.put(path, mkmodule.compress(mkmodule.build(facts), codec or mkmodule.codec_of(path), frames), in_place)

    def do_copy(self, path, source, codec='none'):
        with open(os.path.join(self.real, source), 'rb') as file:
            self.put(path, mkmodule.compress(file.read(), codec))

    def do_remove(self, path):
        os.unlink(self / path)

    def do_move(self, path, to):
        os.makedirs(os.path.dirname(self / to), exist_ok=True)
        os.rename(self / path, self / to)

    def do_recompress(self, path, codec):
        bare = path[:path.rindex('.ko') + 3]
        to = bare if codec == 'none' else bare + '.' + codec
        if to != path and not os.path.islink(self / path):
            try:
                data = plain_bytes(self / path)
            except (OSError, EOFError, ValueError, lzma.LZMAError, subprocess.CalledProcessError):
                return                          # damaged
            self.put(to, mkmodule.compress(data, codec))
            os.unlink(self / path)

    def do_touch(self, path):
        os.utime(self / path)

    def do_damage(self, path, how, in_place=True):
        """What is left of a file: nothing, its first half, other bytes of the same size, a few words, a flipped bit."""
        if os.path.islink(self / path):
            return
        with open(self / path, 'rb') as file:
            data = file.read()
        mtime = os.stat(self / path).st_mtime
        if how == 'empty':
            data = b''
        elif how == 'truncate':
            data = data[:len(data) // 2]
        elif how == 'zero':
            data = bytes(len(data))
        elif how == 'words':
            data = b'not what you expect\n'
        elif how == 'flip' and data:
            at = len(data) * 2 // 3
            data = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:]
        self.put(path, data, in_place, mtime)

    def do_link(self, path, target):
        os.makedirs(os.path.dirname(self / path), exist_ok=True)
        if os.path.islink(self / path):
            os.unlink(self / path)
        os.symlink(target, self / path)

    # --- directories ---------------------------------------------------------------------------------------------

    def do_make_directory(self, path):
        os.makedirs(self / path, exist_ok=True)

    def do_remove_directory(self, path):
        shutil.rmtree(self / path)

    def do_hard_link_copy(self, kver):
        """cp -al of a kernel's directory, swapped in: every ctime moves, no byte does."""
        self.swap(kver, '-al')

    def do_copy_all(self, kver):
        """cp -a of a kernel's directory, swapped in: every inode is new, every mtime is old."""
        self.swap(kver, '-a')

    def swap(self, kver, how):
        tree = self / f'lib/modules/{kver}'
        if not os.path.isdir(tree):
            return
        subprocess.run(['cp', how, tree, tree + '.copy'], check=True)
        shutil.rmtree(tree)
        os.rename(tree + '.copy', tree)

    # --- lists and configuration -----------------------------------------------------------------------------------

    def do_text(self, path, text):
        """A text file with this content; null takes it away."""
        if text is None:
            os.unlink(self / path)
        else:
            self.put(path, text.encode('latin-1'))

    def do_merge_usr(self):
        os.makedirs(self / 'usr/lib')
        os.symlink('usr/lib', self / 'lib')

    # --- what the program wrote ----------------------------------------------------------------------------------------

    def do_store(self, how):
        """Delete, damage, keep or bring back what is in the facts store's directory."""
        store = self / STORE_DIR
        if how == 'delete':
            shutil.rmtree(store)
        elif how == 'save':
            shutil.rmtree(self.saved_store, ignore_errors=True)
            shutil.copytree(store, self.saved_store)
        elif how == 'restore':
            if os.path.isdir(self.saved_store):
                shutil.rmtree(store, ignore_errors=True)
                shutil.copytree(self.saved_store, store)
        else:
            for name in sorted(os.listdir(store)):
                self.do_damage(f'{STORE_DIR}/{name}', how)

    def do_index(self, kver, name, how):
        path = f'lib/modules/{kver}/{name}'
        if how == 'delete':
            os.unlink(self / path)
        else:
            self.do_damage(path, how, in_place=how != 'words')

    def do_depmod(self, kver):
        """The installed depmod's own full run, with another configuration than the root's."""
        subprocess.run(['depmod', '-b', self.path, '-C', '/nonexistent', kver], stderr=subprocess.DEVNULL, check=False)

    # --- looking at it -----------------------------------------------------------------------------------------------------

    def kernels(self):
        try:
            return sorted(name for name in os.listdir(self / 'lib/modules') if name[0].isdigit())
        except FileNotFoundError:
            return []

    def modules(self, kver):
        """Paths of the kernel's module files (not through directory links), relative to the root, sorted."""
        found = []
        for directory, _, names in os.walk(self / f'lib/modules/{kver}'):
            found += [os.path.relpath(os.path.join(directory, name), self.path) for name in names
                      if name.endswith(('.ko', '.ko.gz', '.ko.xz', '.ko.zst'))]
        return sorted(found)

    def target_of(self, path):
        """The path within the root that a link names; None if it is not a link."""
        try:
            target = os.readlink(self / path)
        except OSError:
            return None
        return os.path.normpath(target.lstrip('/') if target[0] == '/' else
                                os.path.join(os.path.dirname(path), target))

    def index_files(self, kver):
        """{name: bytes} of the index files that are there."""
        files = {}
        for name in indexes.FILES:
            try:
                with open(self / f'lib/modules/{kver}/{name}', 'rb') as file:
                    files[name] = file.read()
            except FileNotFoundError:
                pass
        return files

    def snapshot(self):
        """{path: what would tell that it was written}, of everything below the root."""
        seen = {}
        for directory, subdirectories, names in os.walk(self.path):
            for name in ['.'] + names + [d for d in subdirectories if os.path.islink(os.path.join(directory, d))]:
                path = os.path.join(directory, name)
                info = os.lstat(path)
                seen[os.path.relpath(path, self.path)] = (
                    info.st_ino, info.st_mtime_ns, info.st_size, info.st_mode, info.st_uid, info.st_gid)
        return seen
