# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the facts store as far as it takes to compare two of one kernel: all but what depends on when it was written.

The layout is that of common/model/store.h and tables.h; if it changes, so must FORMAT here.
"""
import struct

FORMAT = 1
RACY = 1
STAMP, DIGEST = 'QQqq', 'QQ'
HEAD = struct.Struct('=8sIIQQIIII')
COUNTS = struct.Struct('=8I')
INPUTS = struct.Struct('=' + 3 * DIGEST)
OUTPUTS = struct.Struct('=' + 11 * (STAMP + DIGEST + 'Q'))
DIR = struct.Struct('=IIII' + STAMP)
MOD = struct.Struct('=IIIHHIIIIIIII' + STAMP + DIGEST)


def comparable(data):
    """(counts, digests of the inputs, image): the published indexes' stats and whether a row was young are left out."""
    magic, version, *_ = HEAD.unpack_from(data)
    if (magic, version) != (b'KMPFACTS', FORMAT):
        raise ValueError(f'not a store of format {FORMAT}')
    at = HEAD.size
    counts = COUNTS.unpack_from(data, at)
    inputs = INPUTS.unpack_from(data, at + COUNTS.size)
    image = bytearray(data[at + COUNTS.size + INPUTS.size + OUTPUTS.size:])
    dirs, mods, exports, pairs, needs, values, strings, text = counts
    size = sum(-(-part // 8) * 8 for part in ((dirs + 1) * DIR.size, (mods + 1) * MOD.size, 8 * exports, 8 * pairs,
                                              4 * needs, 4 * values, 4 * (strings + 1), text))
    if len(image) != size:
        raise ValueError(f'{len(image)} bytes do not hold {counts}')
    for i in range(dirs):
        clear(image, i * DIR.size + 4, 'I')
    for i in range(mods):
        clear(image, (dirs + 1) * DIR.size + i * MOD.size + 12, 'H')
    return counts, inputs, bytes(image)


def clear(image, at, kind):
    flags, = struct.unpack_from('=' + kind, image, at)
    struct.pack_into('=' + kind, image, at, flags & ~RACY)
