/* SPDX-License-Identifier: ISC */
#include "check_private.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* "intercepting" is null without rules of any kind, and its "families" are with
 * rules of the operator's. */
char *
check_closed(const char *answer)
{
	struct json_object *o = json_tokener_parse(answer);
	struct json_object *intercepting = NULL, *families = NULL;
	struct json_object *reason = NULL;
	char *text = NULL;

	if (json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, "intercepting", &intercepting) &&
	    json_object_is_type(intercepting, json_type_object) &&
	    json_object_object_get_ex(intercepting, "families", &families) &&
	    json_object_is_type(families, json_type_array) &&
	    json_object_array_length(families) == 0 &&
	    json_object_object_get_ex(intercepting, "reason", &reason))
		text = check_format("%s", json_object_get_string(reason));
	json_object_put(o);
	return text;
}
