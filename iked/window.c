// SPDX-License-Identifier: BSD-2-Clause
#include "iked/window.h"

#include <stdlib.h>

#include "iked/bounds.h"

enum window_verdict window_ask(const struct window *w, const struct ike_header *h)
{
	if (ike_is_response(h))
		return w->request && h->id == w->out_id ? WINDOW_NEW : WINDOW_DROP;
	if (h->id == w->in_id)
		return WINDOW_NEW;
	return h->id + 1 == w->in_id ? WINDOW_AGAIN : WINDOW_DROP;
}

__u64 window_wait(unsigned int tries)
{
	__u64 wait = RETRANSMIT_MS;

	while (tries-- > 1 && wait < RETRANSMIT_MAX_MS)
		wait *= 2;
	return wait < RETRANSMIT_MAX_MS ? wait : RETRANSMIT_MAX_MS;
}

void window_free(struct window *w, struct timers *timers)
{
	timer_stop(timers, &w->again);
	timer_stop(timers, &w->forget);
	free(w->request);
	free(w->response);
	w->request = NULL;
	w->response = NULL;
}
