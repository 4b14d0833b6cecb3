/* SPDX-License-Identifier: ISC */
/*
 * Records this machine, or what of it is in a network namespace, for the tests
 * of roroctl check: the kernel's listings into DIR/netlink, and those files of
 * /proc, /sys and /etc that it reads.
 *
 *	record DIR [INTERFACE ...]
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check_listing.h"
#include "check_machine.h"
#include "check_report.h"

static const char *const files[] = {
	"/etc/config/firewall", "/etc/openwrt_release", "/proc/meminfo",
	"/proc/net/if_inet6", "/proc/net/ip6_tables_names",
	"/proc/net/ip_tables_names", "/proc/net/tcp", "/proc/net/tcp6",
	"/proc/self/limits", "/proc/sys/fs/file-max", "/proc/sys/fs/file-nr",
	"/proc/sys/net/bridge/bridge-nf-call-ip6tables",
	"/proc/sys/net/bridge/bridge-nf-call-iptables",
	"/proc/sys/net/core/rmem_max", "/proc/sys/net/core/wmem_max",
	"/proc/sys/net/ipv4/conf/all/rp_filter",
	"/proc/sys/net/ipv4/conf/all/src_valid_mark",
	"/proc/sys/net/ipv4/ip_forward",
	"/proc/sys/net/ipv4/tcp_allowed_congestion_control",
	"/proc/sys/net/ipv4/tcp_available_congestion_control",
	"/proc/sys/net/ipv4/tcp_mem", "/proc/sys/net/ipv4/tcp_mtu_probing",
	"/proc/sys/net/ipv4/tcp_rmem",
	"/proc/sys/net/ipv4/tcp_slow_start_after_idle",
	"/proc/sys/net/ipv4/tcp_wmem", "/proc/sys/net/ipv6/conf/all/forwarding",
	"/proc/sys/net/netfilter/nf_conntrack_count",
	"/proc/sys/net/netfilter/nf_conntrack_max",
};

/* Of an interface. */
static const char *const more[] = {
	"/proc/sys/net/ipv4/conf/%s/rp_filter",
	"/proc/sys/net/ipv4/conf/%s/src_valid_mark",
	"/proc/sys/net/ipv6/conf/%s/forwarding",
	"/sys/class/net/%s/bridge/nf_call_ip6tables",
	"/sys/class/net/%s/bridge/nf_call_iptables",
	"/sys/class/net/%s/flags",
	"/sys/class/net/%s/ifindex",
};

static const struct check_machine machine = { .root = "" };
static const char *directory;

static void
save(const char *path, const void *bytes, size_t len)
{
	char *whole = check_format("%s%s", directory, path);
	FILE *to;

	for (char *p = whole + 1;
	    (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		mkdir(whole, 0777);
	}
	to = fopen(whole, "w");
	if (to == NULL || fwrite(bytes, 1, len, to) != len ||
	    fclose(to) != 0) {
		fprintf(stderr, "record: %s: %s\n", whole, strerror(errno));
		exit(1);
	}
	free(whole);
}

static void
save_file(const char *path)
{
	size_t len;
	char *text = check_read_bytes(&machine, &len, "%s", path);

	if (text != NULL)
		save(path, text, len);
	free(text);
}

static void
save_interface(const char *name)
{
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		const char *mark = strstr(more[i], "%s");
		char *path = check_format("%.*s%s%s", (int)(mark - more[i]),
		    more[i], name, mark + 2);

		save_file(path);
		free(path);
	}
}

static void
save_listing(enum check_list list)
{
	struct check_listing l;
	char *path = check_format("/netlink/%s", check_list_name(list));

	check_listing(&machine, list, &l);
	if (l.bytes != NULL)
		save(path, l.bytes, l.len);
	else
		fprintf(stderr, "record: %s: %s\n", path,
		    strerror(-l.error));
	check_free_listing(&l);
	free(path);
}

int
main(int argc, char *argv[])
{
	if (argc < 2) {
		fputs("usage: record DIR [INTERFACE ...]\n", stderr);
		return 2;
	}
	directory = argv[1];
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		save_file(files[i]);
	for (int i = 2; i < argc; i++)
		save_interface(argv[i]);
	for (enum check_list l = CHECK_TABLES; l < CHECK_NLISTS; l++)
		save_listing(l);
	return 0;
}
