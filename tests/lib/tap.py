# SPDX-License-Identifier: GPL-2.0-or-later
"""Test results, one line each, as TAP."""
import sys


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, name, *details):
        self.count += 1
        print(f'{"ok" if good else "not ok"} {self.count} - {name}', flush=True)
        if not good:
            self.failed += 1
            for detail in details:
                self.say(detail)
        return bool(good)

    def same(self, is_, should, name, *details):
        return self.ok(is_ == should, name, f'is     {is_!r}', f'should {should!r}', *details)

    def say(self, text):
        for line in str(text).rstrip().splitlines():
            print('#   ' + line, flush=True)

    def skip(self, name, reason):
        self.count += 1
        print(f'ok {self.count} - {name} # SKIP {reason}', flush=True)

    def done(self):
        print(f'1..{self.count}', flush=True)
        sys.exit(1 if self.failed else 0)


def skip_all(reason):
    print(f'1..0 # SKIP {reason}')
    sys.exit(0)
