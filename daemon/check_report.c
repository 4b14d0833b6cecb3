/* SPDX-License-Identifier: ISC */
#include "check_report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSCTL_FILE "/etc/sysctl.d/90-ro-ro-tcp.conf"

static const char *const statuses[] = {
	[CHECK_OK] = "ok",
	[CHECK_SKIPPED] = "skipped",
	[CHECK_WARNING] = "warning",
	[CHECK_ERROR] = "error",
};
static_assert(sizeof(statuses) / sizeof(statuses[0]) == CHECK_NSTATUS,
    "a word each");

/* ---- memory and text ---- */

void
check_out_of_memory(void)
{
	fputs("roroctl: out of memory\n", stderr);
	exit(2);
}

void *
check_alloc(size_t size)
{
	void *p = calloc(1, size > 0 ? size : 1);

	if (p == NULL)
		check_out_of_memory();
	return p;
}

void *
check_grow(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n > 0 ? n : 1, size);
	if (p == NULL)
		check_out_of_memory();
	return p;
}

__attribute__((format(printf, 1, 0))) static char *
format(const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) == -1)
		check_out_of_memory();
	return text;
}

char *
check_format(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	return text;
}

/* How many bytes the character of UTF-8 at `p` has; 0: it is none.  Overlong
 * forms and surrogates are let through: they harm nobody here. */
static size_t
utf8_length(const unsigned char *p)
{
	size_t n = *p >= 0xf0 && *p < 0xf5 ? 4 : *p >= 0xe0 && *p < 0xf0 ? 3 :
	    *p >= 0xc2 && *p < 0xe0 ? 2 : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* C1 control characters, which some terminals obey. */
	if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return 0;
	return n;
}

static void
clean(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p != '\0') {
		size_t n = *p >= ' ' && *p < 0x7f ? 1 : utf8_length(p);

		if (n == 0) {
			*p = '?';
			n = 1;
		}
		p += n;
	}
}

char *
check_quote(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
	size_t quotes = 0;
	char *quoted, *p;

	if (*text != '\0' && text[strspn(text, plain)] == '\0')
		return check_format("%s", text);
	for (const char *q = text; *q != '\0'; q++)
		quotes += *q == '\'';
	p = quoted = check_alloc(strlen(text) + 3 * quotes + 3);
	*p++ = '\'';
	for (; *text != '\0'; text++) {
		*p++ = *text;
		if (*text == '\'') {	/* out of the quotes and in again */
			memcpy(p, "\\''", 3);
			p += 3;
		}
	}
	memcpy(p, "'", 2);
	return quoted;
}

/* ---- items ---- */

void
check_report_init(struct check_report *r)
{
	*r = (struct check_report){ 0 };
	list_init(&r->items);
}

static void
free_commands(struct check_commands *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->lines[i]);
	free(c->lines);
}

void
check_report_free(struct check_report *r)
{
	struct list *node, *after;

	list_each_safe(node, after, &r->items) {
		struct check_item *item = list_object(node, struct check_item,
		    list);

		list_unlink(node);
		free(item->subject);
		free(item->found);
		free(item->why);
		free_commands(&item->now);
		free_commands(&item->keep);
		free(item);
	}
}

int
check_exit_status(const struct check_report *r)
{
	return r->count[CHECK_ERROR] > 0 ? 2 :
	    r->count[CHECK_WARNING] > 0 ? 1 : 0;
}

const char *
check_status_text(enum check_status status)
{
	return statuses[status];
}

struct check_item *
check_add(struct check_report *r, enum check_status status, const char *name,
    const char *subject, const char *found, ...)
{
	struct check_item *item = check_alloc(sizeof(*item));
	va_list ap;

	item->name = name;
	item->status = status;
	if (subject != NULL && subject[0] != '\0') {
		item->subject = check_format("%s", subject);
		clean(item->subject);
	}
	va_start(ap, found);
	item->found = format(found, ap);
	va_end(ap);
	clean(item->found);
	list_append(&r->items, &item->list);
	r->count[status]++;
	return item;
}

void
check_soften(struct check_report *r, struct check_item *item, const char *why)
{
	char *own = item->why;

	if (item->status != CHECK_ERROR)
		return;
	item->why = NULL;
	check_why(item, "%s%s%s", own != NULL ? own : "",
	    own != NULL ? "; " : "", why);
	free(own);
	r->count[item->status]--;
	item->status = CHECK_WARNING;
	r->count[item->status]++;
}

void
check_why(struct check_item *item, const char *fmt, ...)
{
	va_list ap;

	assert(item->why == NULL);
	va_start(ap, fmt);
	item->why = format(fmt, ap);
	va_end(ap);
	clean(item->why);
}

static void
add_command(struct check_commands *c, char *line)
{
	clean(line);
	c->lines = check_grow(c->lines, c->n + 1, sizeof(*c->lines));
	c->lines[c->n++] = line;
}

void
check_now(struct check_item *item, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_command(&item->now, format(fmt, ap));
	va_end(ap);
}

void
check_keep(struct check_item *item, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_command(&item->keep, format(fmt, ap));
	va_end(ap);
}

/* A command with one word that may need quotes. */
static void
add_quoted(struct check_commands *c, const char *before, const char *text,
    const char *after)
{
	char *word = check_quote(text);

	add_command(c, check_format("%s%s%s", before, word, after));
	free(word);
}

void
check_sysctl(struct check_item *item, const char *value, const char *path, ...)
{
	va_list ap;
	char *key, *now, *keep;

	va_start(ap, path);
	key = format(path, ap);
	va_end(ap);
	/* With a dot in it, as in eth0.5, the slashes have to stay. */
	if (strchr(key, '.') == NULL)
		for (char *p = key; (p = strchr(p, '/')) != NULL; )
			*p = '.';
	now = check_format("%s=%s", key, value);
	keep = check_format("%s = %s", key, value);
	add_quoted(&item->now, "sysctl -w ", now, "");
	add_quoted(&item->keep, "echo ", keep, " >>" SYSCTL_FILE);
	free(key);
	free(now);
	free(keep);
}
