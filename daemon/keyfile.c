/* SPDX-License-Identifier: ISC */
/*
 * What is asked of a file is asked of the open one, so that nobody can put
 * another in its place between the question and the reading.  Symbolic links
 * are followed: those who may place one there may place a key as well, and
 * tools that manage configuration do.
 */
#include "keyfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE64 sodium_base64_VARIANT_ORIGINAL
#define LINE_LEN 44		/* what SECURE_KEY bytes are in base64 */
#define FILE_MAX 256		/* with white space around it */
#define OTHERS (S_IRWXG | S_IRWXO)

static_assert(sodium_base64_ENCODED_LEN(SECURE_KEY, BASE64) == LINE_LEN + 1,
    "a line holds one key, and has room for its end");

static struct key *
key_alloc(void)
{
	/* Locking may fail (RLIMIT_MEMLOCK),
	 * which sodium_malloc() lets pass. */
	return sodium_malloc(sizeof(struct key));
}

void
key_free(struct key *key)
{
	sodium_free(key);
}

struct key *
key_new(void)
{
	struct key *key = key_alloc();

	if (key == NULL)
		return NULL;
	randombytes_buf(key->bytes, sizeof(key->bytes));
	secure_key_id(key->id, key->bytes);
	return key;
}

struct key *
key_copy(const struct key *key)
{
	struct key *copy = key_alloc();

	if (copy != NULL)
		memcpy(copy, key, sizeof(*copy));
	return copy;
}

const char *
key_id_format(char text[static KEY_ID_TEXT],
    const uint8_t id[static SECURE_KEY_ID])
{
	return sodium_bin2hex(text, KEY_ID_TEXT, id, SECURE_KEY_ID);
}

/* ---- reading ---- */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* NULL: it is no key.  An all-zero one was never drawn. */
static struct key *
decode(const char *text, size_t len)
{
	struct key *key = key_alloc();
	size_t n = 0;

	if (key == NULL)
		return NULL;
	while (len > 0 && is_space(text[0]))
		text++, len--;
	while (len > 0 && is_space(text[len - 1]))
		len--;
	if (len != LINE_LEN || sodium_base642bin(key->bytes,
	    sizeof(key->bytes), text, len, NULL, &n, NULL, BASE64) != 0 ||
	    n != sizeof(key->bytes) ||
	    sodium_is_zero(key->bytes, sizeof(key->bytes))) {
		key_free(key);
		return NULL;
	}
	secure_key_id(key->id, key->bytes);
	return key;
}

/* NULL, or what is wrong with it; the text may be in the `size` bytes at
 * `room`. */
static const char *
wrong_with(const struct stat *st, uid_t owner, char *room, size_t size)
{
	if (S_ISDIR(st->st_mode))
		return "expected a file, found a directory";
	if (!S_ISREG(st->st_mode))
		return "expected a file, found something else";
	if (st->st_uid != 0 && st->st_uid != geteuid() &&
	    st->st_uid != owner) {
		snprintf(room, size, "expected a file of root's or of the "
		    "daemon's user, found one of user %lu",
		    (unsigned long)st->st_uid);
		return room;
	}
	if ((st->st_mode & OTHERS) != 0) {
		snprintf(room, size, "expected a file that only its owner may "
		    "read (chmod 600), found mode %04o",
		    (unsigned int)(st->st_mode & 07777));
		return room;
	}
	return NULL;
}

/* Up to `size` bytes; -errno. */
static ssize_t
read_all(int fd, char *to, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t n = read(fd, to + used, size - used);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

static struct key *
read_open(int fd, const char *file, uid_t owner, char *error, size_t size)
{
	char text[FILE_MAX], room[128];
	struct key *key = NULL;
	const char *wrong;
	struct stat st;

	if (fstat(fd, &st) == -1)
		wrong = strerror(errno);
	else
		wrong = wrong_with(&st, owner, room, sizeof(room));
	if (wrong == NULL) {
		ssize_t n = read_all(fd, text, sizeof(text));

		if (n < 0)
			wrong = strerror((int)-n);
		else if ((key = decode(text, (size_t)n)) == NULL)
			wrong = "expected a key (44 characters, as roroctl "
			    "keygen makes it), found none";
		secure_wipe(text, sizeof(text));
	}
	if (wrong != NULL)
		snprintf(error, size, "%s: %s", file, wrong);
	return key;
}

struct key *
keyfile_read(const char *file, uid_t owner, char *error, size_t size)
{
	/* Opening a FIFO must not wait for its other end. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1) {
		snprintf(error, size, "%s: %s", file, strerror(errno));
		return NULL;
	}
	struct key *key = read_open(fd, file, owner, error, size);
	close(fd);
	return key;
}

/* ---- writing ---- */

int
keyfile_write(int fd, const struct key *key)
{
	char line[LINE_LEN + 1];
	int result = 0;

	sodium_bin2base64(line, sizeof(line), key->bytes, sizeof(key->bytes),
	    BASE64);
	line[LINE_LEN] = '\n';
	for (size_t done = 0; done < sizeof(line) && result == 0;) {
		ssize_t n = write(fd, line + done, sizeof(line) - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			result = -errno;
	}
	secure_wipe(line, sizeof(line));
	return result;
}

int
keyfile_create(const char *file, const struct key *key)
{
	const mode_t mode = S_IRUSR | S_IWUSR;
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int result = 0;

	if (fd == -1)
		return -errno;
	/* A umask can only have taken away from it. */
	if (fchmod(fd, mode) == -1)
		result = -errno;
	if (result == 0)
		result = keyfile_write(fd, key);
	if (result == 0 && fsync(fd) == -1)
		result = -errno;
	/* Some systems tell of a full disk only now. */
	if (close(fd) == -1 && result == 0)
		result = -errno;
	if (result < 0)
		unlink(file);
	return result;
}
