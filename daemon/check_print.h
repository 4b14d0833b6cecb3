/* SPDX-License-Identifier: ISC */
/*
 * What roroctl check prints: text for people, JSON for scripts, whose schema is
 * in roroctl(8).
 */
#ifndef CHECK_PRINT_H
#define CHECK_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "check_report.h"

/* What comes before the items. */
struct check_head {
	const char *file;	/* the configuration; NULL: there is none */
	const char *role;	/* "proxy" or "relay"; NULL: not known */
	long pid;		/* of the daemon; 0: it does not run */
	bool root;		/* everything can be seen */
};

/* With `brief`, only what is wrong. */
void check_print_text(FILE *, const struct check_head *,
    const struct check_report *, bool brief);

void check_print_json(FILE *, const struct check_head *,
    const struct check_report *);

#endif
