// SPDX-License-Identifier: BSD-2-Clause
/*
 * Peers that come from elsewhere than xipsecd says (RFC 3948): it is told once a second until it
 * gives the SA again, which says where the peer is now.
 */
#include "worker/loop.h"

#include <string.h>

#include "worker/sa.h"

#define PEER_GAP 1000 /* ms */

void peer_tell(struct worker *w, struct sa_place *place)
{
	struct sa *sa = place->sa;
	struct ctl_peer msg = {.index = sa->index,
			       .generation = sa->generation,
			       .addr = sa->peer,
			       .port = sa->peer_port};

	if (!memcmp(&sa->peer, &sa->src, sizeof(sa->src)) && sa->peer_port == place->src_port) {
		sa->peer_changed = 0; /* it is back */
		return;
	}
	w->peers_wait = true;
	if (w->now_ms < place->next_peer)
		return;
	place->next_peer = w->now_ms + PEER_GAP;
	/* Lost where the channel is full: it is said again. */
	ctl_send(w->ctl, XIPSEC_CTL_PEER, &msg, sizeof(msg));
}

void peers_tick(struct worker *w)
{
	if (!w->peers_wait || w->now_ms < w->next_peers)
		return;
	w->next_peers = w->now_ms + PEER_GAP;
	w->peers_wait = false;
	for (__u32 i = 0; i < w->n_sas; i++)
		if (w->sas[i].sa && w->sas[i].sa->peer_changed)
			peer_tell(w, &w->sas[i]);
}
