/* SPDX-License-Identifier: ISC */
/*
 * Who listens where the configuration says that rorod does?
 */
#include "check_private.h"

#include <stdlib.h>

static const char item_name[] = "listener";

/* One that takes the same connections, ours if there is one. */
static const struct check_socket *
find(const struct check *c, const struct addr *address)
{
	const struct check_socket *other = NULL;

	for (size_t i = 0; i < c->sockets.n; i++) {
		const struct check_socket *s = &c->sockets.list[i];

		if (!check_overlap(&s->address, address))
			continue;
		if (check_owns(&c->daemon, s->inode))
			return s;
		other = s;
	}
	return other;
}

static void
taken(struct check *c, const char *address, uint16_t port,
    const struct check_socket *s)
{
	char *owner = check_owner(&c->machine, s->inode);
	struct check_item *item = check_add(&c->report, CHECK_ERROR, item_name,
	    address, "%s%s listens there", c->daemon.pid != 0 ? "not rorod: " :
	    "", owner != NULL ? owner : "somebody else");

	check_why(item, c->daemon.pid != 0 ? "connections go there instead" :
	    "rorod cannot start");
	/* Which of the two has to go is not for us to say. */
	check_now(item, "ss -ltnp 'sport = :%u'", port);
	free(owner);
}

static void
look_at(struct check *c, const struct addr *address)
{
	const struct check_socket *s = find(c, address);
	char text[ADDR_TEXT_MAX];
	struct check_item *item;

	addr_format(address, text);
	if (s == NULL && c->daemon.pid == 0) {
		check_add(&c->report, CHECK_OK, item_name, text,
		    "nobody listens there, and rorod does not run");
	} else if (s == NULL) {
		item = check_add(&c->report, CHECK_ERROR, item_name, text,
		    "rorod runs, and does not listen there");
		check_why(item, "it was started with another configuration; "
		    "SIGHUP does not change this");
		check_restart(c, item);
	} else if (c->daemon.pid != 0 && check_owns(&c->daemon, s->inode)) {
		check_add(&c->report, CHECK_OK, item_name, text,
		    "rorod listens there");
	} else if (c->daemon.pid != 0 && !c->daemon.visible) {
		check_add(&c->report, CHECK_SKIPPED, item_name, text,
		    "somebody listens there; only root can see who");
	} else {
		taken(c, text, address->port, s);
	}
}

void
check_listeners(struct check *c)
{
	struct check_addresses list;

	check_listen(c, &list);
	for (size_t i = 0; i < list.n; i++)
		look_at(c, &list.addresses[i]);
}
