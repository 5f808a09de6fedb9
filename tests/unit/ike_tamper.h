/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed messages between the two of ike_sim.h, on their way: opened, and sealed anew with the keys
 * of the side that sent them. */
#ifndef TESTS_UNIT_IKE_TAMPER_H
#define TESTS_UNIT_IKE_TAMPER_H

#include <setjmp.h>
#include <cmocka.h>

#include "iked/out.h"
#include "tests/unit/ike_sim.h"

/* What side `from` seals with, by the SPI that the other one chose: a copy, to be wiped. */
static inline struct sk_key tamper_key(const struct sim *sim, int from, const struct ike_header *h)
{
	const struct engine *other = sim->side[!from].engine;
	const struct ike_sa *ike =
		ike_by_spi(other, h->flags & IKE_FLAG_INITIATOR ? h->spi_r : h->spi_i);

	assert_non_null(ike);
	return ike->initiator ? ike->keys->r : ike->keys->i;
}

/* The payloads inside are in `text`, *msg is the rest: sk.first is the type of their first. */
static inline void tamper_open(const struct sim *sim, int from, struct bytes data,
			       struct ike_msg *msg, struct writer *text)
{
	struct ike_fault fault;
	struct sk_key key;

	assert_int_equal(ike_msg_parse(data, msg, &fault), 0);
	key = tamper_key(sim, from, &msg->h);
	assert_int_equal(sk_open(&key, msg, text), 0);
	sk_key_wipe(&key);
}

/* … and read as well. `text` must live as long. */
static inline void tamper_read(const struct sim *sim, int from, struct bytes data,
			       struct ike_msg *msg, struct writer *text)
{
	struct ike_fault fault;

	tamper_open(sim, from, data, msg, text);
	assert_int_equal(ike_msg_parse_inner(msg, writer_view(text), msg->sk.first, &fault), 0);
}

/* More payloads behind those that `out` has, or the only ones. */
static inline void tamper_add(struct ike_out *out, __u8 first, struct bytes text)
{
	if (out->text.len)
		out->text.data[out->last] = first;
	else
		out->first = first;
	writer_bytes(&out->text, text);
}

/* As side `from` would, but for its IVs: sealed. free() it. */
static inline struct ike_packets *tamper_seal(const struct sim *sim, int from, struct ike_out *out)
{
	struct sk_key key = tamper_key(sim, from, &out->h);
	struct ike_packets *packets = NULL;

	key.iv += 1ULL << 32; /* none of the engine's own */
	assert_int_equal(ike_out_sealed(out, &key, 0, &packets), 0);
	sk_key_wipe(&key);
	return packets;
}

static inline void tamper_send(struct sim *sim, int from, struct ike_out *out)
{
	struct ike_packets *packets = tamper_seal(sim, from, out);
	struct bytes packet = ike_packet(packets, 0);

	sim_inject(sim, !from, packet.data, packet.len);
	free(packets);
}

/* `find` and what stands in its place, of one length: where it stands first. False: nowhere. */
struct swap {
	__u8 len, find[8], put[8];
	bool flip; /* and the octet behind it becomes another */
};

static inline bool swap_in(const struct swap *swap, __u8 *data, size_t len)
{
	for (size_t i = 0; i + swap->len + swap->flip <= len; i++) {
		if (memcmp(data + i, swap->find, swap->len) != 0)
			continue;
		memcpy(data + i, swap->put, swap->len);
		if (swap->flip)
			data[i + swap->len] ^= 1;
		return true;
	}
	return false;
}

#endif
