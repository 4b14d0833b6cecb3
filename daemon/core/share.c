/* SPDX-License-Identifier: ISC */
#include "share.h"

#define SECOND UINT64_C(1000000)
#define FORGET_US (10 * SECOND)
#define FORGET_BYTES (UINT64_C(1) << 18)
#define ENOUGH_BYTES SHARE_BLOCK_BYTES	/* to say what is lost of it */
#define APART_US (SECOND / 2)	/* looks that are further apart say nothing of
				 * the time between */

static void
halve(struct share *s)
{
	s->sent_bytes /= 2;
	s->again_bytes /= 2;
}

static void
end_block(struct share *s, uint64_t now)
{
	bool lossy = 1000 * s->block_again >= SHARE_LOSSY * s->block_bytes;

	s->lossy = lossy ? s->lossy + 1 : 0;
	s->block_bytes = s->block_again = 0;
	s->block_us = now;
}

void
share_add(struct share *s, uint64_t acked, uint64_t sent, uint64_t again,
    uint64_t now)
{
	s->acked_bytes += acked;
	for (; s->sent_bytes > 0 && now >= s->forgot_us + FORGET_US;
	    s->forgot_us += FORGET_US)
		halve(s);
	if (s->sent_bytes == 0)
		s->forgot_us = now;
	s->sent_bytes += sent;
	s->again_bytes += again;
	if (s->block_bytes == 0)
		s->block_us = now;
	s->block_bytes += sent;
	s->block_again += again;
	if (now >= s->block_us + SHARE_BLOCK_US &&
	    s->block_bytes >= SHARE_BLOCK_BYTES)
		end_block(s, now);
	while (s->sent_bytes > FORGET_BYTES)
		halve(s);
}

unsigned int
share_lost_permille(const struct share *s, uint64_t now)
{
	uint64_t halves = (now - s->forgot_us) / FORGET_US;

	if (halves > 32 || s->sent_bytes >> halves < ENOUGH_BYTES ||
	    s->again_bytes > s->sent_bytes)
		return 0;
	return (unsigned int)(1000 * s->again_bytes / s->sent_bytes);
}

bool
share_is_lossy(const struct share *s)
{
	return s->lossy >= SHARE_LOSSY_BLOCKS;
}

static void
begin_window(struct share *s)
{
	s->loaded_us = s->bytes = s->all = 0;
}

/* At the end of a window, when it is in use. */
static bool
has_become_poor(struct share *s, uint64_t now)
{
	bool grows = s->bytes > s->most + s->most / 2;

	if (s->bytes > s->most)
		s->most = s->bytes;
	if (s->bytes * SHARE_LEAST >= s->all) {
		s->small = 0;
		s->wait_us = 0;
		return false;
	}
	s->small = grows ? 0 : s->small + 1;
	if (s->small < SHARE_WINDOWS)
		return false;
	s->wait_us = s->wait_us == 0 ? SHARE_WAIT_US : 2 * s->wait_us;
	if (s->wait_us > SHARE_WAIT_MAX_US)
		s->wait_us = SHARE_WAIT_MAX_US;
	s->poor_until = now + s->wait_us;
	s->rate_bytes_s = s->bytes * SECOND / s->loaded_us;
	return true;
}

/* And when it is not: the others may have become poorer. */
static bool
are_others_poor(const struct share *s)
{
	return s->all * SECOND / s->loaded_us <
	    s->rate_bytes_s * SHARE_LEAST / 2;
}

static bool
look_poor(struct share *s, bool whole, uint64_t now)
{
	if (now < s->poor_until && !(whole && are_others_poor(s)))
		return false;
	s->poor_until = 0;
	s->small = 0;
	s->most = 0;
	return true;
}

bool
share_look(struct share *s, bool loaded, uint64_t all, uint64_t rtt_us,
    uint64_t now)
{
	uint64_t passed = now - s->looked_us;
	bool whole, changed = false;

	if (loaded && s->loaded && passed <= APART_US) {
		s->loaded_us += passed;
		s->bytes += s->acked_bytes - s->looked_bytes;
		s->all += all - s->looked_all;
	}
	s->loaded = loaded;
	s->looked_us = now;
	s->looked_bytes = s->acked_bytes;
	s->looked_all = all;
	whole = s->loaded_us >= SHARE_WINDOW_US && s->loaded_us >= 2 * rtt_us;
	if (s->poor_until != 0)
		changed = look_poor(s, whole, now);
	else if (whole)
		changed = has_become_poor(s, now);
	if (whole || changed)
		begin_window(s);
	return changed;
}

bool
share_is_poor(const struct share *s)
{
	return s->poor_until != 0;
}
