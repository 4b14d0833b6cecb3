/* SPDX-License-Identifier: ISC */
/*
 * A session whose peer never heard of it, in another group.
 */
#include <assert.h>
#include <errno.h>

#include "group_private.h"

int
group_adopt(struct group *g, struct session *s, uint64_t now,
    struct session **session)
{
	struct session_env *e = &g->env;
	struct session *new;

	assert(e->proxy && !session_is_sent(s) && s->env != e &&
	    s->env->budget == e->budget);
	group_bury(g);
	if (g->next_number == 0)
		return -ENOSPC;
	if (e->numbers_in_use >= g->max_sessions)
		return -EAGAIN;
	if ((new = session_new(e, &s->open, now)) == NULL)
		return -ENOMEM;
	sendq_take(&new->out, &s->out);
	new->bytes_out = s->bytes_out;
	new->read_ended = s->read_ended;
	new->discard = s->discard;
	session_forget(s);
	session_schedule(new, now);
	session_make_ready(new);
	*session = new;
	return 0;
}
