/* SPDX-License-Identifier: ISC */
#ifndef NET_REACH_H
#define NET_REACH_H

#include <stdbool.h>
#include <stdint.h>

/* Is there a route to the Internet for family 4 or 6?  Nothing is sent. */
bool reach_family(uint8_t family);

#endif
