// SPDX-License-Identifier: BSD-2-Clause
/* AH: round trips, what routers may change and what nobody may. */
#include "tests/unit/esp_fixture.h"

#include "worker/ah.h"

static struct xipsec_sa_state out_state, in_state;
static struct frame frame;

static const enum xipsec_alg algs[] = {XIPSEC_ALG_NULL_SHA256, XIPSEC_ALG_NULL_SHA384,
				       XIPSEC_ALG_NULL_SHA512, XIPSEC_ALG_AES128GMAC,
				       XIPSEC_ALG_AES256GMAC};

struct pair {
	struct sa *out, *in;
};

static struct pair pair_open(enum xipsec_alg alg, int family, int esn, __u8 mode,
			     enum xipsec_backend backend)
{
	struct xipsec_sa config = sa_config(alg, family, esn, XIPSEC_DIR_OUT);
	struct pair pair;

	config.l4_proto = IPPROTO_AH;
	config.mode = mode;
	pair.out = sa_make(&config, &out_state, backend);
	config.dir = XIPSEC_DIR_IN;
	pair.in = sa_make(&config, &in_state, backend);
	out_state.seq = esn ? 0x100000007ULL : 7;
	in_state.replay_top = out_state.seq;
	return pair;
}

static void pair_close(struct pair *pair)
{
	sa_free(pair->out);
	sa_free(pair->in);
}

static enum xipsec_reason seal(struct pair *pair, const __u8 *inner, __u32 len)
{
	struct packet *p = frame_load(&frame, inner, len);

	p->flags = PACKET_LOCAL;
	ah_out_burst(pair->out, &p, 1, PATH_MTU, 1);
	return p->reason;
}

static enum xipsec_reason open_it(struct pair *pair)
{
	struct packet *p = &frame.p;

	p->reason = 0;
	ah_in_burst(pair->in, &p, 1, 1);
	return p->reason;
}

/* Bytes of what was sealed, in `sealed`. */
static __u32 seal_into(struct pair *pair, const __u8 *inner, __u32 len, __u8 *sealed)
{
	assert_int_equal(seal(pair, inner, len), XIPSEC_REASON_SEALED);
	memcpy(sealed, frame.p.data, frame.p.len);
	return frame.p.len;
}

/* These come in, AH behind an IPv4 header. */
static enum xipsec_reason open_from(struct pair *pair, const __u8 *sealed, __u32 n)
{
	frame_load(&frame, sealed, n)->l4_off = 20;
	return open_it(pair);
}

static void run(enum xipsec_alg alg, int family, int inner_family, int esn, __u8 mode,
		enum xipsec_backend backend)
{
	struct pair pair = pair_open(alg, family, esn, mode, backend);
	__u32 icv = alg_get(alg)->icv + alg_get(alg)->iv, pad = family == 4 ? 4 : 8;
	__u32 ah_len = (12 + icv + pad - 1) / pad * pad;
	__u32 front = family == 4 ? 20 : 40;

	for (__u32 payload = 0; payload < 1500; payload += payload < 20 ? 1 : 331) {
		__u8 inner[2048];
		__u32 len = udp_write(inner, inner_family, payload);

		if (seal(&pair, inner, len) != XIPSEC_REASON_SEALED)
			fail_msg("%s: reason %u", alg_name(alg, IPPROTO_AH), frame.p.reason);
		assert_int_equal(frame.p.len,
				 len + ah_len + (mode == XIPSEC_MODE_TUNNEL ? front : 0));
		assert_int_equal(frame.p.l4_off, front);
		assert_int_equal(frame.p.data[front + 1], ah_len / 4 - 2);
		assert_int_equal(frame.p.data[family == 4 ? 9 : 6], IPPROTO_AH);
		if (family == 4)
			assert_int_equal(csum_fold(csum_add(0, frame.p.data, 20)), 0xffff);
		assert_int_equal(frame.p.headroom + frame.p.len + frame.p.tailroom, FRAME_SIZE);
		/* what routers do */
		if (family == 4) {
			frame.p.data[1] ^= 0x28;
			frame.p.data[8] -= 3;
			ip4_check(frame.p.data);
		} else {
			frame.p.data[1] ^= 0x80;
			frame.p.data[3] ^= 0x55;
			frame.p.data[7] -= 3;
		}
		if (open_it(&pair) != XIPSEC_REASON_OPENED)
			fail_msg("%s: back: reason %u", alg_name(alg, IPPROTO_AH), frame.p.reason);
		assert_int_equal(frame.p.len, len);
		if (mode == XIPSEC_MODE_TUNNEL) {
			assert_memory_equal(frame.p.data, inner, len);
		} else {
			__u32 l4 = front;

			assert_memory_equal(frame.p.data + l4, inner + l4, len - l4);
		}
		assert_int_equal(frame.p.headroom + frame.p.len + frame.p.tailroom, FRAME_SIZE);
	}
	pair_close(&pair);
}

static void test_all(void **unused)
{
	for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
		for (int family = 4; family <= 6; family += 2)
			for (int esn = 0; esn < 2; esn++)
				for (int b = XIPSEC_BACKEND_IPSEC_MB; b <= XIPSEC_BACKEND_OPENSSL;
				     b++) {
					run(algs[a], family, 4, esn, XIPSEC_MODE_TUNNEL, b);
					run(algs[a], family, 6, esn, XIPSEC_MODE_TUNNEL, b);
					run(algs[a], family, family, esn, XIPSEC_MODE_TRANSPORT, b);
				}
}

/* Every bit that is not mutable counts. */
static void test_flips(void **unused)
{
	static const __u8 opts4[] = {0x94, 4, 0, 0, 7, 7, 4, 1, 2, 3, 4, 0};
	static const __u8 hop[] = {17, 0, 0x1e, 1, 0x77, 0x3e, 1, 0x77};

	for (int family = 4; family <= 6; family += 2) {
		struct pair pair = pair_open(XIPSEC_ALG_NULL_SHA256, family, 1,
					     XIPSEC_MODE_TRANSPORT, XIPSEC_BACKEND_AUTO);
		__u8 inner[256], sealed[256];
		__u32 len = family == 4 ? udp_with_ext(inner, 4, 10, opts4, sizeof(opts4), 0)
					: udp_with_ext(inner, 6, 10, hop, sizeof(hop), 0);
		__u32 n, mutable = 0, refused = 0, l4_off, front = 0;

		assert_int_equal(seal(&pair, inner, len), XIPSEC_REASON_SEALED);
		n = frame.p.len;
		l4_off = frame.p.l4_off;
		memcpy(sealed, frame.p.data, n);
		for (__u32 bit = 0; bit < n * 8; bit++) {
			state_reset(&in_state);
			in_state.replay_top = 0x100000007ULL;
			sealed[bit / 8] ^= 1 << bit % 8;
			frame_load(&frame, sealed, n)->l4_off = (__u16)l4_off;
			if (open_it(&pair) == XIPSEC_REASON_OPENED)
				mutable ++;
			else
				refused++;
			if (bit == 20 * 8 - 1)
				front = mutable;
			sealed[bit / 8] ^= 1 << bit % 8;
		}
		/* IPv4: TOS, flags but MF and offset, TTL, checksum, and the record route option
		 * but its kind and length bytes, whose change makes another or no option of it.
		 * IPv6: class, flow label, hop limit, the data of the one option that may change.
		 */
		if (family == 4) {
			assert_int_equal(front, 8 + 2 + 8 + 16);
			assert_in_range(mutable - front, 5 * 8, 7 * 8);
		}
		if (family == 6)
			assert_int_equal(mutable, 8 + 20 + 8 + 8);
		assert_int_equal(mutable + refused, n * 8);
		pair_close(&pair);
	}
}

/* RFC 4302 appendix A1: which options of IPv4 count, and which may be written to on the way. */
static void test_options4(void **unused)
{
	static const struct {
		__u8 kind;
		bool stays;
	} options[] = {{130, true}, {133, true}, {134, true}, {148, true},  {149, true},
		       {7, false},  {68, false}, {82, false}, {136, false}, {142, false}};
	struct pair pair =
		pair_open(XIPSEC_ALG_NULL_SHA256, 4, 0, XIPSEC_MODE_TRANSPORT, XIPSEC_BACKEND_AUTO);

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const __u8 opt[] = {options[i].kind, 4, 1, 2};
		__u8 inner[256], sealed[256];
		__u32 len = udp_with_ext(inner, 4, 10, opt, sizeof(opt), 0);

		assert_int_equal(seal(&pair, inner, len), XIPSEC_REASON_SEALED);
		memcpy(sealed, frame.p.data, frame.p.len);
		assert_int_equal(sealed[20], options[i].kind);
		sealed[23] ^= 1;
		len = frame.p.len;
		state_reset(&in_state);
		frame_load(&frame, sealed, len)->l4_off = 24;
		assert_int_equal(open_it(&pair),
				 options[i].stays ? XIPSEC_REASON_ICV : XIPSEC_REASON_OPENED);
	}
	pair_close(&pair);
}

static void test_replay(void **unused)
{
	struct pair pair =
		pair_open(XIPSEC_ALG_AES128GMAC, 4, 0, XIPSEC_MODE_TUNNEL, XIPSEC_BACKEND_AUTO);
	__u8 inner[256], sealed[256];
	__u32 len = udp_write(inner, 4, 10), n;

	n = seal_into(&pair, inner, len, sealed);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
	assert_int_equal(open_from(&pair, sealed, n), XIPSEC_REASON_REPLAY);
	for (__u32 cut = 20; cut < n; cut++) {
		frame_load(&frame, sealed, n)->l4_off = 20;
		frame.p.len = cut;
		put16(frame.p.data + 2, cut);
		assert_int_not_equal(open_it(&pair), XIPSEC_REASON_OPENED);
	}
	pair_close(&pair);
}

/* RFC 4302 3.4.3: the window is asked before the key is. */
static void test_window_first(void **unused)
{
	struct pair pair =
		pair_open(XIPSEC_ALG_NULL_SHA256, 4, 0, XIPSEC_MODE_TUNNEL, XIPSEC_BACKEND_AUTO);
	__u8 inner[256], sealed[256];
	__u32 len = udp_write(inner, 4, 10), n;

	n = seal_into(&pair, inner, len, sealed);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
	sealed[n - 1] ^= 1;
	assert_int_equal(open_from(&pair, sealed, n), XIPSEC_REASON_REPLAY);
	state_reset(&in_state);
	assert_int_equal(open_from(&pair, sealed, n), XIPSEC_REASON_ICV);
	pair_close(&pair);
}

/* RFC 4302 2.3: another sender may set what is reserved; it counts in the ICV, and no further. */
static void test_reserved(void **unused)
{
	struct pair pair =
		pair_open(XIPSEC_ALG_NULL_SHA256, 4, 0, XIPSEC_MODE_TUNNEL, XIPSEC_BACKEND_AUTO);
	__u8 inner[256], zero[256];
	__u32 len = udp_write(inner, 4, 10);
	struct crypto_op op = {.text = zero, .tag = frame.bytes};
	__u8 *ah;

	assert_int_equal(seal(&pair, inner, len), XIPSEC_REASON_SEALED);
	ah = frame.p.data + 20;
	assert_int_equal(get16(ah + 2), 0);
	put16(ah + 2, 0xabcd);
	op.len = frame.p.len;
	memcpy(zero, frame.p.data, op.len);
	assert_int_equal(ah_mask(zero, 20), 0);
	memset(zero + 20 + pair.in->icv_off, 0, pair.in->icv_len);
	op.tag = ah + pair.in->icv_off;
	pair.out->seal(pair.out->key->ctx, &op, 1, 0);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
	assert_memory_equal(frame.p.data, inner, len);
	pair_close(&pair);
}

/* RFC 4302 2.5.1: the half of the number that does not travel is in the ICV. */
static void test_esn(void **unused)
{
	struct pair pair =
		pair_open(XIPSEC_ALG_NULL_SHA256, 4, 1, XIPSEC_MODE_TUNNEL, XIPSEC_BACKEND_AUTO);
	__u8 inner[256], sealed[256];
	__u32 len = udp_write(inner, 4, 10), n;

	n = seal_into(&pair, inner, len, sealed);
	assert_memory_equal(sealed + 28, "\0\0\0\x08", 4);
	for (__u64 high = 0; high < 3; high++) {
		state_reset(&in_state);
		in_state.replay_top = high << 32 | 7;
		assert_int_equal(open_from(&pair, sealed, n),
				 high == 1 ? XIPSEC_REASON_OPENED : XIPSEC_REASON_ICV);
	}
	pair_close(&pair);
}

/* RFC 4302 3.3.4 and 3.4.1: fragments are neither sealed in transport mode nor opened. */
static void test_fragments(void **unused)
{
	static const __u16 pieces[] = {0x2000, 0x2001, 1, 0x1000};
	struct pair pair =
		pair_open(XIPSEC_ALG_NULL_SHA256, 4, 0, XIPSEC_MODE_TRANSPORT, XIPSEC_BACKEND_AUTO);
	__u8 inner[256], sealed[256];
	__u32 len = udp_write(inner, 4, 64), n;

	n = seal_into(&pair, inner, len, sealed);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		put16(inner + 6, pieces[i]);
		ip4_check(inner);
		assert_int_equal(seal(&pair, inner, len), XIPSEC_REASON_FRAG_TRANSPORT);
		assert_memory_equal(frame.p.data, inner, len);
		/* flags and offset are mutable: the ICV would hold */
		frame_load(&frame, sealed, n)->l4_off = 20;
		put16(frame.p.data + 6, pieces[i]);
		ip4_check(frame.p.data);
		assert_int_equal(open_it(&pair), XIPSEC_REASON_AH_FRONT);
	}
	assert_int_equal(out_state.seq, 8);
	assert_int_equal(open_from(&pair, sealed, n), XIPSEC_REASON_OPENED);
	pair_close(&pair);
}

/* What fits is sealed and no longer than the path takes, the next byte is too big. */
static void test_mtu(void **unused)
{
	for (int family = 4; family <= 6; family += 2)
		for (int kind = 0; kind < 2; kind++) {
			__u8 mode = kind ? XIPSEC_MODE_TUNNEL : XIPSEC_MODE_TRANSPORT;
			struct pair pair = pair_open(XIPSEC_ALG_NULL_SHA256, family, 0, mode,
						     XIPSEC_BACKEND_AUTO);
			__u32 longest = 0, most = 0, refused = 0;
			__u8 inner[1600];

			for (__u32 payload = 1250; payload < 1400; payload++) {
				__u32 len = udp_write(inner, family, payload);
				struct packet *p = frame_load(&frame, inner, len);

				ah_out_burst(pair.out, &p, 1, 1400, 1);
				if (p->reason == XIPSEC_REASON_SEALED) {
					longest = len;
					most = p->len;
					continue;
				}
				assert_int_equal(p->reason, XIPSEC_REASON_TOO_BIG);
				assert_int_equal(p->icmp_mtu, longest);
				assert_memory_equal(p->data, inner, len);
				refused++;
			}
			assert_int_equal(most, 1400);
			assert_true(refused > 0);
			pair_close(&pair);
		}
}

/* GMAC's IV is authenticated where it stands (RFC 4543 7). The tag is that of python3-cryptography
 * over the masked packet with the IV in it. */
static void test_gmac_iv(void **unused)
{
	static const __u8 ah[36] = {4,    7,    0,    0,    0,    0,    0x10, 0x01, 0,
				    0,    0,    8,    0,    0,    0,    0,    0,    0,
				    0,    8,    0xd3, 0x82, 0x35, 0x52, 0xc5, 0x0e, 0x2b,
				    0xeb, 0xf1, 0x82, 0x02, 0x26, 0x3a, 0x65, 0x2a, 0x0a};

	for (int b = XIPSEC_BACKEND_IPSEC_MB; b <= XIPSEC_BACKEND_OPENSSL; b++) {
		struct pair pair = pair_open(XIPSEC_ALG_AES128GMAC, 4, 0, XIPSEC_MODE_TUNNEL, b);
		__u8 inner[256];

		assert_int_equal(seal(&pair, inner, udp_write(inner, 4, 10)), XIPSEC_REASON_SEALED);
		assert_memory_equal(frame.p.data + 20, ah, sizeof(ah));
		pair_close(&pair);
	}
}

/* Linux pads AH to 8 bytes over IPv4 unless told otherwise. */
static void test_padded(void **unused)
{
	struct pair pair =
		pair_open(XIPSEC_ALG_NULL_SHA256, 4, 0, XIPSEC_MODE_TUNNEL, XIPSEC_BACKEND_AUTO);
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 10);

	pair.out->head_len = 32;
	pair.out->head_room += 4;
	assert_int_equal(seal(&pair, inner, len), XIPSEC_REASON_SEALED);
	assert_int_equal(frame.p.len, len + 20 + 32);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
	assert_memory_equal(frame.p.data, inner, len);
	pair.out->head_len = 36;
	pair.out->head_room += 4;
	assert_int_equal(seal(&pair, inner, len), XIPSEC_REASON_SEALED);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_AH_SHORT);
	pair_close(&pair);
}

static void test_front(void **unused)
{
	static const __u8 under_way[] = {0x83, 7, 4, 1, 2, 3, 4, 0};
	static const __u8 done[] = {0x83, 7, 8, 1, 2, 3, 4, 0};
	static const __u8 routed[] = {17, 0, 4, 1, 0, 0, 0, 0};
	struct pair pair =
		pair_open(XIPSEC_ALG_NULL_SHA256, 4, 0, XIPSEC_MODE_TRANSPORT, XIPSEC_BACKEND_AUTO);
	__u8 inner[512], many[192] = {17, 23, 1, 4};

	assert_int_equal(seal(&pair, inner, udp_with_ext(inner, 4, 9, under_way, 8, 0)),
			 XIPSEC_REASON_AH_FRONT);
	assert_int_equal(out_state.seq, 7);
	assert_int_equal(seal(&pair, inner, udp_with_ext(inner, 4, 9, done, 8, 0)),
			 XIPSEC_REASON_SEALED);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
	pair_close(&pair);
	pair = pair_open(XIPSEC_ALG_NULL_SHA256, 6, 0, XIPSEC_MODE_TRANSPORT, XIPSEC_BACKEND_AUTO);
	assert_int_equal(seal(&pair, inner, udp_with_ext(inner, 6, 9, routed, 8, 43)),
			 XIPSEC_REASON_AH_FRONT);
	assert_int_equal(seal(&pair, inner, udp_with_ext(inner, 6, 9, many, sizeof(many), 0)),
			 XIPSEC_REASON_AH_FRONT);
	assert_int_equal(out_state.seq, 7);
	pair_close(&pair);
}

/* 128 bytes in all may stand in front: of IPv6 88 of extension headers. */
static void test_front_bound(void **unused)
{
	struct pair pair =
		pair_open(XIPSEC_ALG_NULL_SHA256, 6, 0, XIPSEC_MODE_TRANSPORT, XIPSEC_BACKEND_AUTO);
	__u8 inner[512], longest[88] = {17, 10, 1, 4}, longer[96] = {17, 11, 1, 4};

	assert_int_equal(seal(&pair, inner, udp_with_ext(inner, 6, 9, longer, sizeof(longer), 0)),
			 XIPSEC_REASON_AH_FRONT);
	assert_int_equal(seal(&pair, inner, udp_with_ext(inner, 6, 9, longest, sizeof(longest), 0)),
			 XIPSEC_REASON_SEALED);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
	pair_close(&pair);
}

/* What is refused for its headers is told with them as they came, though some were masked by then.
 */
static void test_front_restored(void **unused)
{
	static const __u8 under_way[] = {0x83, 7, 4, 1, 2, 3, 4, 0};
	static const __u8 routed[] = {IPPROTO_AH, 0, 4, 1, 0, 0, 0, 0};

	for (int family = 4; family <= 6; family += 2) {
		struct pair pair = pair_open(XIPSEC_ALG_NULL_SHA256, family, 0, XIPSEC_MODE_TUNNEL,
					     XIPSEC_BACKEND_AUTO);
		__u32 base = family == 4 ? 20 : 40, n;
		__u8 inner[256], sealed[512], came[512];

		n = seal_into(&pair, inner, udp_write(inner, 4, 30), sealed);
		memcpy(came, sealed, base);
		memcpy(came + base, family == 4 ? under_way : routed, 8);
		memcpy(came + base + 8, sealed + base, n - base);
		n += 8;
		if (family == 4) {
			came[0] = 0x47;
			came[1] = 0xb8;
			put16(came + 2, n);
			ip4_check(came);
		} else {
			came[0] = 0x6b;
			memcpy(came + 1, "\x81\x23\x45", 3);
			put16(came + 4, n - base);
			came[6] = IPPROTO_ROUTING;
		}
		frame_load(&frame, came, n)->l4_off = (__u16)(base + 8);
		assert_int_equal(open_it(&pair), XIPSEC_REASON_AH_FRONT);
		assert_int_equal(frame.p.len, n);
		assert_memory_equal(frame.p.data, came, n);
		pair_close(&pair);
	}
}

static void test_refused(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	int err;

	config.l4_proto = IPPROTO_AH;
	assert_null(sa_new(&config, 0, 1, &in_state, XIPSEC_BACKEND_AUTO, &err));
	config = sa_config(XIPSEC_ALG_NULL_SHA256, 4, 0, XIPSEC_DIR_OUT);
	config.l4_proto = IPPROTO_AH;
	config.flags |= XIPSEC_SA_UDP;
	assert_null(sa_new(&config, 0, 1, &in_state, XIPSEC_BACKEND_AUTO, &err));
}

/* A fragment header that cuts nothing is taken out before the ICV, wherever it stands in front (RFC
 * 4302 A2); one that cuts is none of that. */
static void test_atomic(void **unused)
{
	static const struct {
		__u32 len, front;
		__u8 first;
		__u8 ext[24], whole[16];
		__u8 whole_first;
		int next_off;
	} chains[] = {
		{8, 8, 44, {17, 0, 0, 0, 1, 2, 3, 4}, {0}, 17, 6},
		{16, 16, 0, {44, 0, 1, 4, [8] = 17, 0, 0, 6, 9, 9, 9, 9}, {17, 0, 1, 4}, 0, 40},
		{16, 16, 43, {44, 0, 4, 0, [8] = 17, 0, 0, 6, 9, 9, 9, 9}, {17, 0, 4, 0}, 43, 40},
		{16, 16, 44, {0x3c, 0, 0, 0, 1, 2, 3, 4, 17, 0, 1, 4}, {17, 0, 1, 4}, 60, 6},
		{24,
		 24,
		 0,
		 {44, 0, 1, 4, [8] = 43, 0, 0, 0, 9, 9, 9, 9, 17, 0, 4, 0},
		 {43, 0, 1, 4, [8] = 17, 0, 4, 0},
		 0,
		 48},
	};

	for (size_t c = 0; c < sizeof(chains) / sizeof(chains[0]); c++) {
		struct pair pair = pair_open(XIPSEC_ALG_NULL_SHA256, 6, 1, XIPSEC_MODE_TRANSPORT,
					     XIPSEC_BACKEND_AUTO);
		__u8 inner[256], want[256], sealed[256];
		__u32 len =
			udp_with_ext(inner, 6, 33, chains[c].ext, chains[c].len, chains[c].first);
		__u32 whole = udp_with_ext(want, 6, 33, chains[c].whole, chains[c].len - 8,
					   chains[c].whole_first);
		__u32 n, ah_off, at;

		assert_int_equal(whole, len - 8);
		assert_int_equal(seal(&pair, inner, len), XIPSEC_REASON_SEALED);
		n = frame.p.len;
		ah_off = frame.p.l4_off;
		assert_int_equal(n, whole + 32);
		assert_int_equal(get16(frame.p.data + 4) + 40u, n);
		assert_int_equal(frame.p.data[chains[c].next_off], IPPROTO_AH);
		assert_int_equal(frame.p.headroom + frame.p.len + frame.p.tailroom, FRAME_SIZE);
		memcpy(sealed, frame.p.data, n);
		assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
		assert_int_equal(frame.p.len, whole);
		assert_memory_equal(frame.p.data, want, whole);

		/* left in front by who put the pieces together, or by a translator */
		for (int cuts = 0; cuts < 4; cuts++) {
			__u8 *frag;

			state_reset(&in_state);
			in_state.replay_top = 0x100000007ULL;
			at = chains[c].next_off == 6 ? 40 : 48;
			memcpy(inner, sealed, at);
			frag = inner + at;
			memcpy(frag, "\0\0\0\0\1\2\3\4", 8);
			frag[0] = sealed[at == 40 ? 6 : 40];
			inner[at == 40 ? 6 : 40] = 44;
			frag[2] = cuts == 3;
			frag[3] = (__u8)(cuts == 1 ? 1 : cuts == 2 ? 8 : 0);
			memcpy(frag + 8, sealed + at, n - at);
			put16(inner + 4, n + 8 - 40);
			frame_load(&frame, inner, n + 8)->l4_off = (__u16)(ah_off + 8);
			if (cuts) {
				assert_int_equal(open_it(&pair), XIPSEC_REASON_AH_FRONT);
				continue;
			}
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
			assert_int_equal(frame.p.len, whole);
			assert_memory_equal(frame.p.data, want, whole);
			assert_int_equal(frame.p.headroom + frame.p.len + frame.p.tailroom,
					 FRAME_SIZE);
		}
		pair_close(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_options4),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_padded),
		cmocka_unit_test(test_front),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_gmac_iv),
		cmocka_unit_test(test_window_first),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_esn),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_atomic),
		cmocka_unit_test(test_front_restored),
		cmocka_unit_test(test_front_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
