# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests/demo shows, once all is built and fetched.

usage: demo.py PROGRAM ROOT SCRATCH [PICTURE]

There are two throw-away roots with copies of the kernel's modules: depmod works in one, kmp-depmod in the other, and each
change is made to both, by hand at first, then by rpm and by dpkg. After each change every file is compared: with depmod's
(text by bytes; .bin by bytes or, where the installed depmod is older than 34 and orders their nodes in another way, by
entries), and by bytes with what kmp-depmod writes when it believes nothing that it remembers.

What is shown is also written to PICTURE, an SVG, if that is named.
"""
import os
import re
import shutil
import subprocess
import sys
import time

program, source, scratch = (os.path.abspath(path) for path in sys.argv[1:4])
os.environ['KMP_DEPMOD'] = program
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '../system', name) for name in ('rpm', 'dpkg')]

import debs             # noqa: E402
import indexes          # noqa: E402
import mkmodule         # noqa: E402
import packages         # noqa: E402
import roots            # noqa: E402
import rpmtest          # noqa: E402
import screenshot       # noqa: E402

DEPMOD = shutil.which('depmod', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
KVER = os.listdir(os.path.join(source, 'lib/modules'))[0]
colours = sys.stdout.isatty() and 'NO_COLOR' not in os.environ
ours, theirs = (os.path.join(scratch, name) for name in ('ours', 'theirs'))
trees = [os.path.join(root, 'lib/modules', KVER) for root in (ours, theirs)]
BUILT = os.path.dirname(program)
wrong = 0
spoken = []
RPM, DPKG = 'kernel-default-optional', 'v4l-modules'


def paint(code, words):
    return f'\033[{code}m{words}\033[0m'


def say(words=''):
    spoken.append(words)
    print(words if colours else re.sub('\033\\[[0-9]*m', '', words), flush=True)


def timed(*command, environment=None):
    start = time.perf_counter()
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                            stdin=subprocess.DEVNULL, env=environment)
    ms = (time.perf_counter() - start) * 1000
    if result.returncode:
        sys.exit(f'{" ".join(command)}: exits {result.returncode}\n{result.stdout}{result.stderr}')
    return ms, result.stdout


def read(*path):
    try:
        with open(os.path.join(*path), 'rb') as file:
            return file.read()
    except FileNotFoundError:
        return None


def compare():
    """Of how many files each comparison was made, and the names of those that differ."""
    full = os.path.join(scratch, 'full')
    timed(program, '--root', ours, '--store', 'none', '--outdir', full, '--no-sync', KVER)
    compared, differ = 0, []
    for name in indexes.FILES:
        one, again, two = read(trees[0], name), read(full, 'lib/modules', KVER, name), read(trees[1], name)
        if one is None or one != again:
            differ.append(f'{name} is not what a full run writes')
        if two is not None:                 # depmod before 33 writes no modules.weakdep
            compared += 1
            if one != two and not (name.endswith('.bin') and indexes.trie(one) == indexes.trie(two)):
                differ.append(f'{name} is not what depmod writes')
    return compared, differ


def show(what, slow_one=None, fast_one=None):
    """Both, one after the other, and the verdict."""
    global wrong
    before = {name: os.stat(os.path.join(trees[0], name)).st_ino for name in indexes.FILES if read(trees[0], name) is not None}
    slow, _ = slow_one() if slow_one else timed(DEPMOD, '-b', theirs, '-C', '/nonexistent', '-a', KVER)
    fast, _ = fast_one() if fast_one else timed(program, '--root', ours, KVER)
    written = sum(before.get(name) != os.stat(os.path.join(trees[0], name)).st_ino for name in indexes.FILES)
    compared, differ = compare()
    wrong += bool(differ)
    verdict = paint('32', f'all {len(indexes.FILES)} files identical') if not differ else paint('31', 'DIFFERENT')
    times = f'{slow / fast:.1f}' if slow / fast < 10 else f'{slow / fast:.0f}'
    say(f'{what:<44} {slow:>8.0f} ms {paint("1", f"{fast:>8.1f} ms")} {times:>6} x   {written:>2} written, {verdict}')
    for line in differ:
        say('    ' + line)
    return compared


def in_both(change, *arguments):
    for tree in trees:
        change(tree, *arguments)
    time.sleep(0.05)


def move(tree, paths, out):
    for path in paths:
        pair = [os.path.join(tree, path), os.path.join(tree.replace('/lib/modules/', '/aside/'), path)]
        if not out:
            pair.reverse()
        os.makedirs(os.path.dirname(pair[1]), exist_ok=True)
        os.rename(*pair)


def other_bytes(path):
    """The same module, built again: other bytes, the same facts."""
    return mkmodule.compress(roots.plain_bytes(path) + b'\0', mkmodule.codec_of(path))


def rewrite(tree, path):
    path = os.path.join(tree, path)
    data, info = other_bytes(path), os.stat(path)
    with open(path, 'r+b') as file:
        file.write(data)
        file.truncate()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def copy_to_updates(tree, path):
    path = os.path.join(tree, path)
    os.makedirs(os.path.join(tree, 'updates'), exist_ok=True)
    with open(os.path.join(tree, 'updates', os.path.basename(path)), 'wb') as file:
        file.write(other_bytes(path))


def cut_short(tree, name):
    os.truncate(os.path.join(tree, name), 1000)


# --- package managers ----------------------------------------------------------------------------------------------------

def rpm_package(paths):
    """The modules as SUSE packages them: a scriptlet calls $DEPMOD, or else depmod."""
    builder = packages.Builder(os.path.join(source, 'lib/modules', KVER))
    builder.out, builder.work = os.path.join(scratch, 'rpms'), os.path.join(scratch, 'rpm-work')
    os.makedirs(builder.work)
    builder.base()

    def fill():
        for path in paths:
            builder.put(f'lib/modules/{KVER}/{path}', copy=os.path.join(trees[0], path))

    scripts = ('%post\ndepmod=${DEPMOD-}; [ -x "$depmod" ] || depmod=/sbin/depmod\n$depmod -a ' + KVER + '\n%postun\n'
               'depmod=${DEPMOD-}; [ -x "$depmod" ] || depmod=/sbin/depmod\n$depmod -a ' + KVER + '\n')
    builder.package(RPM, fill, scripts, tags='Requires: base')
    return [f'{builder.out}/suse/{name}-1.rpm' for name in ('base', RPM)]


def own_deb():
    """What packaging/debian makes, without debhelper: the program, the trigger and its scripts."""
    with open(os.path.join(HERE, '../../packaging/debian/kmp-depmod.postinst'), encoding='utf-8') as file:
        script = file.read().replace('#DEBHELPER#', '')
    with open(os.path.join(HERE, '../../packaging/debian/kmp-depmod.triggers'), encoding='utf-8') as file:
        triggers = file.read()
    files = {'usr/libexec/kmp-depmod/dpkg-sync': os.path.join(BUILT, 'dpkg-trigger/dpkg-sync')}
    return debs.write(scratch, 'kmp-depmod', 1, files, scripts={'postinst': script}, triggers=triggers)


def dpkg(root, *words):
    for directory in ('updates', 'info'):
        os.makedirs(f'{root}/var/lib/dpkg/{directory}', exist_ok=True)
    for name in ('status', 'available'):
        open(f'{root}/var/lib/dpkg/{name}', 'a', encoding='ascii').close()
    environment = {**os.environ, 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8'}
    return timed('dpkg', '--root=' + root, f'--log={root}/dpkg.log', '--force-unsafe-io', *words, environment=environment)


def take_out(paths):
    """Both settle without these modules."""
    for tree in trees:
        for path in paths:
            os.unlink(os.path.join(tree, path))
    timed(DEPMOD, '-b', theirs, '-C', '/nonexistent', '-a', KVER)
    timed(program, '--root', ours, KVER)


def with_rpm(root, other, modules):
    paths = [path for path in modules if path.startswith(packages.OPTIONAL)]
    base, optional = rpm_package(paths)
    for each in (root, other):
        timed('rpm', '--root', each.path, '--noplugins', '-i', base, environment=each.environment())
    take_out(paths)
    report = timed(program, '--root', ours, '--dry-run', optional)[1]

    def install(each, *words):
        return lambda: timed('rpm', '--root', each.path, *words, environment=each.environment())

    os.sync()
    show(f'rpm -i {RPM} ({len(paths)})', install(other, '--noplugins', '-i', optional), install(root, '-i', optional))
    show(f'rpm -e {RPM}', install(other, '--noplugins', '-e', RPM), install(root, '-e', RPM))
    return report


def with_dpkg(root, modules):
    paths = [path for path in modules if path.startswith('kernel/drivers/media/usb/')]
    script = {name: f'depmod -a {KVER}' for name in ('postinst', 'postrm')}
    deb = debs.write(scratch, DPKG, 1, {f'lib/modules/{KVER}/{path}': os.path.join(trees[0], path) for path in paths}, scripts=script)
    take_out(paths)
    # what kmp-depmod-divert does; never through the link, which would lead out of here
    for path in ('sbin/depmod', 'usr/sbin/depmod'):
        os.unlink(root / path)
        shutil.copy(root / rpmtest.DROP_IN, root / path)
    dpkg(ours, '-i', own_deb())
    os.sync()
    show(f'dpkg -i {DPKG}.deb ({len(paths)})', lambda: dpkg(theirs, '-i', deb), lambda: dpkg(ours, '-i', deb))
    show(f'dpkg -r {DPKG}', lambda: dpkg(theirs, '-r', DPKG), lambda: dpkg(ours, '-r', DPKG))


def quote(text, most=2):
    """A report, of each section the first lines."""
    sections = []
    for line in text.splitlines():
        if len(line) - len(line.lstrip()) <= 2:
            sections.append([line])
        else:
            sections[-1].append(line)
    for head, *lines in sections:
        for line in [head] + lines[:most]:
            say('    ' + (line if len(line) < 110 else line[:107] + '...'))
        if len(lines) > most:
            say(f'        ... and {len(lines) - most} more lines')


def main():
    root, other = rpmtest.Root(ours), rpmtest.Root(theirs, with_program=False)
    root.copy(os.path.join(BUILT, 'dpkg-trigger/dpkg-sync'), 'usr/libexec/kmp-depmod/dpkg-sync')      # for its libraries
    for each in (root, other):
        shutil.copytree(os.path.join(source, 'lib/modules'), each / 'lib/modules', symlinks=True)
    for tree in trees:
        for name in indexes.FILES:
            if os.path.exists(os.path.join(tree, name)):
                os.unlink(os.path.join(tree, name))
    os.sync()
    modules = sorted(os.path.relpath(os.path.join(top, name), trees[0]) for top, _, names in os.walk(trees[0])
                     for name in names if '.ko' in name)
    named = {os.path.basename(path).split('.')[0]: path for path in modules}
    net = [path for path in modules if path.startswith('kernel/drivers/net/')]
    version = re.search(r'version (\S+)', timed(DEPMOD, '--version')[1])[1]
    for path in modules:        # both find them in the page cache
        read(trees[0], path), read(trees[1], path)

    say()
    say(f'{len(modules):,} modules of Linux {KVER}, compressed with zstd, in two copies below {scratch}.')
    say(f'On one runs `depmod -a` of kmod {version}, on the other {timed(program, "--version")[1].split(chr(10))[0]}, '
        f'which also waits until all is on the disk.')
    say()
    say(paint('4', f'{"":<44} {"depmod -a":>11} {"kmp-depmod":>11} {"":>8}   {"":<32}'))
    compared = show('nothing is indexed yet')
    show('nothing has changed')
    in_both(move, [named['ext4']], True)
    show('ext4 is taken away')
    in_both(move, [named['ext4']], False)
    show('ext4 is back')
    in_both(move, net, True)
    show(f'all {len(net)} network drivers are taken away')
    in_both(move, net, False)
    show('all of them are back')
    in_both(rewrite, named['btrfs'])
    show('btrfs is rewritten, its time set back')
    in_both(copy_to_updates, named['cdrom'])
    plan = timed(program, '--root', ours, '--dry-run', KVER)[1]
    show('another cdrom comes into updates/')
    in_both(cut_short, 'modules.alias.bin')
    show('modules.alias.bin is cut short')
    report = with_rpm(root, other, modules)
    with_dpkg(root, [path for path in modules if os.path.exists(os.path.join(trees[0], path))])
    say()
    say(f'Identical: by bytes to what a full run of kmp-depmod writes, and to the {compared} files that kmod {version} writes'
        f'{" (.bin by entries)" if float(version) < 34 else ""}.')
    say()
    say('rpm and dpkg install real packages into these roots, whose scriptlets call depmod: kmod\'s in one, ours in the other, where')
    say('the plugin and the trigger are, too. Their times are those of the whole installation.')
    say()
    say(f'What a dry run said of {RPM}, before it was installed:')
    quote(report)
    say()
    say('And of cdrom:')
    quote(''.join(plan.splitlines(True)[:6]), 5)
    say(f'    and so on for {plan.count("depends ") - 1} other modules that need it')
    say()
    say('What kmp-depmod --verify says, which asks libkmod as modprobe does:')
    say('    ' + timed(program, '--root', ours, '--verify', KVER)[1].strip())
    say()
    if wrong:
        say(paint('31', f'{wrong} times the files were different.'))
        return 1
    if len(sys.argv) > 4:
        screenshot.write(sys.argv[4], '# tests/demo', spoken)
    say('To see it with your own kernel (on a copy): KMP_DEPMOD=... tests/live "$(uname -r)"')
    say('To run all tests: tests/check')
    return 0


if __name__ == '__main__':
    sys.exit(main())
