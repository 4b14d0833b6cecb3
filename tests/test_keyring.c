/* SPDX-License-Identifier: ISC */
#include "keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conffile.h"

#define RELAY "role = relay\nlisten = \"[::]:1093\"\n"

static char dir[64], error[512];
static uid_t user = KEYFILE_NOBODY;

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_keyring.XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static const char *
path_of(const char *name)
{
	static char paths[4][96];
	static size_t next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static int
remove_dir(void **state)
{
	(void)state;
	for (const char *name = "abcdn"; *name != '\0'; name++)
		unlink(path_of((char[]){ *name, '\0' }));
	return rmdir(dir);
}

/* A file with the key whose bytes are all that one. */
static void
put(const char *name, uint8_t byte)
{
	struct key *key = key_new();

	assert_non_null(key);
	memset(key->bytes, byte, sizeof(key->bytes));
	unlink(path_of(name));
	assert_int_equal(keyfile_create(path_of(name), key), 0);
	key_free(key);
}

static void
spoil(const char *name)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	fputs("no key", f);
	assert_int_equal(fclose(f), 0);
}

/* In the text, @ stands for the directory. */
static struct config *
configured(const char *text)
{
	char whole[2048];
	size_t n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '@')
			n += (size_t)snprintf(whole + n, sizeof(whole) - n,
			    "%s", dir);
		else
			whole[n++] = *p;
		assert_true(n < sizeof(whole));
	}
	struct config *c = conffile_parse("test.conf", whole, n, error,
	    sizeof(error));
	if (c == NULL)
		fail_msg("%s", error);
	return c;
}

static struct keyring *
load(const char *text, const struct keyring *old)
{
	struct config *c = configured(text);
	struct keyring *r;

	error[0] = '\0';
	r = keyring_load(c, user, old, error, sizeof(error));
	assert_true((r == NULL) == (error[0] != '\0'));
	config_free(c);		/* which a ring outlives */
	return r;
}

static struct keyring *
loaded(const char *text, const struct keyring *old)
{
	struct keyring *r = load(text, old);

	assert_string_equal(error, "");
	return r;
}

/* `why` follows the directory, or is all. */
static void
refused(const char *text, const struct keyring *old, const char *why)
{
	assert_null(load(text, old));
	if (strcmp(error + (error[0] == '/' ? strlen(dir) : 0), why) != 0)
		fail_msg("%s", error);
}

/* Whose key that is; -1: nobody's. */
static int
owner_of(const struct keyring *r, uint8_t byte)
{
	uint8_t bytes[SECURE_KEY], id[SECURE_KEY_ID];
	const struct key *key;
	size_t peer = 99;

	memset(bytes, byte, sizeof(bytes));
	secure_key_id(id, bytes);
	key = keyring_find(r, id, &peer);
	if (key == NULL)
		return -1;
	assert_memory_equal(key->bytes, bytes, sizeof(bytes));
	return (int)peer;
}

/* ---- start ---- */

static void
proxy_has_the_key_of_its_relay(void **state)
{
	(void)state;
	put("a", 1);
	struct keyring *r = loaded("role = proxy\n"
	    "intercept { interfaces = \"lan0\" }\n"
	    "relay a { address = a:1 key-file = \"@/a\" }\n", NULL);
	const struct key *key = keyring_relay(r, 0);
	assert_non_null(key);
	assert_int_equal(key->bytes[0], 1);
	assert_null(keyring_relay(r, 1));
	keyring_free(r);
}

static void
without_protection_there_is_none(void **state)
{
	(void)state;
	struct keyring *r = loaded("role = proxy\n"
	    "intercept { interfaces = \"lan0\" }\n"
	    "relay a { address = a:1 protection = none }\n", NULL);
	assert_null(keyring_relay(r, 0));
	keyring_free(r);
	r = loaded("role = relay listen = 127.0.0.1:1 protection = none\n",
	    NULL);
	assert_int_equal(owner_of(r, 0), -1);
	keyring_free(r);
	keyring_free(NULL);
}

static void
relay_knows_peers_by_their_keys(void **state)
{
	(void)state;
	put("a", 1);
	put("b", 2);
	put("c", 3);
	struct keyring *r = loaded(RELAY
	    "peer one { key-file = { \"@/a\", \"@/b\" } }\n"
	    "peer two { key-file = \"@/c\" }\n", NULL);
	assert_int_equal(owner_of(r, 1), 0);
	assert_int_equal(owner_of(r, 2), 0);
	assert_int_equal(owner_of(r, 3), 1);
	assert_int_equal(owner_of(r, 4), -1);
	keyring_free(r);
}

static void
what_cannot_be_read_stops_the_start(void **state)
{
	(void)state;
	put("a", 1);
	refused(RELAY "peer one { key-file = { \"@/a\", \"@/b\" } }\n", NULL,
	    "/b: No such file or directory");
	put("b", 2);
	assert_int_equal(chmod(path_of("b"), 0644), 0);
	refused(RELAY "peer one { key-file = { \"@/a\", \"@/b\" } }\n", NULL,
	    "/b: expected a file that only its owner may read (chmod 600), "
	    "found mode 0644");
}

static void
one_key_for_two_peers_is_an_error(void **state)
{
	char why[256];

	(void)state;
	put("a", 1);
	put("b", 2);
	put("c", 1);
	snprintf(why, sizeof(why), "test.conf:4: peer key-file: expected a key "
	    "of its own for each peer, found in %s/c that of peer \"one\"",
	    dir);
	refused(RELAY "peer one { key-file = { \"@/a\", \"@/b\" } }\n"
	    "peer two { key-file = \"@/c\" }\n", NULL, why);
	/* For one it is just one key. */
	struct keyring *r = loaded(RELAY
	    "peer one { key-file = { \"@/a\", \"@/c\" } }\n", NULL);
	assert_int_equal(owner_of(r, 1), 0);
	keyring_free(r);
}

/* Whom a proxy has dialed it knows. */
static void
one_key_for_two_relays_is_none(void **state)
{
	(void)state;
	put("a", 1);
	struct keyring *r = loaded("role = proxy\n"
	    "intercept { interfaces = a }\n"
	    "relay one { address = \"192.0.2.1:1\" key-file = \"@/a\" }\n"
	    "relay two { address = \"192.0.2.2:1\" key-file = \"@/a\" }\n",
	    NULL);
	for (size_t i = 0; i < 2; i++) {
		assert_non_null(keyring_relay(r, i));
		assert_int_equal(keyring_relay(r, i)->bytes[0], 1);
	}
	keyring_free(r);
}

static void
file_may_be_of_the_user_to_be(void **state)
{
	static const char conf[] = RELAY "peer one { key-file = \"@/a\" }\n";

	(void)state;
	if (geteuid() != 0)
		skip();
	put("a", 1);
	assert_int_equal(chown(path_of("a"), 12345, (gid_t)-1), 0);
	user = 12345;
	struct keyring *r = loaded(conf, NULL);
	assert_int_equal(owner_of(r, 1), 0);
	keyring_free(r);
	user = KEYFILE_NOBODY;
	assert_null(load(conf, NULL));
}

/* ---- reload ---- */

static void
keys_are_read_again(void **state)
{
	static const char conf[] = RELAY "peer one { key-file = \"@/a\" }\n";

	(void)state;
	put("a", 1);
	struct keyring *old = loaded(conf, NULL);
	put("a", 2);
	struct keyring *new = loaded(conf, old);
	keyring_free(old);
	assert_int_equal(owner_of(new, 1), -1);
	assert_int_equal(owner_of(new, 2), 0);
	keyring_free(new);
}

static void
peers_come_and_go(void **state)
{
	(void)state;
	put("a", 1);
	put("b", 2);
	put("c", 3);
	struct keyring *old = loaded(RELAY "peer one { key-file = \"@/a\" }\n"
	    "peer two { key-file = \"@/b\" }\n", NULL);
	struct keyring *new = loaded(RELAY "peer nil { key-file = \"@/c\" }\n"
	    "peer two { key-file = \"@/b\" }\n", old);
	assert_int_equal(owner_of(new, 1), -1);
	assert_int_equal(owner_of(new, 2), 1);
	assert_int_equal(owner_of(new, 3), 0);
	keyring_free(new);
	keyring_free(old);
}

static void
file_that_cannot_be_read_keeps_its_key(void **state)
{
	static const char conf[] = RELAY
	    "peer one { key-file = { \"@/a\", \"@/b\" } }\n"
	    "peer two { key-file = \"@/c\" }\n";

	(void)state;
	put("a", 1);
	put("b", 2);
	put("c", 3);
	struct keyring *old = loaded(conf, NULL);
	put("b", 4);
	spoil("a");
	unlink(path_of("c"));
	struct keyring *new = loaded(conf, old);
	keyring_free(old);
	assert_int_equal(owner_of(new, 1), 0);
	assert_int_equal(owner_of(new, 2), -1);
	assert_int_equal(owner_of(new, 4), 0);
	assert_int_equal(owner_of(new, 3), 1);
	/* And again, and listed twice, and elsewhere in the file. */
	old = new;
	new = loaded(RELAY "peer two { key-file = \"@/c\" }\n"
	    "peer one { key-file = { \"@/a\", \"@/a\" } }\n", old);
	keyring_free(old);
	old = new;
	new = loaded(RELAY
	    "peer one { key-file = { \"@/a\", \"@/a\" } }\n", old);
	keyring_free(old);
	assert_int_equal(owner_of(new, 1), 0);
	assert_int_equal(owner_of(new, 3), -1);
	assert_int_equal(owner_of(new, 4), -1);
	keyring_free(new);
}

static void
who_has_no_other_key_keeps_all(void **state)
{
	(void)state;
	put("a", 1);
	put("b", 2);
	put("c", 3);
	struct keyring *old = loaded(RELAY
	    "peer one { key-file = { \"@/a\", \"@/b\" } }\n", NULL);
	struct keyring *new = loaded(RELAY
	    "peer one { key-file = \"@/n\" }\n", old);
	assert_int_equal(owner_of(new, 1), 0);
	assert_int_equal(owner_of(new, 2), 0);
	keyring_free(new);
	new = loaded(RELAY
	    "peer one { key-file = { \"@/n\", \"@/d\" } }\n", old);
	assert_int_equal(owner_of(new, 1), 0);
	assert_int_equal(owner_of(new, 2), 0);
	keyring_free(new);
	new = loaded(RELAY
	    "peer one { key-file = { \"@/n\", \"@/c\" } }\n", old);
	assert_int_equal(owner_of(new, 1), -1);
	assert_int_equal(owner_of(new, 3), 0);
	keyring_free(new);
	keyring_free(old);
}

static void
somebody_new_needs_a_key(void **state)
{
	(void)state;
	put("a", 1);
	struct keyring *old = loaded(RELAY
	    "peer one { key-file = \"@/a\" }\n", NULL);
	refused(RELAY "peer one { key-file = \"@/a\" }\n"
	    "peer two { key-file = \"@/n\" }\n", old,
	    "/n: No such file or directory");
	/* The key that was kept may be that of somebody else by now. */
	put("c", 1);
	unlink(path_of("a"));
	assert_null(load(RELAY "peer one { key-file = \"@/a\" }\n"
	    "peer two { key-file = \"@/c\" }\n", old));
	keyring_free(old);
}

#define WITH_DIR(test) \
	cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(proxy_has_the_key_of_its_relay),
		WITH_DIR(without_protection_there_is_none),
		WITH_DIR(relay_knows_peers_by_their_keys),
		WITH_DIR(what_cannot_be_read_stops_the_start),
		WITH_DIR(one_key_for_two_peers_is_an_error),
		WITH_DIR(one_key_for_two_relays_is_none),
		WITH_DIR(file_may_be_of_the_user_to_be),
		WITH_DIR(keys_are_read_again),
		WITH_DIR(peers_come_and_go),
		WITH_DIR(file_that_cannot_be_read_keeps_its_key),
		WITH_DIR(who_has_no_other_key_keeps_all),
		WITH_DIR(somebody_new_needs_a_key),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("keyring", tests, NULL, NULL);
}
