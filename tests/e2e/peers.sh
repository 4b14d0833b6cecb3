#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Two peers at one relay, each with a key and limits of its own: sessions, new
# ones a second, subflows, groups, memory, rules.  One uses up what it has, and
# the other does not notice.
#
# "one" has a twin with the same key: two proxies, so that it is the relay that
# counts, and not the proxy that was told.

. "${srcdir:-.}/tests/e2e/lib.sh"

begin
python3 -c 'import cryptography' 2>/dev/null ||
    skip "needs python3-cryptography"

# The port of the gateway that leads to the server over each proxy, and where
# to; 100 more leads to one that is the same for all.
declare -A front=([one]=8001 [twin]=8002 [two]=8003)
declare -A port=([one]=1101 [twin]=1102 [two]=1103)
declare -A key=([one]=one [twin]=one [two]=two)
ONE_PORT=${port[one]} TWIN_PORT=${port[twin]} TWO_PORT=${port[two]}
ONE_FRONT=${front[one]} TWIN_FRONT=${front[twin]} TWO_FRONT=${front[two]}
export ONE_PORT TWIN_PORT TWO_PORT ONE_FRONT TWIN_FRONT TWO_FRONT

for name in one two three; do
	make_key "$name"
done

# The relay, with these options of peers one and two.
relay_with()	# options, options
{
	cat >"$tmp/relay.conf" <<-END
	role = relay
	control = off
	log-level = info
	listen = "[::]:$relay_port"
	grace = 1s
	memory-limit = 256MiB
	peer "one" {
		key-file = "$tmp/one.key"
		$1
		$permit_server
	}
	peer "two" {
		key-file = "$tmp/two.key"
		$2
		$permit_server
	}
	END
}

for name in one twin two; do
	own=${front[$name]}
	cat >"$tmp/$name.conf" <<-END
	role = proxy
	control = off
	log-level = info
	grace = 1s
	connect-timeout = 5s
	forward "own" {
		listen = "$gateway4:$own"
		destination = "$server4:${port[$name]}"
	}
	forward "same" {
		listen = "$gateway4:$((own + 100))"
		destination = "$server4:1100"
	}
	relay "relay" {
		address = "$relay4:$relay_port"
		key-file = "$tmp/${key[$name]}.key"
	}
	END
done

start_one()	# name
{
	start "$1" gateway "$rorod" -c "$tmp/$1.conf"
	wait_for 10 listening gateway "${front[$1]}" ||
	    give_up "$1 does not start"
}

# Those that are about to be refused count as well.
enough()	# subflows
{
	[ "$(sockets relay established "sport = :$relay_port")" -ge "$1" ]
}

# All that is needed for a part of this test.
begin_with()	# options of peer one, of two
{
	: >"$tmp/relay.log"
	relay_with "$1" "$2"
	start_relay
	for name in one twin two; do
		start_one "$name"
	done
	wait_for 20 enough "${SUBFLOWS:-12}" ||
	    give_up "there are not ${SUBFLOWS:-12} subflows"
	RELAY_PID=$(pid_of relay)
	export RELAY_PID
}

end()
{
	for name in one twin two relay; do
		stop "$name"
	done
}

check_logged()	# text that names the peer
{
	check "the relay says: $1" logged relay "$1"
	if logged relay 'peer "two": session' ||
	    logged relay 'peer "two": subflow'; then
		fail "it says something about two"
	fi
}

begin_with "max-sessions = 5" ""
probe peers max_sessions
check_logged 'refused: max-sessions'
end

begin_with "new-sessions = 5" ""
probe peers new_sessions
check_logged 'refused: new-sessions'
end

begin_with "memory = 1MiB" ""
probe peers memory
check "the relay names the peer whose memory is used up" \
    grep -q 'peer "one": group .*: memory is used up' "$tmp/relay.log"
if grep -q 'peer "two": group .*: memory is used up' "$tmp/relay.log"; then
	fail "it names the other one"
fi
end

begin_with "max-sessions = 20" ""
KEYS=$tmp probe peers reloaded
end

begin_with "" ""
KEYS=$tmp probe peers groups
check "the relay says that there are enough" \
    logged relay 'peer "one": it has 16 groups: a subflow was refused'
check "and which one is given up" logged relay \
    'peer "one": it has 16 groups: the oldest without a subflow is given up'
end

begin_with "deny(\"any\", \"1100\")" ""
probe peers rules
check "the relay says what was denied, and whom" grep -q \
    "peer \"one\": session .*: to $server4:1100: denied by rule" \
    "$tmp/relay.log"
end

# Four subflows for each: of the twins one gets none until the other has gone.
four_of()	# name
{
	[ "$(on gateway ss -Htnp state established "dport = :$relay_port" |
	    grep -c "pid=$(pid_of "$1"),")" -eq 4 ]
}

one_of_twins()
{
	if four_of one; then
		out=one in=twin
	else
		out=twin in=one
		four_of twin
	fi
}

SUBFLOWS=8 begin_with "max-subflows = 4" ""
check "one of the twins has four" wait_for 10 one_of_twins
check "and so has the other peer" wait_for 10 four_of two
probe peers other_works
check_logged 'refused: max-subflows'
refused_in_silence()
{
	logged "$in" "closed in the handshake: wrong key, not a relay, its limits, or it ends"
}
check "$in is told nothing" wait_for 20 refused_in_silence
stop "$out"
check "the next gets in when one has gone" wait_for 30 four_of "$in"
end

finish
