# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# A shell on the client, with everything running.  The other hosts and the
# link are functions in it.

shell_rc()
{
	cat <<END
[[ ! -e ~/.bashrc || \$- != *i* ]] || . ~/.bashrc
PS1='client# '
unset HISTFILE
client() { ip netns exec $net_prefix-client "\$@"; }
gateway() { ip netns exec $net_prefix-gateway "\$@"; }
relay() { ip netns exec $net_prefix-relay "\$@"; }
server() { ip netns exec $net_prefix-server "\$@"; }
link() { echo "\$*" >$net_dir/link.fifo; sleep 0.2; tail -n 7 $net_dir/link.log; }
status() { "$build/obj/roroctl" status -s $net_dir/\${1:-proxy}/control.sock; }
logs() { tail -n 20 $net_dir/relay.log $net_dir/proxy.log; }
cd $net_dir
END
}

shell_help()
{
	cat <<END
You are on the client.  Type for instance:

  curl -o /dev/null http://$server/file        $(human_size "$size") through ro-ro-tcp
  curl -o /dev/null http://$server:8080/file   the same directly
  ping $server
  gateway ss -ti dport = :1093     a command on another host: gateway, relay,
                                   server; here the subflows
  link loss 3%                     the link: rate 5Mbit, delay 50ms (one way),
                                   blackhole on, counters, ...
  status, status relay             what the daemons know (roroctl)
  logs                             what both daemons say
  exit                             ends the lab

Configuration and logs are in $net_dir (you are there).
END
}

lab_shell()
{
	demo_up
	demo_picture
	shell_help
	shell_rc >"$net_dir/rc"
	# The signals that end this script are for what runs in the shell now.
	trap '' INT
	if [[ -t 0 ]]; then
		on client bash --rcfile "$net_dir/rc" -i
	else
		BASH_ENV=$net_dir/rc on client bash
	fi
}
