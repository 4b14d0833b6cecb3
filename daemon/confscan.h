/* SPDX-License-Identifier: ISC */
/*
 * A strict look at the text of a configuration file, before libconfuse gets it.
 *
 *	file:		{ statement }
 *	statement:	NAME "=" value
 *			NAME "=" "{" value { "," value } "}"
 *			NAME "(" value { "," value } ")"
 *			NAME [ value ] "{" { statement } "}"
 *	value:		WORD | "text" | 'text'
 *
 * A value begins on the line of its "=".  A WORD is of letters, digits and
 * _-.:/[]; quoted text is of printable ASCII without its quote, \ and $, and
 * ends on its line.  A comment is from # to the end of the line.
 */
#ifndef CONFSCAN_H
#define CONFSCAN_H

#include <stddef.h>

struct confscan {
	/* The line on which each section begins, in the order in which the
	 * sections end. */
	unsigned int *begins;
	size_t nbegins;

	/* What is wrong, and where (0: in the file as a whole). */
	unsigned int line;
	char error[200];
};

/* Check the `len` bytes at `text`, and overwrite comments (and the CR before an
 * LF) with spaces.  0 or -EINVAL with `error` set; confscan_clear() in both
 * cases. */
int confscan_check(struct confscan *, char *text, size_t len);

void confscan_clear(struct confscan *);

#endif
