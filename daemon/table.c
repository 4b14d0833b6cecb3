/* SPDX-License-Identifier: ISC */
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/log.h"
#include "nft/batch.h"
#include "nft/transact.h"
#include "nft/watch.h"

#define ANSWER_MS 1000			/* the kernel's */
#define MEND_S 1.			/* not installed again more often */
#define REFUSED_MAX 1024		/* of each family */
#define PREFIX_BYTES 256		/* of a batch, for each */

struct table {
	struct table_options options;
	struct transact *transact;
	bool owner;			/* it is our socket's alone */
	bool installed;
	unsigned families;		/* that the kernel was told to take */
	uint8_t *buffer;		/* of every batch */
	size_t buffer_size;
	struct ruleset_prefix *bypass;	/* all that the kernel has */
	size_t nbypass;

	int watch_fd;			/* -1: not watched */
	bool damaged;			/* somebody removed what is ours */
	ev_timer mend;			/* active: not again so soon */
	ev_io watch;
};

static const struct config_intercept *
intercept(const struct table *t)
{
	return &t->options.config->intercept;
}

/* ---- transactions ---- */

/* Room for `n` prefixes and what comes with them.  0 or -ENOMEM. */
static int
make_room(struct table *t, size_t n)
{
	size_t size = RULESET_BUFFER + n * PREFIX_BYTES;
	uint8_t *new;

	if (size <= t->buffer_size)
		return 0;
	if ((new = realloc(t->buffer, size)) == NULL)
		return -ENOMEM;
	t->buffer = new;
	t->buffer_size = size;
	return 0;
}

/* `built` is what a function of ruleset.h returned.
 * 0, or -errno with *text. */
static int
commit(struct table *t, struct batch *b, int built,
    struct transact_failure *failure)
{
	enum transact_result result;

	failure->text[0] = '\0';
	if (built != 0) {
		failure->error = built;
		snprintf(failure->text, sizeof(failure->text), "%s",
		    strerror(-built));
		return built;
	}
	result = transact_send(t->transact, b, ANSWER_MS, failure);
	if (result == TRANSACT_DONE)
		return 0;
	return failure->error != 0 ? failure->error : -EIO;
}

static void
complain(const char *what, const struct transact_failure *failure)
{
	static struct log_limit limit;

	log_limited(&limit, LOG_LEVEL_WARN, "gateway: %s: %s", what,
	    failure->text);
}

/* ---- the whole of it ---- */

static struct ruleset_ports *
to_ports(const struct acl_ports *ports, size_t n)
{
	struct ruleset_ports *to = calloc(n > 0 ? n : 1, sizeof(*to));

	for (size_t i = 0; to != NULL && i < n; i++)
		to[i] = (struct ruleset_ports){ ports[i].first,
			ports[i].last };
	return to;
}

static enum transact_result
send_plan(struct table *t, const struct ruleset_plan *plan,
    struct transact_failure *failure)
{
	const char *fault = ruleset_fault(plan);
	struct batch b;
	int built;

	if (fault != NULL) {
		failure->error = -EINVAL;
		snprintf(failure->text, sizeof(failure->text), "%s", fault);
		return TRANSACT_FAILED;
	}
	built = ruleset_install(&b, t->buffer, t->buffer_size, plan);
	if (built != 0) {
		failure->error = built;
		snprintf(failure->text, sizeof(failure->text), "%s",
		    strerror(-built));
		return TRANSACT_FAILED;
	}
	return transact_send(t->transact, &b, ANSWER_MS, failure);
}

/* In place of one that is there. */
static enum transact_result
install(struct table *t, struct transact_failure *failure)
{
	const struct config_intercept *c = intercept(t);
	const struct ruleset_prefixes relays = direct_relays(t->options.direct);
	struct ruleset_ports *only = to_ports(c->ports, c->nports);
	struct ruleset_ports *except = to_ports(c->except_ports,
	    c->nexcept_ports);
	struct ruleset_prefix *bypass;
	enum transact_result result = TRANSACT_FAILED;
	size_t nbypass;

	bypass = direct_collect(t->options.direct, c, &nbypass);
	if (only == NULL || except == NULL || bypass == NULL ||
	    make_room(t, nbypass + relays.n + c->nports +
	    c->nexcept_ports) != 0) {
		failure->error = -ENOMEM;
		snprintf(failure->text, sizeof(failure->text), "%s",
		    strerror(ENOMEM));
	} else {
		struct ruleset_plan plan = {
			.mode = c->mode == CONFIG_TPROXY ? RULESET_TPROXY :
			    RULESET_REDIRECT,
			.owner = t->owner,
			.port = t->options.port,
			.own_port = t->options.own_port,
			.interfaces = (const char *const *)c->interfaces,
			.ninterfaces = c->ninterfaces,
			.only = only, .nonly = c->nports,
			.except = except, .nexcept = c->nexcept_ports,
			.bypass = bypass, .nbypass = nbypass,
			.relays = relays.prefixes, .nrelays = relays.n,
			.mark = c->mark, .mask = c->mark,
			.reject_quic = c->reject_quic,
			.refused_max = c->refused ? REFUSED_MAX : 0,
			.families = t->families,
			.alive_ms = TABLE_ALIVE_MS,
		};

		result = send_plan(t, &plan, failure);
		if (result == TRANSACT_NO_OWNER) {
			log_warn("gateway: this kernel has no owned tables");
			plan.owner = t->owner = false;
			result = send_plan(t, &plan, failure);
		}
	}
	if (result == TRANSACT_DONE) {
		t->installed = true;
		free(t->bypass);
		t->bypass = bypass;
		t->nbypass = nbypass;
		bypass = NULL;
	}
	free(only);
	free(except);
	free(bypass);
	return result;
}

/* Somebody has removed it, or some of it. */
static void
install_again(struct table *t)
{
	static struct log_limit limit = { .burst = 3 };
	struct transact_failure failure;

	log_limited(&limit, LOG_LEVEL_WARN, "gateway: others have removed "
	    "rules of ours: installing them again");
	t->damaged = false;
	t->installed = false;
	if (install(t, &failure) != TRANSACT_DONE)
		complain("cannot install the rules", &failure);
}

static void
mend(struct table *t)
{
	install_again(t);
	ev_timer_set(&t->mend, MEND_S, 0.);
	ev_timer_start(t->options.loop, &t->mend);
}

static void
on_mend(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct table *t = w->data;

	(void)loop;
	(void)revents;
	if (t->damaged)
		mend(t);
}

static void
on_watch(struct ev_loop *loop, ev_io *w, int revents)
{
	struct table *t = w->data;
	bool removed;
	int error = watch_tables_read(t->watch_fd, transact_port(t->transact),
	    &removed);

	(void)revents;
	if (error != 0) {
		log_warn("gateway: tables are not watched any more: %s",
		    strerror(-error));
		ev_io_stop(loop, w);
		return;
	}
	if (!removed)
		return;
	t->damaged = true;
	if (!ev_is_active(&t->mend))
		mend(t);
}

/* Without, the heartbeat finds out. */
static void
start_watch(struct table *t)
{
	if ((t->watch_fd = watch_tables_open()) < 0) {
		log_warn("gateway: tables cannot be watched: %s",
		    strerror(-t->watch_fd));
		t->watch_fd = -1;
		return;
	}
	ev_io_init(&t->watch, on_watch, t->watch_fd, EV_READ);
	t->watch.data = t;
	ev_io_start(t->options.loop, &t->watch);
}

static void
stop_watch(struct table *t)
{
	ev_timer_stop(t->options.loop, &t->mend);
	if (t->watch_fd == -1)
		return;
	ev_io_stop(t->options.loop, &t->watch);
	close(t->watch_fd);
}

static void
remove_all(struct table *t)
{
	struct transact_failure failure;
	struct batch b;

	if (commit(t, &b, ruleset_remove(&b, t->buffer, t->buffer_size),
	    &failure) != 0)
		complain("cannot remove the rules", &failure);
}

/* ---- changes ---- */

void
table_configure(struct table *t, const struct config *c)
{
	struct transact_failure failure;

	t->options.config = c;
	if (install(t, &failure) != TRANSACT_DONE)
		complain("cannot install the rules", &failure);
}

bool
table_is_there(const struct table *t)
{
	return t->installed;
}

void
table_beat(struct table *t, unsigned families)
{
	struct transact_failure failure;
	struct batch b;
	int error;

	t->families = families;
	if (!t->installed) {
		install_again(t);
		return;
	}
	error = commit(t, &b, ruleset_heartbeat(&b, t->buffer, t->buffer_size,
	    families, TABLE_ALIVE_MS), &failure);
	if (error == -ENOENT)
		install_again(t);
	else if (error != 0)
		complain("heartbeat", &failure);
}

int
table_update_bypass(struct table *t)
{
	struct transact_failure failure;
	struct ruleset_prefix *now;
	struct batch b;
	size_t n;
	int error;

	now = direct_collect(t->options.direct, intercept(t), &n);
	if (now == NULL)
		return -ENOMEM;
	if (make_room(t, n + t->nbypass) != 0) {
		free(now);
		return -ENOMEM;
	}
	error = commit(t, &b, ruleset_bypass(&b, t->buffer, t->buffer_size,
	    (struct ruleset_prefixes){ t->bypass, t->nbypass },
	    (struct ruleset_prefixes){ now, n }), &failure);
	if (error != 0) {
		free(now);
		return error;
	}
	free(t->bypass);
	t->bypass = now;
	t->nbypass = n;
	return 0;
}

void
table_update_relays(struct table *t)
{
	const struct ruleset_prefixes relays = direct_relays(t->options.direct);
	struct transact_failure failure = { .text = "out of memory" };
	struct batch b;
	int error = make_room(t, relays.n);

	if (error == 0)
		error = commit(t, &b, ruleset_relays(&b, t->buffer,
		    t->buffer_size, relays), &failure);
	if (error != 0 && error != -ENOENT)	/* the beat sees to that */
		complain("addresses of relays", &failure);
}

int
table_refuse(struct table *t, const struct ruleset_refusal *refusal)
{
	struct transact_failure failure;
	struct batch b;
	int error = commit(t, &b, ruleset_refuse(&b, t->buffer,
	    t->buffer_size, refusal), &failure);

	/* No room, there already, or the table is gone: the beat sees to it. */
	if (error != 0 && error != -ENFILE && error != -EEXIST &&
	    error != -ENOENT)
		complain("refused destinations", &failure);
	return error;
}

/* ---- start and end ---- */

static bool
start(struct table *t, char *error, size_t size)
{
	struct transact_failure failure;
	int result;

	if ((t->transact = transact_open(&result)) == NULL) {
		snprintf(error, size, "gateway: netlink: %s",
		    strerror(-result));
		return false;
	}
	switch (install(t, &failure)) {
	case TRANSACT_DONE:
		if (!t->owner)
			log_warn("gateway: the rules are not owned "
			    "(nft-owner): after a crash, new connections are "
			    "intercepted for up to %d s",
			    TABLE_ALIVE_MS / 1000);
		start_watch(t);
		return true;
	case TRANSACT_OTHER_INSTANCE:
		snprintf(error, size, "gateway: another rorod runs here: it "
		    "owns the table \"" RULESET_TABLE "\"");
		break;
	default:
		snprintf(error, size, "gateway: cannot install the rules: %s",
		    failure.text);
	}
	transact_close(t->transact);
	t->transact = NULL;		/* nothing is ours to remove */
	return false;
}

struct table *
table_new(const struct table_options *o, char *error, size_t size)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	t->options = *o;
	t->owner = intercept(t)->nft_owner;
	t->watch_fd = -1;
	ev_init(&t->mend, on_mend);
	t->mend.data = t;
	if (start(t, error, size))
		return t;
	table_free(t);
	return NULL;
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	stop_watch(t);
	if (t->transact != NULL)
		remove_all(t);
	transact_close(t->transact);
	free(t->buffer);
	free(t->bypass);
	free(t);
}
