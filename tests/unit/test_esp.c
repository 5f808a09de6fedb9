// SPDX-License-Identifier: BSD-2-Clause
/* ESP out and in as a whole: bytes, reasons, counters. */
#include "tests/unit/esp_fixture.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>

#include "lib/reason.h"
#include "worker/esp_in.h"
#include "worker/esp_out.h"

struct esp_vector {
	const char *name;
	enum xipsec_alg alg;
	int outer_family, inner_family, esn;
	__u64 seq;
	__u32 key_len, inner_len, esp_len;
	const __u8 *key, *inner, *esp;
};

#include "tests/unit/vectors/esp_scapy.h"

#define N_VECTORS (sizeof(esp_scapy) / sizeof(esp_scapy[0]))

static const enum xipsec_backend backends[] = {XIPSEC_BACKEND_IPSEC_MB, XIPSEC_BACKEND_OPENSSL};
static struct xipsec_sa_state out_state, in_state;
static struct frame frame;

static void seal_one(struct sa *sa, struct packet *p)
{
	p->reason = 0;
	esp_out_burst(sa, &p, 1, PATH_MTU, 1234);
}

static void open_one(struct sa *sa, struct packet *p)
{
	p->reason = 0;
	p->l4_off = p->data[0] >> 4 == 4 ? 20 : 40;
	esp_in_burst(sa, &p, 1, 4321);
}

/* ---------------------------------------------------------------- against another implementation
 */

static struct xipsec_sa vector_config(const struct esp_vector *v, __u8 dir)
{
	struct xipsec_sa config = sa_config(v->alg, v->outer_family, v->esn, dir);

	assert_int_equal(config.key_len, v->key_len);
	memcpy(config.key, v->key, v->key_len);
	return config;
}

static void vector_out(const struct esp_vector *v, enum xipsec_backend backend)
{
	struct xipsec_sa config = vector_config(v, XIPSEC_DIR_OUT);
	struct sa *sa = sa_make(&config, &out_state, backend);
	struct packet *p = frame_load(&frame, v->inner, v->inner_len);
	__u32 tail;

	out_state.seq = v->seq - 1;
	seal_one(sa, p);
	if (p->reason != XIPSEC_REASON_SEALED || p->len != v->esp_len)
		fail_msg("%s: reason %u, %u bytes", v->name, p->reason, p->len);
	assert_memory_equal(p->data, v->esp, v->esp_len);
	assert_int_equal(p->seq, v->seq);
	assert_int_equal(p->family, v->outer_family);
	assert_int_equal(p->l4_off, sa->outer.len);
	assert_int_equal(p->data - p->headroom - frame.bytes, 0);
	assert_int_equal(p->headroom + p->len + p->tailroom, FRAME_SIZE);
	for (tail = 0; tail < p->tailroom; tail++)
		assert_int_equal(p->data[p->len + tail], 0xee);
	assert_int_equal(out_state.packets, 1);
	assert_int_equal(out_state.bytes, v->inner_len);
	assert_int_equal(out_state.last_use, 1234);
	sa_free(sa);
}

static void vector_in(const struct esp_vector *v, enum xipsec_backend backend)
{
	struct xipsec_sa config = vector_config(v, XIPSEC_DIR_IN);
	struct sa *sa = sa_make(&config, &in_state, backend);
	struct packet *p = frame_load(&frame, v->esp, v->esp_len);
	__u8 want[2048];

	in_state.replay_top = v->seq - 1;
	open_one(sa, p);
	if (p->reason != XIPSEC_REASON_OPENED || p->len != v->inner_len)
		fail_msg("%s: reason %u, %u bytes", v->name, p->reason, p->len);
	/* Sealed with a TTL of 63, which is for who forwards it. */
	memcpy(want, v->inner, v->inner_len);
	want[v->inner_family == 4 ? 8 : 7] = 63;
	if (v->inner_family == 4)
		ip4_check(want);
	assert_memory_equal(p->data, want, v->inner_len);
	assert_int_equal(p->seq, v->seq);
	assert_int_equal(p->family, v->inner_family);
	assert_int_equal(p->l4_off, v->inner_family == 4 ? 20 : 40);
	assert_int_equal(p->data - p->headroom - frame.bytes, 0);
	assert_int_equal(p->headroom + p->len + p->tailroom, FRAME_SIZE);
	assert_int_equal(in_state.replay_top, v->seq);
	assert_int_equal(in_state.packets, 1);
	assert_int_equal(in_state.bytes, v->inner_len);
	assert_int_equal(in_state.last_use, 4321);

	p = frame_load(&frame, v->esp, v->esp_len);
	open_one(sa, p);
	assert_int_equal(p->reason, XIPSEC_REASON_REPLAY);
	assert_int_equal(in_state.drops[XIPSEC_REASON_REPLAY], 1);
	assert_int_equal(in_state.packets, 1);
	sa_free(sa);
}

static void test_vectors(void **unused)
{
	for (size_t i = 0; i < N_VECTORS; i++)
		for (int b = 0; b < 2; b++) {
			vector_out(&esp_scapy[i], backends[b]);
			vector_in(&esp_scapy[i], backends[b]);
		}
}

/* ---------------------------------------------------------------- one seals, the other opens */

static void run_sizes(enum xipsec_alg alg, int inner_family, int outer_family, int esn, int b)
{
	struct xipsec_sa out_config = sa_config(alg, outer_family, esn, XIPSEC_DIR_OUT);
	struct xipsec_sa in_config = sa_config(alg, outer_family, esn, XIPSEC_DIR_IN);
	struct sa *out = sa_make(&out_config, &out_state, backends[b]);
	struct sa *in = sa_make(&in_config, &in_state, backends[!b]);
	__u64 start = esn ? 0xfffffc00 : 0;

	out_state.seq = start;
	in_state.replay_top = start;
	for (__u32 payload = 0; payload <= 2000; payload++) {
		__u8 inner[2100];
		__u32 len = udp_write(inner, inner_family, payload);
		struct packet *p = frame_load(&frame, inner, len);

		seal_one(out, p);
		assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
		assert_int_equal((p->len - out->outer.len) % 4, 0);
		assert_in_range(p->len - len - out->outer.len - out->head_len - out->icv_len,
				ESP_TRAILER_MIN, ESP_TRAILER_MIN + out->align - 1);
		open_one(in, p);
		assert_int_equal(p->reason, XIPSEC_REASON_OPENED);
		assert_int_equal(p->len, len);
		assert_int_equal(p->seq, start + payload + 1);
		inner[inner_family == 4 ? 8 : 7] -= 1;
		if (inner_family == 4)
			ip4_check(inner);
		assert_memory_equal(p->data, inner, len);
	}
	assert_int_equal(out_state.packets, 2001);
	assert_int_equal(in_state.packets, 2001);
	assert_int_equal(in_state.bytes, out_state.bytes);
	sa_free(out);
	sa_free(in);
}

static void test_sizes(void **unused)
{
	for (int b = 0; b < 2; b++) {
		run_sizes(XIPSEC_ALG_AES128GCM16, 4, 4, 0, b);
		run_sizes(XIPSEC_ALG_AES256GCM16, 6, 6, 1, b);
		run_sizes(XIPSEC_ALG_AES128GCM16, 4, 6, 1, b);
		run_sizes(XIPSEC_ALG_AES256GCM16, 6, 4, 0, b);
	}
}

/* ---------------------------------------------------------------- what comes broken */

/* An ESP packet with a text of our choosing, sealed by the library's own backend. */
static __u32 forge(struct sa *sa, __u8 *to, __u64 seq, const __u8 *text, __u32 len)
{
	struct crypto_op op = {.text = to + 36, .tag = to + 36 + len, .len = len};
	__u8 *esp = to + 20;

	sa->outer.write(&sa->outer, to, 36 + len + 16, &(struct shown){0}, 0);
	memcpy(esp, &sa->spi, 4);
	put16(esp + 4, (__u32)seq >> 16);
	put16(esp + 6, (__u32)seq & 0xffff);
	memset(esp + 8, 0, 8);
	memcpy(esp + 12, esp + 4, 4);
	memcpy(op.text, text, len);
	memcpy(op.nonce, sa->salt, 4);
	memcpy(op.nonce + 4, esp + 8, 8);
	memcpy(op.aad, esp, 8);
	sa->seal(sa->key->ctx, &op, 1, 8);
	return 36 + len + 16;
}

static enum xipsec_reason open_text(struct sa *sa, const __u8 *text, __u32 len)
{
	static __u64 seq;
	__u8 packet[2048];
	__u32 packet_len = forge(sa, packet, ++seq, text, len);

	open_one(sa, frame_load(&frame, packet, packet_len));
	return frame.p.reason;
}

/* Appends pad bytes, pad length and next header so that the text is whole. */
static __u32 trail(__u8 *text, __u32 len, __u32 pad, __u8 next)
{
	for (__u32 i = 0; i < pad; i++)
		text[len + i] = (__u8)(i + 1);
	text[len + pad] = (__u8)pad;
	text[len + pad + 1] = next;
	return len + pad + 2;
}

static void test_trailer(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	struct sa *sa = sa_make(&config, &in_state, XIPSEC_BACKEND_OPENSSL);
	__u8 text[1024], inner[256];
	__u32 len = udp_write(inner, 4, 14), n; /* 42 bytes: 0 pad bytes fill up */

	memcpy(text, inner, len);
	for (__u32 pad = 0; pad <= 252; pad += 4) {
		n = trail(text, len, pad, IPPROTO_IPIP);
		assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_OPENED);
		assert_int_equal(frame.p.len, len);
		for (__u32 i = 0; i < pad; i++) { /* each pad byte is looked at */
			text[len + i] ^= 0x80;
			assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_ESP_PAD);
			text[len + i] ^= 0x80;
		}
	}
	/* pad length beyond the text, and as long as it; then nothing is left inside */
	n = trail(text, len, 0, IPPROTO_IPIP);
	text[n - 2] = (__u8)(len + 1);
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_ESP_PAD);
	n = trail(text, 0, 6, IPPROTO_IPIP);
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_NEXT_HEADER);
	n = trail(text, 0, 2, IPPROTO_IPIP);
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_NEXT_HEADER);

	/* next header: must fit the inner version */
	memcpy(text, inner, len);
	for (int next = 0; next < 256; next++) {
		enum xipsec_reason want = XIPSEC_REASON_NEXT_HEADER;

		if (next == IPPROTO_IPIP)
			want = XIPSEC_REASON_OPENED;
		if (next == IPPROTO_NONE)
			want = XIPSEC_REASON_DUMMY;
		n = trail(text, len, 0, (__u8)next);
		assert_int_equal(open_text(sa, text, n), want);
	}
	/* a dummy may hold anything, its pad length too */
	memset(text, 0xff, 64);
	text[63] = IPPROTO_NONE;
	assert_int_equal(open_text(sa, text, 64), XIPSEC_REASON_DUMMY);
	sa_free(sa);
}

static void test_tfc(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	struct sa *sa = sa_make(&config, &in_state, XIPSEC_BACKEND_IPSEC_MB);
	__u8 text[1024];

	for (int family = 4; family <= 6; family += 2) {
		__u8 next = family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
		__u32 len = udp_write(text, family, 14), n;

		memset(text + len, 0x5a, 400);
		n = trail(text, len + 400, 0, next);
		assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_OPENED);
		assert_int_equal(frame.p.len, len);
		assert_int_equal(frame.p.headroom + frame.p.len + frame.p.tailroom, FRAME_SIZE);
		/* an inner length beyond what was sealed */
		n = trail(text, len, 0, next);
		put16(text + (family == 4 ? 2 : 4), get16(text + (family == 4 ? 2 : 4)) + 1);
		assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_INNER_MALFORMED);
	}
	sa_free(sa);
}

/* What a flipped bit of the black packet must lead to. */
static int flip_allowed(const struct esp_vector *v, __u32 byte, enum xipsec_reason reason)
{
	__u32 outer = v->outer_family == 4 ? 20 : 40;

	if (byte >= outer + 4 && byte < outer + 8)
		return reason == XIPSEC_REASON_ICV || reason == XIPSEC_REASON_REPLAY_OLD;
	return reason == XIPSEC_REASON_ICV;
}

static void run_flips(const struct esp_vector *v, enum xipsec_backend backend)
{
	struct xipsec_sa config = vector_config(v, XIPSEC_DIR_IN);
	struct sa *sa = sa_make(&config, &in_state, backend);
	__u32 outer = v->outer_family == 4 ? 20 : 40;
	__u8 packet[2048];

	for (__u32 bit = outer * 8; bit < v->esp_len * 8; bit++) {
		struct packet *p;

		state_reset(&in_state);
		in_state.replay_top = v->seq - 1;
		memcpy(packet, v->esp, v->esp_len);
		packet[bit / 8] ^= (__u8)(1 << bit % 8);
		p = frame_load(&frame, packet, v->esp_len);
		open_one(sa, p);
		if (!flip_allowed(v, bit / 8, p->reason))
			fail_msg("%s: bit %u ends with %u", v->name, bit, p->reason);
		assert_int_equal(in_state.drops[p->reason], 1);
		assert_int_equal(in_state.packets, 0);
		assert_int_equal(in_state.replay_top, v->seq - 1);
	}
	sa_free(sa);
}

static void test_flips(void **unused)
{
	for (size_t i = 0; i < N_VECTORS; i++)
		for (int b = 0; b < 2; b++)
			run_flips(&esp_scapy[i], backends[b]);
}

/* Cut anywhere, with the outer length left as it was and with it made right. */
static void run_cuts(const struct esp_vector *v)
{
	struct xipsec_sa config = vector_config(v, XIPSEC_DIR_IN);
	struct sa *sa = sa_make(&config, &in_state, XIPSEC_BACKEND_OPENSSL);
	__u32 outer = v->outer_family == 4 ? 20 : 40;

	in_state.replay_top = v->seq - 1;
	for (__u32 len = 0; len < v->esp_len; len++) {
		/* exactly so long, so that a sanitizer sees a byte too many */
		__u8 *copy = malloc(len ? len : 1);
		struct packet cut = {.data = copy, .len = len, .l4_off = (__u16)outer}, *p = &cut;
		enum xipsec_reason want = XIPSEC_REASON_ESP_SHORT;

		memcpy(copy, v->esp, len);
		esp_in_burst(sa, &p, 1, 1);
		assert_int_equal(cut.reason, want);
		if (len >= outer) {
			put16(copy + (outer == 20 ? 2 : 4), outer == 20 ? len : len - 40);
			if (len >= outer + 36 && (len - outer) % 4 == 0)
				want = XIPSEC_REASON_ICV;
			cut.reason = 0;
			esp_in_burst(sa, &p, 1, 1);
			assert_int_equal(cut.reason, want);
		}
		free(copy);
	}
	assert_int_equal(in_state.packets, 0);
	sa_free(sa);
}

static void test_cuts(void **unused)
{
	for (size_t i = 0; i < N_VECTORS; i++)
		run_cuts(&esp_scapy[i]);
}

/* ---------------------------------------------------------------- selectors, TTL, ECN, state */

static void test_selectors(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	struct xipsec_selector *sel = &config.selector[0];
	__u8 inner[256], text[256];
	struct sa *sa;
	__u32 len = udp_write(inner, 4, 14), n;

	/* local is the inner destination, 10.2.0.0/16, port 5000 */
	sel->family = 4;
	sel->local_lo.word[0] = htonl(0x0a020000);
	sel->local_hi.word[0] = htonl(0x0a02ffff);
	sel->remote_lo.word[0] = sel->remote_hi.word[0] = htonl(0x0a010005);
	sel->any_proto = 0;
	sel->l4_proto = IPPROTO_UDP;
	sel->local_port_lo = sel->local_port_hi = 5000;
	sa = sa_make(&config, &in_state, XIPSEC_BACKEND_OPENSSL);

	memcpy(text, inner, len);
	n = trail(text, len, 0, IPPROTO_IPIP);
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_OPENED);
	put16(text + 22, 5001);
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_SELECTOR);
	put16(text + 22, 5000);
	text[15] = 6;
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_SELECTOR);
	text[15] = 5;
	text[17] = 3;
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_SELECTOR);
	text[17] = 2;
	text[9] = IPPROTO_UDPLITE;
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_SELECTOR);
	text[9] = IPPROTO_UDP;
	/* a later fragment hides its ports: maybe is no */
	put16(text + 6, 1);
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_SELECTOR);
	assert_int_equal(in_state.drops[XIPSEC_REASON_SELECTOR], 5);
	/* with any port it passes */
	sa->selector[0].local_port_lo = 0;
	sa->selector[0].local_port_hi = XIPSEC_PORT_MAX;
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_OPENED);
	assert_int_equal(frame.p.l4_off, 0);
	/* no selector at all lets nothing through */
	sa->n_selectors = 0;
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_SELECTOR);
	sa_free(sa);
}

/* Selectors for the packet of udp_write(), which goes to port 5000, in the order of the SPD. */
static struct xipsec_selector order_selector(char kind)
{
	struct xipsec_selector sel = any_selector();

	if (strchr("Pp", kind)) {
		sel.any_proto = 0;
		sel.l4_proto = IPPROTO_UDP;
		sel.local_port_lo = sel.local_port_hi = 5000;
	} else if (strchr("Qq", kind)) {
		sel.any_proto = 0;
		sel.l4_proto = IPPROTO_UDP;
		sel.local_port_lo = sel.local_port_hi = 5001;
	} else if (strchr("Tt", kind)) {
		sel.any_proto = 0;
		sel.l4_proto = IPPROTO_TCP;
	}
	return sel;
}

/* The first that matches decides; a small letter refuses: P port 5000, Q port 5001, T all TCP, A
 * all. A fragment that may be what refuses is refused, and one that may be what accepts needs
 * another that accepts for certain, with nothing between that may refuse. */
static void test_order(void **unused)
{
	static const struct {
		const char *list;
		bool whole, fragment;
	} orders[] = {
		{"A", true, true},      {"P", true, false},    {"Q", false, false},
		{"a", false, false},    {"pA", false, false},  {"qA", true, false},
		{"Ap", true, true},     {"Aq", true, true},    {"tA", true, true},
		{"PpA", true, false},   {"pPA", false, false}, {"PA", true, true},
		{"QA", true, true},     {"PqA", true, false},  {"QaA", false, false},
		{"PaA", true, false},   {"TqA", true, false},  {"TA", true, true},
		{"aA", false, false},   {"QtA", true, true},   {"QPA", true, true},
		{"QpPA", false, false},
	};
	__u8 text[256];
	__u32 len = udp_write(text, 4, 14), n = trail(text, len, 0, IPPROTO_IPIP);

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
		struct sa *sa;
		int whole, fragment;

		config.n_selectors = strlen(orders[i].list);
		for (__u32 k = 0; k < config.n_selectors; k++) {
			config.selector[k] = order_selector(orders[i].list[k]);
			config.refuse[k] = islower((unsigned char)orders[i].list[k]) != 0;
		}
		sa = sa_make(&config, &in_state, XIPSEC_BACKEND_OPENSSL);
		put16(text + 6, 0);
		whole = open_text(sa, text, n);
		put16(text + 6, 1);
		fragment = open_text(sa, text, n);
		sa_free(sa);
		if ((whole == XIPSEC_REASON_OPENED) != orders[i].whole ||
		    (fragment == XIPSEC_REASON_OPENED) != orders[i].fragment)
			fail_msg("%s: whole %s, fragment %s", orders[i].list, reason_name(whole),
				 reason_name(fragment));
		if (!orders[i].whole)
			assert_int_equal(whole, XIPSEC_REASON_SELECTOR);
		if (!orders[i].fragment)
			assert_int_equal(fragment, XIPSEC_REASON_SELECTOR);
	}
}

/* TTL is for who forwards: a packet for this host may arrive with its last one. */
static void test_in_ttl(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	struct sa *sa = sa_make(&config, &in_state, XIPSEC_BACKEND_OPENSSL);
	__u8 text[256];
	__u32 len = udp_write(text, 4, 14), n = trail(text, len, 0, IPPROTO_IPIP);

	text[8] = 1;
	ip4_check(text);
	assert_int_equal(open_text(sa, text, n), XIPSEC_REASON_OPENED);
	assert_memory_equal(frame.p.data, text, len);
	assert_int_equal(inner_forward(frame.p.data, 4), XIPSEC_REASON_TTL);
	assert_memory_equal(frame.p.data, text, len);
	sa_free(sa);
}

/* TOS or traffic class of a packet without a flow label. */
static void tos_put(__u8 *ip, __u8 tos)
{
	if (ip[0] >> 4 == 4) {
		ip[1] = tos;
		ip4_check(ip);
		return;
	}
	put16(ip, 0x6000u | (__u32)tos << 4);
}

#define ECN_DROP 4

/* A packet that was sealed with mark `in` and met `out` on the way: RFC 6040 figure 4. The outer
 * DSCP says nothing about the inner one. */
static void run_ecn(struct sa *out_sa, struct sa *in_sa, int family, __u8 in, __u8 out)
{
	static const __u8 want[4][4] = {
		/* outer 00, 01 ECT(1), 10 ECT(0), 11 CE */
		{0, 0, 0, ECN_DROP},
		{1, 1, 1, 3},
		{2, 1, 2, 3},
		{3, 3, 3, 3},
	};
	/* marked (!) or (!!!) there, beside the one that drops */
	static const __u8 odd[4][4] = {{0, 1, 1, 0}, {0, 0, 1, 0}, {0, 0, 0, 0}, {0, 1, 0, 0}};
	__u32 drops = in_state.drops[XIPSEC_REASON_ECN];
	__u8 inner[256];
	__u32 len = udp_write(inner, family, 14);

	tos_put(inner, 0xb8 | in);
	seal_one(out_sa, frame_load(&frame, inner, len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_SEALED);
	tos_put(frame.p.data, 0x28 | out);
	open_one(in_sa, &frame.p);
	if (want[in][out] == ECN_DROP) {
		assert_int_equal(frame.p.reason, XIPSEC_REASON_ECN);
		assert_int_equal(in_state.drops[XIPSEC_REASON_ECN], drops + 1);
		return;
	}
	assert_int_equal(frame.p.reason, XIPSEC_REASON_OPENED);
	assert_int_equal(!!(frame.p.flags & PACKET_ECN), odd[in][out]);
	assert_int_equal(in_state.drops[XIPSEC_REASON_ECN], drops);
	inner[family == 4 ? 8 : 7]--;
	tos_put(inner, 0xb8 | want[in][out]);
	assert_int_equal(frame.p.len, len);
	assert_memory_equal(frame.p.data, inner, len);
}

/* The usual packet, and one with padding behind it, which goes the long way. */
static void test_in_ecn(void **unused)
{
	for (int kind = 0; kind < 4; kind++) {
		struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, kind & 1 ? 6 : 4, 0, 0);
		struct sa *out, *in;

		config.dir = XIPSEC_DIR_OUT;
		config.tfc_size = kind & 2 ? 200 : 0;
		out = sa_make(&config, &out_state, XIPSEC_BACKEND_OPENSSL);
		config.dir = XIPSEC_DIR_IN;
		in = sa_make(&config, &in_state, XIPSEC_BACKEND_OPENSSL);
		for (int mark = 0; mark < 32; mark++)
			run_ecn(out, in, mark & 16 ? 6 : 4, mark >> 2 & 3, mark & 3);
		assert_int_equal(in_state.drops[XIPSEC_REASON_ECN], 2);
		assert_int_equal(!!in_state.tfc_bytes, kind >> 1);
		sa_free(out);
		sa_free(in);
	}
}

/* RFC 4303 3.4.3: the window is asked before the key is, so a number that was there is a replay
 * even where the ICV does not hold. */
static void test_window_first(void **unused)
{
	const struct esp_vector *v = &esp_scapy[0];
	struct xipsec_sa config = vector_config(v, XIPSEC_DIR_IN);
	struct sa *sa = sa_make(&config, &in_state, XIPSEC_BACKEND_AUTO);
	__u8 forged[2048];

	memcpy(forged, v->esp, v->esp_len);
	forged[v->esp_len - 1] ^= 1;
	in_state.replay_top = v->seq - 1;
	open_one(sa, frame_load(&frame, forged, v->esp_len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_ICV);
	open_one(sa, frame_load(&frame, v->esp, v->esp_len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_OPENED);
	open_one(sa, frame_load(&frame, forged, v->esp_len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_REPLAY);
	in_state.replay_top = v->seq + sa->window;
	open_one(sa, frame_load(&frame, forged, v->esp_len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_REPLAY_OLD);
	sa_free(sa);
}

static void test_in_state(void **unused)
{
	const struct esp_vector *v = &esp_scapy[0];
	struct xipsec_sa config = vector_config(v, XIPSEC_DIR_IN);
	struct sa *sa = sa_make(&config, &in_state, XIPSEC_BACKEND_AUTO);

	in_state.status = XIPSEC_SA_STOPPED;
	open_one(sa, frame_load(&frame, v->esp, v->esp_len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_LIMIT);
	in_state.status = XIPSEC_SA_FREE;
	open_one(sa, frame_load(&frame, v->esp, v->esp_len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_STALE_META);
	in_state.status = XIPSEC_SA_LIVE;
	in_state.generation++;
	open_one(sa, frame_load(&frame, v->esp, v->esp_len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_STALE_META);
	assert_int_equal(in_state.replay_top, 0);
	in_state.generation--;
	open_one(sa, frame_load(&frame, v->esp, v->esp_len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_OPENED);
	/* left of the window */
	in_state.replay_top = 5000;
	open_one(sa, frame_load(&frame, v->esp, v->esp_len));
	assert_int_equal(frame.p.reason, XIPSEC_REASON_REPLAY_OLD);
	sa_free(sa);
}

/* ---------------------------------------------------------------- out */

/* Every inner size against every path MTU about it: what is sealed fits, what is refused would not.
 */
static void test_out_mtu(void **unused)
{
	static const int families[][2] = {{4, 4}, {6, 6}, {4, 6}, {6, 4}};
	__u8 inner[2048];

	for (int f = 0; f < 4; f++) {
		struct xipsec_sa config =
			sa_config(XIPSEC_ALG_AES128GCM16, families[f][1], 0, XIPSEC_DIR_OUT);
		struct sa *sa = sa_make(&config, &out_state, XIPSEC_BACKEND_AUTO);

		for (__u32 payload = 1300; payload < 1420; payload++) {
			__u32 len = udp_write(inner, families[f][0], payload);
			struct packet *p = frame_load(&frame, inner, len);
			__u32 pad = (4 - (len + 2) % 4) % 4;
			__u32 total = (families[f][1] == 4 ? 20 : 40) + 16 + len + pad + 2 + 16;
			__u64 before = out_state.seq;

			esp_out_burst(sa, &p, 1, 1450, 1);
			if (total <= 1450) {
				assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
				assert_int_equal(p->len, total);
				assert_true(len <= sa_inner_max(sa, 1450));
				continue;
			}
			assert_int_equal(p->reason, XIPSEC_REASON_TOO_BIG);
			assert_int_equal(p->icmp_mtu, sa_inner_max(sa, 1450));
			assert_memory_equal(p->data, inner, len);
			assert_int_equal(out_state.seq, before);
		}
		assert_int_equal(sa_inner_max(sa, 0), 0);
		assert_int_equal(sa_inner_max(sa, 60), families[f][1] == 4 ? 6 : 0);
		sa_free(sa);
	}
}

/* RFC 4301 8.2.1: a path MTU that was learnt is told to who sends next, while it is believed. */
static void test_out_pmtu(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct sa *sa = sa_make(&config, &out_state, XIPSEC_BACKEND_AUTO);
	__u8 inner[2048];
	__u32 len = udp_write(inner, 4, 1310);

	for (__u64 now = 98; now < 102; now++) {
		struct packet *p = frame_load(&frame, inner, len);

		out_state.pmtu = 1300;
		out_state.pmtu_until = 100;
		esp_out_burst(sa, &p, 1, 1500, now);
		if (now >= 100) {
			assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
			continue;
		}
		assert_int_equal(p->reason, XIPSEC_REASON_TOO_BIG);
		assert_int_equal(p->icmp_mtu, sa_inner_max(sa, 1300));
		assert_memory_equal(p->data, inner, len);
	}
	sa_free(sa);
}

static void test_out_burst(void **unused)
{
	static struct frame frames[200];
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES256GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct sa *sa = sa_make(&config, &out_state, XIPSEC_BACKEND_AUTO);
	struct packet *pkts[200];
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 33), sealed = 0;

	out_state.seq_limit = 100;
	for (int i = 0; i < 200; i++) {
		pkts[i] = frame_load(&frames[i], inner, len);
		if (i % 10 == 3)
			pkts[i]->data[8] = 1; /* TTL */
		if (i % 10 == 4)
			pkts[i]->data[0] = 0x44; /* malformed */
		if (i % 10 == 5)
			pkts[i]->reason = XIPSEC_REASON_BAD_META; /* not ours to touch */
	}
	esp_out_burst(sa, pkts, 200, PATH_MTU, 77);
	for (int i = 0; i < 200; i++) {
		enum xipsec_reason want = XIPSEC_REASON_SEALED;

		if (i % 10 == 3)
			want = XIPSEC_REASON_TTL;
		else if (i % 10 == 4)
			want = XIPSEC_REASON_INNER_MALFORMED;
		else if (i % 10 == 5)
			want = XIPSEC_REASON_BAD_META;
		else if (sealed == 100)
			want = XIPSEC_REASON_SEQ_WAIT;
		assert_int_equal(pkts[i]->reason, want);
		if (want == XIPSEC_REASON_SEALED)
			assert_int_equal(pkts[i]->seq, ++sealed);
	}
	assert_int_equal(sealed, 100);
	assert_int_equal(out_state.seq, 100);
	assert_int_equal(out_state.packets, 100);
	assert_int_equal(out_state.bytes, 100 * len);
	assert_int_equal(out_state.drops[XIPSEC_REASON_TTL], 20);
	assert_int_equal(out_state.drops[XIPSEC_REASON_INNER_MALFORMED], 20);
	assert_int_equal(out_state.drops[XIPSEC_REASON_SEQ_WAIT], 40);
	assert_int_equal(out_state.drops[XIPSEC_REASON_BAD_META], 0);
	sa_free(sa);
}

static void test_out_room(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct sa *sa = sa_make(&config, &out_state, XIPSEC_BACKEND_AUTO);
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 33);

	/* too little headroom, and no tailroom to move into */
	frame_load(&frame, inner, len)->headroom = 35;
	frame.p.tailroom = 21 + 15;
	seal_one(sa, &frame.p);
	assert_int_equal(frame.p.reason, XIPSEC_REASON_TOO_BIG);
	assert_memory_equal(frame.p.data, inner, len);
	frame_load(&frame, inner, len)->headroom = 0;
	seal_one(sa, &frame.p);
	assert_int_equal(frame.p.reason, XIPSEC_REASON_SEALED);
	assert_ptr_equal(frame.p.data, frame.bytes + HEADROOM + 48 - 36);
	assert_int_equal(frame.p.headroom, 48 - 36);
	/* moved, and then told that it is too big: what stood before it still does */
	frame_load(&frame, inner, len)->headroom = 0;
	frame.p.l2_len = 18;
	memcpy(frame.p.data - 18, "ABCDEFGHIJKLMNOPQR", 18);
	frame.p.data[6] = 0x40; /* DF */
	ip4_check(frame.p.data);
	esp_out_burst(sa, (struct packet *[]){&frame.p}, 1, 100, 0);
	assert_int_equal(frame.p.reason, XIPSEC_REASON_TOO_BIG);
	assert_ptr_equal(frame.p.data, frame.bytes + HEADROOM + 48);
	assert_memory_equal(frame.p.data - 18, "ABCDEFGHIJKLMNOPQR", 18);
	frame_load(&frame, inner, len)->tailroom = 20;
	seal_one(sa, &frame.p);
	assert_int_equal(frame.p.reason, XIPSEC_REASON_TOO_BIG);
	assert_memory_equal(frame.p.data, inner, len);
	frame_load(&frame, inner, len)->headroom = 36;
	frame.p.tailroom = 21;
	seal_one(sa, &frame.p);
	assert_int_equal(frame.p.reason, XIPSEC_REASON_SEALED);
	/* Ethernet padding is not sealed */
	memset(inner + len, 0xcc, 40);
	frame_load(&frame, inner, len + 40);
	seal_one(sa, &frame.p);
	assert_int_equal(frame.p.reason, XIPSEC_REASON_SEALED);
	assert_in_range(frame.p.len, len + 54, len + 57);
	assert_int_equal(frame.p.headroom + frame.p.len + frame.p.tailroom, FRAME_SIZE);
	sa_free(sa);
}

/* ---------------------------------------------------------------- making SAs */

static int new_error(const struct xipsec_sa *config)
{
	struct sa *sa;
	int err = 0;

	sa = sa_new(config, 0, 1, &in_state, XIPSEC_BACKEND_AUTO, &err);
	sa_free(sa);
	assert_true(!!sa == !err);
	return err;
}

static void test_sa_new(void **unused)
{
	const struct xipsec_sa good = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	struct xipsec_sa bad;
	struct sa *sa;
	int err;

#define REFUSED(want, ...)                                \
	do {                                              \
		bad = good;                               \
		__VA_ARGS__;                              \
		assert_int_equal(new_error(&bad), -want); \
	} while (0)

	assert_int_equal(new_error(&good), 0);
	REFUSED(EINVAL, bad.key_len = 36);
	REFUSED(EINVAL, bad.key_len = 0);
	REFUSED(EINVAL, bad.dir = 0);
	REFUSED(EINVAL, bad.window = 63);
	REFUSED(EINVAL, bad.window = 8193);
	REFUSED(EINVAL, bad.n_selectors = XIPSEC_SELECTORS_MAX + 1);
	REFUSED(EINVAL, bad.outer_family = 5);
	REFUSED(EINVAL, bad.mode = 3);
	REFUSED(ENOTSUP, bad.alg = 0);
	REFUSED(ENOTSUP, bad.alg = 200);
	REFUSED(EINVAL, bad.l4_proto = IPPROTO_AH); /* no cipher goes with it */
	REFUSED(ENOTSUP, bad.l4_proto = IPPROTO_UDP);

	for (int b = 0; b < 2; b++) {
		sa = sa_new(&good, 3, 9, &in_state, backends[b], &err);
		assert_non_null(sa);
		assert_int_equal(sa_backend(sa), backends[b]);
		assert_int_equal(sa->index, 3);
		assert_int_equal(sa->generation, 9);
		sa_free(sa);
	}
	sa_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),   cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_trailer),   cmocka_unit_test(test_tfc),
		cmocka_unit_test(test_flips),     cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_selectors), cmocka_unit_test(test_order),
		cmocka_unit_test(test_in_ttl),    cmocka_unit_test(test_in_ecn),
		cmocka_unit_test(test_in_state),  cmocka_unit_test(test_out_mtu),
		cmocka_unit_test(test_out_burst), cmocka_unit_test(test_out_room),
		cmocka_unit_test(test_sa_new),    cmocka_unit_test(test_window_first),
		cmocka_unit_test(test_out_pmtu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
