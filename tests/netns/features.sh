#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154 # settings that the sourced files give
# What `xipsec status --features` says: of things that can be asked in another way too, the same; in text
# and JSON, the same; and, on the kernels of README.md's table, what the table says.
. "$(dirname "$0")/../lib/scenario.sh"

README=$LIB/../../README.md
gw_config a
gw a status --features --json >"$WORK/json" 2>"$WORK/err"
check_eq "it says nothing beside that" "$?:$(cat "$WORK/err")" 0:
check "and nothing is left of what it tried" eval '! in_ns gw-a ip link show probe0 && ! ip link show probe0'

state() { jq -r ".features[] | select(.name == \"$1\") | .state" "$WORK/json"; }
yes_no() { "$@" >/dev/null 2>&1 && echo yes || echo no; }
esp()
{
	in_ns red-a ip xfrm state add src 192.0.2.1 dst 192.0.2.9 proto "$1" spi 0x9 reqid 9 \
		auth-trunc 'hmac(sha256)' 0x11 128 "${@:2}"
}

check_eq "kernel" "$(jq -r .kernel "$WORK/json")" "$(uname -r)"
check_eq "none is unknown to root" "$(jq -r '.features[] | select(.state == "unknown")' "$WORK/json")" ""
check_eq "xfrm_esp4, as ip xfrm sees it" "$(state xfrm_esp4)" "$(yes_no esp esp enc 'ecb(cipher_null)' '')"
check_eq "xfrm_ah4, likewise" "$(state xfrm_ah4)" "$(yes_no esp ah)"
check_eq "vlan, as ip link sees it" "$(state vlan)" \
	"$(yes_no ip -n "$TOPO-gw-a" link add link red0 name v7 type vlan id 7)"
check_eq "xfrm_interface, likewise" "$(state xfrm_interface)" \
	"$(yes_no ip -n "$TOPO-red-a" link add x7 type xfrm if_id 7)"
check_eq "nftables, as nft sees it" "$(state nftables)" "$(yes_no in_ns red-a nft list ruleset)"
check_eq "tcx, as its symbols tell" "$(state tcx)" "$(yes_no grep -qw tcx_prog_attach /proc/kallsyms)"
check_eq "bpf_xdp_get_xfrm_state, likewise" "$(state bpf_xdp_get_xfrm_state)" \
	"$(yes_no grep -qw bpf_xdp_get_xfrm_state /proc/kallsyms)"
check_eq "bpf_skb_set_xfrm_info, likewise" "$(state bpf_skb_set_xfrm_info)" \
	"$(yes_no grep -qw bpf_skb_set_xfrm_info /proc/kallsyms)"
if [ "$(state xfrm_esp4)" = yes ]; then
	check_eq "xfrm_percpu_sa, as the kernel's types tell" "$(state xfrm_percpu_sa)" \
		"$(yes_no eval "bpftool btf dump file /sys/kernel/btf/vmlinux | grep -w \"'pcpu_num'\"")"
fi
check_eq "the interfaces of the config" "$(jq -c '[.interfaces[].name]' "$WORK/json")" '["blk0","red0"]'
check_eq "veth has no zero-copy" \
	"$(jq -r '.interfaces[0].zerocopy' "$WORK/json" | sed 's/unknown/no/')" no

gw a status --features >"$WORK/text"
check_eq "the text says the same" "$(awk 'NF == 0 { n++ } n == 1 && $1 != "feature" && NF { print $1, $2 }' "$WORK/text")" \
	"$(jq -r '.features[] | "\(.name) \(.state)"' "$WORK/json")"

# README's table: a column is of the releases that begin with its first word and hold the other.
rows() { awk '/^\| feature / { on = 1; next } !/^\|/ { on = 0 } on && !/^\| ---/' "$README" | tr -d '`'; }
column() { rows | awk -F' *[|] *' -v n="$1" '{ print $2, $n }'; }
this_kernel()
{
	local n=2 version flavour
	while read -r version flavour; do
		n=$((n + 1))
		[[ $(uname -r) != "$version".*"$flavour"* ]] || echo $n
	done < <(grep '^| feature ' "$README" | tr '|' '\n' | sed 1,2d | grep '^ [0-9]')
}
check_eq "README names the same features" "$(column 2 | cut -d' ' -f1)" "$(jq -r '.features[].name' "$WORK/json")"
if [ -n "$(this_kernel)" ]; then
	check_eq "README's column of this kernel" "$(column "$(this_kernel)")" \
		"$(jq -r '.features[] | "\(.name) \(.state)"' "$WORK/json")"
elif [ -n "${XIPSEC_VM:-}" ]; then
	not_ok "README has no column for $(uname -r)"
else
	skip "features: README has no column for $(uname -r)"
fi
