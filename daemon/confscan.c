/* SPDX-License-Identifier: ISC */
/*
 * Why a second scanner, when libconfuse has one?  libconfuse accepts a section
 * that is never closed, and "name =" with no value followed by a line whose
 * first word it then takes as the value.  It expands ${NAME}, also where nobody
 * wanted that, and its option names are paths ("a|b" sets b in section a).
 * Unquoted bytes that it does not know vanish.  Comments inside of a list
 * are an error, others miscount lines, and after an unterminated string its
 * scanner still thinks of being in one when the next file comes (a reload).
 *
 * What passes here is the plain subset on which we agree: tokens have one
 * meaning, every section ends, lines count right.  What names mean and which
 * may be there is not looked at.
 */
#include "confscan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"

#define DEPTH_MAX 8		/* of sections inside each other */
#define SHOWN_MAX 40		/* bytes of a token in an error */

enum token_kind {
	TOKEN_WORD,
	TOKEN_TEXT,		/* quoted */
	TOKEN_SIGN,		/* one of = { } ( ) , */
	TOKEN_END,
};

struct token {
	enum token_kind kind;
	unsigned int line;
	const char *start;	/* with its quotes */
	size_t len;
};

struct scanner {
	struct confscan *out;
	char *pos, *end;
	unsigned int line;
	struct token token;	/* the one that is looked at */

	struct token open[DEPTH_MAX];	/* names of the sections around */
	size_t depth;
};

/* ---- errors ---- */

__attribute__((format(printf, 3, 4)))
static int
fail(struct scanner *s, unsigned int line, const char *format, ...)
{
	va_list ap;

	s->out->line = line;
	va_start(ap, format);
	vsnprintf(s->out->error, sizeof(s->out->error), format, ap);
	va_end(ap);
	return -EINVAL;
}

/* What an error says of a token: the bytes at shown_text(), shown() of
 * them. */
static const char hidden[] = "what looks like a key";

static bool
is_secret(const struct token *t)
{
	return t->kind == TOKEN_TEXT ?
	    config_is_like_key(t->start + 1, t->len - 2) :
	    config_is_like_key(t->start, t->len);
}

static const char *
shown_text(const struct token *t)
{
	return is_secret(t) ? hidden : t->start;
}

static int
shown(const struct token *t)
{
	if (is_secret(t))
		return (int)sizeof(hidden) - 1;
	return (int)(t->len < SHOWN_MAX ? t->len : SHOWN_MAX);
}

static int
fail_expected(struct scanner *s, const char *what)
{
	const struct token *t = &s->token;

	if (t->kind == TOKEN_END)
		return fail(s, t->line, "expected %s, found the end of the "
		    "file", what);
	return fail(s, t->line, "expected %s, found %.*s", what, shown(t),
	    shown_text(t));
}

/* ---- tokens ---- */

static bool
in_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') ||
	    (c != '\0' && strchr("_-.:/[]", c) != NULL);
}

/* A byte that cannot stand where it is. */
static int
fail_byte(struct scanner *s, const char *p)
{
	unsigned char c = (unsigned char)*p;

	if (c == '$')
		return fail(s, s->line, "expected no $, since variables are "
		    "not expanded here");
	if (c == '\\')
		return fail(s, s->line, "expected no \\, since it has no "
		    "meaning here");
	if (c < ' ' || c > '~')
		return fail(s, s->line, "expected printable ASCII outside of "
		    "comments, found byte 0x%02x", c);
	return fail(s, s->line, "expected a word, or text in quotes, found %c",
	    c);
}

/* Past white space and comments. */
static void
skip_blank(struct scanner *s)
{
	for (; s->pos < s->end; s->pos++) {
		bool last = s->pos + 1 == s->end;

		if (*s->pos == '#') {
			while (s->pos < s->end && *s->pos != '\n')
				*s->pos++ = ' ';
			if (s->pos == s->end)
				return;
		}
		if (*s->pos == '\n')
			s->line++;
		else if (*s->pos == '\r' && !last && s->pos[1] == '\n')
			*s->pos = ' ';
		else if (*s->pos != ' ' && *s->pos != '\t')
			return;
	}
}

static int
next_text(struct scanner *s)
{
	char quote = *s->pos++;

	for (; s->pos < s->end && *s->pos != quote; s->pos++) {
		if (*s->pos == '\n' || *s->pos == '\r')
			break;
		if (*s->pos == '\\' || *s->pos == '$' || *s->pos < ' ' ||
		    *s->pos > '~')
			return fail_byte(s, s->pos);
	}
	if (s->pos == s->end || *s->pos != quote)
		return fail(s, s->line, "expected %c before the end of the "
		    "line", quote);
	s->pos++;
	s->token.kind = TOKEN_TEXT;
	return 0;
}

static int
next_word(struct scanner *s)
{
	for (; s->pos < s->end && in_word(*s->pos); s->pos++)
		if (*s->pos == '/' && s->pos + 1 < s->end && s->pos[1] == '/')
			return fail(s, s->line, "expected # before a comment, "
			    "found //");
	s->token.kind = TOKEN_WORD;
	return 0;
}

static int
next(struct scanner *s)
{
	int result = 0;

	skip_blank(s);
	s->token = (struct token){
		.kind = TOKEN_END,
		.line = s->line,
		.start = s->pos,
	};
	if (s->pos == s->end)
		return 0;
	if (*s->pos == '"' || *s->pos == '\'') {
		result = next_text(s);
	} else if (in_word(*s->pos)) {
		result = next_word(s);
	} else if (*s->pos != '\0' && strchr("={}(),", *s->pos) != NULL) {
		s->token.kind = TOKEN_SIGN;
		s->pos++;
	} else {
		result = fail_byte(s, s->pos);
	}
	s->token.len = (size_t)(s->pos - s->token.start);
	return result;
}

static bool
is_sign(const struct token *t, char sign)
{
	return t->kind == TOKEN_SIGN && *t->start == sign;
}

static bool
is_value(const struct token *t)
{
	return t->kind == TOKEN_WORD || t->kind == TOKEN_TEXT;
}

/* ---- statements: each begins and ends with the next token in s->token ---- */

/* The values and commas up to `close`, which is taken too. */
static int
list(struct scanner *s, char close)
{
	char what[] = "a value, then , or ?";

	what[sizeof(what) - 2] = close;
	do {
		if (next(s) < 0)
			return -EINVAL;
		if (!is_value(&s->token))
			return fail_expected(s, "a value");
		if (next(s) < 0)
			return -EINVAL;
	} while (is_sign(&s->token, ','));
	return is_sign(&s->token, close) ? next(s) : fail_expected(s, what);
}

/* What follows "NAME =".  The value of the next option, or its name, must not
 * be taken for one that is missing here. */
static int
assignment(struct scanner *s, const struct token *name)
{
	if (next(s) < 0)
		return -EINVAL;
	struct token value = s->token;

	if (value.kind == TOKEN_END || value.line != name->line)
		return fail(s, name->line, "expected a value for %.*s, found "
		    "the end of the line", shown(name), shown_text(name));
	if (is_sign(&value, '{'))
		return list(s, '}');
	if (!is_value(&value))
		return fail(s, name->line, "expected a value for %.*s, found "
		    "%.*s", shown(name), shown_text(name), shown(&value),
		    shown_text(&value));
	if (next(s) < 0)
		return -EINVAL;
	if (is_sign(&s->token, '=') || is_sign(&s->token, '(') ||
	    is_sign(&s->token, '{'))
		return fail(s, name->line, "expected a value for %.*s, found "
		    "%.*s %c", shown(name), shown_text(name), shown(&value),
		    shown_text(&value), *s->token.start);
	return 0;
}

static int
begin_section(struct scanner *s, const struct token *name)
{
	if (s->depth == DEPTH_MAX)
		return fail(s, name->line, "expected no section here, inside "
		    "of %d others", DEPTH_MAX);
	s->open[s->depth++] = *name;
	return next(s);
}

static int
end_section(struct scanner *s)
{
	struct confscan *out = s->out;

	if (s->depth == 0)
		return fail_expected(s, "an option, a section or the end of "
		    "the file");
	unsigned int *p = reallocarray(out->begins, out->nbegins + 1,
	    sizeof(*p));
	if (p == NULL)
		return fail(s, 0, "out of memory");
	p[out->nbegins++] = s->open[--s->depth].line;
	out->begins = p;
	return next(s);
}

static int
statement(struct scanner *s)
{
	struct token name = s->token;

	if (is_sign(&name, '}'))
		return end_section(s);
	if (name.kind != TOKEN_WORD)
		return fail_expected(s, "an option or a section");
	if (next(s) < 0)
		return -EINVAL;
	if (is_sign(&s->token, '='))
		return assignment(s, &name);
	if (is_sign(&s->token, '('))
		return list(s, ')');
	if (is_value(&s->token) && s->token.line == name.line &&
	    next(s) < 0)
		return -EINVAL;
	if (is_sign(&s->token, '{'))
		return begin_section(s, &name);
	return fail(s, name.line, "expected = or { after %.*s", shown(&name),
	    shown_text(&name));
}

int
confscan_check(struct confscan *out, char *text, size_t len)
{
	struct scanner s = {
		.out = out,
		.pos = text,
		.end = text + len,
		.line = 1,
	};

	*out = (struct confscan){ .begins = NULL };
	if (memchr(text, '\0', len) != NULL)
		return fail(&s, 0, "expected text, found a NUL byte");
	if (next(&s) < 0)
		return -EINVAL;
	while (s.token.kind != TOKEN_END)
		if (statement(&s) < 0)
			return -EINVAL;
	if (s.depth > 0) {
		const struct token *t = &s.open[s.depth - 1];

		return fail(&s, t->line, "expected } at the end of section "
		    "%.*s, which begins here, found the end of the file",
		    shown(t), shown_text(t));
	}
	return 0;
}

void
confscan_clear(struct confscan *out)
{
	free(out->begins);
	out->begins = NULL;
	out->nbegins = 0;
}
