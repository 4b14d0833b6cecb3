/* SPDX-License-Identifier: ISC */
#include "check_listing.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "check_attr.h"
#include "check_report.h"

#define TIMEOUT_MS 5000
#define ATTEMPTS 5		/* while others change what we read */
#define BYTES_MAX (64u << 20)

union request {
	uint32_t align;
	char bytes[128 + 2 * NFT_NAME_MAXLEN];
};

/* What is asked, and how. */
static const struct {
	const char *name;
	int protocol;
	uint16_t type;
	uint8_t family;
} lists[] = {
	[CHECK_TABLES] = { "tables", NETLINK_NETFILTER,
	    NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NFPROTO_UNSPEC },
	[CHECK_CHAINS] = { "chains", NETLINK_NETFILTER,
	    NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, NFPROTO_UNSPEC },
	[CHECK_RULES] = { "rules", NETLINK_NETFILTER,
	    NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NFPROTO_UNSPEC },
	[CHECK_SETS] = { "sets", NETLINK_NETFILTER,
	    NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSET, NFPROTO_UNSPEC },
	[CHECK_ELEMENTS] = { "elements", NETLINK_NETFILTER,
	    NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM, NFPROTO_UNSPEC },
	[CHECK_FLOWTABLES] = { "flowtables", NETLINK_NETFILTER,
	    NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETFLOWTABLE,
	    NFPROTO_UNSPEC },
	[CHECK_POLICY4] = { "policy4", NETLINK_ROUTE, RTM_GETRULE, AF_INET },
	[CHECK_POLICY6] = { "policy6", NETLINK_ROUTE, RTM_GETRULE, AF_INET6 },
	[CHECK_LOCAL4] = { "local4", NETLINK_ROUTE, RTM_GETROUTE, AF_INET },
	[CHECK_LOCAL6] = { "local6", NETLINK_ROUTE, RTM_GETROUTE, AF_INET6 },
	[CHECK_ADDRESSES] = { "addresses", NETLINK_ROUTE, RTM_GETADDR,
	    AF_UNSPEC },
};
static_assert(sizeof(lists) / sizeof(lists[0]) == CHECK_NLISTS,
    "a request each");

const char *
check_list_name(enum check_list list)
{
	return lists[list].name;
}

/* `table` 0: routes of all tables, but only those of type local. */
static void
put_head(struct nlmsghdr *h, enum check_list list, uint32_t table)
{
	uint8_t family = lists[list].family;

	switch (lists[list].type) {
	case RTM_GETRULE: {
		struct fib_rule_hdr *head = mnl_nlmsg_put_extra_header(h,
		    sizeof(*head));
		head->family = family;
		break;
	}
	case RTM_GETROUTE: {
		struct rtmsg *head = mnl_nlmsg_put_extra_header(h,
		    sizeof(*head));
		head->rtm_family = family;
		/* Without NETLINK_GET_STRICT_CHK (Linux 4.20) all are shown. */
		if (table == 0)
			head->rtm_type = RTN_LOCAL;
		else
			mnl_attr_put_u32(h, RTA_TABLE, table);
		break;
	}
	case RTM_GETADDR: {
		struct ifaddrmsg *head = mnl_nlmsg_put_extra_header(h,
		    sizeof(*head));
		head->ifa_family = family;
		break;
	}
	default: {
		struct nfgenmsg *head = mnl_nlmsg_put_extra_header(h,
		    sizeof(*head));
		head->nfgen_family = family;
		head->version = NFNETLINK_V0;
	}
	}
}

struct query {
	enum check_list list;
	uint32_t table;			/* of routing */
	const struct nlmsghdr *set;	/* for CHECK_ELEMENTS, else NULL */
};

/* Of this set. */
static void
put_set(struct nlmsghdr *h, const struct nlmsghdr *set)
{
	struct nfgenmsg *head = mnl_nlmsg_get_payload(h);
	struct netlink_cursor a = netlink_attributes(set,
	    sizeof(struct nfgenmsg));
	char name[NFT_NAME_MAXLEN];

	memcpy(&head->nfgen_family, mnl_nlmsg_get_payload(set),
	    sizeof(head->nfgen_family));
	attr_name(name, sizeof(name), a, NFTA_SET_TABLE);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, name);
	attr_name(name, sizeof(name), a, NFTA_SET_NAME);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, name);
}

static int
ask(int fd, const struct query *q, uint32_t seq)
{
	union request m = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(m.bytes);

	h->nlmsg_type = lists[q->list].type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = seq;
	put_head(h, q->list, q->table);
	if (q->set != NULL)
		put_set(h, q->set);
	return netlink_send(fd, h, h->nlmsg_len);
}

/* 0, or -ENOBUFS. */
static int
keep(struct check_listing *l, const struct nlmsghdr *h)
{
	size_t len = MNL_ALIGN(h->nlmsg_len);

	if (l->len + len > BYTES_MAX)
		return -ENOBUFS;
	l->bytes = check_grow(l->bytes, l->len + len, 1);
	memset(l->bytes + l->len + len - MNL_ALIGNTO, 0, MNL_ALIGNTO);
	memcpy(l->bytes + l->len, h, h->nlmsg_len);
	l->len += len;
	return 0;
}

/* One datagram.  1: there will be no more; 0: go on; -errno; -EAGAIN: others
 * changed what was being read. */
static int
take(struct check_listing *l, struct netlink_cursor c, uint32_t seq,
    bool *interrupted)
{
	struct netlink_reply r;
	int error;

	while (netlink_next(&c, &r) != NETLINK_END) {
		if (r.seq != seq)
			continue;
		*interrupted = *interrupted || r.interrupted;
		if (r.kind == NETLINK_DATA &&
		    (error = keep(l, r.message)) != 0)
			return error;
		if (r.kind != NETLINK_ACK && r.kind != NETLINK_DUMP_DONE)
			continue;
		if (r.error != 0)
			return r.error;
		return *interrupted ? -EAGAIN : 1;
	}
	return 0;
}

/* What comes is added to `l`. */
static int
dump(int fd, const struct query *q, uint32_t seq, struct check_listing *l)
{
	union netlink_buffer buffer;
	int64_t deadline_ms = netlink_now_ms() + TIMEOUT_MS;
	bool interrupted = false;
	int result = ask(fd, q, seq);

	while (result == 0) {
		ssize_t n = netlink_receive(fd, buffer.bytes, sizeof(buffer),
		    deadline_ms);

		result = n < 0 ? (int)n : take(l, (struct netlink_cursor){
		    buffer.bytes, (size_t)n }, seq, &interrupted);
	}
	return result == 1 ? 0 : result;
}

/* One set after another: the kernel has no list of all elements. */
static int
dump_elements(int fd, uint32_t *seq, struct check_listing *l)
{
	struct check_listing sets = { 0 };
	int error = dump(fd, &(struct query){ .list = CHECK_SETS }, ++*seq,
	    &sets);
	struct netlink_cursor c = check_messages(&sets);
	struct netlink_reply r;

	while (error == 0 && netlink_next(&c, &r) != NETLINK_END)
		error = dump(fd, &(struct query){ .list = CHECK_ELEMENTS,
		    .set = r.message }, ++*seq, l);
	check_free_listing(&sets);
	return error == -ENOENT ? -EAGAIN : error;	/* it has just gone */
}

static void
dump_all(int fd, enum check_list list, uint32_t table, struct check_listing *l)
{
	uint32_t seq = 0;

	for (int i = 0; i < ATTEMPTS; i++) {
		l->bytes = check_alloc(0);	/* there, if empty */
		l->len = 0;
		l->error = list == CHECK_ELEMENTS ?
		    dump_elements(fd, &seq, l) :
		    dump(fd, &(struct query){ .list = list, .table = table },
		    ++seq, l);
		if (l->error == 0)
			return;
		free(l->bytes);
		l->bytes = NULL;
		if (l->error != -EAGAIN)
			return;
	}
}

static void
read_recorded(const struct check_machine *m, enum check_list list,
    struct check_listing *l)
{
	l->bytes = (uint8_t *)check_read_bytes(m, &l->len, "/netlink/%s",
	    lists[list].name);
	if (l->bytes == NULL)
		l->error = -errno;
}

static void
read_kernel(enum check_list list, uint32_t table, struct check_listing *l)
{
	const int one = 1;
	int fd;

	*l = (struct check_listing){ 0 };
	fd = netlink_open(lists[list].protocol, 0);
	if (fd < 0) {
		l->error = fd;
		return;
	}
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one,
	    sizeof(one));
	dump_all(fd, list, table, l);
	close(fd);
}

void
check_listing(const struct check_machine *m, enum check_list list,
    struct check_listing *l)
{
	*l = (struct check_listing){ 0 };
	if (check_is_recorded(m))
		read_recorded(m, list, l);
	else
		read_kernel(list, 0, l);
}

void
check_table_routes(const struct check_machine *m, bool ipv6, uint32_t table,
    struct check_listing *l)
{
	*l = (struct check_listing){ 0 };
	if (!check_is_recorded(m))
		read_kernel(ipv6 ? CHECK_LOCAL6 : CHECK_LOCAL4, table, l);
}

void
check_free_listing(struct check_listing *l)
{
	free(l->bytes);
}

struct netlink_cursor
check_messages(const struct check_listing *l)
{
	return (struct netlink_cursor){ l->bytes, l->len };
}

/* ---- one route ---- */

static int
take_way(struct netlink_cursor c, uint32_t *index)
{
	struct netlink_reply r;

	while (netlink_next(&c, &r) != NETLINK_END) {
		struct netlink_cursor attributes;
		const struct nlattr *a;

		if (r.kind == NETLINK_ACK)
			return r.error != 0 ? r.error : -ENOENT;
		if (r.kind != NETLINK_DATA || r.type != RTM_NEWROUTE)
			continue;
		attributes = netlink_attributes(r.message,
		    sizeof(struct rtmsg));
		while ((a = netlink_attribute(&attributes)) != NULL)
			if (mnl_attr_get_type(a) == RTA_OIF &&
			    mnl_attr_get_payload_len(a) >= sizeof(*index)) {
				*index = mnl_attr_get_u32(a);
				return 0;
			}
	}
	return -ENOENT;
}

int
check_way(const struct addr *to, const struct addr *from, uint32_t *index)
{
	union request m = { 0 };
	union netlink_buffer buffer;
	struct nlmsghdr *h = mnl_nlmsg_put_header(m.bytes);
	struct rtmsg *head = mnl_nlmsg_put_extra_header(h, sizeof(*head));
	uint8_t len = to->family == 4 ? 4 : 16;
	int fd = netlink_open(NETLINK_ROUTE, 0), error;
	ssize_t n;

	if (fd < 0)
		return fd;
	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	head->rtm_family = to->family == 4 ? AF_INET : AF_INET6;
	head->rtm_dst_len = head->rtm_src_len = (uint8_t)(len * 8);
	mnl_attr_put(h, RTA_DST, len, to->ip);
	mnl_attr_put(h, RTA_SRC, len, from->ip);
	error = netlink_send(fd, h, h->nlmsg_len);
	n = error != 0 ? error : netlink_receive(fd, buffer.bytes,
	    sizeof(buffer), netlink_now_ms() + TIMEOUT_MS);
	close(fd);
	return n < 0 ? (int)n : take_way((struct netlink_cursor){
	    buffer.bytes, (size_t)n }, index);
}
