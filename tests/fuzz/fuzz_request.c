/* SPDX-License-Identifier: ISC */
/*
 * A line for the socket of roroctl.  What is taken means the same when it is
 * written anew.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char *const texts[] = {
	[REQUEST_STATUS] = "status",
	[REQUEST_BYPASS_LIST] = "bypass list",
	[REQUEST_BYPASS_ADD] = "bypass add ",
	[REQUEST_BYPASS_DEL] = "bypass del ",
	[REQUEST_INTERCEPT_ON] = "intercept on",
	[REQUEST_INTERCEPT_OFF] = "intercept off",
};

static void
check(const struct request *r)
{
	char text[ADDR_PREFIX_TEXT_MAX] = "", line[80];
	struct request again;

	assert(r->kind < REQUEST_NKINDS);
	if (r->kind == REQUEST_BYPASS_ADD || r->kind == REQUEST_BYPASS_DEL) {
		assert(r->prefix.family == 4 || r->prefix.family == 6);
		addr_prefix_format(&r->prefix, text);
	}
	snprintf(line, sizeof(line), "%s%s", texts[r->kind], text);
	assert(request_parse(&again, line, strlen(line)) == NULL);
	assert(again.kind == r->kind);
	assert(again.prefix.family == r->prefix.family &&
	    again.prefix.length == r->prefix.length &&
	    memcmp(again.prefix.ip, r->prefix.ip, sizeof(again.prefix.ip)) ==
	    0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of just its size, so that a sanitizer sees who reads on. */
	char *line = malloc(size);
	struct request r;
	const char *wrong;

	assert(line != NULL || size == 0);
	if (size > 0)
		memcpy(line, data, size);
	wrong = request_parse(&r, line, size);
	if (wrong == NULL)
		check(&r);
	else
		assert(wrong[0] != '\0');
	free(line);
	return 0;
}
