#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# docs/rfc.md names code and tests: each `file:function` and each `unit/test` in it must exist, each
# row has a known word for how far it is met, a row that is met names code, and says which test shows
# it or that there is none.
set -eu
cd "$(dirname "$0")/../.."
doc=${1:-docs/rfc.md}
status=0

complain()
{
	echo "$doc: $*"
	status=1
}

# Everything in backquotes that looks like a place: FOLDER/FILE:NAME, KIND/TEST or KIND/TEST:NAME.
# shellcheck disable=SC2016 # backquotes are meant
for place in $(grep -o '`[^` ]*`' "$doc" | tr -d '`' | sort -u); do
	name=${place##*:}
	[ "$name" != "$place" ] || name=''
	file=${place%%:*}
	case $file in
	bpf/* | iked/* | include/* | lib/* | loader/* | tools/* | worker/*) ;;
	unit/* | prog/*) file=tests/$file.c ;;
	netns/* | interop/*) file=tests/$file.sh ;;
	fuzz/*) file=tests/fuzz/fuzz_${file#fuzz/}.c ;;
	*) continue ;;
	esac
	if [ ! -f "$file" ]; then
		complain "$place: there is no $file"
	elif [ -n "$name" ] && ! grep -qw -- "$name" "$file"; then
		complain "$place: $file has no $name"
	fi
done

rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
# Requirement tables alone: five columns between bars.
awk -F'|' 'NF == 7 && $2 !~ /^ *(section|-+) *$/ { print NR "|" $4 "|" $5 "|" $6 }' "$doc" >"$rows"
[ -s "$rows" ] || complain "no table of requirements found"
while IFS='|' read -r line word code test; do
	case $(echo "$word" | tr -d ' ') in
	met)
		echo "$code" | grep -q '`' || complain "line $line: met, but no code is named"
		echo "$test" | grep -q '`\|none' || complain "line $line: met, but by which test? (or: none)"
		;;
	partly | notmet | later | n.a.)
		echo "$code$test" | grep -q '[a-z]' || complain "line $line: not met, and it does not say why"
		;;
	*) complain "line $line: $word is none of met, partly, not met, later, n.a." ;;
	esac
done <"$rows"
exit $status
