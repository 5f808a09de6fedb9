#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Writes docs/reasons.md from the one list in include/xipsec/reason.h.
#	tools/dev/reasons.sh > docs/reasons.md
# With --check: exits 1 if docs/reasons.md is not what the list says.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
cc=${CC:-cc}

page() {
	cat <<'PAGE'
# Reasons

Every packet that xipsec handles ends in exactly one reason in each process that handled it: the
programs count in the map `reasons`, the workers in `worker_stats`. `xipsec status` adds them up.
Made by `tools/dev/reasons.sh` from `include/xipsec/reason.h`: change that, not this page.

- **pass**: goes on to the kernel's stack: in the clear, or our own ESP or IKE, or marked for kernel XFRM, without which the guard drops it
- **steer**: handed to a worker, to be sealed or opened there
- **done**: a worker has sealed, opened or answered it
- **drop**: ends here

| number | name | kind | meaning |
| ---: | --- | --- | --- |
PAGE
	printf '#include "xipsec/reason.h"\n%s\n%s\n' \
		'#define ROW(sym, name, kind, text) ROW #name ~ kind ~ text END' \
		'XIPSEC_REASONS(ROW)' |
		"$cc" -E -P -I"$here/include" -xc - |
		tr '\n' ' ' | sed 's/ END */\n/g' |
		awk -F ' ~ ' '/ROW "/ {
			sub(/.*ROW "/, "", $1); sub(/"$/, "", $1)
			gsub(/" +"/, "", $3); gsub(/^"|" *$/, "", $3)
			printf "| %d | `%s` | %s | %s |\n", n++, $1, tolower($2), $3
		}'
}

if [ "${1:-}" = --check ]; then
	page | diff -u "$here/docs/reasons.md" - || {
		echo "docs/reasons.md: run tools/dev/reasons.sh > docs/reasons.md" >&2
		exit 1
	}
else
	page
fi
