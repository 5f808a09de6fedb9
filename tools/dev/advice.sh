#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Writes the table of reasons in docs/operations.md, between its two markers, from
# include/xipsec/reason.h and advice.h.
#	tools/dev/advice.sh
# With --check: changes nothing, exits 1 if the page is not what the lists say, or has
# an empty cell.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
cc=${CC:-cc}
page=$here/docs/operations.md
fresh=$(mktemp) rows=$(mktemp)
trap 'rm -f "$fresh" "$rows"' EXIT

# One line a piece of advice: SYMBOL ~ text; one a reason: SYMBOL ~ name ~ text.
rows()
{
	printf '#include "xipsec/reason.h"\n#include "xipsec/advice.h"\n%s\n%s\n%s\n%s\n' \
		'#define REASON(sym, name, kind, text) BEGIN R ~ #sym ~ name ~ text END' \
		'#define ADVICE(sym, text) BEGIN A ~ #sym ~ text END' \
		'XIPSEC_REASONS(REASON)' 'XIPSEC_ADVICE(ADVICE)' |
		"$cc" -E -P -I"$here/include" -xc - |
		tr '\n' ' ' | sed 's/" *END\b */"\n/g' |
		sed -n 's/.*BEGIN //; s/"  *"//g; s/\\"/\x01/g; s/"//g; s/\x01/"/g; /^[RA] ~/p'
}

table()
{
	echo '| reason | what it means | what to do |'
	echo '| --- | --- | --- |'
	rows | awk -F ' ~ ' '
		$1 == "R" { name[$2] = $3; text[$2] = $4 }
		$1 == "A" { printf "| `%s` | %s | %s |\n", name[$2], text[$2], $3 }'
}

# A cell that nothing fills was lost on its way here.
table >"$rows"
if grep -E '`` *\||\| *\|' "$rows"; then
	echo "tools/dev/advice.sh: these reasons have an empty cell" >&2
	exit 1
fi
{
	sed '/^<!-- advice:/q' "$page"
	cat "$rows"
	sed -n '/^<!-- end of advice -->/,$p' "$page"
} >"$fresh"
if [ "${1:-}" = --check ]; then
	diff -u "$page" "$fresh" || {
		echo "docs/operations.md: run tools/dev/advice.sh" >&2
		exit 1
	}
else
	cat "$fresh" >"$page"
fi
