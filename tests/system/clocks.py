"""Clocks of the test's making for the programs it starts (clock.c, preloaded):
the wall clock, whether the kernel vouches for it, how long the machine is up,
and since which boot this is."""

import struct

from harness import *

SHIM = os.path.join(BUILD, "tests", "system", "clock.so")


class Clock:
    """One machine's clocks."""

    def __init__(self, t):
        if not os.path.exists(SHIM):
            skip("needs %s (make check builds it)" % SHIM)
        self.path = t.path("clock.%d" % t.number())
        self.ahead = self.up = 0
        self.vouched, self.boot = False, 1
        self.set()
        self.env = {"LD_PRELOAD": SHIM, "PB_CLOCK": self.path,
                    # The shim comes before a sanitizer, and may.
                    "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}

    def set(self, **clocks):
        for name, value in clocks.items():
            check(hasattr(self, name), name)
            setattr(self, name, value)
        with open(self.path, "r+b" if os.path.exists(self.path) else
                  "wb") as f:
            f.write(struct.pack("<qqqq", self.ahead, self.up, self.vouched,
                                self.boot))

    def run(self, node):
        node.start_recorder(env=self.env)

    def rerun(self, node, **clocks):
        node.recorder.stop()
        self.set(**clocks)
        self.run(node)
