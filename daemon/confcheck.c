/* SPDX-License-Identifier: ISC */
#include "confcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keyring.h"
#include "privs.h"

#define ERROR_MAX 1024

static void
try_config(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		fprintf(stderr, "rorod: warning: %s: %s once privileges are "
		    "dropped: SIGHUP will change nothing\n", file,
		    strerror(errno));
	else
		close(fd);
}

static void
try_key(const char *file)
{
	char error[ERROR_MAX];
	struct key *key = keyfile_read(file, KEYFILE_NOBODY, error,
	    sizeof(error));

	if (key == NULL)
		fprintf(stderr, "rorod: warning: %s once privileges are "
		    "dropped: SIGHUP will keep the key of the start\n", error);
	key_free(key);
}

/* As SIGHUP will find them. */
static void
try_again(const char *file, const struct config *c)
{
	try_config(file);
	for (size_t i = 0; i < c->nrelays; i++)
		if (c->relays[i].key_file != NULL)
			try_key(c->relays[i].key_file);
	for (size_t i = 0; i < c->npeers; i++)
		for (size_t j = 0; j < c->peers[i].nkey_files; j++)
			try_key(c->peers[i].key_files[j]);
}

int
confcheck(const char *file, const struct config *c)
{
	char error[ERROR_MAX];
	struct keyring *keys = NULL;
	struct privs *privs = privs_find(c->user, c->group, error,
	    sizeof(error));

	if (privs != NULL)
		keys = keyring_load(c, privs->uid, NULL, error, sizeof(error));
	if (keys == NULL)
		fprintf(stderr, "rorod: %s\n", error);
	else if (privs_drop(privs, c->role == CONFIG_PROXY, error,
	    sizeof(error)) < 0)
		fprintf(stderr, "rorod: warning: %s: what SIGHUP can read is "
		    "not known\n", error);
	else
		try_again(file, c);
	int status = keys != NULL ? 0 : 1;
	keyring_free(keys);
	privs_free(privs);
	return status;
}
