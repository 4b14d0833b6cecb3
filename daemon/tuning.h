/* SPDX-License-Identifier: ISC */
/*
 * What the configuration of a path or a peer means for its sockets.
 */
#ifndef TUNING_H
#define TUNING_H

#include "core/config.h"
#include "net/sockopt.h"

/* Options of a subflow's socket where `n` subflows share the link.  No
 * keepalive: the extended protocol asks by itself.  `congestion` stays the
 * configuration's. */
struct sockopt_subflow tuning_subflow(const struct config_socket *,
    unsigned int n);

#endif
