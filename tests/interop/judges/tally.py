# SPDX-License-Identifier: BSD-2-Clause
"""What held and what did not, and the lines that tests/run.sh counts."""
import collections


class Tally:
    """Packets that held, and what was wrong with the others, by what was asked of them."""

    def __init__(self):
        self.good = collections.Counter()
        self.wrong = {}
        self.skipped = collections.Counter()
        self.combinations = 0

    def add(self, what, held, why):
        if held:
            self.good[what] += 1
        else:
            self.wrong.setdefault(what, []).append(why)

    def add_all(self, what, name, got, wanted):
        """Packet by packet; one that is not there is none of those wanted."""
        for i, packet in enumerate(wanted):
            found = got[i] if i < len(got) else b""
            self.add(what, found == packet, "%s, packet %d of %d (%d came)\n got    %s\n wanted %s" %
                     (name, i, len(wanted), len(got), found.hex(), packet.hex()))

    def merge(self, other):
        self.good += other.good
        self.skipped += other.skipped
        self.combinations += other.combinations
        for what, why in other.wrong.items():
            self.wrong.setdefault(what, []).extend(why)

    def tell(self):
        """Of what is wrong the first three, with its bytes."""
        for what in sorted(set(self.good) | set(self.wrong)):
            if what not in self.wrong:
                print("ok - %s: %d packets" % (what, self.good[what]))
                continue
            wrong = self.wrong[what]
            print("not ok - %s: %d of %d packets" %
                  (what, len(wrong), len(wrong) + self.good[what]))
            for why in wrong[:3]:
                print("\n".join("# " + line for line in why.splitlines()))

    def tell_skipped(self, how):
        print("# %d combinations, %s:" % (self.combinations, how))
        for why, count in sorted(self.skipped.items()):
            print("# %5d %s" % (count, why))
