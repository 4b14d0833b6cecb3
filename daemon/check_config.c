/* SPDX-License-Identifier: ISC */
/*
 * The configuration: can it be read, are its user and its keys there?  And what
 * the other items ask of it.
 */
#include "check_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conffile.h"
#include "keyfile.h"
#include "privs.h"

#define ERROR_MAX 1024
#define BULK_SUBFLOWS 2		/* of a peer, as far as the relay knows */
#define CAP_NET_ADMIN_BIT 12
#define MOST CHECK_ADDRESSES_MAX

/* ---- what is asked of the configuration ---- */

bool
check_is_proxy(const struct check *c)
{
	return c->config == NULL || c->config->role == CONFIG_PROXY;
}

bool
check_intercepts(const struct check *c)
{
	return c->config == NULL || (c->config->role == CONFIG_PROXY &&
	    c->config->intercept_given);
}

bool
check_is_tproxy(const struct check *c)
{
	return check_intercepts(c) && (c->config == NULL ||
	    c->config->intercept.mode == CONFIG_TPROXY);
}

bool
check_is_relay(const struct check *c)
{
	return c->config != NULL && c->config->role == CONFIG_RELAY;
}

/* A running proxy shows it.  A relay has given it up, so its user counts, as
 * does that of somebody who could start one. */
bool
check_is_privileged(const struct check *c)
{
	char *status;
	uint64_t caps = 0, uid = 1;
	bool known;

	if (c->config == NULL || c->config->user != NULL ||
	    check_intercepts(c))
		return true;
	if (c->daemon.pid == 0)
		return c->root;
	status = check_read(&c->machine, "/proc/%ld/status", c->daemon.pid);
	known = status != NULL &&
	    check_text_status(status, "Uid", 10, &uid) &&
	    check_text_status(status, "CapEff", 16, &caps);
	free(status);
	return !known || uid == 0 || (caps >> CAP_NET_ADMIN_BIT & 1) != 0;
}

/* The gateway's own connections come to the loopback. */
static void
add_own(struct check_addresses *list, uint16_t port)
{
	const struct addr own4 = { .family = 4, .ip = { 127, 0, 0, 1 },
		.port = port };
	const struct addr own6 = { .family = 6, .ip = { [15] = 1 },
		.port = port };

	list->addresses[list->n++] = own4;
	list->addresses[list->n++] = own6;
}

void
check_listen(const struct check *c, struct check_addresses *list)
{
	const struct config *config = c->config;

	list->n = 0;
	if (config == NULL)
		return;
	if (config->intercept_given)
		list->addresses[list->n++] = config->intercept.listen;
	if (config->intercept_given && config->intercept.own)
		add_own(list, config->intercept.own_port);
	for (size_t i = 0; i < config->nforwards && list->n < MOST; i++)
		list->addresses[list->n++] = config->forwards[i].listen;
	for (size_t i = 0; i < config->nlisten && list->n < MOST; i++)
		list->addresses[list->n++] = config->listen[i];
}

static bool
path_at(const struct config *config, size_t i, struct check_flow *f)
{
	for (size_t r = 0; r < config->nrelays; r++) {
		const struct config_relay *relay = &config->relays[r];
		const struct config_path *path = &relay->paths[i];

		if (i >= relay->npaths) {
			i -= relay->npaths;
			continue;
		}
		*f = (struct check_flow){ "", &path->socket,
			relay->protocol == CONFIG_BASE ? relay->subflows :
			path->bulk };
		snprintf(f->name, sizeof(f->name), "%s%s%s",
		    config->nrelays > 1 ? relay->name : "",
		    config->nrelays > 1 ? ", " : "", path->name);
		return true;
	}
	return false;
}

bool
check_flow_at(const struct check *c, size_t i, struct check_flow *f)
{
	static char bbr[] = "bbr";
	static const struct config_socket defaults = { .congestion = bbr };

	if (c->config == NULL) {
		*f = (struct check_flow){ "", &defaults, BULK_SUBFLOWS };
		return i == 0;
	}
	if (c->config->role == CONFIG_PROXY)
		return path_at(c->config, i, f);
	if (i >= c->config->npeers)
		return false;
	*f = (struct check_flow){ "", &c->config->peers[i].socket,
		BULK_SUBFLOWS };
	snprintf(f->name, sizeof(f->name), "%s", c->config->peers[i].name);
	return true;
}

/* ---- commands ---- */

bool
check_get(struct check *c, const char *item, enum check_list which,
    struct check_listing *l)
{
	check_listing(&c->machine, which, l);
	if (l->bytes != NULL)
		return true;
	if (l->error == -EPERM)
		check_add(&c->report, CHECK_SKIPPED, item, NULL,
		    "only root can list %s", check_list_name(which));
	else
		check_add(&c->report, CHECK_SKIPPED, item, NULL, "%s",
		    strerror(-l->error));
	return false;
}

void
check_restart(const struct check *c, struct check_item *item)
{
	char *file;

	if (c->daemon.unit[0] != '\0') {
		check_now(item, "systemctl restart %s", c->daemon.unit);
		return;
	}
	if (c->openwrt && check_exists(&c->machine, "/etc/init.d/rorod")) {
		check_now(item, "/etc/init.d/rorod restart");
		return;
	}
	file = check_quote(c->file);
	if (c->daemon.pid != 0)
		check_now(item, "kill %ld", c->daemon.pid);
	check_now(item, "rorod -c %s", file);
	free(file);
}

void
check_module(const struct check *c, struct check_item *item,
    const char *module, const char *openwrt_package)
{
	if (c->openwrt) {
		check_now(item, check_exists(&c->machine, "/usr/bin/apk") ?
		    "apk add %s" : "opkg update && opkg install %s",
		    openwrt_package);
		return;
	}
	check_now(item, "modprobe %s", module);
	check_keep(item, "echo %s >>/etc/modules-load.d/ro-ro-tcp.conf",
	    module);
}

/* ---- the file ---- */

/* Errors begin with the name of the file, which is the subject already. */
static const char *
behind_name(const char *error, const char *file)
{
	size_t len = strlen(file);

	if (strncmp(error, file, len) != 0 || error[len] != ':')
		return error;
	return error + len + 1 + strspn(error + len + 1, " ");
}

void
check_configuration(struct check *c, bool given)
{
	static const char name[] = "configuration";
	struct check_item *item;
	char error[CONFFILE_ERROR_MAX];

	if (access(c->file, R_OK) == -1 && (errno == EACCES ||
	    (errno == ENOENT && !given))) {
		item = check_add(&c->report, CHECK_SKIPPED, name, c->file,
		    "%s", strerror(errno));
		check_why(item, "the machine is looked at as a gateway whose "
		    "rorod has the defaults");
		return;
	}
	c->config = conffile_read(c->file, error, sizeof(error));
	if (c->config != NULL) {
		check_add(&c->report, CHECK_OK, name, c->file, "of a %s",
		    c->config->role == CONFIG_PROXY ? "proxy" : "relay");
		return;
	}
	item = check_add(&c->report, CHECK_ERROR, name, c->file, "%s",
	    behind_name(error, c->file));
	check_why(item, "rorod does not start with it, and one that runs does "
	    "not read it again");
}

void
check_user(struct check *c)
{
	char error[ERROR_MAX];
	struct privs *privs;
	struct check_item *item;
	char *user, *group;

	if (c->config == NULL ||
	    (c->config->user == NULL && c->config->group == NULL))
		return;
	privs = privs_find(c->config->user, c->config->group, error,
	    sizeof(error));
	if (privs != NULL) {
		check_add(&c->report, CHECK_OK, "user", c->config->user,
		    "uid %ld, gid %ld", (long)privs->uid, (long)privs->gid);
		privs_free(privs);
		return;
	}
	item = check_add(&c->report, CHECK_ERROR, "user", NULL, "%s", error);
	check_why(item, "rorod does not start");
	if (c->openwrt)		/* has no such command */
		return;
	user = check_quote(c->config->user != NULL ? c->config->user : "");
	group = check_quote(c->config->group != NULL ? c->config->group : "");
	if (c->config->group != NULL)
		check_now(item, "groupadd --force --system %s", group);
	if (c->config->user != NULL)
		check_now(item, "id %s || useradd --system %s%s %s", user,
		    c->config->group != NULL ? "--gid " : "--user-group",
		    c->config->group != NULL ? group : "", user);
	free(user);
	free(group);
}

/* ---- keys ---- */

/* Can the daemon read it again, as who it has become?  Asked in a process that
 * becomes the same. */
static bool
can_read_again(const struct check *c, const struct privs *privs,
    const char *file)
{
	char error[ERROR_MAX];
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct key *key = NULL;

		if (privs_drop(privs, c->config->role == CONFIG_PROXY, error,
		    sizeof(error)) == 0)
			key = keyfile_read(file, KEYFILE_NOBODY, error,
			    sizeof(error));
		_exit(key != NULL ? 0 : 1);
	}
	while (pid > 0 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The folder of a file, if it is not there. */
static void
add_folder(const struct check *c, struct check_item *item, const char *file)
{
	const char *end = strrchr(file, '/');
	char *folder = check_format("%.*s", end != NULL ? (int)(end - file) :
	    0, file);
	char *word = check_quote(folder);

	if (folder[0] != '\0' && !check_exists(&c->machine, "%s", folder))
		check_now(item, "mkdir -p %s", word);
	free(folder);
	free(word);
}

/* stat() has failed. */
static void
missing_key(struct check *c, const char *file, const char *word, int error)
{
	struct check_item *item;

	if (error == EACCES && !c->root) {
		check_add(&c->report, CHECK_SKIPPED, "key", file,
		    "only root can see it");
		return;
	}
	item = check_add(&c->report, CHECK_ERROR, "key", file, "%s",
	    strerror(error));
	if (check_is_relay(c)) {
		check_why(item, "rorod does not start; copy that of the proxy "
		    "here: both ends need the same");
		return;
	}
	check_why(item, "rorod does not start; the relay needs a copy of it");
	if (error != ENOENT)
		return;
	add_folder(c, item, file);
	check_now(item, "roroctl keygen %s", word);
}

/* It is there and cannot be used at start: whose is it, who may read it? */
static void
bad_key(struct check *c, const char *file, const char *word,
    const struct stat *st, uid_t user, const char *error)
{
	struct check_item *item = check_add(&c->report, CHECK_ERROR, "key",
	    file, "%s", behind_name(error, file));

	check_why(item, "rorod does not start");
	if (st->st_uid != 0 && st->st_uid != user)
		check_now(item, "chown %ld %s", (long)user, word);
	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		check_now(item, "chmod go= %s", word);
}

static void
good_key(struct check *c, const char *file, const char *word,
    const struct privs *privs, const struct key *key)
{
	char id[KEY_ID_TEXT];
	struct check_item *item;

	key_id_format(id, key->id);
	if (!c->root || can_read_again(c, privs, file)) {
		check_add(&c->report, CHECK_OK, "key", file, "id %s", id);
		return;
	}
	item = check_add(&c->report, CHECK_WARNING, "key", file,
	    "id %s; user %ld, whom rorod becomes, cannot read it", id,
	    (long)privs->uid);
	check_why(item, "it is read at start; SIGHUP will not find another "
	    "key in it");
	check_now(item, "chown %ld %s", (long)privs->uid, word);
}

static void
check_key(struct check *c, const char *file, const struct privs *privs)
{
	char error[ERROR_MAX];
	char *word = check_quote(file);
	struct stat st;
	struct key *key;

	if (stat(file, &st) == -1) {
		missing_key(c, file, word, errno);
	} else if ((key = keyfile_read(file, privs->uid, error,
	    sizeof(error))) != NULL) {
		good_key(c, file, word, privs, key);
		key_free(key);
	} else if (!c->root && access(file, R_OK) == -1 &&
	    (st.st_mode & (S_IRWXG | S_IRWXO)) == 0) {
		check_add(&c->report, CHECK_SKIPPED, "key", file,
		    "only its owner can read it, user %ld", (long)st.st_uid);
	} else {
		bad_key(c, file, word, &st, privs->uid, error);
	}
	free(word);
}

void
check_keys(struct check *c)
{
	char error[ERROR_MAX];
	const struct config *config = c->config;
	struct privs *privs;

	if (config == NULL || check_is_recorded(&c->machine))
		return;
	privs = privs_find(config->user, config->group, error, sizeof(error));
	if (privs == NULL)	/* check_user() has said so */
		return;
	for (size_t i = 0; i < config->nrelays; i++)
		if (config->relays[i].key_file != NULL)
			check_key(c, config->relays[i].key_file, privs);
	for (size_t i = 0; i < config->npeers; i++)
		for (size_t j = 0; j < config->peers[i].nkey_files; j++)
			check_key(c, config->peers[i].key_files[j], privs);
	privs_free(privs);
}
