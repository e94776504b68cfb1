# SPDX-License-Identifier: GPL-2.0-or-later
"""A small system, a user who wishes it harm, and a victim outside of it that nobody may touch."""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(TESTS, 'lib'), os.path.join(TESTS, 'oracle')]
import depmod_oracle as oracle                          # noqa: E402
import indexes                                          # noqa: E402
import mkmodule                                         # noqa: E402
from roots import CONFIG_DIRS, PACKAGE_TIME, STORE_DIR  # noqa: E402,F401
from tap import Tap, skip_all                           # noqa: E402

KVER = '6.1.0-test'
TOP, OWN_DIR, MARKS = f'lib/modules/{KVER}', 'var/lib/kmp-depmod', 'var/lib/kmp-depmod/dirty'
LOCK, FACTS = OWN_DIR + '/lock', f'{STORE_DIR}/lib!modules!{KVER}.facts'
NOBODY = 65534
SECRET = b'root:do-not-tell: secret\n'
tap = Tap()


def need():
    if os.geteuid() != 0:
        skip_all('needs root, to be what an attacker is not')
    for tool in ('setpriv', 'strace'):
        if not shutil.which(tool):
            skip_all(f'{tool} is not installed')
    if not os.environ.get('KMP_DEPMOD'):
        skip_all('KMP_DEPMOD does not name the program')


def program():
    return os.path.abspath(os.environ['KMP_DEPMOD'])


def module(**facts):
    return mkmodule.build(facts)


class Place:
    """root: the system. outside: what is the attacker's to lead us to, with a victim in it."""

    def __init__(self, directory):
        self.directory, self.root, self.outside = directory, directory + '/root', directory + '/outside'
        os.makedirs(self / TOP)
        os.makedirs(self.outside)
        with open(self.victim, 'wb') as out:
            out.write(SECRET)
        os.chmod(self.victim, 0o600)
        self.write(f'{TOP}/a.ko', module(exports=[['a', 1]], aliases=['a-alias']))
        self.write(f'{TOP}/b.ko', module(needs=[['a', 1]], aliases=['b-alias']))

    @property
    def victim(self):
        return self.outside + '/victim'

    def __truediv__(self, rel):
        return os.path.join(self.root, rel)

    def write(self, path, data=b''):
        path = self / path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + '~', 'wb') as out:
            out.write(data)
        os.utime(out.name, (PACKAGE_TIME, PACKAGE_TIME))
        os.rename(out.name, path)

    def change(self):
        """A reason for a run."""
        self.write(f'{TOP}/b.ko', module(needs=[['a', 1]], aliases=['b-alias'], softdeps=[f'pre: {os.urandom(4).hex()}']))

    def run(self, *words, given=b'', tool=None):
        done = subprocess.run([tool or program(), '--root', self.root, *words], input=given, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=60, umask=0o022)
        done.stdout = done.stdout.decode(errors='replace')
        return done

    def attacker(self, script, *words):
        """Runs a Python script as nobody, in the background, until it says that it is ready."""
        process = subprocess.Popen(
            ['setpriv', '--reuid', str(NOBODY), '--regid', str(NOBODY), '--clear-groups', '--no-new-privs', sys.executable, '-c',
             script, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return process, process.stdout.readline().rstrip('\n')

    def differing(self):
        config = [self / directory for directory in CONFIG_DIRS]
        files = oracle.generate(self / TOP, oracle.Config(config, KVER, self.root), 'pre', self.root)
        wrong = []
        for name, data in files.items():
            path = self / f'{TOP}/modules.{name}'
            if not os.path.isfile(path) or os.path.islink(path):
                wrong.append(name)
                continue
            with open(path, 'rb') as file:
                if file.read() != data:
                    wrong.append(name)
        return wrong

    def outside_state(self):
        found = {}
        for at, directories, names in os.walk(self.outside):
            for name in directories + names:
                path = os.path.join(at, name)
                info = os.lstat(path)
                data = open(path, 'rb').read() if os.path.isfile(path) and not os.path.islink(path) else None  # pylint: disable=consider-using-with
                found[path] = info.st_mode, info.st_uid, info.st_nlink, data
        return found


@contextlib.contextmanager
def place():
    directory = tempfile.mkdtemp(prefix='attack-')
    os.chmod(directory, 0o755)
    try:
        yield Place(directory)
    finally:
        shutil.rmtree(directory)
