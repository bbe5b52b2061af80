# bash completion for pb(1)

# Names in a store come from peers, and compgen -W expands its words as the
# shell does: only names of these characters are offered.
_pb_safe='[A-Za-z0-9._:@-]*'

# The values of a field in `pb streams --json`, read without jq, out of the
# store that the line names.  Nothing where there is none.
_pb_field()
{
	_pb_rows | sed -n "s/.*\"$1\":\"\($_pb_safe\)\".*/\1/p" | sort -u
}

_pb_streams()
{
	local node="\"node\":\"\($_pb_safe\)\""
	local interface="\"interface\":\"\($_pb_safe\)\""
	_pb_rows | sed -n "s/.*$node,$interface.*/\1\/\2/p" | sort -u
}

_pb_upstreams()
{
	"${COMP_WORDS[0]}" "${_pb_where[@]}" dlq list --json 2>/dev/null |
	    sed -n "s/^{\"upstream\":\"\($_pb_safe\)\".*/\1/p" | sort -u
}

_pb_configured()
{
	"${COMP_WORDS[0]}" "${_pb_where[@]}" upstreams --json 2>/dev/null |
	    grep -o "{\"name\":\"$_pb_safe\"" | cut -d '"' -f 4
}

_pb_interfaces()
{
	local path
	for path in /sys/class/net/*; do
		[[ -e $path/ifindex ]] && echo "${path##*/}"
	done
}

_pb_rows()
{
	"${COMP_WORDS[0]}" "${_pb_where[@]}" streams --json 2>/dev/null
}

_pb_reply()
{
	mapfile -t COMPREPLY < <(compgen "$@")
}

_pb_files()
{
	compopt -o filenames 2>/dev/null
	_pb_reply -f -- "$1"
}

# bash makes three words of GLOB=IFACE: at the second or third of them, the
# interfaces.
_pb_map_interface()
{
	local -a back=("${COMP_WORDS[@]::COMP_CWORD + 1}")
	[[ ${back[-1]} != "=" ]] || back+=("")
	[[ ${#back[@]} -ge 4 && ${back[-2]} == "=" &&
	    ${back[-4]} == --map ]] || return 1
	_pb_reply -W "$(_pb_interfaces)" -- "${back[-1]}"
}

# The value of the option `$1`; fails where that takes none.
_pb_value()
{
	local cur=$2
	case $1 in
	-c | -w | -r | --plot)
		_pb_files "$cur" ;;
	--store)
		compopt -o filenames 2>/dev/null
		_pb_reply -d -- "$cur" ;;
	--stream)
		_pb_reply -W "$(_pb_streams)" -- "$cur" ;;
	--node)
		_pb_reply -W "$(_pb_field node)" -- "$cur" ;;
	--interface)
		_pb_reply -W "$(_pb_field interface)" -- "$cur" ;;
	--format)
		_pb_reply -W "pcapng pcap" -- "$cur" ;;
	--split)
		_pb_reply -W "100MiB 1h stream" -- "$cur" ;;
	--after | --before)
		_pb_reply -W $'-5m\n-1h\n-1d' -- "$cur" ;;
	--upstream)
		_pb_reply -W "$(_pb_upstreams)" -- "$cur" ;;
	--to)
		if [[ $command == latency ]]; then
			_pb_reply -W "$(_pb_streams) stamp:2 capture" -- "$cur"
		else
			_pb_reply -W "$(_pb_configured)" -- "$cur"
		fi ;;
	--by)
		_pb_reply -W "bytes packets time" -- "$cur" ;;
	-i)
		_pb_reply -W "$(_pb_interfaces)" -- "$cur" ;;
	--map)
		compopt -o nospace 2>/dev/null
		_pb_reply -S = -W "$(_pb_streams)" -- "$cur" ;;
	--engine)
		_pb_reply -W "auto sendmmsg xdp ring" -- "$cur" ;;
	--on-down)
		_pb_reply -W "stop wait" -- "$cur" ;;
	--from)
		_pb_reply -W "$(_pb_streams) stamp:1 capture" -- "$cur" ;;
	--vlan)
		_pb_reply -W "none" -- "$cur" ;;
	--top)
		[[ $command != replay ]] || return 1
		COMPREPLY=() ;;
	--trailers)
		_pb_reply -W "none arista7150 arista7280 broadcom cpacket
		    exablaze ixia mac48 metamako raw:4 ttag vss" -- "$cur" ;;
	--seq | --limit | --for | --first | --payload | --loop | --speed | --pps | \
	    --mbps | --gap-max | --dst-mac | --src-mac | --window | \
	    --dedup-window | --snaplen)
		COMPREPLY=() ;;
	*)
		return 1 ;;
	esac
}

_pb()
{
	local commands="status streams segments upstreams query flows latency
	    replay import gaps dlq verify audit reindex interfaces trailers help"
	local cur=${COMP_WORDS[COMP_CWORD]}
	local prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command="" options="" i
	local -a _pb_where=()
	COMPREPLY=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --store)
			((i + 1 < COMP_CWORD)) &&
			    _pb_where=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}")
			((i++)) ;;
		-*)
			;;
		*)
			command=${COMP_WORDS[i]}
			break ;;
		esac
	done

	_pb_map_interface && return
	_pb_value "$prev" "$cur" && return

	case $command in
	"")
		options="-c --store --help --version" ;;
	verify)
		options="--repair --stream --json --help" ;;
	audit)
		options="--stream --snaplen --json --help" ;;
	status | upstreams | interfaces | reindex)
		options="--json --help" ;;
	streams | segments | gaps)
		options="--stream --json --help" ;;
	dlq)
		options="--upstream --stream --first --to --all --json --help" ;;
	query)
		options="--stream --after --before --seq --limit --reverse
		    --inner --payload --explain --no-index --trailers --fcs
		    --strip-trailers --with-fcs --check-fcs --window --dedup
		    --dedup-window --dedup-ttl --mark-duplicates -w --format
		    --split --count --json --comments --follow --help" ;;
	flows)
		options="--stream --after --before --inner --directed --by
		    --top --json --csv --help" ;;
	latency)
		options="--from --to --window -r --stream --after --before
		    --inner --trailers --fcs --json --plot --help" ;;
	replay)
		options="--stream --after --before --seq --inner -r --limit
		    --loop --preload -i --map --speed --pps --mbps --top
		    --gap-max --no-spin --truncate --skip --on-down --dst-mac
		    --src-mac --vlan --strip-trailers --trailers --fcs --engine
		    --json --help" ;;
	trailers)
		options="--limit --for --json --help" ;;
	import)
		options="--node --interface --secrets --trailers --fcs --json
		    --help" ;;
	esac

	if [[ $cur == -* ]]; then
		_pb_reply -W "$options" -- "$cur"
	elif [[ -z $command || $command == help ]]; then
		_pb_reply -W "$commands" -- "$cur"
	elif [[ $command == dlq ]]; then
		_pb_reply -W "list show requeue purge move" -- "$cur"
	elif [[ $command == import ]]; then
		_pb_files "$cur"
	elif [[ $command == trailers ]]; then
		compopt -o filenames 2>/dev/null
		_pb_reply -f -W "$(_pb_interfaces) $(_pb_streams)" -- "$cur"
	elif [[ $command == audit ]]; then
		compopt -o filenames 2>/dev/null
		_pb_reply -d -W "$(_pb_configured)" -- "$cur"
	elif [[ $command == query || $command == flows ||
	    $command == latency || $command == replay ]]; then
		# The first words of tcpdump filters.
		_pb_reply -W "host net port portrange src dst tcp udp icmp
		    icmp6 ip ip6 arp ether vlan mpls and or not less greater" \
		    -- "$cur"
	fi
}
complete -F _pb pb
