#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A key is rolled while transfers run: the relay accepts the new one beside the
# old one, the proxy takes it up, the relay forgets the old one; nothing is
# restarted and no session is lost.  So it is when the proxy is first, too early,
# and when a file cannot be read, which leaves the old key in use.  A key taken
# away without another keeps its holder out.  Neither bytes nor base64 of a key
# get into a log.
#
# RORO_LONG=1: twenty times.

. "${srcdir:-.}/tests/e2e/lib.sh"
. "${srcdir:-.}/tests/e2e/faults.sh"

begin
redirect 1100-2099
times=1
[ -z "${RORO_LONG-}" ] || times=20

for name in a b other; do
	make_key "$name"
done

key_id()	# name
{
	"$roroctl" keyid "$tmp/$1.key"
}

# Which keys the relay accepts, and which one the proxy has.
relay_keys()	# name...
{
	local files
	printf -v files ', "%s"' "${@/#/$tmp/}"
	files=${files//\"\ \"/\", \"}
	cat >"$tmp/relay.new" <<-END
	role = relay
	control = off
	log-level = debug
	listen = "[::]:$relay_port"
	grace = 5s
	peer "proxy" {
		key-file = { ${files#, } }
		$permit_server
	}
	peer "other" {
		key-file = "$tmp/other.key"
	}
	END
	mv "$tmp/relay.new" "$tmp/relay.conf"
}

proxy_key()	# name, paths
{
	cat >"$tmp/proxy.new" <<-END
	role = proxy
	control = off
	log-level = debug
	grace = 5s
	intercept { mode = redirect nft = off }
	relay "relay" {
		address = "$relay4:$relay_port"
		key-file = "$tmp/$1"
		${2-}
	}
	END
	mv "$tmp/proxy.new" "$tmp/proxy.conf"
}

# The number of lines like this.
lines()		# name, text
{
	grep -cF -- "$2" "$tmp/$1.log"
}

reload()	# name
{
	local before
	before=$(lines "$1" "read again")
	kill -HUP "$(pid_of "$1")"
	wait_for 10 more "$1" "read again" "$before" ||
	    fail "$1 does not read it again"
}

more()		# name, text, than
{
	[ "$(lines "$1" "$2")" -gt "$3" ]
}

# Since the log had so many lines, this was said so many times.
said()		# name, lines, text, times
{
	[ "$(tail -n "+$(($2 + 1))" "$tmp/$1.log" | grep -cF -- "$3")" -eq "$4" ]
}

# At least once: it may come again before we look.
said_once()	# name, lines, text
{
	! said "$@" 0
}

length()	# name
{
	wc -l <"$tmp/$1.log"
}

# From key $1 to key $2, while transfers run.
roll()		# old, new, subflows, paths
{
	local mark subflows=${3:-4}

	relay_keys "$1.key" "$2.key"
	reload relay
	mark=$(length relay)
	proxy_key "$2.key" "${4-}"
	reload proxy
	check "the proxy takes up the new key, one subflow after another" \
	    wait_for 20 said relay "$mark" "subflow from" $((2 * subflows))
	mark=$(length relay)
	relay_keys "$2.key"
	reload relay
	check "the relay closes nothing when the old one goes" \
	    said relay "$mark" "not accepted any more" 0
}

relay_keys a.key
proxy_key a.key
start_relay
start_proxy
note_descriptors

# ---- rolled ----

begin_transfers()
{
	rm -f "$tmp/enough"
	transfers_or_fail &
	pids[transfers]=$!
	wait_for 10 carrying
}

transfers_or_fail()
{
	local failures=0
	transfers 1000 8 3000000 100 "$tmp/enough"
	exit "$failures"
}

carrying()
{
	[ "$(legs | wc -l)" -ge 8 ]
}

end_transfers()
{
	: >"$tmp/enough"
	wait "${pids[transfers]}" || failures=$((failures + 1))
	unset "pids[transfers]"
}

begin_transfers
for ((i = 0; i < times; i++)); do
	roll a b
	roll b a
done
end_transfers
check "nothing is left" wait_for 20 settled
if logged proxy "sessions were reset" || logged proxy "restarted"; then
	fail "sessions were lost"
fi

# ---- in the wrong order ----

# The old key goes before the proxy has the new one.
begin_transfers
relay_keys b.key
reload relay
check "the relay closes what the old key made" \
    wait_for 5 said relay 0 "its key is not accepted any more" 4
check "it names the key that it does not know" wait_for 20 \
    logged relay "unknown key $(key_id a)"
proxy_key b.key
reload proxy
end_transfers
check "the proxy is back with the new key" wait_for 30 connected

# The proxy is first: that costs one subflow, and the others go on.
begin_transfers
mark=$(length relay)
proxy_mark=$(length proxy)
proxy_key a.key
reload proxy
check "the proxy says what may be wrong" wait_for 20 said_once proxy \
    "$proxy_mark" \
    "closed in the handshake: wrong key, not a relay, its limits, or it ends"
check "one subflow is lost" said relay "$mark" "group 1: subflow from" 1
relay_keys b.key a.key
reload relay
end_transfers
check "all four are there again" wait_for 30 connected

# ---- files ----

# One that is not there, and one that others may read: the old key stays.
unreadable()	# file, why
{
	relay_keys a.key "$1"
	local mark
	mark=$(length relay)
	reload relay
	check "the relay says that $1 $2" \
	    said_of "$1" "$2" "$mark"
	transfers 1 4 100000 100
	proxy_key "$1"
	reload proxy
	check "the proxy says it of its own" logged proxy "$1"
	transfers 1 4 100000 100
	proxy_key a.key
	reload proxy
	check "all four are there" connected
}

said_of()	# file, why, lines before
{
	tail -n "+$(($3 + 1))" "$tmp/relay.log" | grep -F -- "$1" |
	    grep -qF -- "$2"
}

unreadable gone.key "No such file"
cp "$tmp/b.key" "$tmp/open.key"
chmod 644 "$tmp/open.key"
unreadable open.key "may read"
(umask 077 && tail -c +3 "$tmp/b.key" >"$tmp/broken.key")
unreadable broken.key "expected a key"

# What was carried is whole, and both begin with the first key again.
start_again()
{
	carried
	proxy_key a.key
	relay_keys a.key
	reload relay
	reload proxy
	check "the proxy is back" wait_for 20 connected
}

# ---- where sessions only finish ----

eight()
{
	SUBFLOWS=8 connected
}

# Those from before the relay got another path have a group of their own.
relay_keys a.key
reload relay
carry 2
mark cut 5 "another path"
mark=$(length relay)
proxy_key a.key 'path "two" { express = 1 bulk = 1 }'
reload proxy
check "the paths are others" wait_for 20 said relay "$mark" "subflow from" 2
sleep 0.5	# a pause there would have begun
mark cut 5 "another key"
roll a b 6 'path "two" { express = 1 bulk = 1 }'
mark back 5 "another key"
check "what was there before goes on" wait_for 10 goes_on
carried

# One of the same name elsewhere is another relay, with a key of its own.
carry 2
mark=$(length proxy)
relay_port=$((relay_port + 1)) proxy_key other.key
reload proxy
check "its sessions may end" wait_for 10 said_once proxy "$mark" \
    "not configured any more"
mark back 5 "another relay of that name"
check "they go on" wait_for 10 goes_on
check "and keep their key" said proxy "$mark" "made again" 0
start_again

# One of the same name and key elsewhere is the same, and its key is rolled where
# sessions from before only finish, too.
carry 2
mark cut 5 "another address"
mark=$(length proxy)
relay4="[$relay6]" proxy_key a.key
reload proxy
check "sessions at the old address may end" wait_for 10 said_once proxy \
    "$mark" "not configured any more"
check "the new one is there" wait_for 10 eight
relay4="[$relay6]" roll a b 8
mark back 5 "another address and key"
check "what was there before goes on" wait_for 10 goes_on
start_again

# ---- a peer goes ----

relay_keys a.key
reload relay
relay_keys b.key
sed -i 's/^peer "proxy"/peer "proxy2"/' "$tmp/relay.conf"
start listener server python3 -c '
import socket, time
s, _ = socket.create_server(("", 1150)).accept()
s.send(b"x")
time.sleep(60)'
wait_for 10 listening server 1150
start holder client python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 1150), 20)
s.recv(1)
print("open", flush=True)
try:
    print("end", s.recv(1), flush=True)
except OSError as e:
    print(type(e).__name__, flush=True)' "$server4"
check "a session is open" wait_for 10 logged holder open
reload relay
check "a peer that goes takes its sessions with it" \
    wait_for 10 logged holder ConnectionResetError
check "and is said to" logged relay 'peer "proxy": group'

# ---- nothing of a key is in a log ----

secrets()
{
	local name
	for name in a b other; do
		tr -d '\n' <"$tmp/$name.key"
		echo
		python3 -c '
import base64, sys
key = base64.b64decode(open(sys.argv[1]).read())
print(key.hex())
print(key[:8].hex())' "$tmp/$name.key"
	done
}
{
	secrets
	cat "$tmp/broken.key"
} >"$tmp/secrets"
check "there are secrets to look for" [ "$(wc -l <"$tmp/secrets")" -eq 10 ]
if grep -qiF -f "$tmp/secrets" "$tmp"/*.log; then
	fail "a key is in a log"
else
	echo "ok: no key is in a log"
fi
python3 -c '
import base64, glob, sys
keys = [base64.b64decode(open(f"{sys.argv[1]}/{name}.key").read())
        for name in sys.argv[2:]]
logs = [open(log, "rb").read() for log in glob.glob(sys.argv[1] + "/*.log")]
sys.exit(any(key in log for key in keys for log in logs))' "$tmp" a b other ||
    fail "the bytes of a key are in a log"

finish
