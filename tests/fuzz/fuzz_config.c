/* SPDX-License-Identifier: ISC */
/*
 * A configuration file.  Whatever it holds, there is either one line that
 * begins with the name of the file, or a configuration: the same one each time
 * it is read, complete, and nothing in it is open that nobody asked to be open.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conffile.h"
#include "core/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_socket(const struct config_socket *s)
{
	assert(s->congestion != NULL && s->congestion[0] != '\0');
}

/* The files of keys of somebody; none exactly without protection. */
static void
check_keys(enum wire_protection protection, char *const files[], size_t n)
{
	assert(protection <= WIRE_PROTECTION_SEALED);
	assert((n == 0) == (protection == WIRE_PROTECTION_NONE));
	assert(n <= 2);
	for (size_t i = 0; i < n; i++)
		assert(files[i][0] == '/');
}

static void
check_proxy(const struct config *c)
{
	assert(c->intercept_given || c->nforwards > 0);
	assert(c->nrelays > 0 && c->nrelays <= CONFIG_RELAYS_MAX);
	for (size_t i = 0; i < c->nrelays; i++) {
		const struct config_relay *r = &c->relays[i];
		bool base = r->protocol == CONFIG_BASE;

		check_keys(r->protection, &r->key_file, r->key_file != NULL);
		assert(!base || r->protection == WIRE_PROTECTION_NONE);
		assert(!base || !c->intercept_given);
		assert(!base || c->nrelays == 1);
		assert(r->address.host != NULL && r->address.port != 0);
		assert(base == (r->subflows > 0));
		assert(r->subflows <= CONFIG_SUBFLOWS_MAX && r->npaths > 0);
		for (size_t k = 0; k < r->npaths; k++) {
			check_socket(&r->paths[k].socket);
			assert(r->paths[k].express <= CONFIG_EXPRESS_MAX);
			assert(r->paths[k].bulk <= CONFIG_BULK_MAX);
			assert(base || r->paths[k].express > 0);
			assert(r->paths[k].weight <= CONFIG_WEIGHT_MAX);
		}
	}
	assert(c->npeers == 0 && c->nlisten == 0 && !c->base.enabled);
}

static void
check_relay(const struct config *c)
{
	static const uint8_t v6[16] = { [15] = 1 };
	bool none = c->protection == WIRE_PROTECTION_NONE;

	assert(c->nlisten > 0 && c->npeers > 0);
	assert(!none || c->npeers == 1);
	assert(none || c->ntrusted == 0);
	for (size_t i = 0; i < c->nlisten; i++) {
		const struct addr *a = &c->listen[i];

		assert(a->family == 4 || a->family == 6);
		assert(!none || c->ntrusted > 0 ||
		    (a->family == 4 ? a->ip[0] == 127 :
		    memcmp(a->ip, v6, sizeof(v6)) == 0));
	}
	for (size_t i = 0; i < c->npeers; i++) {
		const struct config_peer *p = &c->peers[i];

		check_keys(c->protection, p->key_files, p->nkey_files);
		check_socket(&p->socket);
		assert(p->acl != NULL && p->max_subflows > 0);
		assert(c->memory_limit_bytes == 0 ||
		    p->memory_bytes <= c->memory_limit_bytes);
		for (size_t k = 0; k < i; k++)
			assert(strcmp(p->name, c->peers[k].name) != 0);
	}
	assert(c->nrelays == 0 && c->nforwards == 0 && !c->intercept_given);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char name[] = "fuzz.conf:";
	char error[CONFFILE_ERROR_MAX] = "", again[CONFFILE_ERROR_MAX] = "";
	struct config *c = conffile_parse("fuzz.conf", (const char *)data, size,
	    error, sizeof(error));
	struct config *same = conffile_parse("fuzz.conf", (const char *)data,
	    size, again, sizeof(again));

	assert((c == NULL) == (same == NULL) && strcmp(error, again) == 0);
	if (c == NULL) {
		assert(strncmp(error, name, strlen(name)) == 0);
		for (const char *p = error; *p != '\0'; p++)
			assert(*p >= ' ' && *p <= '~');
		return 0;
	}
	assert(error[0] == '\0');
	assert(config_fixed_difference(c, c) == NULL);
	assert(config_fixed_difference(c, same) == NULL);
	if (c->role == CONFIG_PROXY)
		check_proxy(c);
	else
		check_relay(c);
	config_free(c);
	config_free(same);
	return 0;
}
