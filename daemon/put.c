/* SPDX-License-Identifier: ISC */
#include "put.h"

void
put_value(struct put *p, struct json_object *o, const char *name,
    struct json_object *value)
{
	if (value == NULL || o == NULL ||
	    json_object_object_add(o, name, value) != 0) {
		json_object_put(value);
		p->failed = true;
	}
}

void
put_null(struct put *p, struct json_object *o, const char *name)
{
	if (o == NULL || json_object_object_add(o, name, NULL) != 0)
		p->failed = true;
}

void
put_text(struct put *p, struct json_object *o, const char *name,
    const char *text)
{
	put_value(p, o, name, json_object_new_string(text));
}

void
put_number(struct put *p, struct json_object *o, const char *name,
    uint64_t number)
{
	put_value(p, o, name, json_object_new_int64((int64_t)number));
}

void
put_truth(struct put *p, struct json_object *o, const char *name,
    bool truth)
{
	put_value(p, o, name, json_object_new_boolean(truth));
}

void
put_element(struct put *p, struct json_object *array, struct json_object *value)
{
	if (value == NULL || array == NULL ||
	    json_object_array_add(array, value) != 0) {
		json_object_put(value);
		p->failed = true;
	}
}

void
put_element_text(struct put *p, struct json_object *array, const char *text)
{
	put_element(p, array, json_object_new_string(text));
}

struct json_object *
put_object(struct put *p, struct json_object *o, const char *name)
{
	struct json_object *new = json_object_new_object();

	put_value(p, o, name, new);
	return p->failed ? NULL : new;
}

struct json_object *
put_array(struct put *p, struct json_object *o, const char *name)
{
	struct json_object *new = json_object_new_array();

	put_value(p, o, name, new);
	return p->failed ? NULL : new;
}
