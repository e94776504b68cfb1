# SPDX-License-Identifier: GPL-2.0-or-later
"""What SUSE's weak-modules2 does when a kernel module package (KMP) is added or removed, call by call.

A KMP is built for one kernel. For each other kernel weak-modules2 makes a copy of its directory out of links, adds
links to the KMP's modules there, and asks depmod -e whether symbols are missing or disagree. If not, the links are
made in the kernel's own directory.
"""
import os
import shutil

import indexes

ERRORS = (' needs unknown symbol ', ' disagrees about version of symbol ')


def symbols(source, paths, only_in=()):
    """What vmlinux must export: {name: crc} of what these modules need and none of them exports; and one of the names
    that modules in only_in need and no other does."""
    with indexes.Libkmod(source) as kmod:
        facts = {path: kmod.facts(os.path.join(source, path)) for path in paths}
    # an error number stands for a list that a module does not have
    exports = {name for _, names, _ in facts.values() if isinstance(names, list) for name, _ in names}
    needs = {path: {name: crc for name, crc, _ in found if name not in exports}
             for path, (_, _, found) in facts.items() if isinstance(found, list)}
    crcs = {name: crc for found in needs.values() for name, crc in found.items()}
    others = {name for path, found in needs.items() if path not in only_in for name in found}
    return crcs, min((name for path in only_in for name in needs[path] if name not in others), default=None)


def write_symbols(system, kver, crcs):
    with open(system / f'boot/symvers-{kver}', 'wb') as out:
        out.writelines(b'0x%08x\t%s\tvmlinux\tEXPORT_SYMBOL\t\n' % (crc, name) for name, crc in crcs.items())
    with open(system / f'boot/System.map-{kver}', 'wb') as out:
        out.writelines(b'ffffffff82000000 r __ksymtab_%s\n' % name for name in crcs)


class WeakModules:
    """In one root, with one depmod. kmps: {name: module files}, which are for the kernel own."""

    def __init__(self, system, own, other, kmps):
        self.system, self.own, self.other, self.kmps = system, own, other, kmps
        self.said, self.copies = [], []

    def depmod(self, *arguments):
        return self.system.call(*arguments)

    def module(self, file):
        return f'/lib/modules/{self.own}/updates/{os.path.basename(file)}'

    def links(self, kver, kmp, base=''):
        """[(module, link)] below weak-updates/."""
        return [(self.module(file),
                 self.system / f'{base}/lib/modules/{kver}/weak-updates/updates/{os.path.basename(file)}')
                for file in self.kmps[kmp]]

    def link(self, kver, kmp, base=''):
        for target, link in self.links(kver, kmp, base):
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(target, link)

    def copy_of_links(self, kver, base):
        """Directories are made anew; kernel/ and each file is a link to the live one, indexes too."""
        top = f'/lib/modules/{kver}'
        os.makedirs(self.system / f'{base}{top}/weak-updates')
        os.symlink(top + '/kernel', self.system / f'{base}{top}/kernel')
        for at, directories, names in os.walk(self.system / top):
            inside = at[len(self.system.path):]
            directories[:] = [name for name in directories if f'{inside}/{name}' != top + '/kernel']
            os.makedirs(self.system / (base + inside), exist_ok=True)
            for name in names:
                os.symlink(f'{inside}/{name}', self.system / f'{base}{inside}/{name}')

    def check(self, kver, base):
        done = self.depmod('-b', base, '-ae', '-E', f'/boot/symvers-{kver}', kver)
        self.said = [line for line in done.stderr.splitlines() if any(words in line for words in ERRORS)]
        return done.returncode == 0 and not self.said

    def check_in_copy(self, kver, kmp=None):
        base = f'/var/tmp/weak-modules2/{kver}'
        self.copy_of_links(kver, base)
        if kmp:
            self.link(kver, kmp, base)
        before = self.tree(base)
        good = self.check(kver, base)
        self.copies.append((self.system.indexes(kver, base + '/lib/modules'), self.tree(base) - before))
        shutil.rmtree(self.system / '/var/tmp/weak-modules2')
        return good

    def tree(self, base):
        return {os.path.relpath(os.path.join(at, name), self.system / base)
                for at, directories, names in os.walk(self.system / base) for name in names + directories}

    def update(self, kver):
        return self.depmod('-F', f'/boot/System.map-{kver}', '-ae', kver).returncode

    def add(self, kmp):
        """In each kernel it was: there already, linked, or why it cannot be."""
        outcome, self.copies = {}, []
        for file in self.kmps[kmp]:
            to = self.system / self.module(file)
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(file, to)
        for kver in (self.own, self.other):
            self.check(kver, '/')
            if kver == self.own:
                outcome[kver] = 'there', self.update(kver)
            elif self.check_in_copy(kver, kmp):
                self.link(kver, kmp)
                outcome[kver] = 'linked', self.update(kver)
            else:
                outcome[kver] = sorted(self.said)
        return outcome

    def remove(self, kmp):
        outcome, self.copies = {}, []
        for file in self.kmps[kmp]:
            os.unlink(self.system / self.module(file))
        for kver in (self.own, self.other):
            links = [link for _, link in self.links(kver, kmp) if os.path.islink(link)]
            if kver == self.other and not links:
                continue
            for link in links:
                os.unlink(link)
            outcome[kver] = self.check_in_copy(kver), self.update(kver)
        return outcome

    def state(self):
        """All links, and the indexes of both kernels."""
        links = {}
        for at, directories, names in os.walk(self.system / '/lib/modules'):
            for name in names + directories:
                path = os.path.join(at, name)
                if os.path.islink(path):
                    links[path[len(self.system.path):]] = os.readlink(path)
        return links, {kver: self.system.indexes(kver) for kver in (self.own, self.other)}
