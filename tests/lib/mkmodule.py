#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes kernel modules from facts: relocatable ELF files as small as they come, the same bytes every time.

usage: mkmodule.py FACTS.json|- OUT.ko[.gz|.xz|.zst]

    import mkmodule
    data = mkmodule.build({'name': 'foo', 'exports': [['foo_get', 0x1234]], 'needs': [['bar_put', 0x5678]]})
    mkmodule.write('/root/lib/modules/6.1/extra/foo.ko.zst', facts)

Facts are plain data, so that a test can keep them in JSON. All of them are optional:

    name          "name=" record of .modinfo, and the file symbol
    bits          64 or 32
    order         "little" or "big"
    machine       e_machine; default: the usual one of bits and order
    exports       [[symbol, crc]…]; how they are told:
    crcs          "section"   __crc_ symbols that point at words of __kcrctab (Linux 5.19 and later; the default)
                  "absolute"  __crc_ symbols that are the value (before)
                  "none"      no __crc_ symbols: only __ksymtab_strings names them (no CONFIG_MODVERSIONS)
    needs         [[symbol, crc, "weak"?]…]; undefined symbols; a crc of null leaves it out of the versions
    versions      [[symbol, crc]…] that stand in the versions only; default: module_layout, if any need has a CRC
    versions_as   "old" (__versions, 64-byte records; the default), "ext" (__version_ext_crcs and _names), "both"
    aliases, softdeps, weakdeps      .modinfo values
    info          [[key, value]…], more .modinfo records, in front of all others
    vermagic, license
    drop          names of sections to leave out
    salt          any text; makes other bytes without changing a fact
    size          pad the uncompressed file to this many bytes (in a section that nobody reads)

write() compresses by the file's suffix, or as told: "none", "gz", "xz", "zst"; frames=N cuts the data into N gzip
members, xz streams or zstd frames. Strings may hold any character up to U+00FF, one byte each.
"""
import functools
import gzip
import json
import lzma
import os
import struct
import subprocess
import sys

SHT = {'null': 0, 'progbits': 1, 'symtab': 2, 'strtab': 3, 'nobits': 8}
LOCAL, GLOBAL, WEAK = 0, 1, 2
NOTYPE, OBJECT, FUNC, SECTION, FILE = range(5)
SHN_UNDEF, SHN_ABS = 0, 0xfff1
MACHINES = {(64, 'little'): 62, (32, 'little'): 3, (64, 'big'): 22, (32, 'big'): 20}     # x86-64, i386, s390x, ppc


def raw(text):
    return text.encode('latin-1')


class Strings:
    """A string table; each string once."""

    def __init__(self):
        self.data, self.offsets = bytearray(b'\0'), {'': 0}

    def add(self, text):
        if text not in self.offsets:
            self.offsets[text] = len(self.data)
            self.data += raw(text) + b'\0'
        return self.offsets[text]


class Writer:
    def __init__(self, bits, order, machine):
        self.wide, self.order, self.machine = bits == 64, '<' if order == 'little' else '>', machine
        self.sections = [('', 'null', 0, b'', 0, 0, 0, 0)]
        self.locals, self.globals = [], []

    def pack(self, layout, *values):
        return struct.pack(self.order + layout, *values)

    def section(self, name, data, kind='progbits', flags=2, link=0, info=0, align=1, entry=0):
        self.sections.append((name, kind, flags, bytes(data), link, info, align, entry))
        return len(self.sections) - 1

    def symbol(self, name, value, section, bind=GLOBAL, kind=NOTYPE, size=0):
        (self.locals if bind == LOCAL else self.globals).append((name, value, size, bind << 4 | kind, section))

    def symtab(self):
        strings, out = Strings(), bytearray(24 if self.wide else 16)
        for name, value, size, info, section in self.locals + self.globals:
            at = strings.add(name)
            out += (self.pack('IBBHQQ', at, info, 0, section, value, size) if self.wide
                    else self.pack('IIIBBH', at, value & 0xffffffff, size, info, 0, section))
        return out, strings.data

    def file(self, drop):
        """Contents first, one after the other, then the section headers, as a linker lays out a relocatable file."""
        table, strings = self.symtab()
        count = len(self.sections)
        self.section('.symtab', table, 'symtab', 0, count + 1, len(self.locals) + 1, 8 if self.wide else 4,
                     24 if self.wide else 16)
        self.section('.strtab', strings, 'strtab', 0)
        names = Strings()
        for section in self.sections:
            names.add(section[0] if section[0] not in drop else '.dropped')
        names.add('.shstrtab')
        self.section('.shstrtab', names.data, 'strtab', 0)

        header_size, entry_size = (64, 64) if self.wide else (52, 40)
        body, headers = bytearray(header_size), bytearray()
        for name, kind, flags, data, link, info, align, entry in self.sections:
            name = names.add(name if name not in drop else '.dropped')
            if kind != 'null':
                body += bytes(-len(body) % align)
            offset = 0 if kind == 'null' else len(body)
            body += data
            headers += self.pack('IIQQQQIIQQ' if self.wide else 'IIIIIIIIII', name, SHT[kind], flags, 0, offset,
                                 len(data), link, info, align, entry)
        body += bytes(-len(body) % 8)
        word = 'Q' if self.wide else 'I'
        body[:header_size] = (
            b'\x7fELF' + bytes([2 if self.wide else 1, 1 if self.order == '<' else 2, 1]) + bytes(9)
            + self.pack('HHI' + word * 3 + 'IHHHHHH', 1, self.machine, 1, 0, 0, len(body), 0, header_size, 0, 0,
                        entry_size, len(self.sections), len(self.sections) - 1))
        return bytes(body + headers)


def modinfo(facts):
    records = [(key, value) for key, value in facts.get('info', [])]
    if 'vermagic' in facts:
        records.append(('vermagic', facts['vermagic']))
    records.append(('license', facts.get('license', 'GPL')))
    for key, field in (('alias', 'aliases'), ('softdep', 'softdeps'), ('weakdep', 'weakdeps')):
        records += [(key, value) for value in facts.get(field, [])]
    if 'name' in facts:
        records.append(('name', facts['name']))
    if 'salt' in facts:
        records.append(('srcversion', facts['salt']))
    return b''.join(raw(f'{key}={value}') + b'\0' for key, value in records)


def build(facts):
    """The uncompressed module."""
    bits, order = facts.get('bits', 64), facts.get('order', 'little')
    elf = Writer(bits, order, facts.get('machine', MACHINES[bits, order]))
    exports, needs = facts.get('exports', []), facts.get('needs', [])
    crcs = facts.get('crcs', 'section')

    elf.symbol(facts.get('name', 'module') + '.c', 0, SHN_ABS, LOCAL, FILE)
    text = elf.section('.text', b'\x90' * 16 * max(1, len(exports)), flags=6, align=16)
    elf.symbol('', 0, text, LOCAL, SECTION)
    elf.section('.modinfo', modinfo(facts))
    if exports:
        elf.section('__ksymtab_strings', b''.join(raw(name) + b'\0' for name, _ in exports), flags=0x32)
        table = elf.section('__ksymtab', bytes(12 * len(exports)), align=4)
        if crcs == 'section':
            words = elf.section('__kcrctab', b''.join(elf.pack('I', crc) for _, crc in exports), align=4)
        for i, (name, crc) in enumerate(exports):
            elf.symbol('__ksymtab_' + name, 12 * i, table, LOCAL)
            if crcs == 'section':
                elf.symbol('__crc_' + name, 4 * i, words, LOCAL)
            elif crcs == 'absolute':
                elf.symbol('__crc_' + name, crc, SHN_ABS)
            elf.symbol(name, 16 * i, text, kind=FUNC, size=16)
    for name, _, *weak in needs:
        elf.symbol(name, 0, SHN_UNDEF, WEAK if weak and weak[0] == 'weak' else GLOBAL)

    versioned = [(need[0], need[1]) for need in needs if need[1] is not None]
    versions = [tuple(v) for v in facts.get('versions', [['module_layout', 0x2c635209]] if versioned else [])] + versioned
    style = facts.get('versions_as', 'old')
    if versions and style in ('old', 'both'):
        room = 56 if bits == 64 else 60
        elf.section('__versions', b''.join(
            elf.pack('Q' if bits == 64 else 'I', crc) + raw(name)[:room].ljust(room, b'\0')
            for name, crc in versions), align=8)
    if versions and style in ('ext', 'both'):
        elf.section('__version_ext_crcs', b''.join(elf.pack('I', crc) for _, crc in versions), align=4)
        elf.section('__version_ext_names', b''.join(raw(name) + b'\0' for name, _ in versions))
    this_module = elf.section('.gnu.linkonce.this_module', bytes(64), flags=3, align=64)
    elf.symbol('__this_module', 0, this_module, kind=OBJECT, size=64)
    if 'size' in facts:
        # twice, because the pad's own header and name count too
        pad = elf.section('.pad', b'', flags=0)
        short = facts['size'] - len(elf_copy(elf).file(facts.get('drop', [])))
        if short < 0 or short % 8:
            raise ValueError(f'cannot be {facts["size"]} bytes: {short} left')
        elf.sections[pad] = elf.sections[pad][:3] + (bytes(short),) + elf.sections[pad][4:]
    return elf.file(facts.get('drop', []))


def elf_copy(elf):
    copy = Writer(64 if elf.wide else 32, 'little' if elf.order == '<' else 'big', elf.machine)
    copy.sections, copy.locals, copy.globals = list(elf.sections), elf.locals, elf.globals
    return copy


@functools.lru_cache(maxsize=4096)
def compress(data, codec, frames=1):
    """data as the kernel's own build would compress it; one after the other if there are several frames."""
    if frames > 1:
        step = -(-len(data) // frames)
        return b''.join(compress(data[i:i + step], codec) for i in range(0, len(data), step))
    if codec == 'none':
        return data
    if codec == 'gz':
        return gzip.compress(data, 9, mtime=0)
    if codec == 'xz':
        return lzma.compress(data, check=lzma.CHECK_CRC32, filters=[
            {'id': lzma.FILTER_LZMA2, 'preset': 6, 'dict_size': 1 << 20}])
    if codec == 'zst':
        return subprocess.run(['zstd', '-q', '-3', f'--stream-size={len(data)}', '-c'], input=data,
                              stdout=subprocess.PIPE, check=True).stdout
    raise ValueError('no such codec: ' + codec)


def codec_of(path):
    return next((codec for codec in ('gz', 'xz', 'zst') if path.endswith('.ko.' + codec)), 'none')


def write(path, facts, codec=None, frames=1):
    """Write the module, as a new file (a file of that name is unlinked, not overwritten)."""
    data = compress(build(facts), codec or codec_of(path), frames)
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, 'xb') as out:
        out.write(data)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split('\n')[2])
    with (sys.stdin if sys.argv[1] == '-' else open(sys.argv[1])) as source:
        write(sys.argv[2], json.load(source))


if __name__ == '__main__':
    main()
