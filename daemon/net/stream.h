/* SPDX-License-Identifier: ISC */
/*
 * A connected, non-blocking TCP socket on the event loop: the only place that
 * reads and writes TCP payload.  It has no buffers of its own (core has them)
 * and no opinion on when to read: its owner derives interest from room and
 * data after each event and says so with stream_want(), nowhere else.
 *
 * A stream is armed to reset: as long as stream_disarm() was not called,
 * closing it (or the death of the process) sends RST and never a clean FIN, so
 * a cut is never taken for an end (SO_LINGER {1, 0}, ecosystem finding: a
 * killed process otherwise closes cleanly).
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/span.h"

struct stream;

/* `revents` is EV_READ and/or EV_WRITE.  The stream may be closed inside, but
 * its memory has to stay until the next turn of the loop (see reap.h). */
typedef void stream_event(struct stream *, int revents);

struct stream {
	struct ev_loop *loop;
	ev_io io;		/* private */
	int fd;			/* -1 once closed */
	int interest;		/* private: what the watcher waits for now */
	stream_event *on_event;
	void *user;
};

/* Takes `fd`, sets it non-blocking, TCP_NODELAY, SO_OOBINLINE and armed to
 * reset; waits for nothing yet. */
void stream_open(struct stream *, struct ev_loop *, int fd, stream_event *,
    void *user);

/* > 0: bytes; 0: end of file; -EAGAIN; other -errno: the connection is over
 * (-ECONNRESET, -ETIMEDOUT, ...).  EINTR is retried. */
ssize_t stream_read(struct stream *, const struct span[], int n);

/* >= 0: bytes taken by the kernel, perhaps fewer; -EAGAIN; other -errno: the
 * connection is over.  Never raises SIGPIPE. */
ssize_t stream_write(struct stream *, const struct span[], int n);

/* The one place where the watcher changes.  Closed streams ignore it. */
void stream_want(struct stream *, bool read, bool write);

/* FIN after what was written.  0 or -errno. */
int stream_shutdown(struct stream *);

/* From here on closing is orderly: what the kernel still holds is sent. */
void stream_disarm(struct stream *);

/* Bytes that the kernel has not yet seen acknowledged by the far end (SIOCOUTQ)
 * and those not yet sent at all (SIOCOUTQNSD); 0 when closed. */
size_t stream_unacked(const struct stream *);
size_t stream_unsent(const struct stream *);

/* Stop the watcher and close: RST while armed, orderly otherwise.  Twice is
 * harmless. */
void stream_close(struct stream *);

/* RST now, whatever was armed. */
void stream_reset(struct stream *);

#endif
