# SPDX-License-Identifier: GPL-2.0-or-later
"""What the oracle says of a kernel below a root, remembered.

The oracle takes seconds for thousands of modules, so its answers are kept in the tests' cache, each under all that it was
made from: the oracle's own text, the kernel's name, every path, and every file's bytes.
"""
import glob
import hashlib
import os
import pickle
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../oracle'))
import depmod_oracle as oracle      # noqa: E402

sys.setrecursionlimit(20000)
CACHE = os.environ.get('KMP_TEST_CACHE') or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.join(os.environ.get('HOME', '/root'), '.cache'), 'kmp-depmod-tests')
MODULE = re.compile(r'\.ko(\.(gz|xz|zst))?$')
LISTS = ('modules.order', 'modules.builtin', 'modules.builtin.modinfo')


def digest(data):
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class Expected:
    def __init__(self):
        with open(oracle.__file__, 'rb') as file:
            self.directory = os.path.join(CACHE, 'expected', digest(file.read()))
        os.makedirs(self.directory, exist_ok=True)
        self.digests, self.facts = {}, self.load('facts', {})

    def digest(self, path):
        info = os.stat(path)
        key = info.st_dev, info.st_ino, info.st_ctime_ns, info.st_size
        if key not in self.digests:
            with open(path, 'rb') as file:
                self.digests[key] = digest(file.read())
        return self.digests[key]

    def configurations(self, root):
        return [path for path in (os.path.join(root, name) for name in oracle.CONFIG_DIRS) if os.path.isdir(path)]

    def state(self, root, kver):
        top, lines = os.path.join(root, 'lib/modules', kver), []
        for at, _, names in os.walk(top):
            for name in names:
                if name in LISTS or MODULE.search(name):
                    path = os.path.join(at, name)
                    real = oracle.inside(path.encode(), root)
                    lines.append(f'{path[len(top):]} {self.digest(real) if os.path.exists(real) else None}')
        for directory in self.configurations(root):
            lines += [f'{path[len(root):]} {self.digest(path)}' for path in glob.glob(os.path.join(directory, '*'))]
        return digest('\n'.join([kver] + sorted(lines)).encode())

    def reader(self, path):
        key = self.digest(path) if os.path.exists(path) else None
        if key not in self.facts:
            self.facts[key] = oracle.read_module(path)
        return self.facts[key]

    def files(self, root, kver):
        """{name: bytes} of the index files."""
        state = self.state(root, kver)
        files = self.load(state, None)
        if files is None:
            known = len(self.facts)
            files = oracle.generate(os.path.join(root, 'lib/modules', kver),
                                    oracle.Config(self.configurations(root), kver, root), 'pre', root, self.reader)
            files = {'modules.' + name: data for name, data in files.items()}
            self.store(state, files)
            if len(self.facts) > known + 100:
                self.store('facts', self.facts)
        return files

    def differing(self, root, kver):
        """Names of the index files below the root that are not what the oracle says."""
        wrong = []
        for name, data in self.files(root, kver).items():
            try:
                with open(os.path.join(root, 'lib/modules', kver, name), 'rb') as file:
                    if file.read() != data:
                        wrong.append(name)
            except FileNotFoundError:
                wrong.append(name + ' (missing)')
        return wrong

    def load(self, name, default):
        try:
            with open(os.path.join(self.directory, name), 'rb') as file:
                return pickle.load(file)
        except (FileNotFoundError, EOFError):
            return default

    def store(self, name, what):
        path = os.path.join(self.directory, name)
        with open(f'{path}.{os.getpid()}', 'wb') as out:
            pickle.dump(what, out)
        os.rename(out.name, path)
