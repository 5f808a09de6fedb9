#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Lists the project's own files of one kind, one a line: files.sh c|grammar|shell|completion|man|units|source|all
set -eu
cd "$(dirname "$0")/../.."

# Tracked files and new ones alike; a tarball without .git works too.
all()
{
	{
		git ls-files -co --exclude-standard 2>/dev/null ||
			find . -type f -not -path './.git/*' -not -path './build/*' | sed 's,^\./,,'
	} | sort -u | while IFS= read -r file; do
		if [ -f "$file" ]; then
			printf '%s\n' "$file"
		fi
	done
}

shell()
{
	all | while IFS= read -r file; do
		case $file in
		*.sh) echo "$file" ;;
		*.c | *.h | *.md | *.py) ;;
		*) if head -n 1 "$file" | tr -d '\000' | grep -Eq '^#! ?/(usr/)?bin/(env )?(ba|da)?sh'; then
			echo "$file"
		fi ;;
		esac
	done
}

case ${1:-} in
all) all ;;
c) all | grep -E '\.[ch]$' || true ;;
grammar) all | grep -E '\.[ly]$' || true ;;
shell) shell ;;
completion) all | grep -E '(^|/)(bash-)?completions?/|\.bash$|completion\.bash' | grep -v '\.md$' || true ;;
man) all | grep -E '\.[1-9]$' || true ;;
units) all | grep -E '\.(service|target|timer|socket)$' || true ;;
source)
	{
		all | grep -E '\.([chly]|sh|py|awk|mk)$|(^|/)Makefile$' || true
		shell
	} | sort -u
	;;
*)
	echo "usage: $0 all|c|grammar|shell|completion|man|units|source" >&2
	exit 2
	;;
esac
