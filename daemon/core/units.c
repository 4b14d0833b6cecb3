/* SPDX-License-Identifier: ISC */
#include "units.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct unit {
	const char *name;
	uint64_t factor;
};

/* Ascending, the unit of a plain number first. */
static const struct unit rates[] = {
	{ "bit", 1 },
	{ "kbit", 1000 },
	{ "Mbit", 1000000 },
	{ "Gbit", 1000000000 },
	{ "Tbit", 1000000000000 },
};

static const struct unit times[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "min", 60 * 1000 },
	{ "h", 60 * 60 * 1000 },
};

static const struct unit sizes[] = {
	{ "B", 1 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "TiB", UINT64_C(1) << 40 },
};

static const struct {
	const struct unit *units;
	size_t n;
	bool plain;		/* a number other than 0 needs no unit */
} tables[] = {
	[UNITS_NONE] = { .plain = true },
	[UNITS_RATE] = { rates, LENGTH(rates), true },
	[UNITS_TIME] = { times, LENGTH(times), false },
	[UNITS_SIZE] = { sizes, LENGTH(sizes), true },
};

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
same_word(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return *a == '\0' && *b == '\0';
}

static int
digit(char c, unsigned int base)
{
	int d = -1;

	c = lower(c);
	if (c >= '0' && c <= '9')
		d = c - '0';
	else if (c >= 'a' && c <= 'f')
		d = c - 'a' + 10;
	return d < (int)base ? d : -1;
}

/* The digits at `*text`, which is moved past them, appended to `*n`. */
static int
take_digits(const char **text, unsigned int base, uint64_t *n)
{
	if (digit(**text, base) < 0)
		return -EINVAL;
	for (; digit(**text, base) >= 0; (*text)++) {
		uint64_t d = (uint64_t)digit(**text, base);

		if (__builtin_mul_overflow(*n, (uint64_t)base, n) ||
		    __builtin_add_overflow(*n, d, n))
			return -ERANGE;
	}
	return 0;
}

static int
find_factor(uint64_t *factor, enum units kind, const char *name, uint64_t n)
{
	if (name[0] == '\0') {
		*factor = 1;
		return tables[kind].plain || n == 0 ? 0 : -EINVAL;
	}
	for (size_t i = 0; i < tables[kind].n; i++) {
		if (same_word(tables[kind].units[i].name, name)) {
			*factor = tables[kind].units[i].factor;
			return 0;
		}
	}
	return -EINVAL;
}

int
units_parse(uint64_t *out, enum units kind, const char *text)
{
	uint64_t n = 0, factor, weight = 1;
	bool hex = kind == UNITS_NONE && text[0] == '0' &&
	    lower(text[1]) == 'x';
	int result;

	if (hex)
		text += 2;
	result = take_digits(&text, hex ? 16 : 10, &n);
	if (result == 0 && text[0] == '.' && kind != UNITS_NONE) {
		const char *point = text++;

		result = take_digits(&text, 10, &n);
		/* Zeros could be many. */
		for (const char *p = point + 1; p < text; p++)
			if (__builtin_mul_overflow(weight, 10, &weight))
				return -ERANGE;
	}
	if (result < 0)
		return result;
	result = find_factor(&factor, kind, text, n);
	if (result < 0)
		return result;
	if (__builtin_mul_overflow(n, factor, &n) || n % weight != 0)
		return -ERANGE;
	*out = n / weight;
	return 0;
}

const char *
units_format(char text[static UNITS_TEXT_MAX], enum units kind, uint64_t n)
{
	char digits[20];
	size_t i = 0;
	struct unit best = { "", 1 };
	char *p = text;

	for (size_t u = 0; n > 0 && u < tables[kind].n; u++)
		if (n % tables[kind].units[u].factor == 0)
			best = tables[kind].units[u];
	n /= best.factor;
	do {
		digits[i++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	while (i > 0)
		*p++ = digits[--i];
	memcpy(p, best.name, strlen(best.name) + 1);
	return text;
}
