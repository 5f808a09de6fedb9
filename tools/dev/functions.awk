# SPDX-License-Identifier: BSD-2-Clause
# Names C functions longer than `limit` lines (fails) and counts those longer than `aim`. Relies on
# the style that clang-format keeps: a function's braces stand alone in the first column.

FNR == 1 { head = ""; inside = 0 }

# The text since the last statement: holds the name of the function that begins.
!inside && /^[a-zA-Z_]/ { head = $0 }
!inside && /^[ \t]/ && head != "" { head = head " " $0 }
!inside && (/;[ \t]*$/ || /^#/ || /^}/) { head = "" }

/^{$/ && !inside {
	inside = FNR
	name = head
	sub(/\(.*/, "", name)
	sub(/.*[ *]/, "", name)
}

/^}/ && inside {
	lines = FNR - inside + 1
	total++
	if (lines > aim)
		over_aim++
	if (lines > limit) {
		printf "%s:%d: %s() has %d lines, the limit is %d\n", FILENAME, inside, name, lines, limit
		bad++
	}
	inside = 0
	head = ""
}

END {
	printf "%d functions, %d over %d lines, %d over %d\n", total, over_aim, aim, bad, limit
	exit bad > 0
}
