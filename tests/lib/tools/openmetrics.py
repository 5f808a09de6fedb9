#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A strict reader of OpenMetrics text: that of the Prometheus project's Python client.

check FILE             fails if the page is not well-formed; prints how many samples it has
value FILE NAME [LABEL=VALUE ...]   the sum of the samples of that name with these labels
get WHERE FILE         GET /metrics of unix:PATH or ADDR:PORT into FILE; prints status and type
"""
import http.client
import socket
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families


def families(path):
    with open(path, encoding="utf-8") as page:
        return list(text_string_to_metric_families(page.read()))


def check(path):
    found = families(path)
    for family in found:
        if not family.documentation or family.type == "unknown":
            sys.exit("%s: no help or no type" % family.name)
    print(sum(len(family.samples) for family in found))


def value(path, name, *labels):
    wanted = dict(label.split("=", 1) for label in labels)
    samples = [s for f in families(path) for s in f.samples
               if s.name == name and all(s.labels.get(k) == v for k, v in wanted.items())]
    print("none" if not samples else int(sum(s.value for s in samples)))


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def get(where, path, target="/metrics"):
    if where.startswith("unix:"):
        connection = Unix(where[5:])
    else:
        connection = http.client.HTTPConnection(where, timeout=5)
    connection.request("GET", target)
    answer = connection.getresponse()
    with open(path, "wb") as page:
        page.write(answer.read())
    print(answer.status, (answer.getheader("Content-Type") or "").split(";")[0])


if len(sys.argv) < 2 or sys.argv[1] not in ("check", "value", "get"):
    sys.exit(__doc__)
globals()[sys.argv[1]](*sys.argv[2:])
