/* SPDX-License-Identifier: ISC */
/*
 * Keys in files: 32 random bytes in base64, one line.  Such a file belongs to
 * root or to the daemon's user, and nobody else may read it.  What is found in
 * one never gets into an error.
 */
#ifndef KEYFILE_H
#define KEYFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/secure.h"

#define KEYFILE_NOBODY ((uid_t)-1)

/* In memory of its own, which is locked where that is possible, left out of
 * core dumps, and wiped when it is freed. */
struct key {
	uint8_t id[SECURE_KEY_ID];	/* of secure_key_id() */
	uint8_t bytes[SECURE_KEY];
};

/* The key in `file`, which belongs to root, the effective user or `owner`
 * (KEYFILE_NOBODY: to no one else).  NULL with one sentence in the `size` bytes
 * at `error`, which names the file. */
struct key *keyfile_read(const char *file, uid_t owner, char *error,
    size_t size);

/* A new one; another one like it.  NULL if out of memory. */
struct key *key_new(void);
struct key *key_copy(const struct key *);

/* NULL is accepted. */
void key_free(struct key *);

/* Make `file`, which must not be there, for its owner alone, whatever the umask
 * is.  0, or -errno; no part of a file is left then. */
int keyfile_create(const char *file, const struct key *);

/* Write the line.  0 or -errno. */
int keyfile_write(int fd, const struct key *);

/* How an id is written in logs.  Returns `text`. */
#define KEY_ID_TEXT (2 * SECURE_KEY_ID + 1)
const char *key_id_format(char text[static KEY_ID_TEXT],
    const uint8_t id[static SECURE_KEY_ID]);

#endif
