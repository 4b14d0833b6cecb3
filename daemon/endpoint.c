/* SPDX-License-Identifier: ISC */
#include "endpoint.h"

#include <netdb.h>
#include <stdio.h>

#include "net/log.h"
#include "net/resolve.h"

bool
endpoint_resolve(const struct config_endpoint *e, struct addr *a,
    const char *kind, const char *name, char *error, size_t size)
{
	int result = resolve(e->host, e->port, a);

	if (result == 0)
		return true;
	snprintf(error, size, "%s \"%s\": %s: %s", kind, name, e->host,
	    gai_strerror(result));
	return false;
}

void
endpoint_resolve_again(const struct config_endpoint *e, struct addr *a,
    const char *kind, const char *name)
{
	char error[256];
	struct addr new;

	if (endpoint_resolve(e, &new, kind, name, error, sizeof(error)))
		*a = new;
	else
		log_warn("%s; the old address stays", error);
}
