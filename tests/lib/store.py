# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a facts store.

The layout is that of common/model/store.h and tables.h; if it changes, so must FORMAT here.
"""
import struct

FORMAT = 3
RACY = 1
NONE = 0xffffffff
STAMP, DIGEST = 'QQqq', 'QQ'
HEAD = struct.Struct('=8sIIQQQIIII')
COUNTS = struct.Struct('=8I')
INPUTS = struct.Struct('=' + 3 * DIGEST)
OUTPUTS = struct.Struct('=' + 11 * (STAMP + DIGEST + 'Q'))
DIR = struct.Struct('=IIII' + STAMP)
MOD = struct.Struct('=IIIHHIIIIIIII' + STAMP + DIGEST)


class Store:
    """comparable: all its bytes but those that depend on where and when it was written: the stats of the published
    indexes, and whether a file was so young that its stat proves nothing.
    rows: {path: what is said of the directory or module}, to tell where two differ."""

    def __init__(self, data):
        magic, version, *_ = HEAD.unpack_from(data)
        if (magic, version) != (b'KMPFACTS', FORMAT):
            raise ValueError(f'not a store of format {FORMAT}')
        at = HEAD.size
        counts = self.counts = COUNTS.unpack_from(data, at)
        inputs = data[at + COUNTS.size + struct.calcsize(DIGEST):at + COUNTS.size + INPUTS.size]
        self.image = bytearray(data[at + COUNTS.size + INPUTS.size + OUTPUTS.size:])
        sizes = ((counts[0] + 1) * DIR.size, (counts[1] + 1) * MOD.size, 8 * counts[2], 8 * counts[3], 4 * counts[4],
                 4 * counts[5], 4 * (counts[6] + 1), counts[7])
        self.starts, at = [], 0
        for size in sizes:
            self.starts.append(at)
            at += -(-size // 8) * 8
        if len(self.image) != at:
            raise ValueError(f'{len(self.image)} bytes, not {at}')
        self.rows = self.read()
        for i in range(counts[0]):
            self.clear(i * DIR.size + 4, 'I')
        for i in range(counts[1]):
            self.clear(self.starts[1] + i * MOD.size + 12, 'H')
        self.comparable = inputs + bytes(self.image)

    def clear(self, at, kind):
        flags, = struct.unpack_from('=' + kind, self.image, at)
        struct.pack_into('=' + kind, self.image, at, flags & ~RACY)

    def words(self, part, width, first, last):
        return [struct.unpack_from(f'={width}I', self.image, self.starts[part] + 4 * width * i)
                for i in range(first, last)]

    def read(self):
        offsets = [offset for offset, in self.words(6, 1, 0, self.counts[6] + 1)]
        text = bytes(self.image[self.starts[7]:])

        def string(i):
            return None if i == NONE else text[offsets[i]:offsets[i + 1] - 1].decode('latin-1')

        dirs = [DIR.unpack_from(self.image, i * DIR.size) for i in range(self.counts[0])]
        mods = [MOD.unpack_from(self.image, self.starts[1] + i * MOD.size) for i in range(self.counts[1] + 1)]
        pairs = [(string(symbol), crc) for symbol, crc in self.words(3, 2, 0, self.counts[3])]
        rows = {string(path) + '/': ('flags', flags & ~RACY, 'stamp', stamp)
                for path, flags, _, _, *stamp in dirs}
        for mod, following in zip(mods, mods[1:]):
            (file, name, directory, flags, status, vermagic, modinfo_name, node, exports, needs, values, softdeps,
             weakdeps, ino, size, mtime, ctime, *digest) = mod
            rows[f'{string(dirs[directory][0])}/{string(file)}'] = (
                'name', string(name), string(modinfo_name), 'flags', flags & ~RACY, 'status', status, string(vermagic),
                'node', string(node),
                'exports', [(string(symbol), crc) for symbol, crc in self.words(2, 2, exports, following[8])],
                'needs', [(pairs[need & 0x7fffffff], need >> 31) for need, in self.words(4, 1, needs, following[9])],
                'values', [string(value) for value, in self.words(5, 1, values, following[10])],
                'softdeps from', softdeps - values, 'weakdeps from', weakdeps - values,
                'stamp', ino, size, mtime, ctime, 'digest', digest)
        return rows

    def difference(self, other):
        """Where two stores differ, as lines."""
        lines = []
        for path in sorted(self.rows.keys() | other.rows.keys()):
            one, two = self.rows.get(path), other.rows.get(path)
            if one != two:
                lines += [f'- {path} {two}', f'+ {path} {one}']
        return lines or ['the same rows, other bytes or inputs']
