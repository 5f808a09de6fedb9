#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The house rules, one function a step: check.sh STEP... Runs them all, prints what each has to say,
# and fails if one failed. A step whose tool is missing fails: a check that did not run is no check.
set -eu
cd "$(dirname "$0")/../.."
dev=tools/dev
build=${BUILD:-build}/check
make=${MAKE:-make}
mkdir -p "$build"

need()
{
	for tool; do
		if ! command -v "$tool" >/dev/null; then
			echo "$tool is not installed: sudo make deps"
			return 1
		fi
	done
}

step_format()
{
	need clang-format || return 1
	$dev/files.sh c | xargs -r clang-format --dry-run -Werror --ferror-limit=3
}

# Every binary and every test, with the warnings of the Makefile as errors.
build_with()
{
	need "$1" || return 1
	$make --no-print-directory -k -j2 BUILD="$build/$1" CC="$1" all unit-build prog-build bench-build
}

step_build_gcc() { build_with gcc; }
step_build_clang() { build_with clang; }

# bpf/ is left to clang and the verifier: cppcheck does not know maps and packet pointers. It does
# not read the kernel's headers either: without their types it takes a __u64 for a signed int.
step_cppcheck()
{
	need cppcheck || return 1
	mkdir -p "$build/cppcheck"
	$dev/files.sh c | grep '\.c$' | grep -Ev '^bpf/' >"$build/cppcheck.files"
	cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=$dev/cppcheck.txt --error-exitcode=1 -j2 \
		--cppcheck-build-dir="$build/cppcheck" --max-configs=4 -D_GNU_SOURCE \
		-D__u8='unsigned char' -D__u16='unsigned short' -D__s16=short -D__be16='unsigned short' \
		-D__u32='unsigned int' -D__s32=int -D__be32='unsigned int' \
		-D__u64='unsigned long long' -D__s64='long long' \
		-DXIPSEC_VERSION='"check"' -I. -Iinclude --file-list="$build/cppcheck.files"
}

# SC1091: sourced files are found at run time; SC2317: traps look like dead code;
# SC3043: dash has `local`.
step_shell()
{
	need shellcheck || return 1
	$dev/files.sh shell | xargs -r shellcheck -x -P SCRIPTDIR -e SC1091,SC2317,SC3043
}

step_completion()
{
	$dev/files.sh completion >"$build/completion.files"
	while IFS= read -r file; do
		bash -n "$file" && shellcheck -s bash -e SC2207 "$file" || return 1
	done <"$build/completion.files"
}

# The column "may include" of docs/architecture.md.
step_includes()
{
	{
		$dev/files.sh c
		$dev/files.sh grammar
	} | xargs -r awk -v table=docs/architecture.md -f $dev/includes.awk
}

step_functions() { $dev/files.sh c | xargs -r awk -v limit=100 -v aim=40 -f $dev/functions.awk; }

# Names long files; generated ones do not stand here. A table of vectors may be long: no failure.
step_files()
{
	{
		$dev/files.sh source
	} | xargs -r wc -l | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines (aim: under 400)" }'
}

step_spdx()
{
	$dev/files.sh source >"$build/source.files"
	status=0
	while IFS= read -r file; do
		if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause'; then
			echo "$file: no SPDX line in the first three lines"
			status=1
		fi
	done <"$build/source.files"
	return $status
}

step_generated()
{
	if $dev/files.sh all |
		grep -E '\.skel\.h$|(^|/)vmlinux\.h$|(^|/)config_(scan|parse)\.[ch]$|\.[oad]$|^build/'; then
		echo "generated files do not belong into the tree"
		return 1
	fi
}

# Each room says what it is, in at most 30 lines.
step_readme()
{
	status=0
	for room in include bpf lib loader worker iked tools tests deploy docs; do
		if [ ! -f $room/README.md ]; then
			echo "$room/README.md is missing"
			status=1
		elif [ "$(wc -l <$room/README.md)" -gt 30 ]; then
			echo "$room/README.md: over 30 lines"
			status=1
		fi
	done
	return $status
}

# Tables of the docs that are made from lists in include/.
step_tables() { $dev/reasons.sh --check && $dev/advice.sh --check; }

# Alerts and dashboard use metrics that there are.
step_metrics() { need jq && $dev/metrics.sh; }

# What docs/rfc.md names is there.
step_rfc() { $dev/rfc.sh; }

step_man()
{
	need mandoc || return 1
	$dev/files.sh man | xargs -r mandoc -Tlint -Wwarning
}

# The units as they would be installed; systemd-analyze knows every directive and value.
step_units()
{
	need systemd-analyze || return 1
	rm -rf "$build/units" && mkdir -p "$build/units"
	$dev/files.sh units >"$build/units.files"
	while IFS= read -r unit; do
		# /bin/true stands in for the binaries, which need not be installed to check a unit.
		sed 's,@SBINDIR@/[a-z]*,/bin/true,; s,@SBINDIR@,/usr/sbin,' "$unit" >"$build/units/${unit##*/}"
	done <"$build/units.files"
	systemd-analyze verify --man=no "$build"/units/* 2>&1 |
		grep -F "$(cd "$build/units" && pwd)" >"$build/units.errors" || return 0
	cat "$build/units.errors"
	return 1
}

failed=''
for step; do
	function=step_$(echo "$step" | tr - _)
	log=$build/$step.log
	if $function >"$log" 2>&1; then
		result=ok
	else
		result=FAIL
		failed="$failed $step"
	fi
	printf '  CHECK   %-12s %s\n' "$step" "$result"
	if [ $result = FAIL ]; then
		grep -v '^  [A-Z]\{2,5\} ' "$log" | head -n 200 | sed 's/^/          /'
	elif [ "$step" = files ] || [ "$step" = functions ]; then
		sed 's/^/          /' "$log"
	fi
done
if [ -n "$failed" ]; then
	echo "check: FAIL:$failed (logs in $build)" >&2
	exit 1
fi
echo "check: PASS"
