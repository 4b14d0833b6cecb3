/* SPDX-License-Identifier: ISC */
/*
 * roroctl: what an operator does beside the daemon.  A command is a row of the
 * table and a function; those that ask the daemon are in ask.c.
 */
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "autoconf.h"
#include "check.h"
#include "core/config.h"
#include "keyfile.h"

#define ERROR_MAX 4352		/* a file's name and a sentence */

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "roroctl: %s: %s\n", what, why);
	return 1;
}

/* ---- commands: `n` arguments that follow the name; an exit status ---- */

static int
keygen(int n, char *const arguments[])
{
	const char *file = n > 0 ? arguments[0] : NULL;
	struct key *key = key_new();
	char id[KEY_ID_TEXT];
	int result;

	if (key == NULL)
		return fail("keygen", strerror(ENOMEM));
	result = file != NULL ? keyfile_create(file, key) :
	    keyfile_write(STDOUT_FILENO, key);
	key_id_format(id, key->id);
	key_free(key);
	if (result == -EEXIST)
		return fail(file, "is there already, and a key is not "
		    "overwritten");
	if (result < 0)
		return fail(file != NULL ? file : "standard output",
		    strerror(-result));
	fprintf(stderr, "key %s\n", id);
	return 0;
}

static int
keyid(int n, char *const arguments[])
{
	char error[ERROR_MAX], id[KEY_ID_TEXT];
	struct stat st;
	/* Whose it is does not matter here, as long as nobody else reads it. */
	uid_t owner = stat(arguments[0], &st) == 0 ? st.st_uid :
	    KEYFILE_NOBODY;
	struct key *key = keyfile_read(arguments[0], owner, error,
	    sizeof(error));

	(void)n;
	if (key == NULL) {
		fprintf(stderr, "roroctl: %s\n", error);
		return 1;
	}
	puts(key_id_format(id, key->id));
	key_free(key);
	if (fflush(stdout) == EOF)
		return fail("standard output", strerror(errno));
	return 0;
}

static const struct command {
	const char *name;
	int min, max;			/* arguments */
	const char *arguments, *help;
	int (*run)(int n, char *const arguments[]);
} commands[] = {
	{ "bypass", 1, 16, " add|del PREFIX", "leave destinations alone, until "
	    "the daemon ends", ask_bypass },
	{ "bypass", 1, 16, " list", "say which are left alone", ask_bypass },
	{ "check", 0, 16, " [-c FILE]", "find what on this machine is in the "
	    "way, and what mends it", check },
	{ "intercept", 1, 16, " on|off", "give new connections to the proxy, "
	    "or not", ask_intercept },
	{ "keygen", 0, 1, " [FILE]", "make a key, in a new FILE or on standard "
	    "output", keygen },
	{ "keyid", 1, 1, " FILE", "print the id that logs have for the key in "
	    "FILE", keyid },
	{ "status", 0, 16, "", "say how the daemon is", ask_status },
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

/* ---- start ---- */

static void
usage(FILE *to)
{
	fprintf(to, "usage: roroctl COMMAND [ARGUMENT ...]\n"
	    "       roroctl --help | --version\n"
	    "\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(to, "  %s%-*s%s\n", commands[i].name,
		    (int)(24 - strlen(commands[i].name)),
		    commands[i].arguments, commands[i].help);
	fprintf(to, "\n"
	    "bypass, intercept and status ask the daemon, and have these "
	    "options:\n"
	    "  -s, --socket SOCKET      its socket, if not\n"
	    "                           " CONFIG_CONTROL "\n"
	    "  -f, --format json|text   what to print; text by default\n"
	    "\n"
	    "  -h, --help      say this\n"
	    "  -V, --version   say the version\n");
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	/* What follows a command is the command's. */
	while ((option = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			printf("roroctl %s\n", PACKAGE_VERSION);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (sodium_init() < 0)
		return fail("libsodium", "does not start");
	for (size_t i = 0; optind < argc && i < NCOMMANDS; i++) {
		int n = argc - optind - 1;

		if (strcmp(commands[i].name, argv[optind]) == 0 &&
		    n >= commands[i].min && n <= commands[i].max)
			return commands[i].run(n, argv + optind + 1);
	}
	usage(stderr);
	return 2;
}
