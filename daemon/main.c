/* SPDX-License-Identifier: ISC */

#include <getopt.h>
#include <stdio.h>

#include "autoconf.h"

static void
usage(FILE *to)
{
	fprintf(to, "usage: rorod [--help] [--version]\n");
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 }
	};
	int option = getopt_long(argc, argv, "hV", options, NULL);

	switch (option) {
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
