/* SPDX-License-Identifier: ISC */
/*
 * What is written in files of /proc, in a configuration of OpenWrt and in what
 * iptables-save prints.  Text in, values out; nothing here looks at the
 * machine.
 */
#ifndef CHECK_TEXT_H
#define CHECK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/acl.h"
#include "core/addr.h"

/* One number, with nothing around it but blanks. */
bool check_text_number(const char *, uint64_t *);

/* Up to `n` numbers with blanks between them; how many there were. */
size_t check_text_numbers(const char *, uint64_t *, size_t n);

/* Is there this word, between blanks? */
bool check_text_has(const char *list, const char *word);

/* The next listening socket of /proc/net/tcp or tcp6 from *text on, which moves
 * behind it; false: there is none. */
struct check_socket {
	struct addr address;
	uint64_t inode;
};
bool check_text_listener(const char **text, struct check_socket *);

/* "Max open files" and the like in /proc/PID/limits; UINT64_MAX: unlimited. */
bool check_text_limit(const char *, const char *name, uint64_t *soft,
    uint64_t *hard);

/* The first number of a line of /proc/PID/status ("Uid"), in this base. */
bool check_text_status(const char *, const char *field, int base, uint64_t *);

/* The last number that is given to a name of a unit of systemd. */
bool check_text_assignment(const char *, const char *name, uint64_t *);

/* The service of systemd that /proc/PID/cgroup names. */
#define CHECK_UNIT_MAX 128
bool check_text_unit(const char *, char unit[static CHECK_UNIT_MAX]);

/* The value of an option in the first section of a type, in a file of UCI. */
#define CHECK_UCI_MAX 64
bool check_text_uci(const char *, const char *type, const char *option,
    char value[static CHECK_UCI_MAX]);

/* Which destination ports a rule of a firewall is about. */
#define CHECK_PORTS_MAX 15	/* as many as xt_multiport has */
struct check_ports {
	bool except;		/* all but these */
	size_t n;
	struct acl_ports ranges[CHECK_PORTS_MAX];
};

bool check_ports_have(const struct check_ports *, uint16_t port);

/* The next rule with this target in what iptables-save printed, from *text on,
 * which moves behind it; false: there is none. */
#define CHECK_CHAIN_MAX 32
#define CHECK_SPEC_MAX 512
struct check_xt_rule {
	char chain[CHECK_CHAIN_MAX];
	char spec[CHECK_SPEC_MAX];	/* all of it behind -A; "": too long */
	bool tcp, udp;			/* it may be about these, */
	struct check_ports ports;	/* to these */
};
bool check_text_xt_rule(const char **text, const char *target,
    struct check_xt_rule *);

#endif
