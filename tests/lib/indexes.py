# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the index files in two ways that owe nothing to the program under test: here, and through libkmod.

A .bin file is a trie (all words big-endian): magic, version, root offset; a node is its prefix, its table of children
and its values, each only if a flag in the offset that leads to it says so.
"""
import ctypes
import os
import struct

FILES = tuple('modules.' + name for name in (
    'dep', 'dep.bin', 'alias', 'alias.bin', 'softdep', 'weakdep', 'symbols', 'symbols.bin', 'builtin.bin',
    'builtin.alias.bin', 'devname'))
PREFIX, VALUES, CHILDREN = 0x80000000, 0x40000000, 0x20000000


def trie(data):
    """[(key, [(priority, value)…])…] of a .bin file's bytes in key order; [] for an empty file (no list to index)."""
    if not data:
        return []
    if struct.unpack_from('>II', data) != (0xB007F457, 0x00020001):
        raise ValueError('not an index file')
    entries, used = [], 12

    def string(at):
        end = data.index(b'\0', at)
        return data[at:end], end + 1

    def node(offset, key):
        nonlocal used
        flags, at = offset & ~0x0fffffff, offset & 0x0fffffff
        start, children = at, []
        if flags & PREFIX:
            prefix, at = string(at)
            key += prefix
        if flags & CHILDREN:
            first, last = data[at], data[at + 1]
            words = struct.unpack_from(f'>{last - first + 1}I', data, at + 2)
            children = [(first + i, word) for i, word in enumerate(words) if word]
            at += 2 + 4 * len(words)
        if flags & VALUES:
            count, = struct.unpack_from('>I', data, at)
            at, values = at + 4, []
            for _ in range(count):
                priority, = struct.unpack_from('>I', data, at)
                value, at = string(at + 4)
                values.append((priority, value))
            entries.append((key, values))
        used += at - start
        for char, word in children:
            node(word, key + bytes([char]))

    root, = struct.unpack_from('>I', data, 8)
    if root & ~0x0fffffff:
        node(root, b'')
    if used != len(data):
        raise ValueError(f'{len(data)} bytes, but the nodes take {used}')
    return entries


class Libkmod:
    """What modprobe would find: the installed libkmod, asked about one kernel's published indexes."""

    INDEXES = {'modules.dep.bin': 0, 'modules.alias.bin': 1, 'modules.symbols.bin': 2, 'modules.builtin.alias.bin': 3,
               'modules.builtin.bin': 4}
    lib = None

    def __init__(self, directory):
        if Libkmod.lib is None:
            lib = Libkmod.lib = ctypes.CDLL('libkmod.so.2')
            for name in ('kmod_new', 'kmod_unref', 'kmod_list_next', 'kmod_module_get_module', 'kmod_module_unref',
                         'kmod_module_get_dependencies'):
                getattr(lib, name).restype = ctypes.c_void_p
            for name in ('kmod_module_get_name', 'kmod_module_get_path', 'kmod_module_info_get_key',
                         'kmod_module_info_get_value', 'kmod_module_symbol_get_symbol',
                         'kmod_module_dependency_symbol_get_symbol'):
                getattr(lib, name).restype = ctypes.c_char_p
            for name in ('kmod_module_symbol_get_crc', 'kmod_module_dependency_symbol_get_crc'):
                getattr(lib, name).restype = ctypes.c_uint64
        no_config = (ctypes.c_char_p * 1)(None)
        self.ctx = ctypes.c_void_p(self.lib.kmod_new(os.fsencode(directory), no_config))
        self.lib.kmod_set_log_priority(self.ctx, 0)
        self.lib.kmod_load_resources(self.ctx)
        self.cut = len(os.fsencode(directory)) + 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lib.kmod_unref(self.ctx)

    def dump(self, name):
        """The lines of an index as libkmod prints them, or the error number."""
        fd = os.memfd_create('index')
        try:
            error = self.lib.kmod_dump_index(self.ctx, self.INDEXES[name], fd)
            os.lseek(fd, 0, os.SEEK_SET)
            with open(fd, 'rb', closefd=False) as file:
                return error or file.read().split(b'\n')
        finally:
            os.close(fd)

    def lookup(self, alias):
        """[(module, path, [paths of what it depends on])…], or the error number."""
        modules = ctypes.c_void_p()
        error = self.lib.kmod_module_new_from_lookup(self.ctx, alias, ctypes.byref(modules))
        if error < 0:
            return error
        return [(self.lib.kmod_module_get_name(m), self.path(m), [self.path(d) for d in self.each(
            self.lib.kmod_module_get_dependencies(m))]) for m in self.each(modules)]

    def facts(self, path):
        """What libkmod reads from a module: ([(key, value)…], [(export, crc)…], [(need, crc, is weak)…]).

        Where it fails, the error number stands for the list."""
        module = ctypes.c_void_p()
        error = self.lib.kmod_module_new_from_path(self.ctx, os.fsencode(path), ctypes.byref(module))
        if error < 0:
            raise OSError(-error, os.strerror(-error), path)

        def listed(what, *getters):
            entries = ctypes.c_void_p()
            error = getattr(self.lib, f'kmod_module_get_{what}')(module, ctypes.byref(entries))
            if error < 0:
                return error
            what, found, at = what.rstrip('s'), [], entries
            while at and at.value:
                found.append(tuple(getattr(self.lib, f'kmod_module_{what}_get_{getter}')(at) for getter in getters))
                at = ctypes.c_void_p(self.lib.kmod_list_next(entries, at))
            return found

        info = listed('info', 'key', 'value')
        exports = listed('symbols', 'symbol', 'crc')
        needs = listed('dependency_symbols', 'symbol', 'crc', 'bind')
        if isinstance(needs, list):
            needs = [(name, crc, bind == ord('W')) for name, crc, bind in needs]
        self.lib.kmod_module_unref(module)
        return info, exports, needs

    def path(self, module):
        path = self.lib.kmod_module_get_path(module)
        return path and path[self.cut:]

    def each(self, modules):
        """The modules of a kmod_list, which is freed in the end."""
        first = modules if isinstance(modules, ctypes.c_void_p) else ctypes.c_void_p(modules)
        at = first
        while at and at.value:
            module = ctypes.c_void_p(self.lib.kmod_module_get_module(at))
            yield module
            self.lib.kmod_module_unref(module)
            at = ctypes.c_void_p(self.lib.kmod_list_next(first, at))
        self.lib.kmod_module_unref_list(first)
