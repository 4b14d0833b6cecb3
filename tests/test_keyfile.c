/* SPDX-License-Identifier: ISC */
#include "keyfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Bytes 1 to 32. */
#define LINE "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define NO_KEY ": expected a key (44 characters, as roroctl keygen makes " \
	"it), found none"

static char dir[64], path[96], error[256];

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_keyfile.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/a.key", dir);
	error[0] = '\0';
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void
put(const char *text, size_t len)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(close(fd), 0);
}

static struct key *
taken(uid_t owner)
{
	return keyfile_read(path, owner, error, sizeof(error));
}

static void
refused(const char *why)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%s", path, why);
	error[0] = '\0';
	assert_null(taken(KEYFILE_NOBODY));
	assert_string_equal(error, text);
}

/* ---- what is in it ---- */

static void
key_comes_back_as_it_was_written(void **state)
{
	struct key *key = key_new();

	(void)state;
	assert_non_null(key);
	assert_int_equal(keyfile_create(path, key), 0);
	struct key *again = taken(KEYFILE_NOBODY);
	assert_non_null(again);
	assert_memory_equal(again->bytes, key->bytes, SECURE_KEY);
	assert_memory_equal(again->id, key->id, SECURE_KEY_ID);
	key_free(again);
	key_free(key);
}

static void
keys_differ(void **state)
{
	struct key *a = key_new(), *b = key_new();

	(void)state;
	assert_memory_not_equal(a->bytes, b->bytes, SECURE_KEY);
	assert_memory_not_equal(a->id, b->id, SECURE_KEY_ID);
	key_free(a);
	key_free(b);
	key_free(NULL);
}

static void
white_space_around_it_does_not_matter(void **state)
{
	static const char *const texts[] = {
		LINE, LINE "\n", LINE "\r\n", "\n\t " LINE " \n\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		put(texts[i], strlen(texts[i]));
		struct key *key = taken(KEYFILE_NOBODY);
		assert_non_null(key);
		for (uint8_t b = 0; b < SECURE_KEY; b++)
			assert_int_equal(key->bytes[b], b + 1);
		key_free(key);
	}
}

/* SHA-256("ro-ro-tcp key" and the key), its first eight bytes. */
static void
id_names_the_key(void **state)
{
	char text[KEY_ID_TEXT];

	(void)state;
	put(LINE, strlen(LINE));
	struct key *key = taken(KEYFILE_NOBODY);
	assert_non_null(key);
	assert_string_equal(key_id_format(text, key->id),
	    "d0f86b8439eeee6d");
	key_free(key);
}

static void
what_is_no_key_is_refused(void **state)
{
	static const char zeros[] =
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	static const char *const texts[] = {
		"", "\n", "secret",
		"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA",	/* no = */
		"QIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
		"A" LINE, LINE "=", LINE LINE, LINE "\n" LINE "\n",
		"AQIDBAUGBwgJCgsMDQ4PEBESEx VFhcYGRobHB0eHyA=",
		"AQIDBAUGBwgJCgsMDQ4PEBESEx-VFhcYGRobHB0eHyA=",
		"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=",	/* 2 bits */
		"# " LINE, LINE " # key", zeros,
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		put(texts[i], strlen(texts[i]));
		refused(NO_KEY);
	}
	/* A NUL byte is no white space. */
	put(LINE, sizeof(LINE));
	refused(NO_KEY);
	/* Not even behind what is read of a file. */
	memset(text, ' ', sizeof(text));
	memcpy(text + 300, LINE, strlen(LINE));
	put(text, sizeof(text));
	refused(NO_KEY);
}

static void
error_is_cut_to_its_room(void **state)
{
	char small[8] = "xxxxxxx";

	(void)state;
	assert_null(keyfile_read("/nowhere", KEYFILE_NOBODY, small, 4));
	assert_memory_equal(small, "/no\0xxx", 8);
}

/* ---- whose it is ---- */

static void
others_may_not_read_it(void **state)
{
	char why[160];

	(void)state;
	put(LINE, strlen(LINE));
	for (mode_t mode = 1; mode <= 077; mode++) {
		assert_int_equal(chmod(path, 0600 | mode), 0);
		snprintf(why, sizeof(why), ": expected a file that only its "
		    "owner may read (chmod 600), found mode %04o",
		    (unsigned int)(0600 | mode));
		refused(why);
	}
	assert_int_equal(chmod(path, 0400), 0);
	struct key *key = taken(KEYFILE_NOBODY);
	assert_non_null(key);
	key_free(key);
}

static void
owner_is_root_or_the_daemon(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	put(LINE, strlen(LINE));
	assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
	refused(": expected a file of root's or of the daemon's user, found "
	    "one of user 12345");
	struct key *key = taken(12345);
	assert_non_null(key);
	key_free(key);
	assert_null(taken(12346));

	/* That of somebody else, as this user. */
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(seteuid(12345), 0);
	key = taken(KEYFILE_NOBODY);
	assert_non_null(key);
	key_free(key);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chown(path, 0, (gid_t)-1), 0);
	assert_int_equal(seteuid(12345), 0);
	refused(": Permission denied");
	assert_int_equal(seteuid(0), 0);
}

static void
only_a_file_is_one(void **state)
{
	(void)state;
	refused(": No such file or directory");
	assert_int_equal(mkdir(path, 0700), 0);
	refused(": expected a file, found a directory");
	assert_int_equal(rmdir(path), 0);
	/* Nobody writes to it, and nobody waits for that. */
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(": expected a file, found something else");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	refused(": expected a file, found something else");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(path, path), 0);
	refused(": Too many levels of symbolic links");
}

static void
link_to_a_file_is_followed(void **state)
{
	char file[112];

	(void)state;
	put(LINE, strlen(LINE));
	snprintf(file, sizeof(file), "%s.real", path);
	assert_int_equal(rename(path, file), 0);
	assert_int_equal(symlink(file, path), 0);
	struct key *key = taken(KEYFILE_NOBODY);
	assert_non_null(key);
	key_free(key);
	assert_int_equal(unlink(file), 0);
}

/* ---- making one ---- */

static void
new_file_is_for_its_owner_alone(void **state)
{
	static const mode_t umasks[] = { 0, 022, 077, 0777 };
	struct key *key = key_new();
	struct stat st;

	(void)state;
	for (size_t i = 0; i < COUNT(umasks); i++) {
		mode_t before = umask(umasks[i]);

		assert_int_equal(keyfile_create(path, key), 0);
		umask(before);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
		assert_int_equal(st.st_size, 45);
		assert_int_equal(unlink(path), 0);
	}
	key_free(key);
}

static void
file_that_is_there_stays_as_it_is(void **state)
{
	struct key *key = key_new();

	(void)state;
	put(LINE, strlen(LINE));
	assert_int_equal(keyfile_create(path, key), -EEXIST);
	struct key *old = taken(KEYFILE_NOBODY);
	assert_non_null(old);
	assert_int_equal(old->bytes[0], 1);
	key_free(old);
	/* Nor is a file made where a link points to. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(keyfile_create(path, key), -EEXIST);
	key_free(key);
}

static void
no_part_of_a_file_is_left(void **state)
{
	struct rlimit old, none;
	struct key *key = key_new();

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	int result = keyfile_create(path, key);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(result, -EFBIG);
	assert_int_equal(access(path, F_OK), -1);

	int full = open("/dev/full", O_WRONLY);
	assert_int_not_equal(full, -1);
	assert_int_equal(keyfile_write(full, key), -ENOSPC);
	close(full);
	key_free(key);
}

#define WITH_DIR(test) \
	cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(key_comes_back_as_it_was_written),
		cmocka_unit_test(keys_differ),
		WITH_DIR(white_space_around_it_does_not_matter),
		WITH_DIR(id_names_the_key),
		WITH_DIR(what_is_no_key_is_refused),
		cmocka_unit_test(error_is_cut_to_its_room),
		WITH_DIR(others_may_not_read_it),
		WITH_DIR(owner_is_root_or_the_daemon),
		WITH_DIR(only_a_file_is_one),
		WITH_DIR(link_to_a_file_is_followed),
		WITH_DIR(new_file_is_for_its_owner_alone),
		WITH_DIR(file_that_is_there_stays_as_it_is),
		WITH_DIR(no_part_of_a_file_is_left),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("keyfile", tests, NULL, NULL);
}
