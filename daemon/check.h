/* SPDX-License-Identifier: ISC */
/*
 * roroctl check: is anything on this machine in rorod's way, and what mends it?
 * It looks at the kernel, the rules, the configuration, and whether the relay
 * answers.  Nothing is changed, but modules of the kernel may be loaded, as
 * rorod would at its start.
 */
#ifndef CHECK_H
#define CHECK_H

/* The `n` arguments that follow the command's name, which stands before them;
 * see roroctl(8).  An exit status: 0 all is well, 1 warnings, 2 errors, or the
 * arguments are wrong. */
int check(int n, char *const arguments[]);

#endif
