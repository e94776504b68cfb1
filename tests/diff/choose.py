# SPDX-License-Identifier: GPL-2.0-or-later
"""Chooses the steps of a random walk: everything that happens to a tree of modules, and then some.

Symbols have levels, and a module needs only symbols of lower ones, so that chance makes no dependency cycles; those
that a step makes on purpose are undone by a later one.
"""
import os

import indexes

KERNELS = ('6.1.0-1-test', '6.1.0-2-test')
DIRECTORIES = ('kernel/drivers/net', 'kernel/drivers/sound', 'kernel/fs', 'kernel/lib', 'extra', 'updates',
               'updates/dkms', 'weak-updates', 'misc')
NAMES = ('alpha', 'a', 'i2c-core', 'snd-pcm', 'snd_pcm', 'mbcache', 'crc16', 'x509.key',                   # level 0
         'jbd2', 'bravo', 'usb.storage', 'Video', 'nls_iso8859-1', 'drm-display-helper', 'charlie',        # level 1
         'ext4', 'snd_hda_intel', 'delta', 'e1000e', 'ext4-crypto', 'zz', 'echo',                          # level 2
         'foxtrot', 'golf-club', 'hotel', 'overlay', 'tun', 'kvm-intel', 'kvm_amd', '9p')                  # level 3
LEVELS = {name: level for level, names in enumerate((NAMES[:8], NAMES[8:15], NAMES[15:22], NAMES[22:]))
          for name in names}
SHARED = {0: ('shared_get', 'shared_put', 'crc_step'), 1: ('journal_start', 'hub_find'), 2: ('route_add',), 3: ()}
SUFFIX = {'none': '', 'gz': '.gz', 'xz': '.xz', 'zst': '.zst'}
ALIASES = ('pci:v0000{n}d000010*sv*sd*bc*sc*i*', 'usb:v{n}p[0-9]*d*', 'fs-{w}', 'char-major-10-{n}', 'block-major-8-*',
           'devname:{w}/{n}', 'of:N*T*C{w},{w}-{n}', 'dmi:*[A-Z-]{n}*', 'net-pf-{n}', '{w}', 'acpi*:{w}{n}:*',
           'unbalanced-]{n}', 'unbalanced-[{n}', 'i2c:{w}-{w}', 'platform:{w} with-space')
SOFTDEPS = ('pre: crc16', 'pre: alpha bravo post: zz', 'post: e1000e', 'pre: snd-pcm')
CONFIG_FILES = ('etc/depmod.d/50-local.conf', 'usr/lib/depmod.d/50-local.conf', 'lib/depmod.d/10-dist.conf',
                'run/depmod.d/10-dist.conf', 'usr/local/lib/depmod.d/90-late.conf', 'etc/depmod.d/not-read.txt')
CONFIG_LINES = ('search updates built-in', 'search extra updates built-in', 'search updates extra weak-updates built-in',
                'search built-in updates', 'search external updates built-in', 'search misc kernel/fs', 'search built-in',
                'override {w} * updates', 'override {w} ^6.1.0-1 kernel/fs', 'override {w} 6\\.1\\.0-2-.* extra',
                'override {w} [ misc', 'exclude misc', 'exclude dkms fs', 'external * /opt/modules',
                'external 6.1.0-1.* /opt/modules', 'external * /opt/nowhere', 'external * /opt/modules/', 'external * /opt',
                'external * /lib/modules/6.1.0-1-test/updates', 'external * /lib/modules/6.1.0-2-test/kernel/',
                'external ^6.1.0-1 /lib/modules/6.1.0-1-test', '# nothing', '', 'search \\\nextra \\\nmisc')


class Chooser:
    """Makes steps for a root as it finds it; remembers what it took away, to give it back."""

    def __init__(self, rng, root, real_modules=()):
        self.rng, self.root, self.real = rng, root, real_modules
        self.facts, self.removed, self.cycles, self.names = {}, [], [], {}
        codecs = rng.choice((['none'], ['none', 'zst'], ['none', 'xz'], ['none', 'zst', 'xz'], ['zst', 'xz'],
                             ['none', 'gz', 'xz', 'zst']))
        self.codecs = [codec for codec in codecs for _ in range(2)] + ['none']
        self.bits = rng.choice(((64, 'little'),) * 5 + ((32, 'little'), (64, 'big'), (32, 'big')))
        self.crcs = rng.choice(('section', 'section', 'absolute', 'none'))
        self.pitfalls = rng.random() < .5       # what makes the installed depmod no judge of every detail

    def beginning(self, modules):
        """The steps that make the root."""
        rng, steps = self.rng, []
        if rng.random() < .5:
            steps.append(['merge_usr', {}])
        for kver in KERNELS:
            for _ in range(modules if kver == KERNELS[0] else max(2, modules // 4)):
                steps += self.added(kver)
            steps.append(self.builtin_list(kver))
            steps.append(self.builtin_info(kver))
            if rng.random() < .8:
                steps.append(self.modules_order(kver, [s[1]['path'] for s in steps if s[0] in ('write', 'copy')]))
        if rng.random() < .5:
            steps += self.configuration()
        return steps

    def some(self):
        """The steps of one change, such as they come together."""
        kinds = (
            (12, self.add), (10, self.remove), (10, self.replace), (6, self.add_back), (6, self.recompress),
            (5, self.move), (4, self.shadow), (5, self.configuration), (5, self.order), (3, self.builtins),
            (4, self.store), (5, self.index), (3, self.copies), (3, self.touch), (4, self.links),
            (4, self.weak_update), (3, self.change_target), (3, self.corrupt), (2, self.cycle), (2, self.directory),
            (2, self.excluded), (2, self.external), (1, self.no_kernel))
        steps = self.rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]()
        return steps or self.added(self.rng.choice(KERNELS))

    # --- facts -----------------------------------------------------------------------------------------------------

    def some_facts(self, name):
        rng, level = self.rng, LEVELS[name]
        word = name.replace('-', '_')
        crc = rng.choice((0x11111111, 0x2badcafe))
        exports = [[f'{word}_{i}', crc + i] for i in range(6) if rng.random() < .5]
        exports += [[symbol, crc] for symbol in SHARED[level] if rng.random() < .25]
        rng.shuffle(exports)
        below = [other for other in NAMES if LEVELS[other] < level]
        needs = {'printk': 0x92997ed8}
        for _ in range(rng.randrange(6) if below else 0):
            needs[f'{rng.choice(below).replace("-", "_")}_{rng.randrange(6)}'] = rng.choice((0x11111111, None))
        for lower in range(level):
            needs.update({symbol: 0x2badcafe for symbol in SHARED[lower] if rng.random() < .3})
        needs = [[rng.choice(('', '', '', '', '', '.')) + symbol, crc] + ['weak'] * (rng.random() < .1)
                 for symbol, crc in needs.items()]
        rng.shuffle(needs)
        numbers = lambda: str(rng.randrange(1, 5))
        words = lambda: rng.choice(NAMES)
        facts = {
            'name': word, 'exports': exports, 'needs': needs, 'vermagic': '6.1.0-test SMP mod_unload',
            'bits': self.bits[0], 'order': self.bits[1], 'crcs': self.crcs,
            'aliases': [rng.choice(ALIASES).format(n=numbers(), w=words()) for _ in range(rng.randrange(5))],
            'softdeps': [rng.choice(SOFTDEPS) for _ in range(rng.random() < .2)],
            'weakdeps': [rng.choice(NAMES) for _ in range(rng.random() < .2)],
            'salt': f'{rng.randrange(1 << 32):08x}',
            'size': 8192,                       # many have one size: what is replaced often keeps it
        }
        if rng.random() < .1:
            facts['versions_as'] = rng.choice(('ext', 'both'))
        if self.pitfalls and rng.random() < .004:
            facts['aliases'].append(f'name\xe9-{numbers()}')
        if rng.random() < .04:
            facts['drop'] = [rng.choice(('.modinfo', '.symtab', '__versions', '.strtab', '__ksymtab_strings'))]
        return facts

    def written(self, path, facts, **how):
        self.facts[path] = facts
        return ['write', {'path': path, 'facts': facts, **how}]

    def added(self, kver, name=None, directory=None):
        """One more module; seldom one whose bytes are not what its name says."""
        rng = self.rng
        directory = directory or rng.choice(DIRECTORIES)
        path = f'lib/modules/{kver}/{directory}/'
        if self.real and rng.random() < .9:
            source = rng.choice(self.real)
            codec = rng.choice(self.codecs)
            path = f'lib/modules/{kver}/{source}' if rng.random() < .8 else path + os.path.basename(source)
            return [['copy', {'path': path + SUFFIX[codec], 'source': source, 'codec': codec}]]
        name = name or self.some_name(kver)
        codec = rng.choice(self.codecs)
        how = {}
        if rng.random() < .05:
            how['codec'] = rng.choice(self.codecs)
        if codec == 'xz' and rng.random() < .1:
            how['frames'] = 2
        return [self.written(path + name + '.ko' + SUFFIX[codec], self.some_facts(name), **how)]

    def some_name(self, kver):
        """Seldom one that the kernel has or had already: whose turn it is then is mostly a matter of rank."""
        used = self.names.setdefault(kver, set())
        fresh = [name for name in NAMES if name.replace('-', '_') not in used]
        name = self.rng.choice(fresh if fresh and self.rng.random() < .95 else NAMES)
        used.add(name.replace('-', '_'))
        return name

    def any_module(self, kver=None):
        """(kernel, path) of a module file that is there, or (None, None)."""
        kver = kver or self.rng.choice(KERNELS + KERNELS[:1])
        modules = self.root.modules(kver)
        return (kver, self.rng.choice(modules)) if modules else (None, None)

    @staticmethod
    def stem(path):
        return os.path.basename(path).rsplit('.ko', 1)[0]

    # --- changes to modules ------------------------------------------------------------------------------------------

    def add(self):
        kver = self.rng.choice(KERNELS + KERNELS[:1])
        return [step for _ in range(self.rng.choice((1, 1, 1, 2, 5))) for step in self.added(kver)]

    def remove(self):
        steps = []
        for _ in range(self.rng.choice((1, 1, 1, 3))):
            _, path = self.any_module()
            if path:
                self.removed.append(path)
                steps.append(['remove', {'path': path}])
        return steps

    def add_back(self):
        """A module that was taken away comes back, its users never having left."""
        if not self.removed:
            return self.remove()
        path = self.removed.pop(self.rng.randrange(len(self.removed)))
        if path in self.facts:
            return [self.written(path, self.facts[path])]
        return []

    def replace(self):
        """Another module under the same path: same name, size and mtime, other symbols."""
        _, path = self.any_module()
        if not path or self.stem(path) not in LEVELS:
            return []
        facts = dict(self.facts.get(path) or self.some_facts(self.stem(path)))
        if self.rng.random() < .3:
            facts['salt'] = f'{self.rng.randrange(1 << 32):08x}'        # other bytes, the same facts
        else:
            facts.update(self.some_facts(self.stem(path)))
        return [self.written(path, facts, in_place=self.rng.random() < .5)]

    def recompress(self):
        _, path = self.any_module()
        if not path:
            return []
        codec = self.rng.choice(self.codecs)
        if path in self.facts:
            self.facts[path[:path.rindex('.ko') + 3] + SUFFIX[codec]] = self.facts[path]
        return [['recompress', {'path': path, 'codec': codec}]]

    def move(self):
        kver, path = self.any_module()
        if not path:
            return []
        to = f'lib/modules/{kver}/{self.rng.choice(("updates", "updates", "extra", "kernel/fs"))}/{os.path.basename(path)}'
        if path in self.facts:
            self.facts[to] = self.facts[path]
        return [['move', {'path': path, 'to': to}]]

    def shadow(self):
        """A second module of the same name somewhere else."""
        kver, path = self.any_module()
        if not path or self.stem(path) not in LEVELS:
            return []
        return self.added(kver, self.stem(path), self.rng.choice(('updates', 'updates', 'extra')))

    def touch(self):
        _, path = self.any_module()
        return path and [['touch', {'path': path}]]

    def corrupt(self):
        _, path = self.any_module()
        return path and [['damage', {'path': path, 'how': self.rng.choice(('empty', 'truncate', 'zero', 'words')),
                                     'in_place': self.rng.random() < .5}]]

    def cycle(self):
        """Two modules that need each other; the next time, one of them goes."""
        if self.cycles:
            path = self.cycles.pop()
            return [['remove', {'path': path}]]
        kver = self.rng.choice(KERNELS)
        paths = [f'lib/modules/{kver}/extra/loop-{end}.ko' for end in 'ab']
        self.cycles = [self.rng.choice(paths)]
        return [['write', {'path': path, 'facts': {
            'name': f'loop_{own}', 'exports': [[f'loop_{own}', 1]], 'needs': [[f'loop_{other}', 1]]}}]
            for path, own, other in zip(paths, 'ab', 'ba')]

    # --- links and directories ---------------------------------------------------------------------------------------------

    def links(self):
        kver, path = self.any_module()
        if not path:
            return []
        base = os.path.basename(path)
        directory = f'lib/modules/{kver}/{self.rng.choice(("extra", "misc"))}'
        kind = self.rng.choice(('dangling', 'absolute', 'directory', 'absolute directory', 'undo'))
        if kind == 'dangling':
            return [['link', {'path': f'{directory}/lost.ko', 'target': '../nowhere/lost.ko'}]]
        if kind == 'absolute':
            return [['link', {'path': f'{directory}/linked-{base}', 'target': '/' + path}]]
        if kind == 'undo':
            return [['remove', {'path': f'{directory}/lost.ko'}],
                    ['remove', {'path': f'lib/modules/{kver}/linked-directory'}]]
        other = KERNELS[1 - KERNELS.index(kver)]
        target = self.rng.choice(('extra', 'kernel/fs', 'nowhere'))
        return [['link', {'path': f'lib/modules/{kver}/linked-directory', 'target':
                          f'/lib/modules/{other}/{target}' if kind == 'absolute directory' else f'../{other}/{target}'}]]

    def weak_update(self):
        """A module of the second kernel serves the first one, as weak-modules link it."""
        kver, other = KERNELS
        modules = [p for p in self.root.modules(other) if not os.path.islink(self.root / p)]
        if not modules:
            return self.added(other, directory='extra')
        path = self.rng.choice(modules)
        target = '/' + path if self.rng.random() < .5 else '../../' + path[len('lib/modules/'):]
        return [['link', {'path': f'lib/modules/{kver}/weak-updates/{os.path.basename(path)}', 'target': target}]]

    def change_target(self):
        """What a weak-updates link leads to changes under it."""
        kver, other = KERNELS
        links = [p for p in self.root.modules(kver) if os.path.islink(self.root / p)]
        if not links:
            return self.weak_update()
        path = self.root.target_of(self.rng.choice(links))
        if not path or self.stem(path) not in LEVELS:
            return []
        if self.rng.random() < .3:
            return [['remove', {'path': path}]]
        return [self.written(path, self.some_facts(self.stem(path)), in_place=self.rng.random() < .5)]

    def directory(self):
        kver = self.rng.choice(KERNELS)
        path = f'lib/modules/{kver}/{self.rng.choice(DIRECTORIES)}'
        kind = self.rng.random()
        if kind < .4:
            return [['move', {'path': path, 'to': f'lib/modules/{kver}/{self.rng.choice(DIRECTORIES)}/moved'}]]
        if kind < .6:
            return [['make_directory', {'path': path + '/empty'}]]
        return [['remove_directory', {'path': path}]]

    def no_kernel(self):
        """The second kernel is removed, as a package manager does that knows nothing of the indexes."""
        top = f'lib/modules/{KERNELS[1]}'
        directories = {directory.split('/')[0] for directory in DIRECTORIES} | {'build'}
        self.names.pop(KERNELS[1], None)
        return [['remove_directory', {'path': f'{top}/{directory}'}] for directory in sorted(directories)] + [
            ['text', {'path': f'{top}/modules.{name}', 'text': None}] for name in ('order', 'builtin',
                                                                                   'builtin.modinfo')] + [
            ['remove', {'path': f'{top}/linked-directory'}]]

    def excluded(self):
        """Where depmod does not look."""
        kver = self.rng.choice(KERNELS)
        return self.added(kver, directory=self.rng.choice(('build/x', 'kernel/source', 'updates/build')))

    def external(self):
        return [[name, {**arguments, 'path': 'opt/modules/' + os.path.basename(arguments['path'])}]
                for name, arguments in self.added(KERNELS[0])]

    def copies(self):
        return [[self.rng.choice(('hard_link_copy', 'copy_all')), {'kver': self.rng.choice(KERNELS)}]]

    # --- lists and configuration -------------------------------------------------------------------------------------------

    def configuration(self):
        rng = self.rng
        path = rng.choice(CONFIG_FILES)
        if rng.random() < .25:
            return [['text', {'path': path, 'text': None}]]
        if rng.random() < .1:
            return [['link', {'path': path, 'target': '/dev/null'}]]
        lines = [rng.choice(CONFIG_LINES).format(w=rng.choice(NAMES)) for _ in range(rng.choice((1, 1, 2, 3)))]
        return [['text', {'path': path, 'text': '\n'.join(lines) + '\n' * rng.randrange(2)}]]

    def modules_order(self, kver, paths):
        """As kbuild writes it: some of the modules, without the ending of the codec, and some that are not there."""
        rng, top = self.rng, f'lib/modules/{kver}/'
        lines = [path[len(top):path.rindex('.ko') + 3] for path in paths if path.startswith(top + 'kernel/') or (
            path.startswith(top) and rng.random() < .3)]
        lines = [line for line in dict.fromkeys(lines) if rng.random() < .8]
        lines.insert(rng.randrange(len(lines) + 1), 'kernel/fs/never-built.ko')
        rng.shuffle(lines)
        if self.pitfalls and len(lines) > 2 and rng.random() < .2:
            lines.append(lines[0])
        return ['text', {'path': top + 'modules.order', 'text': '\n'.join(lines) + '\n' * (rng.random() < .9)}]

    def order(self):
        kver = self.rng.choice(KERNELS)
        if self.rng.random() < .3:
            return [['text', {'path': f'lib/modules/{kver}/modules.order', 'text': None}]]
        return [self.modules_order(kver, self.root.modules(kver))]

    def builtin_list(self, kver):
        lines = [f'kernel/{name}.ko' for name in NAMES if self.rng.random() < .2] + ['kernel/lib/built-in-thing.ko']
        return ['text', {'path': f'lib/modules/{kver}/modules.builtin', 'text': '\n'.join(lines) + '\n'}]

    def builtin_info(self, kver):
        records = []
        for name in self.rng.sample(NAMES, 4):
            name = name.split('.')[0]
            records += [f'{name}.license=GPL', f'{name}.alias={self.rng.choice(ALIASES).format(n=7, w=name)}']
        return ['text', {'path': f'lib/modules/{kver}/modules.builtin.modinfo', 'text': '\0'.join(records) + '\0'}]

    def builtins(self):
        kver = self.rng.choice(KERNELS)
        step = self.rng.choice((self.builtin_list, self.builtin_info))(kver)
        if self.rng.random() < .3:
            step[1]['text'] = None
        return [step]

    # --- what was written --------------------------------------------------------------------------------------------------

    def store(self):
        return [['store', {'how': self.rng.choice(('delete', 'empty', 'truncate', 'zero', 'words', 'flip', 'save', 'save',
                                                    'restore', 'restore'))}]]

    def index(self):
        kver = self.rng.choice(KERNELS)
        if self.rng.random() < .4:
            return [['depmod', {'kver': kver}]]
        return [['index', {'kver': kver, 'name': self.rng.choice(indexes.FILES),
                           'how': self.rng.choice(('delete', 'empty', 'truncate', 'flip', 'words', 'zero'))}]]
