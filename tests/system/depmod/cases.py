# SPDX-License-Identifier: GPL-2.0-or-later
"""The conformance test's cases: a tree, a command line, and what of the outcome is known to differ.

A tree is {path: content}: facts of a module, text, bytes, link(target), or DIRECTORY. A step before the run is
['depmod', arguments], ['write', path, content], ['remove', path] or ['age', path, seconds since the epoch].

differs names the known differences that show in this case; where they do, kmod's depmod is called once more in such a
way that it does the same: with other arguments (reference), on another tree (reference_tree), whose place may be
another (moved: ours, kmod's).
"""
import os

import mkmodule

K, OTHER, RUNNING = '6.1.0-7-test', '6.2.0-1-test', os.uname().release
DIRECTORY = object()
PRINTK, LAYOUT, ALPHA_GET, ALPHA_PUT, BETA = 0x100, 0x2c635209, 0x11, 0x12, 0x21


def link(target):
    return ('link', target)


def needs(*pairs):
    return [[name, crc] for name, crc in pairs]


def module(name, codec='none', **facts):
    return mkmodule.compress(mkmodule.build({'name': name, **facts}), codec)


MODULES = {
    'kernel/lib/alpha.ko': {'name': 'alpha', 'exports': [['alpha_get', ALPHA_GET], ['alpha_put', ALPHA_PUT]],
                            'needs': needs(('printk', PRINTK))},
    'kernel/fs/beta/beta.ko': {'name': 'beta', 'exports': [['beta_open', BETA]], 'aliases': ['fs-beta'],
                               'needs': needs(('alpha_get', ALPHA_GET), ('printk', PRINTK))},
    'kernel/net/gamma.ko': {'name': 'gamma', 'aliases': ['pci:v00008086d0000100Esv*sd*bc*sc*i*', 'net-pf-[0-9]-x'],
                            'softdeps': ['pre: beta post: delta_x'], 'weakdeps': ['epsilon'],
                            'needs': needs(('beta_open', BETA), ('alpha_put', ALPHA_PUT), ('printk', PRINTK))},
    'kernel/drivers/misc/delta-x.ko': {'name': 'delta_x', 'aliases': ['char-major-10-200', 'devname:net/delta']},
    'kernel/drivers/usb/epsilon.ko': {'name': 'epsilon', 'aliases': ['usb:v1D6Bp*d*dc*dsc*dp*ic*isc*ip*in*'],
                                      'needs': needs(('alpha_put', ALPHA_PUT))},
}
ORDER = ''.join(f'kernel/{path}\n' for path in ('net/gamma.ko', 'fs/beta/beta.ko', 'drivers/usb/epsilon.ko',
                                               'lib/alpha.ko', 'drivers/misc/delta-x.ko'))
BUILTIN = 'kernel/mm/zpool.ko\nkernel/fs/ext-2.ko\n'
MODINFO = 'zpool.license=GPL\0zpool.alias=pool-*\0ext_2.alias=fs-ext2\0ext_2.alias=fs-ext[34]-x\0'
SYMVERS = ''.join(f'0x{crc:08x}\t{name}\t{where}\tEXPORT_SYMBOL\t\n' for name, crc, where in (
    ('printk', PRINTK, 'vmlinux'), ('module_layout', LAYOUT, 'vmlinux'), ('alpha_get', ALPHA_GET, 'lib/alpha')))
MAP = ('ffffffff81000000 T _text\nffffffff81234560 T printk\nffffffff82000000 r __ksymtab_printk\n'
       'ffffffff82000010 r __ksymtab_module_layout\n')


def modules(replaced=None, kver=K, base='lib/modules'):
    """The kernel's directory; what is replaced by None is left out."""
    tree = {**MODULES, 'modules.order': ORDER, 'modules.builtin': BUILTIN, 'modules.builtin.modinfo': MODINFO,
            **(replaced or {})}
    return {f'{base}/{kver}/{path}': content for path, content in tree.items() if content is not None}


def tree(replaced=None, **further):
    """The usual root with changes below the kernel's directory, and further files elsewhere (__ stands for /)."""
    return {**modules(replaced), 'boot/symvers': SYMVERS, 'boot/map': MAP,
            **{path.replace('__', '/').replace('_conf', '.conf').replace('_d/', '.d/'): content
               for path, content in further.items()}}


def config(text, replaced=None):
    return tree(replaced, etc__depmod_d__test_conf=text)


def image(replaced=None, **further):
    """Its kernel is in an image below the root."""
    return {**modules(replaced, base='image/lib/modules'), 'boot/symvers': SYMVERS, 'boot/map': MAP, **further}


ALPHA2 = {'name': 'alpha', 'exports': [['alpha_get', ALPHA_GET], ['alpha_new', 5]]}
UNKNOWN = {'name': 'zeta', 'needs': needs(('no_such', 1), ('printk', PRINTK)) + [['weak_one', 2, 'weak']]}
DISAGREES = {'name': 'eta', 'needs': needs(('alpha_get', 0xbad), ('printk', 0xbad1))}
NO_CRC = {'name': 'theta', 'exports': [['theta_x', 0]], 'crcs': 'none', 'needs': [['alpha_get', None]]}
CYCLE = {'extra/one.ko': {'name': 'one', 'exports': [['one_x', 1]], 'needs': needs(('two_x', 2))},
         'extra/two.ko': {'name': 'two', 'exports': [['two_x', 2]], 'needs': needs(('three_x', 3))},
         'extra/three.ko': {'name': 'three', 'exports': [['three_x', 3]], 'needs': needs(('one_x', 1))}}
ITSELF = {'extra/self.ko': {'name': 'self', 'exports': [['self_x', 1]], 'needs': needs(('self_x', 1))}}
MIXED = {'kernel/lib/alpha.ko': None, 'kernel/fs/beta/beta.ko': None, 'kernel/net/gamma.ko': None,
         'kernel/lib/alpha.ko.xz': MODULES['kernel/lib/alpha.ko'],
         'kernel/fs/beta/beta.ko.zst': MODULES['kernel/fs/beta/beta.ko'],
         'kernel/net/gamma.ko.zst': module(**MODULES['kernel/net/gamma.ko'])}

PROBLEMS = {'extra/zeta.ko': UNKNOWN, 'extra/eta.ko.zst': DISAGREES, 'extra/theta.ko': NO_CRC}

CASES = []


def case(name, arguments, what=None, before=(), differs='', reference=None, reference_tree=None, moved=(), user=None,
         limit=None):
    """user: not as root, but as this one; limit: no file can grow beyond these bytes."""
    what = tree() if what is None else what
    CASES.append({'name': name, 'arguments': arguments, 'tree': what, 'before': before, 'differs': differs.split(),
                  'reference': reference or arguments, 'reference_tree': reference_tree or what, 'moved': moved,
                  'user': user, 'limit': limit})


# --- which modules, where --------------------------------------------------------------------------------------------

case('a version', [K])
case('-a', ['-a', K])
case('--all after the version', [K, '--all'])
case('the running kernel', [], modules(kver=RUNNING))
case('-a, the running kernel', ['-a'], modules(kver=RUNNING))
case('-e for the running kernel', ['-ae', '-E', '/boot/symvers'], {**modules(kver=RUNNING), 'boot/symvers': SYMVERS})
case('a version that is none', ['rubbish'])
case('a version without a dot', ['6'])
case('an empty version', [''])
case('a version with a slash at the end', [K + '/'])
case('a version that leads elsewhere', ['6.1/../' + K], {**tree(), 'lib/modules/6.1/here': ''})
case('no directory of that version', ['-a', '6.7.8'])
case('a file in its place', ['-a', K], {f'lib/modules/{K}': 'a file\n'})
case('an empty directory', ['-a', K], {f'lib/modules/{K}': DIRECTORY})
case('a directory without modules', ['-a', K], tree(dict.fromkeys(MODULES)))
case('a directory with builtin lists only', ['-a', K], tree({**dict.fromkeys(MODULES), 'modules.order': None}))
case('a directory that is a link', ['-a', '6.1-link'], {**tree(), 'lib/modules/6.1-link': link(K)})
case('-b', ['-a', '-b', '/image', K], image())
case('-b, relative', ['-b', 'image', '-a', K], image())
case('-b, with slashes', ['-b', '//image/', '-a', K], image())
case('--basedir=', ['--basedir=/image', K], image())
case('-b, twice', ['-b', '/none', '-b', '/image', K], image())
case('-b /', ['-b', '/', '-ae', '-E', '/boot/symvers', K])
case('-b of a missing directory', ['-b', '/none', '-a', K])
case('-b, whose configuration does not count', ['-b', '/image', '-a', K], image(
    {'extra/alpha.ko': ALPHA2}, **{'image/etc/depmod.d/x.conf': 'search extra built-in\n'}))
case('-b, for which the host\'s configuration counts', ['-b', '/image', '-a', K], image(
    {'extra/alpha.ko': ALPHA2}, **{'etc/depmod.d/x.conf': 'search extra built-in\n'}))
case('-b, with an absolute link to the host\'s file', ['-b', '/image', '-a', K], image(
    {'extra/alpha.ko': link('/store/alpha.ko')}, **{'store/alpha.ko': ALPHA2}))
case('-b, with an absolute link to the host\'s directory', ['-b', '/image', '-a', K], image(
    {'extra': link('/store')}, **{'store/sub/zeta.ko': UNKNOWN}))
case('-b, a copy of a kernel that is known', ['-b', '/image', '-a', K], {**tree(), **image()},
     before=[['depmod', ['-a', K]]])
case('--outdir', ['-a', '-o', '/out', K], differs='outdir', reference=['-a', K],
     moved=[('out/lib/modules', 'lib/modules')])
case('--outdir, relative, and -b', ['-a', '-b', '/image', '--outdir=out/x', K], image(), differs='outdir',
     reference=['-a', '-b', '/image', K], moved=[('out/x/lib/modules', 'image/lib/modules')])
case('--outdir, again', ['-a', '-o', '/out', K], before=[['depmod', ['-a', K]]], differs='outdir', reference=['-a', K],
     moved=[('out/lib/modules', 'lib/modules')])
case('--outdir, a missing kernel', ['-a', '-o', '/out', '6.7.8'], differs='outdir', reference=['-a', '6.7.8'])
case('--moduledir', ['-a', '-m', 'usr/mods', K], modules(base='usr/mods'), differs='moduledir', reference=['-a', K],
     reference_tree=modules(), moved=[('usr/mods', 'lib/modules')])
case('--moduledir, absolute, and -b', ['-a', '-m', '/mods', '-b', '/image', K], modules(base='image/mods'),
     differs='moduledir', reference=['-a', '-b', '/image', K], reference_tree=modules(base='image/lib/modules'),
     moved=[('image/mods', 'image/lib/modules')])
case('--moduledir and --outdir', ['-a', '--moduledir=/mods', '-o', '/out', K], modules(base='mods'),
     differs='outdir moduledir', reference=['-a', K], reference_tree=modules(),
     moved=[('out/mods', 'lib/modules'), ('mods', 'lib/modules')])

# --- -A --------------------------------------------------------------------------------------------------------------

ALL = ['depmod', ['-a', K]]
case('-A, no indexes', ['-A', K])
case('--quick, nothing changed', ['--quick', K], before=[ALL])
case('-A, a newer module', ['-A', K], before=[ALL, ['write', f'lib/modules/{K}/extra/zeta.ko', UNKNOWN],
                                             ['age', f'lib/modules/{K}/extra/zeta.ko', 4_000_000_000]])
case('-A, a module fewer', ['-A', K], before=[
    ALL, ['remove', f'lib/modules/{K}/kernel/lib/alpha.ko']], differs='quick', reference=['-a', K])
case('-A, another module of an old time', ['-A', K], before=[
    ALL, ['write', f'lib/modules/{K}/kernel/lib/alpha.ko', ALPHA2],
    ['age', f'lib/modules/{K}/kernel/lib/alpha.ko', 1_000_000_000]], differs='quick', reference=['-a', K])
NOISY = tree({'extra/zeta.ko': UNKNOWN, 'extra/bad.ko': b'rubbish', 'modules.order': None, 'modules.builtin': None})
case('-A, nothing changed, of what there is much to say', ['-A', K], NOISY, before=[ALL])
case('-A -e, nothing changed, a symbol is missing', ['-Ae', '-F', '/boot/map', K], tree(PROBLEMS), before=[ALL],
     differs='quick-errsyms', reference=['-ae', '-F', '/boot/map', K])
case('-A -w, something changed', ['-Aw', K], NOISY, before=[
    ALL, ['write', f'lib/modules/{K}/extra/eta.ko', DISAGREES],
    ['age', f'lib/modules/{K}/extra/eta.ko', 4_000_000_000]])
case('-A of a missing directory', ['-A', '6.7.8'])
case('-A and -n', ['-A', '-n', K])
case('-A of an image', ['-A', '-b', '/image', K], image())
case('-A with files', ['-A', K, f'/lib/modules/{K}/kernel/lib/alpha.ko'], before=[ALL])

# --- -n and -v -------------------------------------------------------------------------------------------------------

case('-n', ['-n', K])
case('-an', ['-an', K])
case('--show', ['--show', '-a', K])
case('--dry-run', ['--dry-run', K])
case('-n of a missing directory', ['-n', '6.7.8'])
case('-n of an image', ['-n', '-b', 'image', K], image())
case('-n, with indexes on disk', ['-n', K], before=[ALL])
case('-n and -e', ['-ne', '-F', '/boot/map', K], tree({'extra/zeta.ko': UNKNOWN}))
case('-n with a cycle', ['-n', K], tree(CYCLE))
case('-v', ['-v', '-a', K])
case('-v, twice', ['-vv', '-a', K], differs='info')
case('--verbose and -n', ['--verbose', '-n', K])
case('-v of an image, with a symbol before its prefix', ['-v', '-P', '_', '-b', '/image', K], image())

# --- configuration ---------------------------------------------------------------------------------------------------

TWO = {'updates/alpha.ko': ALPHA2, 'extra/beta.ko': {'name': 'beta', 'aliases': ['other']}}
case('updates/ first', ['-a', K], tree(TWO))
case('search', ['-a', K], config('search extra updates built-in\n', TWO))
case('search, built-in first', ['-a', K], config('search built-in updates extra\n', TWO))
case('search without built-in', ['-a', K], config('search extra\n', TWO))
case('search, two lines', ['-a', K], config('search extra\nsearch built-in updates\n', TWO))
case('override', ['-a', K], config(f'override beta {K} extra\n', TWO))
case('override for another kernel', ['-a', K], config('override beta 5.10.0 extra\n', TWO))
case('override by a pattern and for all', ['-a', K], config(
    'override beta 6.1.* extra\noverride alpha * kernel/lib\n', TWO))
case('external', ['-a', K], {**config(f'external {K} /more\nsearch external updates built-in\n', TWO),
                             'more/sub/alpha.ko': ALPHA2, 'more/zeta.ko.xz': UNKNOWN})
case('external, last', ['-a', K], {**config('external * /more\nsearch updates built-in external\n', TWO),
                                   'more/alpha.ko': ALPHA2, 'more/zeta.ko': UNKNOWN})
case('external, missing', ['-a', K], config(f'external {K} /none\nsearch external built-in\n'))
case('external of another kernel', ['-a', K], {**config('external 5.10.0 /more\n'), 'more/zeta.ko': UNKNOWN})
case('external and -b', ['-a', '-b', '/image', K], image(
    **{'etc/depmod.d/x.conf': f'external {K} /more\nsearch external built-in\n', 'more/zeta.ko': UNKNOWN}))
SEARCH_EXTERNAL = 'search external updates built-in\n'
BETA2, ZETA2, IN_TREE = {'name': 'beta', 'aliases': ['two']}, {'name': 'zeta', 'aliases': ['two']}, f'/lib/modules/{K}'
case('external, with a slash at its end', ['-a', K], {
    **config('external * /more/\n' + SEARCH_EXTERNAL, TWO), 'more/beta.ko': BETA2, 'more/sub/alpha.ko': ALPHA2,
    'more/zeta.ko': UNKNOWN})
case('external, with slashes in it, without conflict', ['-a', K], {
    **config('external * //more//sub//\n'), 'more/sub/zeta.ko': UNKNOWN, 'more/sub/x/eta.ko': DISAGREES})
case('external, below the module directory', ['-a', K], config(
    f'external * {IN_TREE}/extra\n' + SEARCH_EXTERNAL, {**TWO, 'extra/alpha.ko': ALPHA2}))
case('external, below the module directory, with a slash at its end', ['-a', K], config(
    f'external * {IN_TREE}/extra/\n' + SEARCH_EXTERNAL, {**TWO, 'extra/alpha.ko': ALPHA2}))
case('external, below the module directory, a module of it is in modules.order', ['-a', K], config(
    f'external * {IN_TREE}/build/x\n', {'build/x/zeta.ko': UNKNOWN, 'modules.order': 'build/x/zeta.ko\n' + ORDER}))
case('external, below the module directory, for the second time', ['-a', K], config(
    f'external * {IN_TREE}/updates/a\n', {'updates/a/zeta.ko': UNKNOWN, 'updates/b/zeta.ko': ZETA2}))
case('external, the module directory itself', ['-a', K], config(
    f'external * {IN_TREE}\nsearch built-in external\n', {**TWO, 'updates/a/zeta.ko': UNKNOWN, 'updates/b/zeta.ko': ZETA2}))
case('external, all module directories', ['-a', K], {
    **config('external * /lib/modules\nsearch built-in external\n', TWO), f'lib/modules/{OTHER}/extra/zeta.ko': UNKNOWN,
    f'lib/modules/{OTHER}/kernel/beta.ko': BETA2})
case('external, by another name of the module directory', ['-a', K], {
    **config(f'external * /modules/{K}/extra\n' + SEARCH_EXTERNAL, TWO), 'modules': link('lib/modules')})
case('externals, and what is built in: the one configured last is seen first', ['-a', K], {
    **config('external * /a\nexternal * /b\n'), 'a/zeta.ko': UNKNOWN, 'b/zeta.ko': ZETA2})
case('externals, one within the other', ['-a', K], {
    **config('external * /more\nexternal * /more/sub\n' + SEARCH_EXTERNAL), 'more/sub/beta.ko': BETA2,
    'more/zeta.ko': UNKNOWN, 'more/sub/zeta.ko': ZETA2, 'more/sub/sub/eta.ko': DISAGREES})
case('externals, one within the other, in the other order', ['-a', K], {
    **config('external * /more/sub\nexternal * /more\n' + SEARCH_EXTERNAL), 'more/sub/beta.ko': BETA2,
    'more/zeta.ko': UNKNOWN, 'more/sub/zeta.ko': ZETA2})
case('externals, one in what the other leaves out', ['-a', K], {
    **config('external * /more\nexternal * /more/build\n'), 'more/build/zeta.ko': UNKNOWN, 'more/zeta.ko': ZETA2})
case('externals whose names begin alike', ['-a', K], {
    **config('external * /more\nexternal * /more2\n' + SEARCH_EXTERNAL), 'more/zeta.ko': UNKNOWN,
    'more2/zeta.ko': ZETA2})
case('external and -b, below the module directory', ['-a', '-b', '/image', K], image(
    {'extra/beta.ko': BETA2}, **{'etc/depmod.d/x.conf': f'external * /image{IN_TREE}/extra\n' + SEARCH_EXTERNAL}))
case('external and -b /, which makes it another path', ['-b', '/', '-a', K], config(
    f'external * {IN_TREE}/extra\nexternal * /{IN_TREE}/updates\n' + SEARCH_EXTERNAL, TWO))
case('external, a module directory that is a link', ['-a', '6.1-link'], {
    **config(f'external * {IN_TREE}/extra\nexternal * /lib/modules/6.1-link/updates\n' + SEARCH_EXTERNAL, TWO),
    'lib/modules/6.1-link': link(K)})
case('external, relative', ['-a', K], {**config('external * more\n'), 'more/zeta.ko': UNKNOWN},
     differs='relative-external', reference_tree={**config('# none\n'), 'more/zeta.ko': UNKNOWN})
case('exclude', ['-a', K], config('exclude usb\n'))
case('bad configuration lines', ['-a', K], config(
    '# comment\n\nsurch updates\nsearch\noverride beta\nexternal x\nmake_map_files yes\n'
    'search extra \\\n updates\n', TWO))
case('configuration masked', ['-a', K], tree(
    TWO, **{'etc/depmod.d/x.conf': link('/dev/null'), 'lib/depmod.d/x.conf': 'search extra built-in\n',
            'run/depmod.d/y.conf': 'search built-in extra\n', 'run/depmod.d/y.txt': 'search extra\n'}))
case('configuration of one name twice', ['-a', K], tree(
    TWO, **{'etc/depmod.d/x.conf': 'search extra built-in\n', 'lib/depmod.d/x.conf': 'search built-in extra\n'}))
case('-C file', ['-a', '-C', '/c.conf', K], tree(TWO, **{'c.conf': 'search extra built-in\n'}))
case('-C relative file', ['-a', '-C', 'c.conf', K], tree(TWO, **{'c.conf': 'search extra built-in\n'}),
     differs='relative-config', reference=['-a', '-C', '/c.conf', K])
case('-C directory', ['-a', '-C', '/c', K], tree(TWO, **{'c/a.conf': 'search extra\n', 'c/b.conf': 'search built-in\n',
                                                         'c/c': 'override beta * kernel\n'}))
case('-C twice, and those of the host do not count', ['-a', '-C', '/c.conf', '--config=/d', K], {
    **config('search extra built-in\n', TWO), 'c.conf': f'override beta {K} extra\n',
    'd/x.conf': 'search built-in updates\n'})
case('-C missing', ['-a', '-C', '/none', K], tree(TWO))

# --- symbols ---------------------------------------------------------------------------------------------------------

case('-e alone', ['-ae', K], tree(PROBLEMS))
case('-e -E', ['-ae', '-E', '/boot/symvers', K], tree(PROBLEMS))
case('-e -E, long forms', ['--errsyms', '--symvers=/boot/symvers', '--all', K], tree(PROBLEMS))
case('-e -F', ['-ae', '-F', '/boot/map', K], tree(PROBLEMS))
case('-F after the version, as DKMS has it', ['-a', K, '-F', '/boot/map'], tree(PROBLEMS))
case('--filesyms, without -e', ['-a', '--filesyms', '/boot/map', K], tree(PROBLEMS))
case('-E, without -e', ['-a', '-E', '/boot/symvers', K], tree(PROBLEMS))
case('-E and -F', ['-ae', '-F', '/none', '-E', '/boot/symvers', K], tree(PROBLEMS))
case('-E missing', ['-ae', '-E', '/none', K])
case('-F missing', ['-ae', '-F', '/none', K])
case('-E of a directory', ['-ae', '-E', '/boot', K])
case('-E, relative', ['-ae', '-E', 'boot/symvers', K], tree(PROBLEMS))
case('-E with bad lines', ['-ae', '-E', '/bad', K], tree(
    PROBLEMS, bad='0xzz\tprintk\tvmlinux\n\nshort\n0x1 two vmlinux X\n0xyy\tprintk\tvmlinux\tX\n'),
     differs='errno')
case('-F with bad lines', ['-ae', '-F', '/bad', K], tree(PROBLEMS, bad='short\n1 2\n\nffff r __ksymtab_printk\n'))
case('-E empty', ['-ae', '-E', '/bad', K], tree(PROBLEMS, bad=''))
case('-P', ['-ae', '-P', '_', '-F', '/bad', K], tree(
    {'extra/iota.ko': {'name': 'iota', 'needs': needs(('_printk', 1), ('_alpha_get', ALPHA_GET), ('alpha_put', 0))}},
    bad='ffff r ___ksymtab_printk\n'))
case('--symbol-prefix and exports that have it', ['-a', '--symbol-prefix=_', K], tree(
    {'extra/iota.ko': {'name': 'iota', 'exports': [['_iota', 1]]},
     'extra/kappa.ko': {'name': 'kappa', 'needs': needs(('iota', 1))}}))
case('-P with two characters', ['-P', '__', K])
case('-P with none', ['-P', '', K])
case('-e and a leading dot', ['-ae', '-F', '/boot/map', K], tree({'extra/iota.ko': {'name': 'iota', 'needs': needs(
    ('.printk', 0), ('.alpha_get', 0), ('.TOC.', 0), ('_GLOBAL_OFFSET_TABLE_', 0), ('.none', 0))}}))
case('-e for an image', ['-b', '/image', '-ae', '-E', '/boot/symvers', K], image(PROBLEMS))
case('-w', ['-a', '-w', K], tree({'extra/iota.ko': {'name': 'iota', 'aliases': ['fs-beta', 'fs-beta', 'iota'],
                                                    'exports': [['beta_open', 3]]}}))
case('--warn, nothing twice', ['--warn', K])
case('-w and -n', ['-wn', K], tree({'extra/iota.ko': {'name': 'iota', 'aliases': ['fs-beta', 'fs-beta', 'iota']}}),)
case('-x, nothing to report', ['-aex', '-E', '/boot/symvers', K], differs='more-options',
     reference=['-ae', '-E', '/boot/symvers', K])
case('-x, something to report', ['-ae', '--errexit', '-E', '/boot/symvers', K], tree(PROBLEMS),
     reference=['-ae', '-E', '/boot/symvers', K], differs='more-options errexit')
case('-x without -e', ['-ax', '-E', '/boot/symvers', K], tree(PROBLEMS), differs='more-options',
     reference=['-a', '-E', '/boot/symvers', K])
case('-I', ['-I', '-a', K], differs='more-options', reference=['-a', K])
case('-I with files, as weak-modules2 may call it', ['-I', K, f'/lib/modules/{K}/extra/zeta.ko'],
     tree({'extra/zeta.ko': UNKNOWN}), before=[ALL], differs='more-options', reference=['-a', K])
case('--incremental, a module fewer', ['--incremental', K], before=[
    ALL, ['remove', f'lib/modules/{K}/kernel/lib/alpha.ko']],
     differs='more-options', reference=[K])

# --- files as operands -----------------------------------------------------------------------------------------------

IN = f'/lib/modules/{K}/kernel'
case('a file', [K, IN + '/lib/alpha.ko'])
case('files', [K, IN + '/net/gamma.ko', IN + '/lib/alpha.ko', IN + '/fs/beta/beta.ko'])
case('files, -n', ['-n', K, IN + '/fs/beta/beta.ko', IN + '/lib/alpha.ko'])
case('files, -e', ['-e', '-E', '/boot/symvers', K, IN + '/fs/beta/beta.ko'])
case('files, with indexes on disk', [K, IN + '/fs/beta/beta.ko'], before=[ALL])
case('files and -a', ['-a', K, IN + '/lib/alpha.ko'])
case('a file elsewhere', [K, '/more/zeta.ko', IN + '/lib/alpha.ko'], {**tree(), 'more/zeta.ko': UNKNOWN})
case('a file, by another name of its directory', [K, f'/other{IN}/lib/alpha.ko'], {**tree(), 'other': link('.')})
case('files, on a usr-merged root', [K, f'/usr{IN}/lib/alpha.ko', IN + '/net/gamma.ko'], {
    **modules(base='usr/lib/modules'), 'lib/modules': link('../usr/lib/modules')})
case('a file with slashes in it', [K, f'/lib//modules/{K}/kernel/lib/alpha.ko', IN + '//net//gamma.ko'])
case('a file in the root, and in the kernel\'s directory', [K, '/zeta.ko', f'{IN_TREE}/eta.ko'], {
    **tree({'eta.ko': DISAGREES}), 'zeta.ko': UNKNOWN})
case('a file, of a missing kernel', ['6.7.8', IN + '/lib/alpha.ko'])
case('a file, relative', [K, 'lib/alpha.ko'])
case('a file that is missing', [K, '/more/none.ko'])
case('a file twice', [K, IN + '/lib/alpha.ko', IN + '/lib/alpha.ko'])
case('two files of one name', [K, IN + '/lib/alpha.ko', '/more/alpha.ko'], {**tree(), 'more/alpha.ko': ALPHA2},
     differs='libkmod')
case('a file that is no module', [K, '/boot/map'])
case('files, one of them bad', [K, IN + '/lib/alpha.ko', '/bad.ko'], tree(**{'bad.ko': 'rubbish'}))
case('files of an image', ['-b', '/image', K, f'/image/lib/modules/{K}/kernel/lib/alpha.ko'], image())

# --- lists -----------------------------------------------------------------------------------------------------------

case('no modules.order', ['-a', K], tree({'modules.order': None}))
case('modules.order, some of it', ['-a', K], tree({'modules.order': 'kernel/lib/alpha.ko\nkernel/none.ko\n'}))
case('modules.order, empty', ['-a', K], tree({'modules.order': ''}))
case('modules.order, without its last newline', ['-a', K], tree({'modules.order': ORDER.rstrip('\n')}))
case('modules.order, rubbish', ['-a', K], tree({'modules.order': b'\xff\0\n\n   \n' + b'x' * 5000 + b'\n'}))
case('modules.order, a NUL in it', ['-a', K], tree({'modules.order': ORDER.replace('kernel/fs', 'kernel\0/fs')}))
case('modules.order, a line that is too long', ['-a', K], tree({'modules.order': 'x' * 5000 + '\n' + ORDER}))
case('modules.order, suffixes', ['-a', K], tree({'modules.order': 'kernel/net/gamma.ko.zst\nkernel/lib/alpha.ko\n', **{
    'kernel/net/gamma.ko': None, 'kernel/net/gamma.ko.zst': MODULES['kernel/net/gamma.ko']}}))
case('no modules.builtin', ['-a', K], tree({'modules.builtin': None}))
case('no modules.builtin.modinfo', ['-a', K], tree({'modules.builtin.modinfo': None}))
case('neither', ['-a', K], tree({'modules.builtin': None, 'modules.builtin.modinfo': None}))
NO_LISTS = {'modules.builtin': None, 'modules.builtin.modinfo': None, 'modules.order': None}
case('nothing but modules', ['-a', K], tree(NO_LISTS))
case('nothing but modules, -n', ['-n', K], tree(NO_LISTS))
case('nothing but modules, in an image', ['-b', '/image', K], image(NO_LISTS))
case('modules.builtin, empty', ['-a', K], tree({'modules.builtin': '', 'modules.builtin.modinfo': ''}))
case('modules.builtin, odd lines', ['-a', K], tree(
    {'modules.builtin': 'kernel/a.ko\nno-slash.ko\n\nkernel/b\nkernel/c.d.ko\nkernel/last.ko'}))
case('modules.builtin.modinfo, odd records', ['-a', K], tree(
    {'modules.builtin.modinfo': 'a.alias=x-y\0noequals\0b.alias\0.alias=z\0c.alias=a[b\0d.alias=d[e-f]g-h\0'
                                'e.aliasx=1\0f.alias='}))

# --- modules ---------------------------------------------------------------------------------------------------------

case('each codec', ['-a', K], tree(MIXED))
case('each codec, -e', ['-ae', '-E', '/boot/symvers', K], tree({**MIXED, **PROBLEMS}))
case('gzip', ['-a', K], tree({'kernel/lib/alpha.ko': None, 'kernel/lib/alpha.ko.gz': MODULES['kernel/lib/alpha.ko']}),
     differs='gzip', reference_tree=tree())
case('32 bit, big-endian', ['-a', K], tree({
    'extra/iota.ko': {'name': 'iota', 'bits': 32, 'order': 'big', 'needs': needs(('alpha_get', ALPHA_GET)),
                      'exports': [['iota', 7]]},
    'extra/kappa.ko': {'name': 'kappa', 'order': 'big', 'exports': [['kappa', 7]]}}))
case('one name, several codecs', ['-a', K], tree({'kernel/lib/alpha.ko.xz': ALPHA2, 'kernel/lib/alpha.ko.zst': ALPHA2}))
case('one name in two directories', ['-a', K], tree({'kernel/a/zeta.ko': ALPHA2, 'kernel/b/zeta.ko': UNKNOWN}))
case('one name in two directories of updates', ['-a', K], tree(
    {'updates/a/zeta.ko': ALPHA2, 'updates/b/zeta.ko': UNKNOWN}))
case('one name with - and _', ['-a', K], tree({'kernel/a/ze-ta.ko': ALPHA2, 'updates/ze_ta.ko': UNKNOWN}))
case('hidden files, build, source', ['-a', K], tree(
    {'.hidden/zeta.ko': UNKNOWN, 'build/eta.ko': DISAGREES, 'kernel/source/eta.ko': DISAGREES,
     'extra/.zeta2.ko': UNKNOWN, 'extra/.ko': 'x', 'extra/readme.txt': 'x', 'extra/x.ko.bak': 'x'}))
case('links', ['-a', K], {**tree({'weak-updates/zeta.ko': link(f'/lib/modules/{OTHER}/extra/zeta.ko'),
                                  'more': link('../../../more')}),
                         f'lib/modules/{OTHER}/extra/zeta.ko': UNKNOWN, 'more/eta.ko.xz': DISAGREES})
case('a dangling link', ['-a', K], tree({'weak-updates/zeta.ko': link('/none/zeta.ko'), 'gone': link('nowhere')}))
case('an odd file', ['-a', K], tree({'kernel/lib/zeta.ko': link('/dev/null')}))
for name, content in (('empty', b''), ('of text', b'not a module\n'), ('of zeros', bytes(4096)),
                      ('cut off', module('zeta', exports=[['x', 1]])[:700]),
                      ('without symbols', mkmodule.build({'name': 'zeta', 'drop': ['.symtab', '.strtab']})),
                      ('without .modinfo', mkmodule.build({**UNKNOWN, 'drop': ['.modinfo']})),
                      ('for a program', open('/bin/true', 'rb').read())):
    case('a module ' + name, ['-a', K], tree({'extra/zeta.ko': content}))
    case(f'a module {name}, -e', ['-ae', '-F', '/boot/map', K], tree({'extra/zeta.ko': content}))
for codec in ('xz', 'zst'):
    whole = module('zeta', codec, exports=[['x', 1]], size=40000)
    case(codec + ', cut off', ['-a', K], tree({'extra/zeta.ko.' + codec: whole[:len(whole) // 2]}), differs='codec')
    case(codec + ', damaged', ['-a', K], tree({'extra/zeta.ko.' + codec: whole[:40] + bytes(40) + whole[80:]}),
         differs='codec')
    case(codec + ', of nothing', ['-a', K], tree({'extra/zeta.ko.' + codec: b''}))
    case(codec + ', of text', ['-a', K], tree({'extra/zeta.ko.' + codec: mkmodule.compress(b'hello\n', codec)}))
case('a bad module that others need', ['-a', K], tree({'kernel/lib/alpha.ko': b'rubbish'}))
case('odd aliases', ['-a', K], tree({'extra/iota.ko': {'name': 'iota', 'aliases': [
    'a[b', 'a]b', 'x[a-z]-y', '', 'two words', 'symbol:printk', 'platform:x-y'], 'softdeps': ['', 'pre: a'],
                                                'weakdeps': ['x y']}}),
     differs='libkmod')
case('odd aliases, -n', ['-nw', K], tree({'extra/iota.ko': {'name': 'iota', 'aliases': ['a[b', 'a]b', 'x[a-z]-y']},
                                         'modules.builtin': 'no-slash.ko\n'}))
case('aliases beyond ASCII', ['-a', K], tree({'extra/iota.ko': {'name': 'iota', 'aliases': ['caf\xe9', 'plain']}}),
     differs='ascii')
case('devices', ['-a', K], tree({
    'extra/iota.ko': {'name': 'iota', 'aliases': ['devname:x']},
    'extra/kappa.ko': {'name': 'kappa', 'aliases': ['block-major-7-*', 'devname:loop', 'block-major-7-1',
                                                    'char-major-1-2']},
    'extra/lambda.ko': {'name': 'lambda', 'aliases': ['char-major-1-2', 'block-major-3-4', 'devname:a', 'devname:b']},
    'extra/mu.ko': {'name': 'mu', 'aliases': ['devname:c', 'char-major-10-200' + 70 * 'x']}}))
case('versions that are not needed', ['-ae', '-E', '/boot/symvers', K], tree({'extra/iota.ko': {
    'name': 'iota', 'needs': needs(('printk', PRINTK)), 'versions': [['module_layout', 0xbad], ['ghost', 1]]}}))
case('a symbol of two modules', ['-ae', '-E', '/boot/symvers', K], tree({'extra/iota.ko': {'name': 'iota', 'exports': [
    ['alpha_get', ALPHA_GET], ['printk', 9]]}}))
case('a cycle', ['-a', K], tree(CYCLE))
case('a cycle, and indexes on disk', ['-a', K], before=[ALL, *(
    ['write', f'lib/modules/{K}/{path}', facts] for path, facts in CYCLE.items())])
case('two cycles and one who needs them', ['-a', K], tree(
    {**CYCLE, **ITSELF, 'extra/iota.ko': {'name': 'iota', 'needs': needs(('one_x', 1))}}))
case('a module that needs itself', ['-a', K], tree(ITSELF))
case('a cycle in an image', ['-b', '/image', '-a', K], image(CYCLE))

# --- what is already there -------------------------------------------------------------------------------------------

case('damaged indexes', ['-a', K], before=[ALL, ['write', f'lib/modules/{K}/modules.dep', 'rubbish\n'],
                                          ['write', f'lib/modules/{K}/modules.alias.bin', b''],
                                          ['remove', f'lib/modules/{K}/modules.symbols']])
case('an index that is a link', ['-a', K], tree({'modules.dep': link('/elsewhere')}, elsewhere='old\n'))
case('an index that is a directory', ['-a', K], tree({'modules.alias/x': ''}), differs='output')
GROWN = [ALL, ['write', f'lib/modules/{K}/extra/iota.ko', {'name': 'iota', 'aliases': [f'x{i}' for i in range(99)]}]]
case('a directory that may not be written', ['-a', K], before=GROWN, user=65534, differs='not-written')
case('an image that may not be written', ['-a', '-b', '/image', K], image(), user=65534, differs='not-written')
case('indexes that cannot be written whole', ['-a', K], before=GROWN, limit=1000, differs='cut')
case('another time', ['-ae', '-E', '/boot/symvers', K], tree(PROBLEMS), before=[
    ['depmod', ['-ae', '-E', '/boot/symvers', K]]])

# --- bad command lines, help -----------------------------------------------------------------------------------------

case('an unknown option', ['-a', '--bogus', K])
case('an unknown letter', ['-az', K])
case('an option that wants a value', [K, '-b'])
case('an ambiguous option', ['--s', K])
case('an abbreviated option', ['--filesy', '/boot/map', K])
case('a value for an option that has none', ['--all=x', K])
case('--', ['--', K])
case('-h', ['-h'], differs='help')
case('--help, and rubbish behind it', ['--help', '--bogus'], differs='help')
case('-V', ['-V'], differs='version')
case('--version', ['--version'], differs='version')
for option in ('-u', '-q', '-r', '--unresolved-error', '--quiet', '--root', '--map'):
    case('deprecated ' + option, ['-a', option, K], differs='deprecated', reference=['-a', K])
case('deprecated letters in a row', ['-aequr', '-F', '/boot/map', K], differs='deprecated',
     reference=['-ae', '-F', '/boot/map', K])
