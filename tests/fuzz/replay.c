/* SPDX-License-Identifier: ISC */
/*
 * Stands in for libFuzzer where the compiler has none: gives each file named
 * on the command line, and each file in each directory named there, to the
 * fuzz target once.  What the corpus has found stays found in every build.
 *
 * The input is copied to an allocation of exactly its size, so that a
 * sanitizer sees a read past its end.
 */

#include <sys/stat.h>

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static unsigned long replayed;

static void
fail(const char *path)
{
	perror(path);
	exit(1);
}

static void
replay_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size > 0 ? size : 1);

	if (f == NULL || data == NULL || fread(data, 1, size, f) != size)
		fail(path);
	fclose(f);
	/* A crash names nothing: the last line says which input it was. */
	printf("%s\n", path);
	fflush(stdout);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	replayed++;
}

static void
replay(const char *path)
{
	struct dirent **entries;
	struct stat st;

	if (stat(path, &st) == -1)
		fail(path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path, (size_t)st.st_size);
		return;
	}
	int n = scandir(path, &entries, NULL, alphasort);
	if (n == -1)
		fail(path);
	for (int i = 0; i < n; i++) {
		char *child;

		if (entries[i]->d_name[0] != '.') {
			if (asprintf(&child, "%s/%s", path,
			    entries[i]->d_name) == -1)
				fail(path);
			replay(child);
			free(child);
		}
		free(entries[i]);
	}
	free(entries);
}

int
main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (replayed == 0) {
		fprintf(stderr, "usage: %s file-or-directory ...\n", argv[0]);
		return 2;
	}
	printf("%lu inputs\n", replayed);
	return 0;
}
