/* SPDX-License-Identifier: ISC */
#include "request.h"

#include <stdbool.h>
#include <string.h>

#define WORDS_MAX 4			/* one more than any request has */
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct word {
	const char *text;
	size_t len;
};

static const struct {
	const char *first, *second;	/* second NULL: there is none */
	bool prefix;			/* one follows */
	enum request_kind kind;
} requests[] = {
	{ "status", NULL, false, REQUEST_STATUS },
	{ "bypass", "list", false, REQUEST_BYPASS_LIST },
	{ "bypass", "add", true, REQUEST_BYPASS_ADD },
	{ "bypass", "del", true, REQUEST_BYPASS_DEL },
	{ "intercept", "on", false, REQUEST_INTERCEPT_ON },
	{ "intercept", "off", false, REQUEST_INTERCEPT_OFF },
};

/* How many there are, but no more than WORDS_MAX. */
static size_t
split(struct word words[WORDS_MAX], const char *line, size_t len)
{
	size_t n = 0, i = 0;

	while (n < WORDS_MAX) {
		while (i < len && line[i] == ' ')
			i++;
		if (i == len)
			break;
		words[n].text = &line[i];
		while (i < len && line[i] != ' ')
			i++;
		words[n].len = (size_t)(&line[i] - words[n].text);
		n++;
	}
	return n;
}

static bool
is(const struct word *w, const char *text)
{
	return w->len == strlen(text) && memcmp(w->text, text, w->len) == 0;
}

static bool
parse_prefix(struct addr_prefix *prefix, const struct word *w)
{
	char text[ADDR_PREFIX_TEXT_MAX];

	if (w->len >= sizeof(text) || memchr(w->text, '\0', w->len) != NULL)
		return false;
	memcpy(text, w->text, w->len);
	text[w->len] = '\0';
	return addr_prefix_parse(prefix, text) == 0;
}

const char *
request_parse(struct request *r, const char *line, size_t len)
{
	struct word words[WORDS_MAX];
	size_t n = split(words, line, len);

	*r = (struct request){ .kind = REQUEST_STATUS };
	for (size_t i = 0; i < LENGTH(requests); i++) {
		size_t most = requests[i].second == NULL ? 1 : 2;

		if (n != most + requests[i].prefix ||
		    !is(&words[0], requests[i].first) ||
		    (most == 2 && !is(&words[1], requests[i].second)))
			continue;
		r->kind = requests[i].kind;
		if (requests[i].prefix && !parse_prefix(&r->prefix, &words[2]))
			return "expected a prefix like 192.0.2.0/24 or "
			    "2001:db8::/32, with no bit set beyond its length";
		return NULL;
	}
	return "expected status, bypass list, bypass add PREFIX, bypass del "
	    "PREFIX, intercept on or intercept off";
}
