/* SPDX-License-Identifier: ISC */
/*
 * As in leg.c, and for the same reasons: what the local end sent before its
 * reset is read first; an error that write() took makes the end of file that
 * read() then sees a lie, unless it was EPIPE.
 */
#include "base_local.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "net/hangup.h"
#include "net/sockopt.h"

#define SPANS 16
#define READS 4			/* in one event, so others get their turn */
#define READ_BYTES (64u << 10)

static uint8_t bytes[READ_BYTES];

static void
break_off(struct base_local *l, int error)
{
	if (l->broken == 0)
		l->broken = error;
}

/* Without memory the kernel fails, and the connection goes on: nobody but us
 * would end it. */
static void
write_failed(struct base_local *l, int error)
{
	if (error == ENOMEM || error == ENOBUFS)
		l->failed = true;
	else
		break_off(l, error);
}

bool
base_local_reads(const struct base_local *l)
{
	return !l->read_ended && base_room(l->base) > 0;
}

bool
base_local_writes(const struct base_local *l)
{
	struct span span;

	return l->broken == 0 && base_peek(l->base, &span, 1) > 0;
}

/* `error` is 0 at the end of file. */
static void
read_end(struct base_local *l, int error)
{
	bool clean = error == 0 && (l->broken == 0 || l->broken == EPIPE);

	l->read_ended = true;
	if (clean) {
		base_give_end(l->base);
		sockopt_half_closed(l->stream.fd);
	} else {
		break_off(l, error != 0 ? error : ECONNRESET);
	}
}

int
base_local_read(struct base_local *l)
{
	for (int i = 0; i < READS && base_local_reads(l); i++) {
		struct span span = { bytes, base_room(l->base) };
		ssize_t got;
		int error;

		if (span.len > sizeof(bytes))
			span.len = sizeof(bytes);
		got = stream_read(&l->stream, &span, 1);
		if (got == -EAGAIN)
			return 0;
		if (got <= 0) {
			read_end(l, (int)-got);
			return 0;
		}
		if ((error = base_give(l->base, bytes, (size_t)got)) != 0)
			return error;
		traffic_from(l->traffic, (size_t)got);
		if ((size_t)got < span.len)
			return 0;
	}
	return 0;
}

static size_t
total(const struct span spans[], int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += spans[i].len;
	return len;
}

bool
base_local_write(struct base_local *l)
{
	struct span spans[SPANS];
	bool progress = false;
	int n;

	while (!l->failed && (n = base_peek(l->base, spans, SPANS)) > 0) {
		size_t len = total(spans, n);
		ssize_t sent = (ssize_t)len;

		if (l->broken == 0)
			sent = stream_write(&l->stream, spans, n);
		if (sent == -EAGAIN || sent == 0)
			break;
		if (sent < 0) {
			write_failed(l, (int)-sent);
			continue;
		}
		base_consume(l->base, (size_t)sent);
		traffic_to(l->traffic, (size_t)sent);
		progress = true;
		if ((size_t)sent < len)
			break;
	}
	return progress;
}

void
base_local_shut(struct base_local *l)
{
	int error = -stream_shutdown(&l->stream);

	if (error == 0) {
		l->fin_sent = true;
		sockopt_half_closed(l->stream.fd);
		return;
	}
	if (error == ENOTCONN)		/* it broke: by what? */
		base_local_look(l);
	write_failed(l, error);
}

void
base_local_look(struct base_local *l)
{
	int error;

	if (l->stream.fd == -1 || l->broken != 0)
		return;
	if ((error = hangup_error(l->stream.fd)) != 0)
		break_off(l, error);
}
