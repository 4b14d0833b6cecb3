/* SPDX-License-Identifier: ISC */
#include "bridge.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ruleset.h"

#define PATH_SIZE 96		/* the longest has 51 bytes and a name */

/* false if there is no such file. */
static bool
is_on(const char *path)
{
	FILE *f = fopen(path, "re");
	int c;

	if (f == NULL)
		return false;
	c = getc(f);
	fclose(f);
	return c != EOF && c != '0';
}

/* br_nf_pre_routing() in net/bridge/br_netfilter_hooks.c: either will do. */
static bool
is_filtered(const char *bridge, const char *all, const char *this)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "/proc/sys/net/bridge/%s", all);
	if (is_on(path))
		return true;
	snprintf(path, sizeof(path), "/sys/class/net/%s/bridge/%s", bridge,
	    this);
	return is_on(path);
}

static unsigned
families_of(const char *interface)
{
	char path[PATH_SIZE];
	unsigned families = 0;

	snprintf(path, sizeof(path), "/sys/class/net/%s/bridge", interface);
	if (access(path, F_OK) != 0)
		return 0;
	if (is_filtered(interface, "bridge-nf-call-iptables",
	    "nf_call_iptables"))
		families |= RULESET_IPV4;
	if (is_filtered(interface, "bridge-nf-call-ip6tables",
	    "nf_call_ip6tables"))
		families |= RULESET_IPV6;
	return families;
}

static unsigned
families_of_matching(const char *pattern)
{
	struct if_nameindex *all = if_nameindex();
	unsigned families = 0;

	for (size_t i = 0; all != NULL && all[i].if_index != 0; i++)
		if (ruleset_interface_is(pattern, all[i].if_name))
			families |= families_of(all[i].if_name);
	if_freenameindex(all);
	return families;
}

unsigned
bridge_families(const char *const *interfaces, size_t n)
{
	unsigned families = 0;

	for (size_t i = 0; i < n; i++)
		families |= strchr(interfaces[i], '*') != NULL ?
		    families_of_matching(interfaces[i]) :
		    families_of(interfaces[i]);
	return families;
}
