/* SPDX-License-Identifier: ISC */
/*
 * A configuration file.  Whatever it holds, there is either a configuration
 * that can replace itself, or one line that begins with the name of the file.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conffile.h"
#include "core/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char name[] = "fuzz.conf:";
	char error[CONFFILE_ERROR_MAX] = "";
	struct config *c = conffile_parse("fuzz.conf", (const char *)data, size,
	    error, sizeof(error));

	if (c == NULL) {
		assert(strncmp(error, name, strlen(name)) == 0);
		for (const char *p = error; *p != '\0'; p++)
			assert(*p >= ' ' && *p <= '~');
		return 0;
	}
	assert(error[0] == '\0');
	assert(config_fixed_difference(c, c) == NULL);
	config_free(c);
	return 0;
}
