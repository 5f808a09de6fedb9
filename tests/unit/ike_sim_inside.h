/* SPDX-License-Identifier: BSD-2-Clause */
/* What ike_sim.c and its neighbours share. */
#ifndef TESTS_UNIT_IKE_SIM_INSIDE_H
#define TESTS_UNIT_IKE_SIM_INSIDE_H

#include "tests/unit/ike_sim.h"

enum kind {
	EV_MESSAGE,
	EV_SADB,
	EV_SA_ANSWER,
	EV_NEW_EPOCH,
	EV_AUTH,
	EV_PSK,
	EV_PATHS,
	EV_ESP,
	EV_USED,
	EV_PROBE
};

struct sim_event {
	__u64 due, seq;
	enum kind kind;
	int to;
	struct ike_path path;
	__u64 id;
	int err;
	__u8 method;
	size_t len;
	__u8 *data; /* owned */
};

/* Takes over event->data. */
void sim_push(struct sim *sim, struct sim_event *event, __u64 due);
__u8 *sim_copy(const void *data, size_t len); /* of malloc() */
/* Of one datagram or packet, ms. */
__u64 sim_delay(struct sim *sim);

/* xipsecd (ike_sim_xipsecd.c) */
void sim_sa_add(void *ctx, __u64 id, const struct xipsec_sa *sa);
void sim_sa_delete(void *ctx, const char *name);
void sim_xipsecd(struct sim *sim, struct sim_event *event);
void sim_new_epoch(struct sim *sim, struct side *side);
void sim_probe(struct sim *sim);
void sim_esp(struct sim *sim, const struct sim_event *event);
/* By its SPI: its place in side->sa, -1: none. */
int sim_find_in(const struct side *side, __be32 spi);

#endif
