/* SPDX-License-Identifier: ISC */
/*
 * The commands of roroctl that ask a running daemon: `n` arguments and options
 * that follow the command's name; an exit status.
 */
#ifndef ASK_H
#define ASK_H

/* Beside 0 (done), 1 (not) and 2 (wrong arguments). */
#define ASK_NOBODY 3		/* no daemon is there */

int ask_status(int n, char *const arguments[]);
int ask_bypass(int n, char *const arguments[]);
int ask_intercept(int n, char *const arguments[]);

#endif
