/* SPDX-License-Identifier: ISC */
/*
 * What the files of config share; nobody else includes this.
 *
 *	config_keys.c	tables of what exists
 *	config_value.c	one option's text becomes a value
 *	config_build.c	sections and options become a struct config
 *	config_finish.c	which has to make sense as a whole
 *	config.c	a whole struct config
 */
#ifndef CORE_CONFIG_PRIVATE_H
#define CORE_CONFIG_PRIVATE_H

#include "config.h"
#include "units.h"

#define CONFIG_ERROR_MAX 1024
#define CONFIG_FOUND_MAX 64	/* of a wrong value, in an error */
#define CONFIG_KEYS_MAX 96
#define CONFIG_WEIGHT_DEFAULT UINT8_MAX	/* of a path, until it is finished */

/* ---- tables ---- */

/* To which role does an option belong? */
enum belongs {
	FOR_BOTH,
	FOR_PROXY,
	FOR_RELAY,
};

struct section {
	struct config_section_info info;
	enum belongs role;
	bool many;
	bool reload;		/* they can come and go, and all can change */
};

extern const struct section config_sections[CONFIG_NSECTIONS];

enum kind {
	KIND_INTEGER,
	KIND_WORD,
	KIND_CONGESTION,
	KIND_INTERFACE,
	KIND_INTERFACES,
	KIND_ACCOUNT,
	KIND_FILE,
	KIND_CONTROL,
	KIND_SOURCE,
	KIND_LISTEN,
	KIND_ENDPOINT,
	KIND_PREFIX,
	KIND_PORTS,
	KIND_RULE,
};

struct key {
	enum config_section section;
	const char *name;
	const char *label;		/* with its section, for people */
	enum belongs role;
	bool reload;
	bool required;			/* whenever its section is there */

	enum kind kind;
	size_t offset, size;		/* in the section's object */
	size_t count;			/* of a list: where its length is */
	bool list;
	size_t most;			/* of a list; 0: any number */

	enum units units;		/* of a KIND_INTEGER */
	uint64_t min, max;
	bool or_zero;			/* 0 too, below `min` */
	uint64_t scale;			/* stored divided by this; 0: by 1 */

	const char *const *words;	/* of a KIND_WORD, by value */
};

extern const struct key config_keys[];
extern const size_t config_nkeys;

/* NULL: there is none. */
const struct key *config_find_key(enum config_section, const char *name);

/* ---- the builder ---- */

struct config_builder {
	struct config *config;
	enum config_section open;
	unsigned int line;		/* of what is being taken */

	char *file;
	char error[CONFIG_ERROR_MAX];
	size_t error_len;
	char found[CONFIG_FOUND_MAX + 6];

	struct {
		unsigned int n, line;	/* the line of the last one */
	} seen[CONFIG_NSECTIONS];
	struct {
		bool yes;
		unsigned int line;
	} given[CONFIG_KEYS_MAX];	/* in the section's last instance */
	struct {
		const char *label;	/* NULL: nothing yet */
		unsigned int line;
	} first_of[3];			/* indexed by enum belongs */
};

/* Keeps the first error: FILE, `line` (0: none), and the parts up to a NULL.
 * -EINVAL. */
int config_fail(struct config_builder *, unsigned int line,
    const char *const parts[]);
#define FAIL(b, line, ...) \
	config_fail((b), (line), (const char *const[]){ __VA_ARGS__, NULL })

/* The same for a lack of memory.  -ENOMEM. */
int config_out_of_memory(struct config_builder *);

/* `value` in quotes, safe to print and not too long; until the next call. */
const char *config_quoted(struct config_builder *, const char *value);

/* 1 to `max` letters, digits and characters of `others`? */
bool config_is_name(const char *text, size_t max, const char *others);

/* A copy of `value` into the pointer at `field`.  0 or -ENOMEM. */
int config_store_text(struct config_builder *, void *field, const char *value);

/* ---- values: an option's text at b->line ---- */

/* Into the field of the object at `object`.  0, -EINVAL or -ENOMEM. */
int config_set(struct config_builder *, const struct key *,
    void *object, const char *const *values, size_t n);

/* permit(...) or deny(...) of a peer.  The same results. */
int config_set_rule(struct config_builder *, const struct key *,
    struct config_peer *, const char *const *values, size_t n);

/* Does something listen at this address? */
bool config_listens(const struct config *, const struct addr *);

/* Do both objects have the same value?  Not for what a reload can change. */
bool config_same(const struct key *, const void *x, const void *y);

/* ---- objects ---- */

/* Room for one more in the array that the pointer at `field` holds: a zeroed
 * element, which counts when the caller says so.  NULL if out of memory. */
void *config_grow(void *field, size_t count, size_t size);

/* Append an object for section `s`; its name is `title`.  0 or -ENOMEM. */
int config_add_object(struct config_builder *, enum config_section s,
    const char *title);

/* The same for a path of one relay; those of a file belong to the last. */
int config_add_path(struct config_builder *, struct config_relay *,
    const char *title);

/* The object that holds the `i`th such section; NULL if there are fewer. */
void *config_object(struct config *, enum config_section, size_t i);

#endif
