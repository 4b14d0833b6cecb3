/* SPDX-License-Identifier: ISC */
/*
 * rorod: one role, started and stopped in order.
 *
 * It ends in up to three steps: open sessions may finish (grace), those that
 * are left are reset and the other ends told (FAREWELL_S), everything is freed.
 * A second signal skips what is left of the first two.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answers.h"
#include "autoconf.h"
#include "confcheck.h"
#include "conffile.h"
#include "control.h"
#include "core/config.h"
#include "keyring.h"
#include "net/log.h"
#include "net/reap.h"
#include "net/reserve.h"
#include "net/wake.h"
#include "privs.h"
#include "notify.h"
#include "proxy.h"
#include "relay.h"

#define FAREWELL_S 1.
#define ERROR_MAX 1024

enum phase { PHASE_RUNNING, PHASE_DRAINING, PHASE_FAREWELL };

struct daemon {
	struct ev_loop *loop;
	const char *file;
	bool debug;
	struct config *config;
	struct keyring *keys;
	struct proxy *proxy;		/* this */
	struct relay *relay;		/* or that */
	struct control *control;	/* NULL: none */
	struct answers *answers;	/* there is one with it */
	enum phase phase;
	ev_signal hangup, interrupt, terminate;
	ev_timer timer;
};

/* ---- the role ---- */

static bool
role_start(struct daemon *d, char *error, size_t size)
{
	if (d->config->role == CONFIG_PROXY)
		d->proxy = proxy_start(d->loop, d->config, d->keys, error,
		    size);
	else
		d->relay = relay_start(d->loop, d->config, d->keys, error,
		    size);
	return d->proxy != NULL || d->relay != NULL;
}

static char *
on_request(void *user, const struct request *request, const char *wrong)
{
	struct daemon *d = user;

	return answers_give(d->answers, request, wrong);
}

static bool
control_prepare(struct daemon *d, const struct privs *privs, char *error,
    size_t size)
{
	const struct config *c = d->config;

	if (c->control == NULL)
		return true;
	d->control = control_new(&(struct control_options){
		.loop = d->loop,
		.path = c->control,
		.group = c->control_group,
		.uid = privs->uid,
		.gid = privs->gid,
		.on_request = on_request,
		.user = d,
		.gives_way = answers_ending,
	}, error, size);
	return d->control != NULL;
}

static bool
answers_start(struct daemon *d, char *error, size_t size)
{
	if (d->control == NULL)
		return true;
	d->answers = answers_new(&(struct answers_options){
		.loop = d->loop,
		.config = d->config,
		.keys = d->keys,
		.proxy = d->proxy,
		.relay = d->relay,
	});
	if (d->answers == NULL)
		snprintf(error, size, "%s", strerror(ENOMEM));
	return d->answers != NULL;
}

static bool
control_start(struct daemon *d, char *error, size_t size)
{
	return d->control == NULL || control_listen(d->control, error, size);
}

/* false: out of memory, and nothing has changed. */
static bool
role_reload(struct daemon *d, struct config *c, struct keyring *keys)
{
	if (d->relay != NULL)
		relay_reload(d->relay, c, keys);
	else if (proxy_reload(d->proxy, c, keys) != 0)
		return false;
	if (d->answers != NULL)
		answers_configure(d->answers, c, keys);
	return true;
}

static void
role_drain(struct daemon *d, void (*on_idle)(void *))
{
	if (d->proxy != NULL)
		proxy_drain(d->proxy, on_idle, d);
	else
		relay_drain(d->relay, on_idle, d);
}

static void
role_abort(struct daemon *d)
{
	if (d->proxy != NULL)
		proxy_abort(d->proxy);
	else
		relay_abort(d->relay);
}

/* ---- signals ---- */

static void
start_log(const struct daemon *d)
{
	enum log_level level = (enum log_level)d->config->log_level;

	log_init(d->debug ? LOG_LEVEL_DEBUG : level, d->config->log_syslog);
}

/* NULL with one sentence at `error`. */
static struct config *
read_again(const struct daemon *d, char *error, size_t size)
{
	struct config *new = conffile_read(d->file, error, size);
	const char *fixed = new != NULL ?
	    config_fixed_difference(d->config, new) : NULL;

	if (fixed == NULL)
		return new;
	snprintf(error, size, "%s: %s cannot change while rorod runs", d->file,
	    fixed);
	config_free(new);
	return NULL;
}

/* Keeps what there is when anything is wrong, and says so. */
static void
reload(struct daemon *d)
{
	struct config *old = d->config, *new;
	struct keyring *old_keys = d->keys, *keys = NULL;
	char error[ERROR_MAX];

	new = read_again(d, error, sizeof(error));
	if (new != NULL)
		keys = keyring_load(new, KEYFILE_NOBODY, old_keys, error,
		    sizeof(error));
	if (keys != NULL && !role_reload(d, new, keys)) {
		snprintf(error, sizeof(error), "%s", strerror(ENOMEM));
		keyring_free(keys);
		keys = NULL;
	}
	if (keys == NULL) {
		log_error("%s; the configuration is left as it was", error);
		config_free(new);
		return;
	}
	d->config = new;
	d->keys = keys;
	start_log(d);
	config_free(old);
	keyring_free(old_keys);
	log_info("%s: read again", d->file);
}

static void
on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct daemon *d = w->data;

	(void)loop;
	(void)revents;
	if (d->phase != PHASE_RUNNING)
		return;
	notify_reloading();
	reload(d);
	notify_ready(d->loop);
}

static void
on_idle(void *user)
{
	struct daemon *d = user;

	ev_break(d->loop, EVBREAK_ALL);
}

static void
start_timer(struct daemon *d, double after_s)
{
	ev_timer_stop(d->loop, &d->timer);
	ev_timer_set(&d->timer, after_s, 0.);
	ev_timer_start(d->loop, &d->timer);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct daemon *d = w->data;

	(void)revents;
	if (d->phase == PHASE_FAREWELL) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	log_info("rorod: grace is over: open sessions are reset");
	d->phase = PHASE_FAREWELL;
	role_abort(d);
	start_timer(d, FAREWELL_S);
}

static void
on_terminate(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct daemon *d = w->data;

	(void)revents;
	if (d->phase != PHASE_RUNNING) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	notify_stopping();
	log_info("rorod: ending when open sessions have, or after %u ms",
	    d->config->grace_ms);
	d->phase = PHASE_DRAINING;
	if (d->answers != NULL)
		answers_end(d->answers);
	role_drain(d, on_idle);
	start_timer(d, d->config->grace_ms / 1000.);
}

static void
start_signals(struct daemon *d)
{
	signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&d->hangup, on_hangup, SIGHUP);
	ev_signal_init(&d->interrupt, on_terminate, SIGINT);
	ev_signal_init(&d->terminate, on_terminate, SIGTERM);
	ev_init(&d->timer, on_timer);
	d->hangup.data = d->interrupt.data = d->terminate.data = d;
	d->timer.data = d;
	ev_signal_start(d->loop, &d->hangup);
	ev_signal_start(d->loop, &d->interrupt);
	ev_signal_start(d->loop, &d->terminate);
}

static void
stop_signals(struct daemon *d)
{
	sigset_t all;

	/* We are ending already: one more must not make that a failure. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	ev_timer_stop(d->loop, &d->timer);
	ev_signal_stop(d->loop, &d->hangup);
	ev_signal_stop(d->loop, &d->interrupt);
	ev_signal_stop(d->loop, &d->terminate);
}

/* ---- start ---- */

/* All that needs more rights than the role keeps is done when it has started.
 * The control socket may be that of a daemon that is about to end: a successor
 * that does not start is not to take it. */
static bool
start(struct daemon *d, char *error, size_t size)
{
	const struct config *c = d->config;
	struct privs *privs = privs_find(c->user, c->group, error, size);
	bool started;

	if (privs == NULL)
		return false;
	d->keys = keyring_load(c, privs->uid, NULL, error, size);
	started = d->keys != NULL && control_prepare(d, privs, error, size) &&
	    role_start(d, error, size) && answers_start(d, error, size) &&
	    control_start(d, error, size) &&
	    privs_drop(privs, c->role == CONFIG_PROXY, error, size) == 0;
	privs_free(privs);
	return started;
}

static int
run(struct daemon *d)
{
	char error[ERROR_MAX];

	reserve_start();
	d->loop = ev_default_loop(EVFLAG_AUTO);
	if (d->loop == NULL) {
		log_error("rorod: there is no event loop");
		return 1;
	}
	start_log(d);
	reap_start(d->loop);
	wake_start(d->loop);
	start_signals(d);
	int status = 1;
	if (start(d, error, sizeof(error))) {
		log_info("rorod: %s started", PACKAGE_VERSION);
		notify_ready(d->loop);
		ev_run(d->loop, 0);
		status = 0;
	} else {
		log_error("%s", error);
	}
	control_free(d->control);
	answers_free(d->answers);
	proxy_stop(d->proxy);
	relay_stop(d->relay);
	keyring_free(d->keys);
	if (status == 0)
		log_info("rorod: ended");
	stop_signals(d);
	notify_end(d->loop);
	wake_stop(d->loop);
	reap_stop(d->loop);
	ev_loop_destroy(d->loop);
	return status;
}

static void
usage(FILE *to)
{
	fprintf(to, "usage: rorod [-d] [-c FILE] [--check-config]\n"
	    "       rorod --help | --version\n"
	    "\n"
	    "  -c, --config FILE   read FILE instead of\n"
	    "                      " SYSCONFDIR "/rorod.conf\n"
	    "      --check-config  read the configuration, say what is wrong, "
	    "end\n"
	    "  -d, --debug         log at level debug, whatever is configured\n"
	    "  -h, --help          say this\n"
	    "  -V, --version       say the version\n");
}

/* Without standard streams, a socket would take the place of stderr, and what
 * is logged would go to a client. */
static void
keep_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd != -1 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int
main(int argc, char *argv[])
{
	enum { CHECK_CONFIG = 256 };
	static const struct option options[] = {
		{ "check-config", no_argument, NULL, CHECK_CONFIG },
		{ "config", required_argument, NULL, 'c' },
		{ "debug", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 }
	};
	struct daemon d = { .file = SYSCONFDIR "/rorod.conf" };
	char error[CONFFILE_ERROR_MAX];
	bool check = false;
	int option;

	keep_standard_streams();
	while ((option = getopt_long(argc, argv, "c:dhV", options, NULL)) !=
	    -1) {
		switch (option) {
		case CHECK_CONFIG:
			check = true;
			break;
		case 'c':
			d.file = optarg;
			break;
		case 'd':
			d.debug = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			printf("rorod %s\n", PACKAGE_VERSION);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	/* Chooses the code that is quickest here;
	 * core/secure.h counts on it. */
	if (sodium_init() < 0) {
		fprintf(stderr, "rorod: libsodium does not start\n");
		return 1;
	}
	d.config = conffile_read(d.file, error, sizeof(error));
	if (d.config == NULL) {
		fprintf(stderr, "rorod: %s\n", error);
		return 1;
	}
	int status = check ? confcheck(d.file, d.config) : run(&d);
	config_free(d.config);
	return status;
}
