#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Independent oracle: writes the index files that a full `depmod` run writes.

usage: depmod_oracle.py MODULE_DIR OUT_DIR [--layout pre|post] [--config FILE_OR_DIR]... [--kver KVER] [--root DIR]

MODULE_DIR is one kernel's directory (…/lib/modules/KVER). The files in OUT_DIR are, byte for byte, what
kmod 34.2 writes (--layout pre, the default) or what kmod 29 to 33 write (--layout post) for the same tree;
checked against both over uncompressed, zstd, xz and gzip trees.

Directories are walked with names in byte order. That matters only for equal-rank duplicates of one module
name, where depmod itself depends on readdir order; `unordered` says of which names that is true.

Limits: of `modules.order` lines that occur twice the first counts (kmod 34), a directory link that leads to
itself is followed until the kernel says no, no `-P`; a key with bytes beyond ASCII is left out of the .bin files, where
depmod exits or crashes, depending on its version. It is slow and simple on purpose: it shares no code with
the project and exists to disagree with it. Needs python3 and, for .ko.zst, the zstd command.

All names and file contents are kept as bytes, one character a byte (latin-1), so none is ever invalid.
"""
import argparse
import itertools
import lzma
import os
import re
import struct
import subprocess
import sys
import zlib

EXTENSIONS = ('.ko', '.ko.gz', '.ko.xz', '.ko.zst')
CONFIG_DIRS = ('etc/depmod.d', 'run/depmod.d', 'usr/local/lib/depmod.d', 'usr/lib/depmod.d', 'lib/depmod.d')
M32 = 0xffffffff


class Cycle(Exception):
    """depmod names the cycle, exits 1 and writes nothing."""


def text(data):
    return data.decode('latin-1')


def raw(string):
    return string.encode('latin-1')


def superfast(key):
    """kmod's string hash (SuperFastHash, 16-bit little-endian reads, seeded with the length)."""
    k = raw(key)
    h, rem, i = len(k), len(k) & 3, 0
    for _ in range(len(k) // 4):
        h = (h + (k[i] | k[i + 1] << 8)) & M32
        t = (((k[i + 2] | k[i + 3] << 8) << 11) ^ h) & M32
        h = ((h << 16) ^ t) & M32
        i += 4
        h = (h + (h >> 11)) & M32
    if rem == 3:
        h = (h + (k[i] | k[i + 1] << 8)) & M32
        h = (h ^ (h << 16)) & M32
        # a signed char in kmod: a byte above 127 counts as negative
        h = (h ^ ((k[i + 2] - (k[i + 2] >> 7 << 8)) << 18)) & M32
        h = (h + (h >> 11)) & M32
    elif rem == 2:
        h = (h + (k[i] | k[i + 1] << 8)) & M32
        h = (h ^ (h << 11)) & M32
        h = (h + (h >> 17)) & M32
    elif rem == 1:
        h = (h + (k[i] - (k[i] >> 7 << 8))) & M32
        h = (h ^ (h << 10)) & M32
        h = (h + (h >> 1)) & M32
    for shift, left in ((3, True), (5, False), (4, True), (17, False), (25, True), (6, False)):
        h = (h ^ (h << shift)) & M32 if left else (h + (h >> shift)) & M32
    return h


def hash_order(keys, buckets):
    return sorted(keys, key=lambda k: (superfast(k) & (buckets - 1), k))


def module_name(path):
    return os.path.basename(path).split('.')[0].replace('-', '_')


# --- which files are modules, and which of two with one name wins -------------------------------------------

class Config:
    """The search, override, external and exclude lines of depmod.d, as depmod reads them: each new one goes in front.

    Of files with one base name the first directory's counts; all are read in the order of their base names."""

    def __init__(self, paths, kver, chroot=''):
        self.search, self.overrides, self.externals, self.excludes = [], [], [], []
        self.directory = ''     # the kernel's, as depmod names it; find_files() knows
        files = {}
        for path in paths:
            path = inside(os.fsencode(path), chroot)
            if path and os.path.isdir(path):
                for name in map(text, os.listdir(path)):
                    file = os.path.join(path, raw(name))
                    file = b'/dev/null' if os.path.islink(file) and os.readlink(file) == b'/dev/null' else inside(
                        file, chroot)
                    # what is a directory, or a link to nothing, hides no file of its name
                    if name.endswith('.conf') and len(name) > 5 and name[0] != '.' and file and os.path.exists(
                            file) and not os.path.isdir(file):
                        files.setdefault(name, file)
            elif path and os.path.exists(path):
                files.setdefault(text(os.path.basename(path)), path)
        for name in sorted(files):
            with open(files[name], 'rb') as file:
                for line in text(file.read()).replace('\\\n', '').split('\n'):
                    self.line(line, kver)
        if not self.search:
            self.search = ['updates']

    def line(self, line, kver):
        words = re.findall('[^ \t]+', line)
        if not words or line[0] == '#':
            return
        if words[0] == 'search':
            self.search[:0] = reversed(words[1:])
        elif words[0] == 'exclude':
            self.excludes[:0] = words[1:]
        elif words[0] == 'override' and len(words) >= 4 and self.matches(words[2], kver):
            self.overrides.insert(0, words[3] + '/' + words[1])
        elif words[0] == 'external' and len(words) >= 3 and self.matches(words[1], kver):
            self.externals.insert(0, words[2])

    @staticmethod
    def matches(pattern, kver):
        try:
            return pattern == '*' or re.search(pattern, kver)
        except re.error:
            return False

    def replaces(self, new, old):
        """Does the file seen later win over the one of the same name seen before?

        Paths are relative to the kernel's directory, or absolute below one of `external`. What is external is told by
        the text of whole paths: a file of the kernel's own directory can be external, too."""
        def bare(path):
            head, base = os.path.split(path)
            return os.path.join(head, base.split('.')[0])

        def is_below(path, external):
            return (path if path.startswith('/') else self.directory + '/' + path).startswith(external + '/')

        for override in self.overrides:
            if override == bare(new):
                return True
            if override == bare(old):
                return False
        builtin = new_rank = old_rank = -1
        i = 0
        for word in self.search:
            if word == 'built-in':
                builtin = i
            elif word == 'external':
                for directory in self.externals:
                    if is_below(new, directory):
                        new_rank = i
                    if is_below(old, directory):
                        old_rank = i
                    i += 1
            elif new.startswith(word + '/'):
                new_rank = i        # depmod's quirk: then the old path is not looked at for this word
            elif old.startswith(word + '/'):
                old_rank = i
            i += 1
        return (builtin if new_rank < 0 else new_rank) > (builtin if old_rank < 0 else old_rank)

    def winner(self, paths):
        winner = paths[0]
        for path in paths[1:]:
            if self.replaces(path, winner):
                winner = path
        return winner


def find_files(root, config, chroot=''):
    """All module files in the order of the walk: {module name: [path…]}. chroot: where the external paths begin.

    Each directory's path gets a slash and a name, whatever it ends with, and a path that begins with that of the
    kernel's directory is relative to it. A file that is reached from two directories is there twice."""
    found = {}
    config.directory = text(os.fsencode(root))[len(os.fsencode(chroot)):]

    def walk(directory, path_of_it):
        for entry in sorted(os.scandir(directory), key=lambda e: e.name):
            name = text(entry.name)
            if name in ['build', 'source'] + config.excludes:
                continue
            path = path_of_it + '/' + name
            if is_kind(os.path.isdir, entry.path, chroot):
                walk(inside(entry.path, chroot), path)
            elif is_kind(os.path.isfile, entry.path, chroot) and any(
                    name.endswith(x) and len(name) > len(x) for x in EXTENSIONS):
                found.setdefault(module_name(name), []).append(path.removeprefix(config.directory + '/'))

    walk(os.fsencode(root), config.directory)
    for directory in config.externals:
        start = inside(os.fsencode(chroot) + raw(directory), chroot)
        if start and os.path.isdir(start):
            walk(start, directory)
    return found


def is_kind(test, path, chroot):
    path = inside(path, chroot)
    return path is not None and test(path)


def inside(path, chroot):
    """The path with every link in it read as a process would that has chroot as its root; None: it leads nowhere."""
    if not chroot:
        return path
    chroot = os.fsencode(chroot)
    todo, done, links = path[len(chroot):].split(b'/'), [], 0
    while todo:
        word = todo.pop(0)
        if word in (b'', b'.'):
            continue
        if word == b'..':
            done = done[:-1]
            continue
        here = b'/'.join([chroot] + done + [word])
        if os.path.islink(here):
            links += 1
            if links > 40:
                return None
            target = os.readlink(here)
            done = [] if target.startswith(b'/') else done
            todo = target.split(b'/') + todo
        else:
            done.append(word)
    return b'/'.join([chroot] + done)


def find_modules(root, config, chroot=''):
    return {name: config.winner(paths) for name, paths in find_files(root, config, chroot).items()}


def unordered(root, config, chroot=''):
    """Names whose winner depends on the order in which depmod happens to see the files."""
    return [name for name, paths in find_files(root, config, chroot).items()
            if len({config.winner(p) for p in itertools.islice(itertools.permutations(paths), 720)}) > 1]


def without_suffix(name, rel):
    head, base = os.path.split(rel)
    return os.path.join(head, base[:len(name) + 3]) if head else base[:len(name) + 3]


def module_order(root, modules, chroot=''):
    order = hash_order(modules, 512)
    path = inside(os.fsencode(os.path.join(root, 'modules.order')), chroot)
    if not path or not os.path.exists(path):
        return order
    with open(path, 'rb') as file:
        lines = text(file.read()).split('\n')
    if lines[-1] != '':
        return order
    by_path = {without_suffix(m, modules[m]): m for m in modules if modules[m][0] != '/'}
    position = {}
    for line in lines[:-1]:
        name = by_path.get(line)
        if name and name not in position:
            position[name] = len(position)
    return sorted(order, key=lambda m: (0, position[m]) if m in position else (1, 0))


# --- what a module says of itself ------------------------------------------------------------------------------

def contents(path):
    with open(path, 'rb') as file:
        data = file.read()
    if data[:4] == b'\x28\xb5\x2f\xfd':
        return subprocess.run(['zstd', '-dcq'], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True).stdout
    if data[:6] == b'\xfd7zXZ\0':
        return unpacked(data, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ))
    if data[:2] == b'\x1f\x8b':
        return unpacked(data, lambda: zlib.decompressobj(31))
    return data


def unpacked(data, decompressor):
    """All streams, one after the other. What follows the last must be xz's padding; gzread takes anything."""
    out, gzip = b'', data[:2] == b'\x1f\x8b'
    while data:
        stream = decompressor()
        out += stream.decompress(data)
        if not stream.eof:
            raise EOFError('cut off')
        rest = stream.unused_data
        data = rest.lstrip(b'\0') if (len(rest) - len(rest.lstrip(b'\0'))) % 4 == 0 else rest
        if gzip and data[:2] != b'\x1f\x8b':
            break
    return out


def c_string(data, offset):
    return data[offset:data.index(b'\0', offset)]


def strings(data, section):
    offset, size = section
    return [text(s) for s in data[offset:offset + size].split(b'\0') if s]


class Elf:
    """The sections and symbols of a relocatable file; all errors are ValueError or struct.error."""

    SYMBOLS = {1: ('IIIBBH', 16, lambda n, value, size, info, other, shndx: (n, info, shndx)),
               2: ('IBBHQQ', 24, lambda n, info, other, shndx, value, size: (n, info, shndx))}

    def __init__(self, data):
        if data[:4] != b'\x7fELF' or data[4] not in (1, 2) or data[5] not in (1, 2):
            raise ValueError('not ELF')
        self.data, self.bits, self.order = data, data[4], '<>'[data[5] - 1]
        wide = self.bits == 2
        shoff, = self.get('Q' if wide else 'I', 0x28 if wide else 0x20)
        entsize, count, names = self.get('HHH', 0x3a if wide else 0x2e)
        self.machine, = self.get('H', 0x12)
        if entsize != (64 if wide else 40) or not 0 < names < count or shoff + count * entsize > len(data):
            raise ValueError('section headers')
        headers = [self.get('IIQQQQ' if wide else 'IIIIII', shoff + i * entsize) for i in range(count)]

        def valid(header):
            return header[4] + header[5] <= len(data)

        offset, size = headers[names][4:]
        if not valid(headers[names]) or headers[names][0] >= size or data[offset + size - 1] != 0:
            raise ValueError('section names')
        self.sections = {}
        for header in headers[1:]:
            if valid(header) and header[0] < size:
                self.sections.setdefault(text(c_string(data, offset + header[0])), header[4:])

    def get(self, layout, offset):
        return struct.unpack_from(self.order + layout, self.data, offset)

    def symbols(self):
        """(name, bind, type, section) of each entry."""
        if '.symtab' not in self.sections or '.strtab' not in self.sections:
            raise ValueError('no symbols')
        layout, entry, pick = self.SYMBOLS[self.bits]
        start, size = self.sections['.symtab']
        strtab, limit = self.sections['.strtab']
        if size % entry:
            raise ValueError('.symtab size')
        for offset in range(start + entry, start + size, entry):
            name, info, section = pick(*self.get(layout, offset))
            if name >= limit:
                raise ValueError('symbol name')
            yield text(c_string(self.data, strtab + name)), info >> 4, info & 15, section


def read_module(path):
    """(modinfo records, exported symbol names, needed symbol names), each in file order.

    What cannot be read is empty, each of the three by itself: a module without symbols keeps its aliases."""
    try:
        elf = Elf(contents(path))
    except (OSError, EOFError, ValueError, IndexError, struct.error, zlib.error, lzma.LZMAError,
            subprocess.CalledProcessError):
        return [], [], []
    info = strings(elf.data, elf.sections['.modinfo']) if '.modinfo' in elf.sections else []
    exports, needs = [], []
    try:
        exports = [name[6:] for name, *_ in elf.symbols() if name.startswith('__crc_')]
    except (ValueError, struct.error):
        pass
    if not exports and '__ksymtab_strings' in elf.sections:
        offset, size = elf.sections['__ksymtab_strings']
        if size and elf.data[offset + size - 1] == 0:
            exports = strings(elf.data, (offset, size))
    try:
        sparc = elf.machine in (2, 43)
        needs = [name for name, _, kind, section in elf.symbols() if section == 0 and name and not (
            sparc and kind == 13)]
    except (ValueError, struct.error):
        return info, exports, []
    if '__versions' in elf.sections and elf.sections['__versions'][1] % 64 == 0:
        seen, done = set(needs), set()
        offset, size = elf.sections['__versions']
        for record in range(offset, offset + size, 64):
            name = elf.data[record + (8 if elf.bits == 2 else 4):record + 64]
            if b'\0' not in name:
                return info, exports, []
            name = text(c_string(name, 0))
            if name not in seen or name in done:
                needs.append(name)
            done.add(name)
    return info, exports, needs


# --- dependencies ------------------------------------------------------------------------------------------------

def direct_dependencies(order, needs, owner):
    deps = {}
    for m in order:
        deps[m] = []
        for symbol in needs[m]:
            provider = owner.get(symbol[1:] if symbol.startswith('.') else symbol)
            if provider and provider not in deps[m]:
                deps[m].append(provider)
    return deps


def topological_rank(order, deps):
    users = dict.fromkeys(order, 0)
    for m in order:
        for d in deps[m]:
            users[d] += 1
    stack = [m for m in order if users[m] == 0]
    rank = {}
    while stack:
        m = stack.pop()
        rank[m] = len(rank)
        for d in deps[m]:
            users[d] -= 1
            if users[d] == 0:
                stack.append(d)
    if len(rank) != len(order):
        raise Cycle('dependency cycle: depmod exits 1 and writes nothing')
    return rank


def all_dependencies(order, deps, rank):
    closed = {}

    def close(m):
        if m not in closed:
            closed[m] = set()
            for d in deps[m]:
                closed[m] |= {d} | close(d)
        return closed[m]

    return {m: sorted(close(m), key=rank.get) for m in order}


# --- the .bin tries ------------------------------------------------------------------------------------------------

class Node:
    __slots__ = ('prefix', 'values', 'children')

    def __init__(self, prefix):
        self.prefix, self.values, self.children = prefix, [], {}


def insert(node, key, value, prio):
    i = 0
    while True:
        j = 0
        while j < len(node.prefix):
            if i + j >= len(key) or node.prefix[j] != key[i + j]:
                rest = Node(node.prefix[j + 1:])
                rest.values, rest.children = node.values, node.children
                char = node.prefix[j]
                node.prefix, node.values, node.children = node.prefix[:j], [], {char: rest}
                break
            j += 1
        i += j
        if i == len(key):
            at = 0
            while at < len(node.values) and node.values[at][0] < prio:
                at += 1
            node.values.insert(at, (prio, value))
            return
        char = key[i]
        if char not in node.children:
            child = Node(key[i + 1:])
            child.values.append((prio, value))
            node.children[char] = child
            return
        node = node.children[char]
        i += 1


def flags(node):
    return ((0x80000000 if node.prefix else 0) | (0x40000000 if node.values else 0)
            | (0x20000000 if node.children else 0))


def body(node, offsets):
    out = b''
    if node.prefix:
        out += node.prefix + b'\0'
    if node.children:
        first, last = min(node.children), max(node.children)
        out += bytes([first, last]) + b''.join(struct.pack('>I', offsets.get(c, 0)) for c in range(first, last + 1))
    if node.values:
        out += struct.pack('>I', len(node.values)) + b''.join(struct.pack('>I', p) + v + b'\0' for p, v in node.values)
    return out


def encode(root, layout):
    out = []
    if layout == 'post':
        position = 12

        def write(node):
            nonlocal position
            offsets = {c: write(node.children[c]) for c in sorted(node.children)}
            data = body(node, offsets)
            at, position = position, position + len(data)
            out.append(data)
            return at | flags(node)

        start = write(root)
    else:
        total = {}

        def measure(node):
            total[node] = len(body(node, {})) + sum(measure(c) for c in node.children.values())
            return total[node]

        def write(node, at):
            offsets, next_at = {}, at + len(body(node, {}))
            places = []
            for c in sorted(node.children):
                offsets[c] = next_at | flags(node.children[c])
                places.append((node.children[c], next_at))
                next_at += total[node.children[c]]
            out.append(body(node, offsets))
            for child, child_at in places:
                write(child, child_at)

        measure(root)
        write(root, 12)
        start = 12 | flags(root)
    return struct.pack('>III', 0xB007F457, 0x00020001, start) + b''.join(out)


def index(entries, layout):
    root = Node(b'')
    for key, value, prio in entries:
        if key.isascii():
            insert(root, raw(key), raw(value), prio)
    return encode(root, layout)


def normalised(alias):
    """'-' to '_' outside [...]; None where the brackets do not balance."""
    out, i = '', 0
    while i < len(alias):
        char = alias[i]
        if char == ']':
            return None
        if char == '[':
            end = alias.find(']', i)
            if end < 0:
                return None
            out, i = out + alias[i:end + 1], end
        else:
            out += '_' if char == '-' else char
        i += 1
    return out


# --- the files ------------------------------------------------------------------------------------------------------

def device_node(aliases):
    name, kind, major, minor = None, '', 0, 0
    for alias in aliases:
        if alias.startswith('devname:'):
            name = alias[8:]
        else:
            match = re.match(r'(char|block)-major-\s*([+-]?[0-9]+)-\s*([+-]?[0-9]+)', alias)
            if match:
                kind, major, minor = match[1][0], int(match[2]) & M32, int(match[3]) & M32
        if kind and name is not None:
            return f'{name} {kind}{major}:{minor}'
    return None


def generate(root, config, layout, chroot='', reader=read_module):
    """{file name without 'modules.': bytes}; raises Cycle. reader: another read_module, such as one that remembers."""
    modules = find_modules(root, config, chroot)
    order = module_order(root, modules, chroot)
    idx = {m: i for i, m in enumerate(order)}
    info, exports, needs = {}, {}, {}
    for m in order:
        base = b'' if modules[m][0] != '/' else os.fsencode(chroot)
        path = base + raw(modules[m]) if base or modules[m][0] == '/' else os.path.join(os.fsencode(root), raw(modules[m]))
        info[m], exports[m], needs[m] = reader(inside(path, chroot))
    owner = {s: m for m in order for s in exports[m]}
    deps = direct_dependencies(order, needs, owner)
    closure = all_dependencies(order, deps, topological_rank(order, deps))

    def values(m, key):
        return [x[len(key) + 1:] for x in info[m] if x.partition('=')[0] == key]

    def listing(title, key):
        return f'# {title} dependencies extracted from modules themselves.\n' + ''.join(
            f'{key} {m} {v}\n' for m in order for v in values(m, key))

    def read(name):
        """The kernel's own list; None where it is missing, and then depmod leaves a file of 0 bytes."""
        path = inside(os.fsencode(os.path.join(root, name)), chroot)
        if not path or not os.path.exists(path):
            return None
        with open(path, 'rb') as file:
            return file.read()

    dep_line = {m: modules[m] + ':' + ''.join(' ' + modules[d] for d in closure[m]) for m in order}
    aliases = [(a, m) for m in order for a in values(m, 'alias')]
    symbols = hash_order(owner, 2048)
    nodes = [f'{m} {n}\n' for m in order for n in [device_node(values(m, 'alias'))] if n]
    builtin, builtin_info = read('modules.builtin'), read('modules.builtin.modinfo')
    # a name without a dot has its line's newline in it; of none at all depmod takes what its memory holds by chance
    lines = re.findall('(?m)^[A-Za-z].*\n?', text(builtin or b''))
    builtin_names = [module_name(line.split('\0')[0]) for line in lines if not line.split('\0')[0].endswith('/')]
    builtin_aliases = []
    for record in (builtin_info or b'').split(b'\0'):
        match = re.match(rb'([^.]+)\.alias=(.+)', record, re.S)
        if match:
            builtin_aliases.append((text(match[2]), text(match[1])))

    def alias_entries(pairs, prio):
        return [(normalised(a), m, prio(m)) for a, m in pairs if normalised(a) is not None]

    files = {
        'dep': ''.join(dep_line[m] + '\n' for m in order),
        'dep.bin': index([(m, dep_line[m], idx[m]) for m in order], layout),
        'alias': '# Aliases extracted from modules themselves.\n' + ''.join(f'alias {a} {m}\n' for a, m in aliases),
        'alias.bin': index(alias_entries(aliases, idx.get), layout),
        'softdep': listing('Soft', 'softdep'),
        'weakdep': listing('Weak', 'weakdep'),
        'symbols': '# Aliases for symbols, used by symbol_request().\n' + ''.join(
            f'alias symbol:{s} {owner[s]}\n' for s in symbols),
        'symbols.bin': index([('symbol:' + s, owner[s], idx[owner[s]]) for s in symbols], layout),
        'builtin.bin': b'' if builtin is None else index([(name, '', 0) for name in builtin_names], layout),
        'builtin.alias.bin': b'' if builtin_info is None else index(
            alias_entries(builtin_aliases, lambda m: 0), layout),
        'devname': ('# Device nodes to trigger on-demand module loading.\n' + ''.join(nodes)) if nodes else '',
    }
    return {name: data if isinstance(data, bytes) else raw(data) for name, data in files.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('module_dir')
    parser.add_argument('out_dir')
    parser.add_argument('--layout', choices=('pre', 'post'), default='pre')
    parser.add_argument('--config', action='append', default=[], help='a depmod.d file or directory; may be repeated')
    parser.add_argument('--kver', help='for override lines; default: the name of MODULE_DIR')
    parser.add_argument('--root', default='', help='read absolute links and external directories as below this root')
    args = parser.parse_args()
    sys.setrecursionlimit(20000)
    config = Config(args.config, args.kver or os.path.basename(os.path.normpath(args.module_dir)),
                    args.root.rstrip('/'))
    try:
        files = generate(args.module_dir, config, args.layout, args.root.rstrip('/'))
    except Cycle as cycle:
        sys.exit(str(cycle))
    os.makedirs(args.out_dir, exist_ok=True)
    for name, data in files.items():
        with open(os.path.join(args.out_dir, 'modules.' + name), 'wb') as out:
            out.write(data)


if __name__ == '__main__':
    main()
