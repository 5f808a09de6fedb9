// SPDX-License-Identifier: BSD-2-Clause
#include "lib/accept_pause.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "lib/log.h"

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	struct accept_pause *pause = ctx;

	pause->resume(pause->ctx);
}

int accept_pause_open(struct accept_pause *pause, struct event_base *base, const char *whom,
		      void (*resume)(void *ctx), void *ctx)
{
	*pause = (struct accept_pause){.whom = whom, .resume = resume, .ctx = ctx};
	pause->again = evtimer_new(base, on_again, pause);
	return pause->again ? 0 : -ENOMEM;
}

void accept_pause_begin(struct accept_pause *pause, int err)
{
	static const struct timeval second = {.tv_sec = 1};

	event_add(pause->again, &second);
	if (!pause->said)
		log_warn("%s cannot be accepted: %s; it is tried again each second", pause->whom,
			 strerror(err));
	pause->said = true;
}

void accept_pause_over(struct accept_pause *pause)
{
	pause->said = false;
}

void accept_pause_close(struct accept_pause *pause)
{
	if (pause->again)
		event_free(pause->again);
	pause->again = NULL;
}
