# SPDX-License-Identifier: BSD-2-Clause
"""The product's ESP and AH behind a pipe (espbox.c)."""
import os
import subprocess

BACKENDS = ("ipsec-mb", "openssl")


class Box:
    def __init__(self):
        path = os.path.join(os.environ.get("BUILD", "build"), "tests/tools/espbox")
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, sa, direction, backend, seq, packets, off=0, local=False):
        """[(reason, packet), ...]; raises on any other answer."""
        words = {
            "dir": direction, "proto": sa.proto, "alg": sa.algorithm.name, "backend": backend,
            "mode": "tunnel" if sa.tunnel else "transport", "family": sa.family, "src": sa.src,
            "dst": sa.dst, "spi": sa.spi, "esn": int(sa.esn), "seq": seq, "udp": int(sa.udp),
            "sport": sa.sport, "dport": sa.dport, "local": int(local), "off": off,
            "key": sa.key.hex(), "packets": ",".join(packet.hex() for packet in packets),
        }
        self.process.stdin.write(" ".join("%s=%s" % word for word in words.items()) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer.startswith("error") or not answer:
            raise RuntimeError("espbox: %s (%s, %s, %s)" %
                               (answer or "died", direction, sa.algorithm.name, backend))
        pairs = (word.split(":") for word in answer.split(","))
        return [(reason, bytes.fromhex(data)) for reason, data in pairs]

    def close(self):
        self.process.stdin.close()
        return self.process.wait()
