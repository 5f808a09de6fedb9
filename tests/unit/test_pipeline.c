// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whole rounds of a worker: from a frame in an RX ring to a frame in a TX ring. Every case asserts
 * the reason, and that no frame is lost.
 */
#include "tests/unit/pipeline_fixture.h"

#include "worker/sa.h"

/* ------------------------------------------------------------------ cases */

static void seals_and_addresses(void **state)
{
	__u32 len = seal_one();

	/* 20 outer + 8 + 8 + (92 + 2 padded to 4) + 16 */
	assert_int_equal(len, 14 + 20 + 8 + 8 + 96 + 16);
	assert_memory_equal(t.sent, "\x02\x00\x00\x00\x01\x04\x02\x00\x00\x00\x00\x04\x08\x00", 14);
	assert_int_equal(t.sent[14 + 9], IPPROTO_ESP);
	assert_memory_equal(t.sent + 34, "\x00\x00\x10\x01\x00\x00\x00\x01", 8);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	assert_int_equal(t.w->stats->reason[XIPSEC_REASON_SEALED].bytes, 14 + 92);
	assert_int_equal(tx(&t.red), 0);
}

/* Through a VLAN in another: the tags of the route stand between the addresses and the type. */
static void seals_into_vlans(void **state)
{
	struct ctl_in in = {.msg.nexthop = {.hdr.type = XIPSEC_CTL_NEXTHOP,
					    .dst.word[0] = inet_addr("192.0.2.2"),
					    .family = XIPSEC_FAMILY_IP4,
					    .status = XIPSEC_NEXTHOP_OK,
					    .slot = BLACK,
					    .mtu = 1500,
					    .src_mac = {2, 0, 0, 0, 0, 4},
					    .dst_mac = {2, 0, 0, 0, 1, 4},
					    .lifetime = 60}};
	static const char frame[] = "\x02\x00\x00\x00\x01\x04\x02\x00\x00\x00\x00\x04"
				    "\x88\xa8\x00\x07\x81\x00\x00\x09\x08\x00\x45";
	__u32 len;

	for (__u32 n = 1; n <= 2; n++) {
		in.msg.nexthop.n_vlans = n;
		in.msg.nexthop.vlan[0] = htonl(n == 1 ? 0x81000009 : 0x88a80007);
		in.msg.nexthop.vlan[1] = htonl(n == 1 ? 0 : 0x81000009);
		assert_int_equal(worker_message(t.w, &in), 0);
		rx_inner();
		go_round();
		len = tx(&t.black);
		assert_int_equal(len, 14 + 4 * n + 20 + 8 + 8 + 96 + 16);
		assert_memory_equal(t.sent, frame, 12);
		assert_memory_equal(t.sent + 12, frame + (n == 1 ? 16 : 12), 4 * n + 3);
	}
	assert_int_equal(count(XIPSEC_REASON_SEALED), 2);
}

#define SA_NEW 5

/* xipsecd has written the state of a new SA, has sent its message if `told`, and steers to it. */
static void rx_for_new_sa(bool told)
{
	struct ctl_in in = sa_message(SA_NEW, XIPSEC_DIR_OUT);
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[256];

	inner(frame, 64, false);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	t.sas[SA_NEW] = (struct xipsec_sa_state){
		.generation = GEN, .status = XIPSEC_SA_LIVE, .seq_limit = 1 << 20, .window = 1024};
	if (told)
		assert_int_equal(ctl_send(t.ctl, XIPSEC_CTL_SA, &in.msg.sa, sizeof(in.msg.sa)), 0);
	meta.sa_index = SA_NEW;
	rx(&t.red, frame, 14 + 92, &meta);
}

/* Frames that a program steered to an SA whose message was not read yet, as at each rekey. */
static void frame_comes_before_its_sa_is_read(void **state)
{
	rx_for_new_sa(true);
	worker_round(t.w);
	assert_int_equal(t.w->n_late, 1);
	assert_int_equal(worker_housekeep(t.w, false), 0);
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 0);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	worker_round(t.w);
	assert_true(tx(&t.black) > 0);
	assert_int_equal(worker_check(t.w), 0);
}

static void frame_for_an_sa_that_never_comes(void **state)
{
	rx_for_new_sa(false);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
}

/* An SA that ends before its message is read is no news: nothing waits for it. */
static void frame_for_an_sa_that_ended(void **state)
{
	static const __u32 ended[] = {XIPSEC_SA_FREE, XIPSEC_SA_STOPPED};

	for (int i = 0; i < 2; i++) {
		struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
		__u8 frame[256];

		inner(frame, 64, false);
		t.sas[SA_NEW] = (struct xipsec_sa_state){
			.generation = GEN, .status = ended[i], .window = 1024};
		meta.sa_index = SA_NEW;
		rx(&t.red, frame, 14 + 92, &meta);
		worker_round(t.w);
		assert_int_equal(t.w->n_late, 0);
		assert_int_equal(count(XIPSEC_REASON_STALE_META), i + 1);
	}
}

/* The message says that it goes the other way than the frame's verdict. */
static void frame_before_an_sa_of_the_other_way(void **state)
{
	struct ctl_in in = sa_message(SA_NEW, XIPSEC_DIR_IN);

	rx_for_new_sa(false);
	worker_round(t.w);
	assert_int_equal(t.w->n_late, 1);
	assert_int_equal(ctl_send(t.ctl, XIPSEC_CTL_SA, &in.msg.sa, sizeof(in.msg.sa)), 0);
	assert_int_equal(worker_housekeep(t.w, false), 0);
	assert_int_equal(count(XIPSEC_REASON_BAD_META), 1);
	for (int r = 0; r < XIPSEC_REASON_COUNT; r++)
		assert_int_equal(count(r), r == XIPSEC_REASON_BAD_META);
	assert_int_equal(worker_check(t.w), 0);
}

/* A verdict that puts ESP where the frame has no 8 bytes more. */
static void verdict_beyond_the_frame(void **state)
{
	for (__u32 left = 0; left <= 8; left++) {
		struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);
		__u8 frame[256];

		inner(frame, 64, false);
		meta.l4_off = (__u8)(14 + 92 - left);
		rx(&t.black, frame, 14 + 92, &meta);
		go_round();
		assert_int_equal(count(XIPSEC_REASON_BAD_META), left < 8 ? left + 1 : 8);
	}
	assert_int_equal(count(XIPSEC_REASON_ESP_SHORT), 1);
}

static void opens_and_addresses(void **state)
{
	__u8 want[2048];
	__u32 len = seal_one();

	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	rx_sealed(len);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	inner(want, 64, false);
	assert_int_equal(tx(&t.red), 14 + 92);
	assert_memory_equal(t.sent, "\x02\x00\x00\x00\x01\x01\x02\x00\x00\x00\x00\x01\x08\x00", 14);
	assert_int_equal(t.sent[14 + 8], 62); /* each gateway forwards once */
	assert_memory_equal(t.sent + 26, want + 26, 92 - 12);
}

static void replay_is_dropped(void **state)
{
	__u8 copy[2048];
	__u32 len = seal_one();

	memcpy(copy, t.sent, len);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	rx_sealed(len);
	tx(&t.red);
	memcpy(t.sent, copy, len);
	rx_sealed(len);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	assert_int_equal(count(XIPSEC_REASON_REPLAY), 1);
	assert_int_equal(tx(&t.red), 0);
}

/* In one burst all of them pass the window before any is known to be authentic: the second look,
 * behind the ICV, lets one through (RFC 4303 3.4.3, RFC 4302 3.4.3). */
static void one_of_a_burst_is_opened(void **state)
{
	for (int ah = 0; ah < 2; ah++) {
		__u64 opened = count(XIPSEC_REASON_OPENED), replay = count(XIPSEC_REASON_REPLAY);
		struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);
		__u32 len, sent;

		for (__u32 i = SA_OUT; ah && i <= SA_IN; i++) {
			struct ctl_in in =
				sa_message(i, i == SA_OUT ? XIPSEC_DIR_OUT : XIPSEC_DIR_IN);

			in.msg.sa.sa.l4_proto = IPPROTO_AH;
			in.msg.sa.sa.alg = XIPSEC_ALG_NULL_SHA256;
			in.msg.sa.sa.key_len = 32;
			assert_int_equal(worker_message(t.w, &in), 0);
		}
		len = seal_one();
		assert_int_equal(t.sent[23], ah ? IPPROTO_AH : IPPROTO_ESP);
		tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
		for (int i = 0; i < 4; i++)
			rx(&t.black, t.sent, len, &meta);
		worker_round(t.w);
		assert_int_equal(count(XIPSEC_REASON_OPENED) - opened, 1);
		assert_int_equal(count(XIPSEC_REASON_REPLAY) - replay, 3);
		sent = *t.red.tx.producer - *t.red.tx.consumer;
		assert_int_equal(sent, 1);
		assert_int_equal(tx(&t.red), 14 + 92);
		assert_int_equal(t.sas[SA_IN].packets, ah + 1);
		assert_int_equal(t.sas[SA_IN].drops[XIPSEC_REASON_REPLAY], 3 * (ah + 1));
		assert_int_equal(worker_check(t.w), 0);
	}
}

static void inner_goes_to_red_alone(void **state)
{
	static const struct {
		__u32 status, slot;
		enum xipsec_reason reason;
	} hops[] = {
		{XIPSEC_NEXTHOP_OK, BLACK, XIPSEC_REASON_INNER_BLACK},
		{XIPSEC_NEXTHOP_OK, 9, XIPSEC_REASON_NO_ROUTE}, /* no such interface */
		{XIPSEC_NEXTHOP_LOCAL, 0, XIPSEC_REASON_INNER_LOCAL},
		{XIPSEC_NEXTHOP_NO_ROUTE, 0, XIPSEC_REASON_NO_ROUTE},
		{XIPSEC_NEXTHOP_NO_NEIGH, 0, XIPSEC_REASON_NO_NEIGH},
	};

	for (size_t i = 0; i < sizeof(hops) / sizeof(hops[0]); i++) {
		__u32 len = seal_one();
		__u64 before = count(hops[i].reason);

		tell_hop("10.2.0.1", hops[i].status, hops[i].slot);
		rx_sealed(len);
		assert_int_equal(count(hops[i].reason), before + 1);
		assert_int_equal(tx(&t.red), 0);
		assert_int_equal(tx(&t.black), 0);
	}
}

/* ESP goes out by an unprotected interface that is up, or not at all: whatever the routes say. */
static void esp_goes_to_black_alone(void **state)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, RED);
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_NO_ROUTE), 1);
	assert_int_equal(tx(&t.red), 0);
	tell_dev(BLACK, XIPSEC_ROLE_NONE);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_NO_ROUTE), 2);
	assert_int_equal(tx(&t.black), 0);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
}

/* An interface that lost its role while its socket still stands gets nothing that was opened. */
static void esp_waits_for_no_link_that_is_down(void **state)
{
	struct ctl_in in = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV,
					.slot = BLACK,
					.role = XIPSEC_ROLE_UNPROTECTED,
					.mtu = fixture_mtu}};

	assert_int_equal(worker_message(t.w, &in), 0);
	assert_int_equal(seal_one(), 0);
	assert_int_equal(count(XIPSEC_REASON_NO_ROUTE), 1);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	in.msg.dev.up = 1;
	assert_int_equal(worker_message(t.w, &in), 0);
	assert_true(seal_one() > 0);
}

static void inner_needs_a_role(void **state)
{
	__u32 len = seal_one();

	tell_dev(RED, XIPSEC_ROLE_NONE);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	rx_sealed(len);
	assert_int_equal(count(XIPSEC_REASON_NO_ROUTE), 1);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 0);
	assert_int_equal(tx(&t.red), 0);
}

/* Waiting comes before sealing: no number is held back. */
static void waits_for_the_next_hop(void **state)
{
	struct ctl_nexthop ask;

	for (int i = 0; i < HELD_PER_DST + 3; i++)
		rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_NO_NEIGH), 3);
	assert_int_equal(nexthops_held(t.w->nhs), HELD_PER_DST);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	/* two sockets were mapped, READY came first, then what runs the two SAs */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(recv(t.ctl, &ask, sizeof(ask), MSG_DONTWAIT),
				 sizeof(struct ctl_xsk_ref));
		assert_int_equal(ask.hdr.type, XIPSEC_CTL_XSK_MAPPED);
	}
	assert_int_equal(recv(t.ctl, &ask, sizeof(ask), MSG_DONTWAIT), sizeof(struct ctl_hdr));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(recv(t.ctl, &ask, sizeof(ask), MSG_DONTWAIT),
				 sizeof(struct ctl_sa_runs));
		assert_int_equal(ask.hdr.type, XIPSEC_CTL_SA_RUNS);
	}
	assert_int_equal(recv(t.ctl, &ask, sizeof(ask), MSG_DONTWAIT), sizeof(ask));
	assert_int_equal(ask.hdr.type, XIPSEC_CTL_NEXTHOP_ASK);
	assert_int_equal(ask.dst.word[0], inet_addr("192.0.2.2"));
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_SEALED), HELD_PER_DST);
	assert_int_equal(t.sas[SA_OUT].seq, HELD_PER_DST);
	assert_true(tx(&t.black) > 0);
}

/* The same SA again, with another list of selectors: what waits still goes by it. Not so if its
 * peer is elsewhere now, or if it is another SA. */
static void another_list_leaves_what_waits(void **state)
{
	const struct ctl_in was = sa_message(SA_OUT, XIPSEC_DIR_OUT);
	struct ctl_in in;

	for (int i = 0; i < 2; i++) {
		in = was;
		rx_inner();
		go_round();
		assert_int_equal(nexthops_held(t.w->nhs), 1);
		if (i)
			in.msg.sa.generation++;
		else
			in.msg.sa.sa.dst.word[0] ^= htonl(1);
		assert_int_equal(worker_message(t.w, &in), 0);
		assert_int_equal(nexthops_held(t.w->nhs), 0);
		assert_int_equal(count(XIPSEC_REASON_STALE_META), i + 1);
		in = was;
		in.msg.sa.sa.flags |= i ? XIPSEC_SA_WHOLE : 0;
		assert_int_equal(worker_message(t.w, &in), 0);
	}
	rx_inner();
	go_round();
	assert_int_equal(t.w->sas[SA_OUT].sa->whole, 1);
	in = was;
	assert_int_equal(worker_message(t.w, &in), 0);
	assert_int_equal(t.w->sas[SA_OUT].sa->whole, 0);
	assert_int_equal(nexthops_held(t.w->nhs), 1);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 2);
	assert_true(tx(&t.black) > 0);
}

/* What it has opened and holds was let out by the old list. */
static void another_list_takes_what_came_out(void **state)
{
	const struct ctl_in sa = sa_message(SA_IN, XIPSEC_DIR_IN);
	struct ctl_in in = sa;
	__u32 len = seal_one();

	rx_sealed(len);
	assert_int_equal(nexthops_held(t.w->nhs), 1);
	assert_int_equal(worker_message(t.w, &in), 0);
	assert_int_equal(nexthops_held(t.w->nhs), 0);
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 1);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	go_round();
	assert_int_equal(tx(&t.red), 0);
}

/* What an older policy let through does not go on because it had to wait. */
static void changed_policy_takes_what_waited(void **state)
{
	rx_inner();
	go_round();
	assert_int_equal(nexthops_held(t.w->nhs), 1);
	t.globals->spd_generation = SPD + 1;
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	go_round();
	assert_int_equal(nexthops_held(t.w->nhs), 0);
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
	assert_int_equal(tx(&t.black), 0);
}

/* A late message about what stood there before takes nothing from who stands there now. */
static void late_message_leaves_the_successor(void **state)
{
	struct ctl_in gone = {.msg.sa_ref = {.hdr.type = XIPSEC_CTL_SA_GONE,
					     .index = SA_OUT,
					     .generation = GEN - 1}};

	assert_int_equal(worker_message(t.w, &gone), 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	assert_true(tx(&t.black) > 0);
}

static void gone_sa_takes_its_packets(void **state)
{
	struct ctl_in gone = {
		.msg.sa_ref = {.hdr.type = XIPSEC_CTL_SA_GONE, .index = SA_OUT, .generation = GEN}};
	union ctl_msg answer;

	rx_inner();
	go_round();
	assert_int_equal(nexthops_held(t.w->nhs), 1);
	while (recv(t.ctl, &answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(worker_message(t.w, &gone), 0);
	assert_int_equal(nexthops_held(t.w->nhs), 0);
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 1);
	do /* the dropped packets are told, too */
		assert_true(recv(t.ctl, &answer, sizeof(answer), MSG_DONTWAIT) > 0);
	while (answer.hdr.type == XIPSEC_CTL_SAMPLE);
	assert_int_equal(answer.hdr.type, XIPSEC_CTL_SA_GONE_OK);
	assert_int_equal(answer.sa_ref.index, SA_OUT);
	assert_int_equal(answer.sa_ref.generation, GEN);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 2);
	assert_int_equal(tx(&t.black), 0);
}

static void stop_is_told_once(void **state)
{
	union ctl_msg answer;
	int told = 0;

	t.sas[SA_OUT].seq = 0xffffffff - 1;
	t.sas[SA_OUT].seq_limit = ~0ull;
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (int i = 0; i < 4; i++) {
		rx_inner();
		go_round();
	}
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	assert_int_equal(count(XIPSEC_REASON_SEQ_END), 3);
	while (recv(t.ctl, &answer, sizeof(answer), MSG_DONTWAIT) > 0)
		told += answer.hdr.type == XIPSEC_CTL_SA_STOPPED;
	assert_int_equal(told, 1);
}

static void too_big_is_answered(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048];
	__u32 len = inner(frame, 1472, true), addr = inet_addr("10.1.0.254");

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(tx(&t.black), 0);
	assert_true(tx(&t.red) > 14 + 28);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	/* what was refused counts by its own name, and is told */
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 1);
	assert_true(t.w->gates[XIPSEC_REASON_TOO_BIG].next > 0);
	/* back to where it came from */
	assert_memory_equal(t.sent, "\x02\x00\x00\x00\x00\x22\x02\x00\x00\x00\x00\x11\x08\x00", 14);
	assert_memory_equal(t.sent + 26, &addr, 4);
	assert_int_equal(t.sent[14 + 9], IPPROTO_ICMP);
	assert_memory_equal(t.sent + 34, "\x03\x04", 2);
}

/* Back into the VLAN, or the VLAN in a VLAN, that it came by: addresses change places, tags stay.
 */
static void too_big_is_answered_with_its_tags(void **state)
{
	static const __u8 tags[] = {0x88, 0xa8, 0x20, 7, 0x81, 0, 0x60, 9};
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048], tagged[2048];
	__u32 len = inner(frame, 1472, true);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (__u32 n = 1; n <= 2; n++) {
		const __u32 more = 4 * n;
		const __u8 *first = tags + sizeof(tags) - more;

		memcpy(tagged, frame, 12);
		memcpy(tagged + 12, first, more);
		memcpy(tagged + 12 + more, frame + 12, len - 12);
		meta.l3_off = (__u8)(14 + more);
		meta.l4_off = (__u16)(34 + more);
		rx(&t.red, tagged, len + more, &meta);
		go_round();
		assert_int_equal(tx(&t.black), 0);
		assert_true(tx(&t.red) > 14 + more + 28);
		assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), n);
		assert_memory_equal(t.sent, frame + 6, 6);
		assert_memory_equal(t.sent + 6, frame, 6);
		assert_memory_equal(t.sent + 12, first, more);
		assert_memory_equal(t.sent + 12 + more, "\x08\x00\x45", 3);
		assert_int_equal(t.sent[14 + more + 9], IPPROTO_ICMP);
		assert_memory_equal(t.sent + 34 + more, "\x03\x04", 2);
		/* what did not fit, quoted from its IP header on */
		assert_memory_equal(t.sent + 42 + more + 12, frame + 14 + 12, 500);
	}
}

/* Addresses may stand on VLANs alone: back with its tags, from the address of that VLAN. */
static void too_big_is_answered_on_a_vlan(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	struct ctl_in in = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV,
					.slot = RED,
					.role = XIPSEC_ROLE_PROTECTED,
					.mtu = 1500,
					.up = 1,
					.n_vlans = 2,
					.vlan = {{{htonl(0x81000013)}, .ip4.word[0] = 1},
						 {{htonl(0x81000014)},
						  .ip4.word[0] = inet_addr("10.1.20.254")}}}};
	__u8 frame[2048 + 4];
	__u32 len = inner(frame, 1472, true), addr = inet_addr("10.1.20.254");

	assert_int_equal(worker_message(t.w, &in), 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	memmove(frame + 16, frame + 12, len - 12);
	memcpy(frame + 12, "\x81\x00\x60\x14", 4);
	meta.l3_off += 4;
	meta.l4_off += 4;
	rx(&t.red, frame, len + 4, &meta);
	go_round();
	assert_int_equal(tx(&t.black), 0);
	assert_true(tx(&t.red) > 18 + 28);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	assert_memory_equal(t.sent, "\x02\x00\x00\x00\x00\x22\x02\x00\x00\x00\x00\x11", 12);
	assert_memory_equal(t.sent + 12, "\x81\x00\x60\x14\x08\x00\x45", 7);
	assert_int_equal(t.sent[18 + 9], IPPROTO_ICMP);
	assert_memory_equal(t.sent + 18 + 12, &addr, 4);
	assert_memory_equal(t.sent + 18 + 20, "\x03\x04", 2);
	in.msg.dev.n_vlans = XIPSEC_DEV_VLANS_MAX + 1;
	assert_int_equal(worker_message(t.w, &in), -EPROTO);
}

/* RFC 4443 2.4 (f): a thousand at once and a thousand a second; what is above it ends silently. */
static void errors_are_limited(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048];
	__u32 len = inner(frame, 1472, true);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	t.w->now_ms += 2000;
	for (int i = 0; i < 1500; i++) {
		rx(&t.red, frame, len, &meta);
		worker_round(t.w); /* the clock stands */
		tx(&t.red);
	}
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1000);
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 1500);
	t.w->now_ms += 7;
	for (int i = 0; i < 20; i++) {
		rx(&t.red, frame, len, &meta);
		worker_round(t.w);
		tx(&t.red);
	}
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1007);
}

static void full_ring_drops(void **state)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	/* nobody takes from black's TX ring */
	for (int i = 0; i < RING + 10; i++) {
		rx_inner();
		go_round();
	}
	assert_int_equal(count(XIPSEC_REASON_SEALED), RING);
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 10);
	assert_true(tx(&t.black) > 0);
	go_round();
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_SEALED), RING + 1);
}

static void fill_is_told(__u32 rx_fill, __u32 tx_fill)
{
	t.w->next_tick = t.w->next_fill = 0;
	assert_int_equal(worker_housekeep(t.w, false), 0);
	assert_int_equal(t.w->stats->rx_fill, rx_fill);
	assert_int_equal(t.w->stats->tx_fill, tx_fill);
}

static void rings_tell_how_full_they_were(void **state)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	fill_is_told(0, 0);
	for (int i = 0; i < BURST_MAX + RING / 4; i++)
		rx_inner();
	go_round(); /* in two rounds, so they waited for one */
	fill_is_told(250, 1000 * (BURST_MAX + RING / 4) / RING);
	assert_true(tx(&t.black) > 0);
	go_round();
	fill_is_told(0, 0); /* and begin anew */
}

static void closed_devices_give_back(void **state)
{
	struct ctl_in gone = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV_GONE, .slot = BLACK}};
	__u32 before;

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	before = t.w->frames.n_free;
	assert_int_equal(worker_message(t.w, &gone), 0);
	assert_int_equal(worker_check(t.w), 0);
	rx_inner();
	go_round();
	/* the next hop is forgotten: it waits */
	assert_int_equal(nexthops_held(t.w->nhs), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
	frames_wake(&t.w->frames, t.w->now_ms + FRAME_REST_MS + 1000);
	/* the fill ring's of black, less what red's took since */
	assert_true(t.w->frames.n_free >= before + RING - 2);
	assert_int_equal(worker_check(t.w), 0);
}

static void malformed_messages_end_it(void **state)
{
	struct ctl_in in;
	struct ctl_sa_ref ref = {.index = 1};

	assert_int_equal(ctl_send(t.ctl, XIPSEC_CTL_SA_GONE, &ref, sizeof(ref) - 1), 0);
	assert_int_equal(worker_housekeep(t.w, true), -EPROTO);
	assert_int_equal(ctl_send(t.ctl, XIPSEC_CTL_READY, &ref, sizeof(ref)), 0);
	assert_int_equal(worker_housekeep(t.w, true), -EPROTO);
	ref.hdr = (struct ctl_hdr){XIPSEC_CTL_SA_GONE, XIPSEC_ABI + 1, sizeof(ref)};
	assert_int_equal(send(t.ctl, &ref, sizeof(ref), 0), sizeof(ref));
	assert_int_equal(worker_housekeep(t.w, true), -EPROTO);
	in = (struct ctl_in){.msg.sa_ref = {.hdr.type = XIPSEC_CTL_SA_GONE, .index = N_SAS}};
	assert_int_equal(worker_message(t.w, &in), -EPROTO);
	in = (struct ctl_in){.msg.hdr.type = XIPSEC_CTL_GO};
	assert_int_equal(worker_message(t.w, &in), -EPROTO);
	shutdown(t.ctl, SHUT_RDWR);
	assert_int_equal(worker_housekeep(t.w, true), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(seals_and_addresses),
		TEST(seals_into_vlans),
		TEST(frame_comes_before_its_sa_is_read),
		TEST(seals_and_addresses),
		TEST(frame_for_an_sa_that_never_comes),
		TEST(seals_and_addresses),
		TEST(frame_for_an_sa_that_ended),
		TEST(frame_before_an_sa_of_the_other_way),
		TEST(verdict_beyond_the_frame),
		TEST(esp_waits_for_no_link_that_is_down),
		TEST(opens_and_addresses),
		TEST(replay_is_dropped),
		TEST(one_of_a_burst_is_opened),
		TEST(inner_goes_to_red_alone),
		TEST(esp_goes_to_black_alone),
		TEST(inner_needs_a_role),
		TEST(waits_for_the_next_hop),
		TEST(another_list_leaves_what_waits),
		TEST(another_list_takes_what_came_out),
		TEST(changed_policy_takes_what_waited),
		TEST(late_message_leaves_the_successor),
		TEST(gone_sa_takes_its_packets),
		TEST(stop_is_told_once),
		TEST(too_big_is_answered),
		TEST(too_big_is_answered_with_its_tags),
		TEST(too_big_is_answered_on_a_vlan),
		TEST(errors_are_limited),
		TEST(full_ring_drops),
		TEST(rings_tell_how_full_they_were),
		TEST(closed_devices_give_back),
		TEST(malformed_messages_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
