#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The layers hold: core <- net <- roles <- main, and nft/ stands alone.
#
# 1. Each folder includes only what its list below allows.  A header that is
#    missing there is not forbidden for ever: adding it is a decision.
# 2. Core calls nothing but memory and strings.  Headers alone do not show that
#    (getenv() is in stdlib.h), so its objects are asked what they need from
#    outside.  They are compiled here, plainly: sanitizers, coverage, fortify
#    and LTO would add or hide symbols.
# 3. A line has 80 columns, where a tab goes on to the next multiple of 8.
# 4. The checks themselves work: what they must refuse is refused.

srcdir=${srcdir:-.}
daemon=$srcdir/daemon
CC=${CC:-cc}
NM=${NM:-nm}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/layers.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM

core_headers='assert.h errno.h inttypes.h limits.h stdbool.h stddef.h stdint.h
	stdlib.h string.h'

net_headers="$core_headers arpa/inet.h ev.h fcntl.h ifaddrs.h linux/errqueue.h
	linux/netfilter_ipv4.h linux/netfilter_ipv6/ip6_tables.h linux/sockios.h linux/tcp.h
	net/if.h netdb.h netinet/in.h netinet/ip.h netinet/tcp.h poll.h stdarg.h
	stdio.h sys/epoll.h sys/ioctl.h sys/random.h sys/socket.h sys/time.h
	sys/types.h sys/uio.h sys/un.h syslog.h time.h unistd.h"

role_headers="$net_headers getopt.h grp.h pwd.h signal.h sys/prctl.h
	sys/resource.h sys/stat.h"

nft_headers="$core_headers arpa/inet.h libmnl/libmnl.h libnftnl/chain.h
	libnftnl/common.h libnftnl/expr.h libnftnl/rule.h libnftnl/set.h
	libnftnl/table.h libnftnl/udata.h linux/fib_rules.h linux/netfilter.h
	linux/netfilter/nf_conntrack_common.h linux/netfilter/nf_nat.h
	linux/netfilter/nf_tables.h linux/netfilter/nfnetlink.h linux/netlink.h
	linux/rtnetlink.h net/if.h netinet/in.h poll.h stdio.h sys/socket.h sys/types.h time.h unistd.h"

# What one file may have beyond its folder: in $extra, since a process for each
# name that is looked up would be most of the time that this takes.
extra_headers()
{
	extra=
	case $1 in
	core/addr.[ch]) extra='arpa/inet.h' ;;
	core/secure.c) extra='sodium.h' ;;
	# Which of two listeners has what comes.
	net/listener.c) extra='linux/filter.h' ;;
	# A thread to wait for names, which takes no signals.
	net/resolver.c) extra='pthread.h signal.h' ;;
	ask.c|put.h) extra='json-c/json.h' ;;
	conffile.c) extra='confuse.h' ;;
	keyfile.c|main.c|roroctl.c) extra='sodium.h' ;;
	privs.c) extra='linux/capability.h sys/syscall.h' ;;
	check_config.c) extra='sys/wait.h' ;;
	check_fate.c)
		extra='libmnl/libmnl.h linux/netfilter.h
		    linux/netfilter/nf_conntrack_common.h
		    linux/netfilter/nf_tables.h
		    linux/netfilter/nf_tables_compat.h' ;;
	check_firewall.c) extra='linux/netfilter.h' ;;
	check_kernel.c)
		extra='linux/netfilter.h linux/netfilter/nf_tables.h' ;;
	check_listing.c)
		extra='libmnl/libmnl.h linux/fib_rules.h linux/if_addr.h
		    linux/netfilter.h linux/netfilter/nf_tables.h
		    linux/netfilter/nfnetlink.h linux/netlink.h
		    linux/rtnetlink.h' ;;
	check_machine.c) extra='dirent.h' ;;
	check_attr.c)
		extra='endian.h libmnl/libmnl.h linux/netfilter.h
		    linux/netfilter/nf_tables.h
		    linux/netfilter/nfnetlink.h' ;;
	check_nft.c)
		extra='libmnl/libmnl.h linux/netfilter.h
		    linux/netfilter/nf_nat.h linux/netfilter/nf_tables.h
		    linux/netfilter/nf_tables_compat.h
		    linux/netfilter/nfnetlink.h linux/netfilter/xt_TPROXY.h' ;;
	check_offload.c) extra='sys/wait.h' ;;
	check_answer.c | check_print.c) extra='json-c/json.h' ;;
	check_route.c)
		extra='libmnl/libmnl.h linux/if_addr.h linux/rtnetlink.h' ;;
	check_set.c) extra='libmnl/libmnl.h linux/netfilter/nf_tables.h' ;;
	esac
}

# Memory, strings, numbers, a failed assertion.  (clang writes bcmp() for a
# memcmp() that only asks whether.)
core_symbols='bcmp malloc calloc realloc reallocarray free
	memchr memcmp memcpy memmove memset
	strchr strcmp strcspn strlen strncmp strnlen strrchr strspn strstr
	strdup strndup strtol strtoll strtoul strtoull qsort bsearch abort
	__assert_fail __errno_location ___errno_location'

extra_symbols()
{
	extra=
	case $1 in
	core/addr.c) extra='inet_ntop inet_pton htonl htons ntohl ntohs' ;;
	# What computes; nothing that draws random bytes or allocates.
	core/secure.c)
		extra='crypto_aead_chacha20poly1305_ietf_decrypt
		    crypto_aead_chacha20poly1305_ietf_encrypt
		    crypto_auth_hmacsha256_final crypto_auth_hmacsha256_init
		    crypto_auth_hmacsha256_update crypto_hash_sha256_final
		    crypto_hash_sha256_init crypto_hash_sha256_update
		    crypto_scalarmult crypto_scalarmult_base
		    sodium_memzero' ;;
	esac
}

# has WORD LIST LIST
has()
{
	word=$1
	for item in $2 ${3-}; do
		test "$item" = "$word" && return 0
	done
	return 1
}

# The names as written, with their brackets or quotes, one a line.
includes()
{
	sed -n -e '/^[[:space:]]*#[[:space:]]*include[[:space:]]*/!d' -e 's///' \
	    -e 's/^\([<"][^>"]*[>"]\).*/\1/' -e 'y/ /?/' -e p "$1"
}

# may_include LAYER NAME HEADER: NAME is the file below daemon/ or nft/.
# $extra is that of NAME.
may_include()
{
	layer=$1 name=$2 header=$3
	plain=${header#?}
	plain=${plain%?}

	case $header in
	\<*\>)
		case $layer in
		core) has "$plain" "$core_headers" "$extra" ;;
		net) has "$plain" "$net_headers" "$extra" ;;
		role) has "$plain" "$role_headers" "$extra" ;;
		nft) has "$plain" "$nft_headers" ;;
		esac ;;
	\"*\")
		case $layer:$plain in
		*:*..*) false ;;
		# A folder's name says that it is the same or below.
		core:core/*|net:core/*|role:core/*) ;;
		net:net/*|role:net/*|role:nft/*) ;;
		*:*/*) false ;;
		role:autoconf.h) has "$name" "answers.c main.c roroctl.c" ;;
		role:main.h) false ;;
		*) ;;	# its own folder: the preprocessor looks there first
		esac ;;
	*)
		false ;;	# a macro hides what is included
	esac
}

# check_includes LAYER FILE NAME
check_includes()
{
	bad=0 first=
	extra_headers "$3"
	for header in $(includes "$2"); do
		first=${first:-$header}
		may_include "$1" "$3" "$header" && continue
		echo "$2: $header does not belong in this layer ($1)"
		bad=1
	done
	case $3 in
	*.c)
		own=${3%.c}.h
		if test -e "${2%.c}.h" && test "$first" != "\"$own\"" &&
		    test "$first" != "\"${own##*/}\""; then
			echo "$2: its own header, $own, comes first"
			bad=1
		fi ;;
	esac
	return $bad
}

compile()
{
	# shellcheck disable=SC2086 # CC may hold options
	$CC -D_GNU_SOURCE -I"$daemon" ${SODIUM_CFLAGS-} -O0 -fno-lto -fno-sanitize=all \
	    -U_FORTIFY_SOURCE -fno-stack-protector -c -o "$2" "$1"
}

# check_symbols OBJECT NAME: undefined ones are in the list or core's own,
# which are in $core_own, a space round each.
check_symbols()
{
	bad=0
	extra_symbols "$2"
	for symbol in $("$NM" -P -u "$1" | sed 's/[ @].*//'); do
		has "$symbol" "$core_symbols" "$extra" && continue
		case $core_own in *" $symbol "*) continue ;; esac
		case $symbol in
		# Arithmetic of the compiler's own library, and its plumbing.
		__aeabi_*|__*[ds]i[234]|_GLOBAL_OFFSET_TABLE_|.TOC.) continue ;;
		# The C library's other name for strtol() and the like.
		__isoc23_strto*) continue ;;
		esac
		echo "$2: core does not call $symbol()"
		bad=1
	done
	return $bad
}

# check_width FILE...: in columns, not bytes, in any locale: of a character of
# more bytes than one, those after the first have their highest bits 10.
check_width()
{
	LC_ALL=C awk '
	{
		gsub(/[\200-\277]/, "")
		columns = 0
		n = split($0, part, "\t")
		for (i = 1; i <= n; i++) {
			columns += length(part[i])
			if (i < n)
				columns += 8 - columns % 8
		}
		if (columns > 80) {
			print FILENAME ":" FNR ": " columns " columns, of 80"
			bad = 1
		}
	}
	END { exit bad }' "$@"
}

status=0

# ---- 1. includes ----

for file in "$daemon"/core/*.[ch]; do
	test -e "$file" || continue
	check_includes core "$file" "core/${file##*/}" || status=1
done
for file in "$daemon"/net/*.[ch]; do
	test -e "$file" || continue
	check_includes net "$file" "net/${file##*/}" || status=1
done
for file in "$daemon"/*.[ch]; do
	test -e "$file" || continue
	check_includes role "$file" "${file##*/}" || status=1
done
for file in "$srcdir"/nft/*.[ch]; do
	test -e "$file" || continue
	check_includes nft "$file" "${file##*/}" || status=1
done

# ---- 2. symbols ----

mkdir "$tmp/core"
for file in "$daemon"/core/*.c; do
	test -e "$file" || continue
	name=${file##*/}
	if ! compile "$file" "$tmp/core/${name%.c}.o"; then
		echo "$file: does not compile on its own"
		status=1
	fi
done
core_own=$("$NM" -P -g "$tmp"/core/*.o | sed -n 's/^\([^ @]*\) [TDBRV] .*/\1/p' |
    tr '\n' ' ')
core_own=" $core_own"
for object in "$tmp"/core/*.o; do
	test -e "$object" || continue
	name=${object##*/}
	check_symbols "$object" "core/${name%.o}.c" || status=1
done

# ---- 3. width ----

check_width "$daemon"/*.[ch] "$daemon"/*/*.[ch] "$srcdir"/nft/*.[ch] ||
    status=1

# ---- 4. the checks ----

mkdir "$tmp/probe"
probe()
{
	cat >"$tmp/probe/$1.c"
	check_includes core "$tmp/probe/$1.c" "core/$1.c" >"$tmp/said" &&
	    compile "$tmp/probe/$1.c" "$tmp/probe/$1.o" &&
	    check_symbols "$tmp/probe/$1.o" "core/$1.c" >"$tmp/said"
}

accepted()
{
	if ! probe "$1"; then
		echo "layers.sh itself: refuses $1: $(cat "$tmp/said")"
		status=1
	fi
}

refused()
{
	if probe "$1"; then
		echo "layers.sh itself: does not see $1"
		status=1
	elif ! grep -qF "$2" "$tmp/said"; then
		echo "layers.sh itself: refuses $1, but not for $2"
		status=1
	fi
}

accepted memory <<'END'
#include <stdlib.h>
#include <string.h>
void *probe(const char *s);
void *probe(const char *s) { return memcpy(malloc(9), s, strlen(s)); }
END
# By its own prototype: that the header is missing must not be what saves us.
refused clock 'time()' <<'END'
long time(long *);
long probe(void);
long probe(void) { return time(0); }
END
refused loop '<ev.h>' <<'END'
#include <ev.h>
END
refused random 'randombytes_buf()' <<'END'
void randombytes_buf(void *, unsigned long);
void probe(void *);
void probe(void *p) { randombytes_buf(p, 1); }
END
refused library '<sodium.h>' <<'END'
#include <sodium.h>
END
refused environment 'getenv()' <<'END'
#include <stdlib.h>
const char *probe(void);
const char *probe(void) { return getenv("HOME"); }
END
refused upward '"net/log.h"' <<'END'
# include "net/log.h"
END
refused sideways '"../net/log.h"' <<'END'
#include "../net/log.h"
END
refused hidden 'HEADER' <<'END'
#define HEADER <ev.h>
#include HEADER
END

# Nine tabs are 72 columns, and another begins wherever one ends.
{
	printf '\t\t\t\t\t\t\t\t\t12345678\n'
	printf '1234567\t\t\t\t\t\t\t\t\t12345678\n'
	printf '\t\t\t\t\t\t\t\t\t1234567►\n'
} >"$tmp/probe/narrow.c"
{
	echo
	printf '\t\t\t\t\t\t\t\t\t123456789\n'
} >"$tmp/probe/wide.c"
if ! check_width "$tmp/probe/narrow.c" >"$tmp/said"; then
	echo "layers.sh itself: 80 columns are refused: $(cat "$tmp/said")"
	status=1
fi
if check_width "$tmp/probe/wide.c" >"$tmp/said" ||
    ! grep -q 'wide\.c:2: 81 columns' "$tmp/said"; then
	echo "layers.sh itself: does not see 81 columns in line 2"
	status=1
fi

exit $status
