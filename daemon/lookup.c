/* SPDX-License-Identifier: ISC */
/*
 * An address at which the relay has answered is kept through an outage of a
 * minute, since an outage of the link is likelier than a move within the same
 * name; one at which it never has, for as long as a few round trips take.
 */
#include "lookup.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "net/log.h"
#include "net/resolve.h"

#define TRIED_US UINT64_C(5000000)	/* one that never answered */
#define OUTAGE_US UINT64_C(60000000)	/* one that has */

struct lookup {
	struct lookup_options options;
	struct resolver *resolver;	/* NULL: nobody is asked */
	bool numeric;			/* there is nothing to ask */
	struct addr address;		/* family 0: not known */
	uint64_t since_us;		/* it was taken, or answered last */
	bool answered;			/* there */
	struct addr all[RESOLVER_MAX];
	size_t n;
	uint64_t asked_us;		/* when the last answer came */
	uint64_t pause_us;		/* until the next question */
	int error;			/* that was told; 0: none */
};

static void
take(struct lookup *l, const struct addr *a)
{
	char old[ADDR_TEXT_MAX], new[ADDR_TEXT_MAX];

	if (l->address.family == 0)
		log_info("%s \"%s\": it is at %s", l->options.kind,
		    l->options.name, addr_format(a, new));
	else
		log_info("%s \"%s\": it is looked for at %s, and not at %s any "
		    "more", l->options.kind, l->options.name,
		    addr_format(a, new), addr_format(&l->address, old));
	l->address = *a;
	l->since_us = clock_us();
	l->answered = false;
}

/* The one to use of those that there are now. */
static const struct addr *
best(const struct lookup *l)
{
	uint64_t patience = l->answered ? OUTAGE_US : TRIED_US;
	size_t i = 0;

	while (i < l->n && !addr_equal(&l->all[i], &l->address))
		i++;
	if (i == l->n)
		return &l->all[0];
	if (clock_us() - l->since_us < patience)
		return &l->all[i];
	return &l->all[(i + 1) % l->n];
}

static void
complain(struct lookup *l, int error)
{
	static struct log_limit limit = { .burst = 10 };

	log_limited(&limit, error == l->error ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_WARN, "%s \"%s\": %s: %s%s", l->options.kind,
	    l->options.name, l->options.endpoint->host, gai_strerror(error),
	    l->address.family != 0 ? "; the old address stays" : "");
	l->error = error;
}

static void
on_resolved(void *user, int error, const struct addr *addrs, size_t n)
{
	struct lookup *l = user;
	bool changed;

	l->resolver = NULL;
	l->asked_us = clock_us();
	if (error != 0) {
		complain(l, error);
		return;
	}
	l->error = 0;
	changed = n != l->n;
	for (size_t i = 0; !changed && i < n; i++)
		changed = !addr_equal(&addrs[i], &l->all[i]);
	memcpy(l->all, addrs, n * sizeof(*addrs));
	l->n = n;
	if (!addr_equal(best(l), &l->address)) {
		take(l, best(l));
		changed = true;
	}
	if (changed)
		l->options.on_change(l->options.user);
}

static void
ask(struct lookup *l)
{
	const struct config_endpoint *e = l->options.endpoint;

	if (l->resolver != NULL || l->numeric)
		return;
	l->resolver = resolver_start(l->options.loop, e->host, e->port,
	    on_resolved, l);
	if (l->resolver == NULL) {
		l->asked_us = clock_us();
		complain(l, EAI_MEMORY);
	}
}

/* From the configuration, as if nothing was known. */
static void
begin(struct lookup *l)
{
	const struct config_endpoint *e = l->options.endpoint;
	struct addr a;

	resolver_cancel(l->resolver);
	l->resolver = NULL;
	l->pause_us = LOOKUP_MIN_US;
	l->numeric = resolve_numeric(e->host, e->port, &a);
	if (!l->numeric) {
		ask(l);
		return;
	}
	l->all[0] = a;
	l->n = 1;
	if (!addr_equal(&a, &l->address)) {
		l->address = a;
		l->since_us = clock_us();
		l->answered = false;
	}
}

struct lookup *
lookup_new(const struct lookup_options *o)
{
	struct lookup *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->options = *o;
	begin(l);
	return l;
}

void
lookup_free(struct lookup *l)
{
	if (l == NULL)
		return;
	resolver_cancel(l->resolver);
	free(l);
}

void
lookup_configure(struct lookup *l, const struct config_endpoint *e,
    const char *name)
{
	l->options.endpoint = e;
	l->options.name = name;
	begin(l);
}

void
lookup_tell(struct lookup *l, bool answers)
{
	uint64_t now = clock_us();

	if (answers) {
		l->answered = true;
		l->since_us = now;
		l->pause_us = LOOKUP_MIN_US;
		l->asked_us = now;
		return;
	}
	if (l->resolver != NULL || now - l->asked_us < l->pause_us)
		return;
	l->pause_us *= 2;
	if (l->pause_us > LOOKUP_MAX_US)
		l->pause_us = LOOKUP_MAX_US;
	ask(l);
}

struct addr
lookup_address(const struct lookup *l)
{
	return l->address;
}

size_t
lookup_all(const struct lookup *l, const struct addr **all)
{
	*all = l->all;
	return l->n;
}
