#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A client that is configured for nothing downloads from a server that knows
# nothing, through the redirection at the gateway, and through a forward
# listener; IPv4 and IPv6; and what arrives is what was sent.

. "${srcdir:-.}/tests/e2e/lib.sh"

command -v curl >/dev/null || skip "needs curl"
command -v python3 >/dev/null || skip "needs python3"
begin

same()		# url
{
	[ "$(on client curl -sf --max-time 60 "$1" | sha256sum)" = \
	    "$(sha256sum <"$tmp/www/file")" ]
}

# The client believes that it talks to the server, and the server that the
# relay is its client.
peers()		# url, how the client sees the server, how that sees it
{
	: >"$tmp/web.log"
	[ "$(on client curl -sf -o /dev/null --max-time 10 \
	    -w '%{remote_ip}' "$1")" = "$2" ] &&
	    grep -q "^\(::ffff:\)\?$3 " "$tmp/web.log"
}

mkdir "$tmp/www"
head -c 20000000 /dev/urandom >"$tmp/www/file"
echo small >"$tmp/www/small"

start web server python3 -u -m http.server --bind :: --directory "$tmp/www" 80
proxy_config <<END
forward "web4" { listen = "$gateway4:8004" destination = "$server4:80" }
forward "web6" { listen = "[$gateway6]:8006" destination = "[$server6]:80" }
END
start_relay
start_proxy
wait_for 10 listening server 80 || give_up "the web server does not start"
redirect 80

check "20 MB over IPv4" same "http://$server4/file"
check "20 MB over IPv6" same "http://[$server6]/file"
check "addresses over IPv4" peers "http://$server4/small" "$server4" "$relay4s"
check "addresses over IPv6" peers "http://[$server6]/small" "$server6" \
    "$relay6s"
check "forward over IPv4" same "http://$gateway4:8004/file"
check "forward over IPv6" same "http://[$gateway6]:8006/file"
check "the relay knows where from" logged relay "$client4:"

# The other direction, too.
upload()
{
	[ "$(on client curl -sf --max-time 60 -T "$tmp/www/file" \
	    "http://$server4:81/" | tail -n 1)" = \
	    "$(sha256sum <"$tmp/www/file" | cut -d ' ' -f 1)" ]
}
start sink server python3 -c '
import hashlib, http.server, socket
class Sink(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        h = hashlib.sha256()
        while left > 0:
            b = self.rfile.read(min(left, 65536))
            left -= len(b)
            h.update(b)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(h.hexdigest().encode())
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Server(("::", 81), Sink).serve_forever()'
wait_for 10 listening server 81 || give_up "the sink does not start"
redirect 81
check "20 MB to the server" upload

# Many at once, all over the same four subflows.
many()
{
	local urls=()
	while [ ${#urls[@]} -lt 100 ]; do
		urls+=("http://$server4/small")
	done
	[ "$(on client curl -sf --no-progress-meter --max-time 60 \
	    -Z --parallel-max 50 "${urls[@]}" | grep -c small)" -eq 100 ]
}
redirect 80
check "100 small ones" many
check "no more subflows than before" [ \
    "$(sockets gateway established "dport = :$relay_port")" -eq 4 ]

finish
