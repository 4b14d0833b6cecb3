/* SPDX-License-Identifier: ISC */
/*
 * Values put into a JSON document.  An object of json-c owns what is put into
 * it.  When memory runs out a value is missing, and `failed` says so: such a
 * document is not to be given to anybody.  An object or an array may then be
 * NULL.
 */
#ifndef PUT_H
#define PUT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

struct put {			/* of one document; zero at first */
	bool failed;
};

/* A member of an object.  Takes `value`; NULL: there was no memory for it. */
void put_value(struct put *, struct json_object *, const char *name,
    struct json_object *value);
void put_null(struct put *, struct json_object *, const char *name);
void put_text(struct put *, struct json_object *, const char *name,
    const char *text);
/* Below 2^63, of which no number of ours comes near. */
void put_number(struct put *, struct json_object *, const char *name,
    uint64_t number);
void put_truth(struct put *, struct json_object *, const char *name,
    bool truth);
/* Itself an object, or an array, which is returned: the document's. */
struct json_object *put_object(struct put *, struct json_object *,
    const char *name);
struct json_object *put_array(struct put *, struct json_object *,
    const char *name);

/* One more element of an array; as put_value(). */
void put_element(struct put *, struct json_object *array,
    struct json_object *value);
void put_element_text(struct put *, struct json_object *array,
    const char *text);

#endif
