#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs kinds of tests: run.sh [unit] [unit-asan] [prog] [netns] [interop] [fuzz] [vm]; BUILD names the build
# folder, ONLY=PATTERN picks files by name, KERNEL those of vm, XIPSEC_SLOW=N is for a machine that is N
# times slower, JOBS=1 has scenarios run one after the other, SHARE=I/N runs every Nth of them from the Ith on
# (from 0), SHARE=vm has the kernels of vm share the scenarios of engine xfrm. Prints `ok`, `not ok` and `skip` lines, keeps the output
# of each file in $BUILD/tests/log/, and ends with the failures once more and
# `N passed, N failed, N skipped`.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=$(realpath -m "${BUILD:-build}")
export BUILD
LOGS=${LOGS:-$BUILD/tests/log}
LIMIT=${LIMIT:-$((300 * ${XIPSEC_SLOW:-1}))} # seconds a file
VM_LIMIT=${VM_LIMIT:-3000} # seconds a kernel, all its tests, on processors that others use too
JOBS=${JOBS:-2}
passed=0 failed=0 skipped=0 failures=
mkdir -p "$LOGS"
children=()
declare -A titles

finish()
{
	[ ${#children[@]} -eq 0 ] || kill -TERM "${children[@]}" 2>/dev/null
}
trap finish EXIT
trap 'exit 130' INT TERM

tell()
{
	case $1 in
	ok) passed=$((passed + 1)) ;;
	'not ok')
		failed=$((failed + 1))
		failures+="not ok - $2"$'\n'
		;;
	skip) skipped=$((skipped + 1)) ;;
	esac
	printf '%-6s - %s\n' "$1" "$2"
}

# cmocka prints TAP here: "ok 3 - name", "not ok 4 - name".
tell_tap()
{
	local kind=$1 log=$2 line why='says not why'
	while IFS= read -r line; do
		case $line in
		'# skip: '*) why=${line#\# skip: } ;;
		*'ok '*'# SKIP'*) tell skip "$kind: ${line#*SKIP }: $why" ;;
		'ok '*) tell ok "$kind: ${line#*- }" ;;
		'not ok '*) tell 'not ok' "$kind: ${line#*- }" ;;
		'skip '*) tell skip "$kind: ${line#*- }" ;;
		esac
	done < <(grep -aE '^(ok|not ok|skip|# skip:) ' "$log")
}

# begin JOBS KIND/NAME COMMAND...: with a time limit, when fewer than JOBS run; all_judged: they have ended,
# and what they said is counted.
begin()
{
	local jobs=$1 title=$2
	shift 2
	while [ ${#children[@]} -ge "$jobs" ]; do judge_next; done
	CMOCKA_MESSAGE_OUTPUT=tap timeout -k 20 "$LIMIT" "$@" >"$LOGS/${title/\//-}.log" 2>&1 </dev/null &
	children[$!]=$!
	titles[$!]=$title
}

all_judged()
{
	while [ ${#children[@]} -gt 0 ]; do judge_next; done
}

# Waits for one of `children` and judges it; its place in that list is its pid.
judge_next()
{
	local status=0 pid=
	wait -n -p pid "${children[@]}" || status=$?
	unset "children[$pid]"
	judge "${titles[$pid]}" "$LOGS/${titles[$pid]/\//-}.log" $status
}

# judge NAME LOG STATUS: counts. A file that dies or says nothing is a failure of its own.
judge()
{
	local name=$1 log=$2 status=$3 before=$((passed + failed + skipped)) failed_before=$failed why
	tell_tap "$name" "$log"
	if [ "$status" -eq 124 ]; then
		tell 'not ok' "$name: took longer than $LIMIT s ($log)"
	elif [ "$status" -ne 0 ] && [ $failed -eq $failed_before ]; then
		tell 'not ok' "$name: ended with status $status ($log)"
	elif [ $((passed + failed + skipped)) -eq $before ]; then
		tell 'not ok' "$name: said nothing ($log)"
	fi
	if [ $failed -gt $failed_before ]; then
		why=$(grep -avE '^(ok|1\.\.)' "$log" | tail -n 40 | sed 's/^/         | /')
		printf '%s\n' "$why"
		failures+=$why$'\n'
	fi
}

# Those of programs one after the other; the rest two at a time (JOBS), for each has its own memory and files.
binaries()
{
	local kind=$1 dir=$2 source name jobs=$JOBS
	[ "$kind" != prog ] || jobs=1
	for source in tests/"${kind%-asan}"/test_*.c; do
		[ -e "$source" ] || {
			tell skip "$kind: there are no tests in tests/${kind%-asan}"
			return
		}
		name=$(basename "$source" .c)
		[[ $name == *${ONLY:-}* ]] || continue
		if [ -x "$dir/$name" ]; then
			begin "$jobs" "$kind/$name" "$dir/$name"
		else
			tell 'not ok' "$kind/$name: is not built"
		fi
	done
	all_judged
}

# mine NUMBER: does SHARE leave the scenario of that number to this machine?
mine()
{
	case ${SHARE:-} in
	*/*) [ $(($1 % ${SHARE#*/})) -eq "${SHARE%/*}" ] ;;
	esac
}

# Those of one kind, JOBS at a time: each makes namespaces and pins of its own and mostly waits. One that
# has a line "# Alone: why" in it measures rates, and has the machine to itself.
scripts()
{
	local kind=$1 script name n=0
	for script in tests/"$kind"/*.sh; do
		[ -e "$script" ] || continue
		name=$(basename "$script" .sh)
		[[ $name == *${ONLY:-}* ]] || continue
		n=$((n + 1))
		mine $((n - 1)) || continue
		if grep -q '^# Alone: ' "$script"; then
			all_judged
			begin 1 "$kind/$name" bash "$script"
			all_judged
		else
			begin "$JOBS" "$kind/$name" bash "$script"
		fi
	done
	all_judged
}

# Both kernels at once: most of it is the verifier, which has one processor busy.
vm()
{
	local kernel status n=0 share=
	local kernels=${KERNEL:-6.1 6.12}
	for kernel in $kernels; do
		[ "${SHARE:-}" != vm ] || share=${#children[@]}/$(wc -w <<<"$kernels")
		XIPSEC_SHARE=$share tests/vm/run.sh -k "$kernel" -t "$VM_LIMIT" -r "$LOGS/vm-$kernel" \
			-- tests/vm/short.sh >"$LOGS/vm-$kernel.log" 2>&1 </dev/null &
		children+=($!)
	done
	for kernel in $kernels; do
		status=0
		wait "${children[n]}" || status=$?
		n=$((n + 1))
		LIMIT=$VM_LIMIT judge "vm/$kernel" "$LOGS/vm-$kernel.log" $status
	done
	children=()
}

# Two targets at a time, FUZZ_TIME seconds each.
fuzz()
{
	local source name status n=0 names=()
	for source in tests/fuzz/fuzz_*.c; do
		name=$(basename "$source" .c)
		[[ $name == *${ONLY:-}* ]] && names+=("${name#fuzz_}")
	done
	while [ $n -lt ${#names[@]} ]; do
		children=()
		for name in "${names[@]:n:2}"; do
			timeout -k 20 $((${FUZZ_TIME:-60} + 120)) tests/fuzz/target.sh "$name" \
				>"$LOGS/fuzz-$name.log" 2>&1 </dev/null &
			children+=($!)
		done
		for name in "${names[@]:n:2}"; do
			status=0
			wait "${children[0]}" || status=$?
			children=("${children[@]:1}")
			judge fuzz "$LOGS/fuzz-$name.log" $status
		done
		n=$((n + 2))
	done
}

for kind in "${@:-unit}"; do
	start=$SECONDS
	case $kind in
	unit) binaries unit "$BUILD/tests/unit" ;;
	unit-asan) binaries unit-asan "$BUILD/asan/tests/unit" ;;
	prog)
		if [ "$(id -u)" = 0 ]; then
			binaries prog "$BUILD/tests/prog"
		else
			tell skip "prog: needs root (bpf)"
		fi
		;;
	netns | interop) scripts "$kind" ;;
	fuzz) fuzz ;;
	vm)
		if [ "$(id -u)" = 0 ]; then
			vm
		else
			tell skip "vm: needs root (mounts)"
		fi
		;;
	*)
		echo "run.sh: no such kind of tests: $kind" >&2
		exit 2
		;;
	esac
	echo "# $kind: $((SECONDS - start)) s"
done
# Indented: who reads results counts them once.
if [ $failed -gt 0 ]; then
	failures=${failures%$'\n'}
	printf '  # failures, once more:\n  %s\n' "${failures//$'\n'/$'\n'  }"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
