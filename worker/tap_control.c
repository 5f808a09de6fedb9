// SPDX-License-Identifier: BSD-2-Clause
/* What xipsecd says about TAPs. */
#include "worker/tap_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

static int make_room(struct worker *w)
{
	struct tap *taps = realloc(w->taps, (w->n_taps + 1) * sizeof(*taps));

	if (!taps)
		return -ENOMEM;
	w->taps = taps;
	if (!w->tap_buffer)
		w->tap_buffer = malloc(w->frames.size + TAP_FRAME_MAX);
	return w->tap_buffer ? 0 : -ENOMEM;
}

/* One with the same if_id takes the place of the former, which somebody has deleted. */
int taps_add(struct worker *w, struct ctl_in *in)
{
	const struct ctl_tap *msg = &in->msg.tap;
	struct tap *tap = tap_find(w, msg->if_id);
	int err;

	if (!tap) {
		if (w->n_taps == TAPS_MAX) {
			log_error("more than %u tunnels", TAPS_MAX - 1);
			return -EPROTO;
		}
		err = make_room(w);
		if (err)
			return err;
		tap = &w->taps[w->n_taps++];
		*tap = (struct tap){.fd = -1, .if_id = msg->if_id};
	}
	if (tap->fd >= 0)
		close(tap->fd);
	tap->fd = in->fd[0];
	in->fd[0] = -1; /* its own now */
	tap->wait = 0;
	memcpy(tap->mac, msg->mac, sizeof(tap->mac));
	return worker_polls_changed(w);
}

int taps_gone(struct worker *w, __u32 if_id)
{
	struct tap *tap = tap_find(w, if_id);

	if (!tap)
		return 0;
	if (tap->fd >= 0)
		close(tap->fd);
	*tap = w->taps[--w->n_taps];
	return worker_polls_changed(w);
}

int taps_seal_with(struct worker *w, const struct ctl_tap_sa *msg)
{
	struct tap *tap = tap_find(w, msg->if_id);

	if (!tap || !msg->if_id || msg->index >= w->n_sas) {
		log_error("SA %u for the tunnel of if_id %u makes no sense", msg->index,
			  msg->if_id);
		return -EPROTO;
	}
	tap->sa_index = msg->index;
	tap->sa_generation = msg->generation;
	return 0;
}

void taps_free(struct worker *w)
{
	for (unsigned int i = 0; i < w->n_taps; i++)
		if (w->taps[i].fd >= 0)
			close(w->taps[i].fd);
	free(w->taps);
	free(w->tap_buffer);
}
