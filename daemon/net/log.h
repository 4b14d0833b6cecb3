/* SPDX-License-Identifier: ISC */
/*
 * Lines to stderr or syslog, four levels.  A line starts with its object:
 * "session 17 [192.0.2.6]:40112: reset by server".  Nothing from the wire is
 * ever printed unescaped: addresses are numeric and codes are words of ours.
 */
#ifndef NET_LOG_H
#define NET_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG };

void log_init(enum log_level, bool use_syslog);
void log_set_level(enum log_level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* For lines that a peer or a client can cause: at most `burst` in ten seconds
 * per limit; the first after a pause says how many were left out.  One static
 * limit per kind of line. */
struct log_limit {
	uint32_t burst;		/* 0 means 5 */
	uint64_t since_us;
	uint32_t count, dropped;
};
void log_limited(struct log_limit *, enum log_level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
