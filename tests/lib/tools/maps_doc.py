#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""docs/maps.md and the maps themselves. maps_doc.py check|write PIN_DIR PAGE

Each map that is pinned in PIN_DIR/current must have a block `<!-- dump: NAME -->` in the page that
holds one entry of it as bpftool prints it, with the names that it has now, no more and no less.
write: puts what bpftool prints now there. check: prints a line for each map, `ok` or `not ok`.
"""
import json
import os
import re
import subprocess
import sys

# What cannot be read from user space, or holds no fields.
OPAQUE = ("xsks", "cpus", "events", "spd", "spd_buckets_of", "spd_rules_of")


def shorten(value):
    """Lists by their first elements, so that a page is not a megabyte."""
    if isinstance(value, dict):
        return {k: shorten(v) for k, v in value.items()}
    if isinstance(value, list):
        if len(value) > 2 and all(isinstance(v, (int, str)) for v in value):
            return value[:16]
        return [shorten(v) for v in value[:1]]
    return value


def weight(entry):
    """What is in use before what is free, then by how much there is to see."""
    text = json.dumps(entry.get("value", entry.get("values")))
    return "XIPSEC_SA_FREE" not in text, len(re.findall(r"[1-9]", text))


def dump(pin):
    text = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", pin], check=True,
                          stdout=subprocess.PIPE).stdout
    entries = [e["formatted"] for e in json.loads(text) if "formatted" in e]
    if not entries:
        return None
    return shorten(max(entries, key=weight))


def names(value, into):
    if isinstance(value, dict):
        for key, inner in value.items():
            into.add(key)
            names(inner, into)
    elif isinstance(value, list):
        for inner in value:
            names(inner, into)
    return into


def blocks(page):
    return dict(re.findall(r"<!-- dump: (\w+) -->\n```\n(.*?)\n```", page, re.S))


def pretty(entry):
    text = json.dumps(entry, indent=2)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m.group(1)) + "]",
                  text)


def main(mode, pin_dir, path):
    with open(path, encoding="utf-8") as page:
        text = page.read()
    known, current = blocks(text), os.path.join(pin_dir, "current")
    for name in sorted(os.listdir(current)):
        if not os.path.isfile(os.path.join(current, name)):
            continue
        if "`%s`" % name not in text:
            print("not ok - docs/maps.md tells of %s" % name)
            continue
        if name in OPAQUE:
            print("ok - docs/maps.md tells of %s" % name)
            continue
        entry = dump(os.path.join(current, name))
        if entry is None:
            print("not ok - docs/maps.md: %s: bpftool prints no entry with names" % name)
        elif mode == "write":
            text = re.sub(r"(<!-- dump: %s -->\n```\n).*?(\n```)" % name,
                          lambda m: m.group(1) + pretty(entry) + m.group(2), text, flags=re.S)
            print("written: %s" % name)
        elif name not in known:
            print("not ok - docs/maps.md: there is no entry of %s" % name)
        else:
            odd = names(json.loads(known[name]), set()) ^ names(entry, set())
            print("%s - docs/maps.md: the names of %s%s" % (
                "not ok" if odd else "ok", name, ": " + ", ".join(sorted(odd)) if odd else ""))
    for name in known:
        if not os.path.exists(os.path.join(current, name)):
            print("not ok - docs/maps.md: %s is no map any more" % name)
    if mode == "write":
        with open(path, "w", encoding="utf-8") as page:
            page.write(text)


if len(sys.argv) != 4 or sys.argv[1] not in ("check", "write"):
    sys.exit(__doc__)
main(*sys.argv[1:])
