// SPDX-License-Identifier: BSD-2-Clause
/* Every algorithm, ESP and AH as a whole: sealed by one backend and opened by the other, in all
 * sizes; and each field of a packet that is another is refused with the reason of that field. */
#include "tests/unit/esp_fixture.h"

#include "lib/reason.h"
#include "worker/ah.h"
#include "worker/esp_in.h"
#include "worker/esp_out.h"

#define SIZE_MAX_ALL 9000
#define JUMBO_MTU    9600
#define ROOM         (HEADROOM + JUMBO_MTU + 256)
#define TOP          0x12345ULL /* the last number that was received */
#define ESN_TOP      (0x512345ULL + (7ULL << 32))

/* A sanitizer makes bytes expensive; all sizes are run without it. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 61
#else
#define STRIDE 1
#endif

static const enum xipsec_backend backends[] = {XIPSEC_BACKEND_IPSEC_MB, XIPSEC_BACKEND_OPENSSL};
static struct xipsec_sa_state out_state, in_state;
static __u8 room[ROOM];

struct pair {
	struct sa *out, *in;
	__u64 top;
	int ah;
};

static struct pair pair_open(enum xipsec_alg alg, int ah, int esn, int b)
{
	struct xipsec_sa config = sa_config(alg, 4, esn, XIPSEC_DIR_OUT);
	struct pair pair = {.top = esn ? ESN_TOP : TOP, .ah = ah};

	config.l4_proto = ah ? IPPROTO_AH : IPPROTO_ESP;
	pair.out = sa_make(&config, &out_state, backends[b]);
	config.dir = XIPSEC_DIR_IN;
	pair.in = sa_make(&config, &in_state, backends[!b]);
	return pair;
}

static void pair_close(struct pair *pair)
{
	sa_free(pair->out);
	sa_free(pair->in);
}

static struct packet load(const __u8 *data, __u32 len)
{
	memcpy(room + HEADROOM, data, len);
	return (struct packet){
		.data = room + HEADROOM,
		.len = len,
		.headroom = HEADROOM,
		.tailroom = ROOM - HEADROOM - len,
		.family = 4,
		.flags = PACKET_LOCAL,
		.l4_off = 20,
	};
}

static void seal(const struct pair *pair, struct packet *p)
{
	if (pair->ah)
		ah_out_burst(pair->out, &p, 1, JUMBO_MTU, 1);
	else
		esp_out_burst(pair->out, &p, 1, JUMBO_MTU, 1);
}

static void open_it(const struct pair *pair, struct packet *p)
{
	p->reason = 0;
	p->l4_off = 20;
	if (pair->ah)
		ah_in_burst(pair->in, &p, 1, 1);
	else
		esp_in_burst(pair->in, &p, 1, 1);
}

/* ------------------------------------------------------------------ sizes */

static unsigned int run_sizes(enum xipsec_alg alg, int b)
{
	struct pair pair = pair_open(alg, 0, 0, b);
	unsigned int n = 0;

	for (__u32 payload = 0; payload <= SIZE_MAX_ALL; payload += STRIDE, n++) {
		static __u8 inner[SIZE_MAX_ALL + 28];
		__u32 len = udp_write(inner, 4, payload);
		struct packet p = load(inner, len);

		seal(&pair, &p);
		if (p.reason != XIPSEC_REASON_SEALED)
			fail_msg("%s, %u bytes: %s", alg_get(alg)->name, payload,
				 reason_name(p.reason));
		open_it(&pair, &p);
		if (p.reason != XIPSEC_REASON_OPENED || p.len != len)
			fail_msg("%s, %u bytes: back: %s", alg_get(alg)->name, payload,
				 reason_name(p.reason));
		assert_memory_equal(p.data, inner, len);
	}
	pair_close(&pair);
	return n;
}

/* RFC 4303 2.3 and 3.2: what ESP carries begins 8 bytes aligned, and no algorithm goes without
 * integrity. */
static void test_shapes(void **unused)
{
	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (int family = 4; family <= 6; family += 2) {
			struct xipsec_sa config = sa_config(alg, family, 0, XIPSEC_DIR_OUT);
			struct sa *sa = sa_make(&config, &out_state, XIPSEC_BACKEND_AUTO);

			assert_true(sa->head_len >= ESP_HEADER_LEN);
			assert_int_equal(sa->head_len % 8, 0);
			assert_int_equal(sa->align % 4, 0);
			assert_in_range(sa->icv_len, 8, 32);
			assert_int_equal(sa->icv_len % 4, 0);
			sa_free(sa);
		}
}

static void test_sizes(void **unused)
{
	unsigned int n = 0;

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (int b = 0; b < 2; b++)
			n += run_sizes(alg, b);
	assert_true(STRIDE > 1 || n == (XIPSEC_ALG_COUNT - 1) * 2 * (SIZE_MAX_ALL + 1));
	print_message("%u packets\n", n);
}

#define IVS 600

static bool cbc_ivs(enum xipsec_alg alg, int b)
{
	struct xipsec_sa config = sa_config(alg, 4, 0, XIPSEC_DIR_OUT);
	static struct xipsec_sa_state state[2];
	struct sa *sa[2] = {sa_make(&config, &state[0], backends[b]),
			    sa_make(&config, &state[1], backends[b])};
	bool cbc = sa[0]->head_len == ESP_HEADER_LEN + 16;
	static __u8 inner[68], iv[IVS][16];

	for (unsigned int n = 0; cbc && n < IVS; n++) {
		struct packet p = load(inner, udp_write(inner, 4, 40));

		seal(&(struct pair){.out = sa[n % 2]}, &p);
		assert_int_equal(p.reason, XIPSEC_REASON_SEALED);
		memcpy(iv[n], p.data + 20 + ESP_HEADER_LEN, sizeof(iv[0]));
		for (unsigned int k = 0; k < n; k++)
			assert_memory_not_equal(iv[k], iv[n], sizeof(iv[0]));
	}
	assert_int_equal(state[0].seq, state[1].seq);
	sa_free(sa[0]);
	sa_free(sa[1]);
	return cbc;
}

/* RFC 3602 3: an IV of CBC is nobody's guess. What can be seen from here: none comes twice, neither
 * out of one SA nor out of two, over more than two fillings of the pool that they are taken from.
 */
static void test_cbc_ivs(void **unused)
{
	unsigned int algs = 0;

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (int b = 0; b < 2; b++)
			algs += cbc_ivs(alg, b);
	assert_int_equal(algs, 2 * 6);
}

/* ------------------------------------------------------------------ forgeries */

/* Where the fields of a sealed packet lie, behind its outer header of 20 bytes. */
struct fields {
	__u32 skip;        /* bytes in front that other tests are about */
	__u32 seq;         /* of 4 bytes */
	__u32 packet_size; /* all behind them, to the end: IV, text, ICV */
};

/* What a flipped number must lead to. Without ESN it is the number: too old if it is 0 or `window`
 * or more below the highest; all else is not refused before the ICV is looked at. With ESN what
 * would lie below the window is taken for a number of the next 2^32 (RFC 4303 A2.2). */
static enum xipsec_reason seq_reason(const struct pair *pair, __u32 seq)
{
	__u64 top = pair->top;

	if (pair->in->esn)
		return XIPSEC_REASON_ICV;
	if (seq == 0 || (seq < top && top - seq >= pair->in->window))
		return XIPSEC_REASON_REPLAY_OLD;
	return XIPSEC_REASON_ICV;
}

static enum xipsec_reason flip_reason(const struct pair *pair, const struct fields *at,
				      const __u8 *packet, __u32 byte)
{
	if (byte < at->seq || byte >= at->seq + 4)
		return XIPSEC_REASON_ICV;
	return seq_reason(pair, (__u32)get16(packet + at->seq) << 16 | get16(packet + at->seq + 2));
}

static unsigned int run_flips(enum xipsec_alg alg, int ah, int esn, int b, unsigned int *old)
{
	struct pair pair = pair_open(alg, ah, esn, b);
	struct fields at = {.skip = ah ? 24 : 20, .seq = ah ? 28 : 24};
	__u8 inner[128], sealed[512];
	struct packet p;
	unsigned int n = 0;
	__u32 len;

	len = udp_write(inner, 4, 21);
	p = load(inner, len);
	out_state.seq = pair.top;
	seal(&pair, &p);
	assert_int_equal(p.reason, XIPSEC_REASON_SEALED);
	at.packet_size = p.len;
	memcpy(sealed, p.data, p.len);
	for (__u32 bit = at.skip * 8; bit < at.packet_size * 8; bit++, n++) {
		enum xipsec_reason want;

		state_reset(&in_state);
		in_state.replay_top = pair.top;
		sealed[bit / 8] ^= (__u8)(1 << bit % 8);
		want = flip_reason(&pair, &at, sealed, bit / 8);
		*old += want == XIPSEC_REASON_REPLAY_OLD;
		p = load(sealed, at.packet_size);
		open_it(&pair, &p);
		if (p.reason != want)
			fail_msg("%s%s, bit %u: %s, expected %s", alg_get(alg)->name,
				 ah ? " (AH)" : "", bit, reason_name(p.reason), reason_name(want));
		assert_int_equal(in_state.drops[want], 1);
		assert_int_equal(in_state.packets, 0);
		assert_true(in_state.replay_top == pair.top);
		sealed[bit / 8] ^= (__u8)(1 << bit % 8);
	}
	/* and as it was, it is opened */
	p = load(sealed, at.packet_size);
	open_it(&pair, &p);
	assert_int_equal(p.reason, XIPSEC_REASON_OPENED);
	pair_close(&pair);
	return n;
}

static void test_flips(void **unused)
{
	unsigned int n = 0, old = 0;

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (int esn = 0; esn < 2; esn++)
			for (int b = 0; b < 2; b++) {
				n += run_flips(alg, 0, esn, b, &old);
				if (alg_fits_ah(alg))
					n += run_flips(alg, 1, esn, b, &old);
			}
	assert_true(old > 0);
	print_message("%u bits, %u of them make the number too old\n", n, old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_cbc_ivs),
		cmocka_unit_test(test_flips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
