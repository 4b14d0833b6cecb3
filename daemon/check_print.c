/* SPDX-License-Identifier: ISC */
#include "check_print.h"

#include <json-c/json.h>

#define VERSION 1		/* of the schema */
#define NAME_WIDTH 18

/* ---- text ---- */

static void
print_commands(FILE *to, const char *when, const struct check_commands *c)
{
	for (size_t i = 0; i < c->n; i++)
		fprintf(to, "         %-5s %s\n", i == 0 ? when : "",
		    c->lines[i]);
}

static void
print_item(FILE *to, const struct check_item *item)
{
	fprintf(to, "%-8s %-*s %s%s%s\n", check_status_text(item->status),
	    NAME_WIDTH, item->name,
	    item->subject != NULL ? item->subject : "",
	    item->subject != NULL ? ": " : "", item->found);
	if (item->why != NULL)
		fprintf(to, "         why   %s\n", item->why);
	print_commands(to, "now", &item->now);
	print_commands(to, "keep", &item->keep);
}

static void
print_head(FILE *to, const struct check_head *h)
{
	fprintf(to, "%s%s%s; rorod ", h->file != NULL ? h->file :
	    "no configuration", h->role != NULL ? ": a " : "",
	    h->role != NULL ? h->role : "");
	if (h->pid != 0)
		fprintf(to, "runs as process %ld", h->pid);
	else
		fputs("does not run", to);
	fprintf(to, "%s\n\n", h->root ? "" :
	    "; we are not root, and do not see everything");
}

void
check_print_text(FILE *to, const struct check_head *h,
    const struct check_report *r, bool brief)
{
	struct list *node;

	if (!brief)
		print_head(to, h);
	list_each(node, &r->items) {
		const struct check_item *item = list_object(node,
		    struct check_item, list);

		if (!brief || item->status >= CHECK_WARNING)
			print_item(to, item);
	}
	if (!brief)
		fprintf(to, "\n%u ok, %u skipped, warnings: %u, errors: %u\n",
		    r->count[CHECK_OK], r->count[CHECK_SKIPPED],
		    r->count[CHECK_WARNING], r->count[CHECK_ERROR]);
}

/* ---- JSON ---- */

static struct json_object *
whole(struct json_object *o)
{
	if (o == NULL)
		check_out_of_memory();
	return o;
}

/* NULL is null. */
static struct json_object *
string(const char *text)
{
	return text != NULL ? whole(json_object_new_string(text)) : NULL;
}

static void
set(struct json_object *o, const char *key, struct json_object *value)
{
	if (json_object_object_add(o, key, value) != 0)
		check_out_of_memory();
}

static struct json_object *
commands(const struct check_commands *c)
{
	struct json_object *a = whole(json_object_new_array());

	for (size_t i = 0; i < c->n; i++)
		if (json_object_array_add(a, string(c->lines[i])) != 0)
			check_out_of_memory();
	return a;
}

static struct json_object *
item_object(const struct check_item *item)
{
	struct json_object *o = whole(json_object_new_object());

	set(o, "name", string(item->name));
	set(o, "subject", string(item->subject));
	set(o, "status", string(check_status_text(item->status)));
	set(o, "found", string(item->found));
	set(o, "why", string(item->why));
	set(o, "now", commands(&item->now));
	set(o, "keep", commands(&item->keep));
	return o;
}

static struct json_object *
items(const struct check_report *r)
{
	struct json_object *a = whole(json_object_new_array());
	struct list *node;

	list_each(node, &r->items)
		if (json_object_array_add(a, item_object(list_object(node,
		    struct check_item, list))) != 0)
			check_out_of_memory();
	return a;
}

static struct json_object *
counts(const struct check_report *r)
{
	struct json_object *o = whole(json_object_new_object());

	for (enum check_status s = CHECK_OK; s < CHECK_NSTATUS; s++)
		set(o, check_status_text(s),
		    whole(json_object_new_int64(r->count[s])));
	return o;
}

static struct json_object *
daemon_object(const struct check_head *h)
{
	struct json_object *o = whole(json_object_new_object());

	set(o, "running", whole(json_object_new_boolean(h->pid != 0)));
	set(o, "pid", h->pid != 0 ? whole(json_object_new_int64(h->pid)) :
	    NULL);
	return o;
}

void
check_print_json(FILE *to, const struct check_head *h,
    const struct check_report *r)
{
	static const char *const results[] = { "ok", "warning", "error" };
	struct json_object *o = whole(json_object_new_object());
	const char *text;

	set(o, "version", whole(json_object_new_int(VERSION)));
	set(o, "configuration", string(h->file));
	set(o, "role", string(h->role));
	set(o, "daemon", daemon_object(h));
	set(o, "root", whole(json_object_new_boolean(h->root)));
	set(o, "status", string(results[check_exit_status(r)]));
	set(o, "counts", counts(r));
	set(o, "items", items(r));
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
	    JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text != NULL)
		fprintf(to, "%s\n", text);
	else
		check_out_of_memory();
	json_object_put(o);
}
