/* SPDX-License-Identifier: ISC */
/*
 * The interfaces of this machine and their addresses, as they are at a moment.
 */
#ifndef NET_IFACES_H
#define NET_IFACES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

struct ifaces;

/* NULL: the kernel does not say.  Nothing is missing then, below.
 * ifaces_free() accepts NULL. */
struct ifaces *ifaces_look(void);
void ifaces_free(struct ifaces *);

/* Why nothing can be sent to somebody of `family` (0: not known) over
 * `interface` (NULL: any) from `source` (family 0: any), a literal for the log;
 * NULL: it can.  Without a source the interface needs an address of its own, or
 * the kernel would take that of another one; but for point-to-point links,
 * where that is what is meant.  A source may be on any interface. */
const char *ifaces_missing(const struct ifaces *, const char *interface,
    const struct addr *source, uint8_t family);

/* Another number when other addresses are on an interface (NULL: on any). */
uint64_t ifaces_print(const struct ifaces *, const char *interface);

/* Is it an address of ours?  The port is not looked at. */
bool ifaces_have(const struct ifaces *, const struct addr *);

#endif
