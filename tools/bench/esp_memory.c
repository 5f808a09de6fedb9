// SPDX-License-Identifier: BSD-2-Clause
/*
 * xipsec-bench-esp [ROUNDS [NAME]]: ESP in memory on one core, ns a packet, beside the crypto
 * library called directly on the same bytes, every algorithm in every mode; NAME-SIZE-MODE or
 * the beginning of it picks some. Bursts of both take turns; of each the median counts, for
 * whatever disturbs the machine makes some bursts slow, and none fast. Where what is
 * sealed has a UDP checksum, which the library's call does not make, a second row has one more to
 * compare with: the call and one sum, by our own routine, over the bytes that the checksum covers.
 * Rows go to stdout as JSON, to stderr as a table.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alg.h"
#include "tools/bench/esp_bare.h"
#include "worker/checksum.h"
#include "worker/esp_in.h"
#include "worker/esp_out.h"
#include "worker/packet.h"
#include "worker/sa.h"

#define FRAME    2048 /* bytes, as in a UMEM */
#define HEADROOM 256
#define PATH_MTU 1600 /* the longest ICV, IV and padding fit around 1400 bytes over IPv6 */
#define NATT     4500

enum part { OUR_SEAL, OUR_OPEN, BARE_SEAL, BARE_OPEN, SUM_SEAL, PARTS };

struct subject {
	const char *name;
	enum xipsec_alg alg;
	enum xipsec_backend backend;
};

struct mode {
	const char *suffix;
	__u8 mode;         /* XIPSEC_MODE_* */
	__u8 inner, outer; /* XIPSEC_FAMILY_* of both headers; transport mode has one */
	__u32 flags;
};

#define IP4 XIPSEC_FAMILY_IP4
#define IP6 XIPSEC_FAMILY_IP6

static const struct mode modes[] = {
	{"", XIPSEC_MODE_TUNNEL, IP4, IP4, 0},
	{"-tunnel6", XIPSEC_MODE_TUNNEL, IP6, IP6, 0},
	{"-4in6", XIPSEC_MODE_TUNNEL, IP4, IP6, 0},
	{"-6in4", XIPSEC_MODE_TUNNEL, IP6, IP4, 0},
	{"-transport", XIPSEC_MODE_TRANSPORT, IP4, IP4, 0},
	{"-transport6", XIPSEC_MODE_TRANSPORT, IP6, IP6, 0},
	{"-udp", XIPSEC_MODE_TUNNEL, IP4, IP4, XIPSEC_SA_UDP},
	{"-udp6", XIPSEC_MODE_TUNNEL, IP6, IP6, XIPSEC_SA_UDP},
	{"-transport-udp", XIPSEC_MODE_TRANSPORT, IP4, IP4, XIPSEC_SA_UDP},
	{"-transport6-udp", XIPSEC_MODE_TRANSPORT, IP6, IP6, XIPSEC_SA_UDP},
};

/* Every algorithm on libipsec-mb, and three of OpenSSL's: esp_bare.c has its direct calls for these
 * kinds. */
static const struct subject subjects[] = {
#define SUBJECT(sym, name, ...) {name, XIPSEC_ALG_##sym, XIPSEC_BACKEND_IPSEC_MB},
	XIPSEC_ALGS(SUBJECT)
#undef SUBJECT
		{"openssl-aes128gcm", XIPSEC_ALG_AES128GCM16, XIPSEC_BACKEND_OPENSSL},
	{"openssl-chacha20poly1305", XIPSEC_ALG_CHACHA20POLY1305, XIPSEC_BACKEND_OPENSSL},
	{"openssl-aes128-sha256", XIPSEC_ALG_AES128CBC_SHA256, XIPSEC_BACKEND_OPENSSL},
};

static const __u32 sizes[] = {64, 576, 1400}; /* of inner packets, IP header included */

struct frame {
	__u8 bytes[FRAME];
} __attribute__((aligned(64)));

static struct frame frames[BARE_BURST];
static struct packet packets[BARE_BURST];
static struct packet *burst[BARE_BURST];
static struct crypto_op ops[BARE_BURST];
static double *samples[PARTS];
static unsigned int rounds = 2000;
static unsigned int rows, over; /* and those over their aims */

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ------------------------------------------------------------------ packets and SAs */

static void ip4_write(__u8 *ip, __u32 len)
{
	static const __u8 head[] = {0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, IPPROTO_UDP,
				    0,    0, 10, 1, 0, 5, 10,   2, 0,  9};
	__u32 sum = 0;

	memcpy(ip, head, sizeof(head));
	ip[2] = (__u8)(len >> 8);
	ip[3] = (__u8)len;
	for (int i = 0; i < 20; i += 2)
		sum += (__u32)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (__u8)(~sum >> 8);
	ip[11] = (__u8)~sum;
}

static void ip6_write(__u8 *ip, __u32 len)
{
	memset(ip, 0, 40);
	ip[0] = 0x60;
	ip[4] = (__u8)((len - 40) >> 8);
	ip[5] = (__u8)(len - 40);
	ip[6] = IPPROTO_UDP;
	ip[7] = 64;
	ip[8] = ip[24] = 0xfd;
	ip[23] = 5;
	ip[39] = 9;
}

static __u32 ip_len(const struct mode *m)
{
	return m->inner == IP4 ? 20 : 40;
}

/* UDP without a checksum of its own: nobody looks. */
static void inner_write(const struct mode *m, __u8 *ip, __u32 len)
{
	__u8 *udp = ip + ip_len(m);
	__u32 udp_len = len - ip_len(m);

	memset(ip, 0xaa, len);
	if (m->inner == IP4)
		ip4_write(ip, len);
	else
		ip6_write(ip, len);
	udp[0] = 0x30;
	udp[1] = udp[2] = udp[6] = udp[7] = 0;
	udp[3] = 53;
	udp[4] = (__u8)(udp_len >> 8);
	udp[5] = (__u8)udp_len;
}

static void packets_reset(const struct mode *m, __u32 len)
{
	for (int i = 0; i < BARE_BURST; i++) {
		packets[i] = (struct packet){
			.data = frames[i].bytes + HEADROOM,
			.len = len,
			.headroom = HEADROOM,
			.tailroom = FRAME - HEADROOM - len,
			.family = m->inner,
			.l4_off = (__u16)ip_len(m),
		};
		inner_write(m, packets[i].data, len);
		burst[i] = &packets[i];
	}
}

/* 192.0.2.0/24 and 2001:db8::/32 are there for such (RFC 5737, RFC 3849). */
static struct xipsec_addr end_of(const struct mode *m, __u8 last)
{
	struct xipsec_addr addr = {.byte = {192, 0, 2, last}};

	if (m->outer == IP6)
		addr = (struct xipsec_addr){.byte = {0x20, 0x01, 0x0d, 0xb8, [15] = last}};
	return addr;
}

static struct sa *sa_make(const struct subject *s, const struct mode *m, __u8 dir, const __u8 *key,
			  struct xipsec_sa_state *state)
{
	struct xipsec_sa sa = {
		.name = "bench",
		.src = end_of(m, 1),
		.dst = end_of(m, 2),
		.spi = htonl(0x1001),
		.outer_family = m->outer,
		.l4_proto = IPPROTO_ESP,
		.dir = dir,
		.mode = m->mode,
		.flags = m->flags,
		.src_port = htons(m->flags & XIPSEC_SA_UDP ? NATT : 0),
		.dst_port = htons(m->flags & XIPSEC_SA_UDP ? NATT : 0),
		.engine = XIPSEC_ENGINE_AFXDP,
		.alg = (__u8)s->alg,
		.window = 1024,
		.n_selectors = 1,
		.key_len = alg_key_len(s->alg),
	};
	struct xipsec_selector *sel = &sa.selector[0];
	int err;

	memcpy(sa.key, key, sa.key_len);
	memset(&sel->local_hi, 0xff, sizeof(sel->local_hi));
	memset(&sel->remote_hi, 0xff, sizeof(sel->remote_hi));
	sel->local_port_hi = sel->remote_port_hi = sel->icmp_hi = XIPSEC_PORT_MAX;
	sel->any_proto = 1;
	*state = (struct xipsec_sa_state){
		.generation = 1, .status = XIPSEC_SA_LIVE, .seq_limit = ~0ull, .window = 1024};
	return sa_new(&sa, 0, 1, state, s->backend, &err);
}

/* The same text as ESP's, at the same place in the same frames. */
static void ops_fill(const struct subject *s, const struct mode *m, __u32 len)
{
	const struct alg *alg = alg_get(s->alg);
	const __u32 front = m->mode == XIPSEC_MODE_TRANSPORT ? ip_len(m) : 0;

	for (__u32 i = 0; i < BARE_BURST; i++) {
		struct crypto_op *op = &ops[i];

		*op = (struct crypto_op){.text = frames[i].bytes + HEADROOM + front,
					 .len = (len - front + ESP_TRAILER_MIN + alg->align - 1u) &
						~(alg->align - 1u),
					 .head_len = ESP_HEADER_LEN + alg->iv};
		op->tag = op->text + op->len;
		memset(op->nonce, (int)i, sizeof(op->nonce));
		memset(op->aad, (int)i, sizeof(op->aad));
	}
}

/* ------------------------------------------------------------------ measuring */

static bool ended(enum xipsec_reason reason)
{
	for (int i = 0; i < BARE_BURST; i++) {
		if (packets[i].reason != reason) {
			fprintf(stderr, "bench: a packet ended with reason %u\n",
				packets[i].reason);
			return false;
		}
		packets[i].reason = 0;
	}
	return true;
}

/* RFC 8200 8.1: over IPv6 a UDP header has a checksum, over all that ESP made. */
static bool sums_sealed(const struct mode *m)
{
	return m->flags & XIPSEC_SA_UDP && m->outer == IP6;
}

/* The bytes that the outer UDP header's checksum covers. */
static void sum_sealed(const struct subject *s)
{
	const __u32 icv = alg_get(s->alg)->icv;
	volatile __u16 check;

	for (int i = 0; i < BARE_BURST; i++) {
		const __u32 front = OUTER_UDP + ops[i].head_len;

		check = csum_fold(csum_add(0, ops[i].text - front, front + ops[i].len + icv));
	}
	(void)check;
}

/* One burst of each, there and back: what is opened is what the next round seals. */
static bool turn(const struct subject *s, const struct mode *m, __u32 size, struct sa *out,
		 struct sa *in, struct bare *bare, double took[PARTS])
{
	unsigned int fit;

	packets_reset(m, size); /* TTL goes down */
	took[OUR_SEAL] = now_ns();
	esp_out_burst(out, burst, BARE_BURST, PATH_MTU, 1);
	took[OUR_SEAL] = now_ns() - took[OUR_SEAL];
	if (!ended(XIPSEC_REASON_SEALED))
		return false;
	took[OUR_OPEN] = now_ns();
	esp_in_burst(in, burst, BARE_BURST, 1);
	took[OUR_OPEN] = now_ns() - took[OUR_OPEN];
	if (!ended(XIPSEC_REASON_OPENED))
		return false;
	took[BARE_SEAL] = now_ns();
	bare_seal(bare);
	took[BARE_SEAL] = now_ns() - took[BARE_SEAL];
	took[BARE_OPEN] = now_ns();
	fit = bare_open(bare);
	took[BARE_OPEN] = now_ns() - took[BARE_OPEN];
	took[SUM_SEAL] = now_ns();
	if (sums_sealed(m))
		sum_sealed(s);
	took[SUM_SEAL] = now_ns() - took[SUM_SEAL] + took[BARE_SEAL];
	if (fit != BARE_BURST)
		fprintf(stderr, "bench: the bare call opens %u of %u\n", fit, BARE_BURST);
	return fit == BARE_BURST;
}

/* Calls that leave a step out are quick, too: does what is compared with look at every tag? */
static bool bare_looks(struct bare *bare)
{
	unsigned int fit;

	bare_seal(bare);
	for (unsigned int i = 0; i < BARE_BURST; i += 2)
		ops[i].tag[i % 8] ^= 1;
	fit = bare_open(bare);
	if (fit != BARE_BURST / 2)
		fprintf(stderr, "bench: the bare call takes %u of %u for right\n", fit,
			BARE_BURST / 2);
	return fit == BARE_BURST / 2;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, rounds, sizeof(*values), by_value);
	return values[rounds / 2];
}

/* The aims: AES-128-GCM of libipsec-mb 1.5 x of the bare call at 64 bytes and 1.15 x at 1400, all
 * others 1.6 x or 40 ns above it, whichever is more. */
static double aim(const struct subject *s, __u32 size, double bare)
{
	if (s == subjects)
		return size == 64 ? 1.5 * bare : size == 1400 ? 1.15 * bare : HUGE_VAL;
	return 1.6 * bare > bare + 40 ? 1.6 * bare : bare + 40;
}

/* Rows of the usual AES-GCM are named without its ICV's length. */
static int name_len(const struct subject *s)
{
	size_t len = strlen(s->name);

	return (int)(len > 5 && !strcmp(s->name + len - 5, "gcm16") ? len - 2 : len);
}

static void row(const struct subject *s, const struct mode *m, __u32 size, const char *verb,
		double ours, double bare, bool summed)
{
	const char *verdict = ours > aim(s, size, bare) ? " over its aim" : "";
	static bool later;
	char name[64];

	snprintf(name, sizeof(name), "esp-%s-%.*s-%u%s%s", verb, name_len(s), s->name, size,
		 m->suffix, summed ? "-summed" : "");
	printf("%s\n  {\"name\": \"%s\", \"unit\": \"ns/packet\", \"ours\": %.1f, "
	       "\"other\": %.1f, \"other_name\": \"%s called directly%s\", \"ratio\": %.3f}",
	       later ? "," : "[", name, ours, bare,
	       s->backend == XIPSEC_BACKEND_OPENSSL ? "OpenSSL" : "libipsec-mb",
	       summed ? ", and one checksum" : "", ours / bare);
	fprintf(stderr, "%-51s %7.1f %7.1f %6.2f%s\n", name, ours, bare, ours / bare, verdict);
	over += *verdict != 0;
	rows++;
	later = true;
}

static void rows_of(const struct subject *s, const struct mode *m, __u32 size)
{
	double seal = median(samples[OUR_SEAL]), open = median(samples[OUR_OPEN]);

	row(s, m, size, "seal", seal, median(samples[BARE_SEAL]), false);
	if (sums_sealed(m))
		row(s, m, size, "seal", seal, median(samples[SUM_SEAL]), true);
	row(s, m, size, "open", open, median(samples[BARE_OPEN]), false);
}

static bool measure(const struct subject *s, const struct mode *m, __u32 size)
{
	static struct xipsec_sa_state state[2];
	__u8 key[XIPSEC_KEY_MAX];
	struct sa *out, *in;
	struct bare *bare;
	double took[PARTS];
	bool done;

	for (int i = 0; i < XIPSEC_KEY_MAX; i++)
		key[i] = (__u8)(i * 3 + 1);
	packets_reset(m, size);
	ops_fill(s, m, size);
	out = sa_make(s, m, XIPSEC_DIR_OUT, key, &state[0]);
	in = sa_make(s, m, XIPSEC_DIR_IN, key, &state[1]);
	bare = bare_new(s->alg, s->backend, key, ops);
	done = out && in && bare && bare_looks(bare);
	for (unsigned int i = 0; done && i < rounds; i++) {
		done = turn(s, m, size, out, in, bare, took);
		for (int part = 0; part < PARTS; part++)
			samples[part][i] = took[part] / BARE_BURST;
	}
	if (done)
		rows_of(s, m, size);
	bare_free(bare);
	sa_free(out);
	sa_free(in);
	return done;
}

static bool wanted(const struct subject *s, const struct mode *m, __u32 size, const char *begins)
{
	char name[64];

	snprintf(name, sizeof(name), "%.*s-%u%s", name_len(s), s->name, size, m->suffix);
	return !strncmp(name, begins, strlen(begins));
}

/* One algorithm in all that is wanted of it. */
static bool measure_all(const struct subject *s, const char *begins)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++)
			if (wanted(s, &modes[i], sizes[k], begins) &&
			    !measure(s, &modes[i], sizes[k])) {
				fprintf(stderr, "bench: %s%s cannot be measured\n", s->name,
					modes[i].suffix);
				return false;
			}
	return true;
}

int main(int argc, char **argv)
{
	const char *begins = argc > 2 ? argv[2] : "";

	if (argc > 1)
		rounds = (unsigned int)strtoul(argv[1], NULL, 10);
	for (int part = 0; part < PARTS; part++)
		samples[part] = calloc(rounds + 1, sizeof(double));
	if (!rounds || !samples[PARTS - 1] || crypto_init()) {
		fprintf(stderr, "usage: xipsec-bench-esp [ROUNDS [NAME]]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(subjects) / sizeof(*subjects); i++)
		if (!measure_all(&subjects[i], begins))
			return 1;
	printf("\n]\n");
	fprintf(stderr, "# %u of %u rows are over their aims\n", over, rows);
	return 0;
}
