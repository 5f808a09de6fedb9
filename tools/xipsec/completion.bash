# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# bash completion for xipsec(8)

_xipsec_interfaces()
{
	local path
	for path in /sys/class/net/*; do
		[ -e "$path" ] && echo "${path##*/}"
	done
}

# Names of the sections inside section $2 of the config; includes are not followed.
_xipsec_sections()
{
	local file=$1
	[ -r "$file" ] || return 0
	awk -v want="$2" '
		{ sub(/#.*/, "") }
		{
			line = $0
			while (match(line, /[^ \t{}=]*[ \t]*[{]|[}]/)) {
				word = substr(line, RSTART, RLENGTH)
				line = substr(line, RSTART + RLENGTH)
				if (word == "}") { depth--; continue }
				sub(/[ \t]*[{]$/, "", word)
				if (depth == 0) top = word
				if (depth == 1 && top == want) print word
				depth++
			}
		}' "$file"
}

_xipsec_sas()
{
	_xipsec_sections "$1" sas
}

_xipsec_conns()
{
	_xipsec_sections "$1" connections
}

_xipsec()
{
	local cur prev command='' config=/etc/xipsec/xipsec.conf i words=''
	local commands='attach confirm detach status policy reload explain sa conn up down rekey log monitor metrics top config help version'
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config) config=${COMP_WORDS[++i]} ;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done

	case $prev in
	-c | --config)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--role)
		COMPREPLY=($(compgen -W 'protected unprotected' -- "$cur"))
		return
		;;
	--confirm | --count) return ;;
	--dir)
		COMPREPLY=($(compgen -W 'out in' -- "$cur"))
		return
		;;
	--frag)
		COMPREPLY=($(compgen -W 'first later' -- "$cur"))
		return
		;;
	--dev | --from)
		COMPREPLY=($(compgen -W "$(_xipsec_interfaces)" -- "$cur"))
		return
		;;
	--pcap | --pcap-out)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--proto)
		COMPREPLY=($(compgen -W 'tcp udp icmp ipv6-icmp esp ah sctp' -- "$cur"))
		return
		;;
	--sa)
		COMPREPLY=($(compgen -W "$(_xipsec_sas "$config")" -- "$cur"))
		return
		;;
	esac

	case $command in
	'') words="$commands --config --help --version" ;;
	attach) words="$(_xipsec_interfaces) --role --all --confirm --upgrade --generic --dispatcher --no-dispatcher" ;;
	detach) words="$(_xipsec_interfaces) --all" ;;
	status) words='--json --all --features' ;;
	policy) words='check --json' ;;
	conn | log) words='--json' ;;
	up) words="$(_xipsec_conns "$config") --timeout --quiet" ;;
	down) words="$(_xipsec_conns "$config") --timeout --force --quiet" ;;
	rekey) words="$(_xipsec_conns "$config") --reauth" ;;
	explain)
		words='--dir --dev --from --queue --src --dst --proto --sport --dport --icmp --mh-type --dscp --ttl --frag --spi --pcap --json'
		;;
	monitor) words='--drops --passes --events --reason --peer --sa --pcap-out --text --count' ;;
	top) words='--interval' ;;
	help) words=$commands ;;
	config)
		if [ "$prev" = check ]; then
			COMPREPLY=($(compgen -f -- "$cur"))
			return
		fi
		words=check
		;;
	sa)
		case $prev in
		sa) words='list add delete move --json' ;;
		add | delete) words=$(_xipsec_sas "$config") ;;
		move) words=$(_xipsec_conns "$config") ;;
		--engine) words='xfrm afxdp' ;;
		list) words='--json' ;;
		*) words='--fresh-key --engine --json' ;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -F _xipsec xipsec
