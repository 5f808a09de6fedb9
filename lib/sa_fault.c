// SPDX-License-Identifier: BSD-2-Clause
#include "lib/sa_fault.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "lib/alg.h"

#define NATT_PORT 4500 /* RFC 3948 */
#define SPI_MIN   256  /* RFC 4303 2.1: 1 to 255 are reserved, 0 is for local use */

#define DIGITS(number) #number
#define NUMBER(macro)  DIGITS(macro)

#define FLAGS_KNOWN                                                                 \
	(XIPSEC_SA_ESN | XIPSEC_SA_UDP | XIPSEC_SA_FRESH_KEY | XIPSEC_SA_MANUAL |   \
	 XIPSEC_SA_NO_ECN | XIPSEC_SA_DSCP | XIPSEC_SA_FLOW_COPY | XIPSEC_SA_STAY | \
	 XIPSEC_SA_WHOLE | XIPSEC_SA_LATER | XIPSEC_SA_APART)

struct faults {
	struct sa_fault *out;
	unsigned int n, max;
};

static void add(struct faults *to, bool is, const char *key, const char *what, const char *expected)
{
	if (is && to->n < to->max)
		to->out[to->n++] = (struct sa_fault){key, what, expected};
}

static void kind_check(struct faults *to, const struct xipsec_sa *sa)
{
	add(to, sa->dir != XIPSEC_DIR_IN && sa->dir != XIPSEC_DIR_OUT, "direction",
	    "direction is neither in nor out", "one of both");
	add(to, sa->outer_family != XIPSEC_FAMILY_IP4 && sa->outer_family != XIPSEC_FAMILY_IP6,
	    "src", "outer addresses are neither IPv4 nor IPv6", "one of both");
	add(to, ntohl(sa->spi) < SPI_MIN, "spi", "SPIs below 256 are reserved",
	    "a number from 256 to 0xffffffff");
	add(to, sa->l4_proto != IPPROTO_ESP && sa->l4_proto != IPPROTO_AH, "protocol",
	    "the protocol is neither ESP nor AH", "esp or ah");
	add(to, sa->mode != XIPSEC_MODE_TUNNEL && sa->mode != XIPSEC_MODE_TRANSPORT, "mode",
	    "unknown mode", "tunnel or transport");
	add(to, sa->engine > XIPSEC_ENGINE_XFRM, "engine", "unknown engine", "auto, afxdp or xfrm");
	add(to, sa->flags & ~FLAGS_KNOWN, "flags", "unknown flags", "those of XIPSEC_SA_*");
	add(to,
	    sa->flags & XIPSEC_SA_LATER &&
		    (sa->dir != XIPSEC_DIR_IN || sa->mode != XIPSEC_MODE_TUNNEL),
	    "later_fragments", "fragments follow out of inbound tunnels alone",
	    "it on the inbound SA, with mode = tunnel");
	add(to, sa->window < XIPSEC_WINDOW_MIN || sa->window > XIPSEC_WINDOW_MAX, "replay_window",
	    "replay window is not within 64 to 8192", "a number from 64 to 8192");
}

static void algorithm_check(struct faults *to, const struct xipsec_sa *sa)
{
	__u32 key_len = alg_key_len(sa->alg);

	if (!key_len) {
		add(to, true, "algorithm", "unknown algorithm", "one of RFC 8221");
		return;
	}
	add(to, sa->key_len != key_len, "key", "the key has the wrong length for its algorithm",
	    "cipher key, salt and integrity key, in this order");
	add(to, sa->l4_proto == IPPROTO_AH && !alg_fits_ah(sa->alg), "algorithm",
	    "AH does not encrypt, its algorithm has no cipher",
	    "sha256 | sha384 | sha512 | aes128gmac | aes256gmac, or protocol = esp");
}

static void udp_check(struct faults *to, const struct xipsec_sa *sa)
{
	bool udp = sa->flags & XIPSEC_SA_UDP;

	add(to, udp && sa->l4_proto == IPPROTO_AH, "encap",
	    "AH cannot pass NAT, its ICV covers the addresses (RFC 3715 2.1)",
	    "encap = no, or protocol = esp");
	add(to, udp && !sa->src_port, "src_port", "ESP in UDP needs a source port",
	    "a number from 1 to 65535");
	add(to, udp && !sa->dst_port, "dst_port", "ESP in UDP needs a destination port",
	    "a number from 1 to 65535");
	add(to, udp && sa->dir == XIPSEC_DIR_IN && sa->dst_port && ntohs(sa->dst_port) != NATT_PORT,
	    "dst_port", "ESP in UDP is received at port 4500 alone", "4500");
	add(to, sa->flags & XIPSEC_SA_STAY && (!udp || sa->dir != XIPSEC_DIR_IN), "follow",
	    "whom to follow shows in what comes in by ESP in UDP",
	    "it on the inbound SA, with encap = yes");
	add(to, !udp && sa->src_port, "src_port", "only ESP in UDP has ports", "encap = yes");
	add(to, !udp && sa->dst_port, "dst_port", "only ESP in UDP has ports", "encap = yes");
}

static void range_check(struct faults *to, const struct xipsec_sa *sa)
{
	add(to, sa->df > XIPSEC_DF_COPY, "df", "unknown df", "set, clear or copy");
	add(to, sa->dscp > 63, "dscp", "dscp is above 63", "copy, or a number from 0 to 63");
	add(to, sa->dscp && !(sa->flags & XIPSEC_SA_DSCP), "dscp",
	    "a dscp without its flag would not be written", "XIPSEC_SA_DSCP with it");
	add(to, sa->tfc_size > 65535 && sa->tfc_size != XIPSEC_TFC_MTU, "tfc_padding",
	    "no packet is that large", "a number from 0 to 65535, or mtu");
	add(to, sa->dummies > SA_DUMMIES_MAX, "dummies", "too many dummy packets a second",
	    "at most 10000");
}

/* What is written as a packet is sealed. `header`: into the header that tunnel mode puts in front;
 * `esp`: into ESP's trailer, which AH has not. Defaults do nothing and may stand anywhere. */
static void sealing_check(struct faults *to, const struct xipsec_sa *sa)
{
	const struct {
		const char *key;
		bool set, header, esp;
	} options[] = {
		{"df", sa->df != XIPSEC_DF_SET, true, false},
		{"dscp", sa->flags & XIPSEC_SA_DSCP, true, false},
		{"ecn", sa->flags & XIPSEC_SA_NO_ECN, true, false},
		{"flow_label", sa->flags & XIPSEC_SA_FLOW_COPY, true, false},
		{"ttl", sa->ttl, true, false},
		{"tfc_padding", sa->tfc_size, false, true},
		{"dummies", sa->dummies, false, true},
	};

	for (unsigned int i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const char *key = options[i].key;

		if (!options[i].set)
			continue;
		add(to, sa->dir == XIPSEC_DIR_IN, key, "this is done where packets are sealed",
		    "it on the outbound SA alone");
		add(to, options[i].header && sa->mode == XIPSEC_MODE_TRANSPORT, key,
		    "transport mode keeps the packet's own header", "mode = tunnel");
		add(to, options[i].esp && sa->l4_proto == IPPROTO_AH, key,
		    "AH has neither padding nor dummies", "protocol = esp");
	}
	/* TFC padding stands behind the inner packet, whose own length tells where it ends; behind
	 * a bare payload only some protocols could tell (RFC 4303 2.7). */
	add(to, sa->tfc_size && sa->mode == XIPSEC_MODE_TRANSPORT, "tfc_padding",
	    "the end of a payload without its IP header cannot be told from padding",
	    "mode = tunnel");
	add(to, sa->df == XIPSEC_DF_COPY && sa->outer_family == XIPSEC_FAMILY_IP6, "df",
	    "an IPv6 header has no DF", "IPv4 outer addresses, or df = set or clear");
	add(to, (sa->flags & XIPSEC_SA_FLOW_COPY) && sa->outer_family == XIPSEC_FAMILY_IP4,
	    "flow_label", "an IPv4 header has no flow label",
	    "IPv6 outer addresses, or flow_label = zero");
}

static void limits_check(struct faults *to, const struct xipsec_limits *l)
{
	add(to, l->hard_time && l->soft_time > l->hard_time, "rekey_time",
	    "rekey_time is above life_time, so it would never come", "a shorter rekey_time");
	add(to, l->hard_bytes && l->soft_bytes > l->hard_bytes, "rekey_bytes",
	    "rekey_bytes is above life_bytes, so it would never come", "a smaller rekey_bytes");
	add(to, l->hard_packets && l->soft_packets > l->hard_packets, "rekey_packets",
	    "rekey_packets is above life_packets, so it would never come",
	    "a smaller rekey_packets");
}

/* What kernel XFRM has not, and what of it is not used yet (docs/engines.md). Messages: xfrm_msg.h.
 */
static void kernel_check(struct faults *to, const struct xipsec_sa *sa)
{
	const enum alg_kind kind = alg_kind(sa->alg);
	const struct alg *alg = alg_get(sa->alg);
	const bool counter = kind != ALG_NONE && kind != ALG_CBC_HMAC && kind != ALG_NULL_HMAC;
	const char *other = "engine = afxdp";

	if (sa->engine != XIPSEC_ENGINE_XFRM)
		return;
	add(to, counter && !alg->iv, "algorithm", "kernel XFRM has no implicit IV (RFC 8750)",
	    "another algorithm, or engine = afxdp");
	add(to, sa->l4_proto == IPPROTO_AH && kind == ALG_GMAC, "algorithm",
	    "kernel XFRM has no AES-GMAC for AH", "sha256 | sha384 | sha512, or engine = afxdp");
	add(to, (sa->flags & XIPSEC_SA_MANUAL) && counter, "algorithm",
	    "kernel XFRM makes IVs from a secret that no record on disk has: with a key from a "
	    "file "
	    "they could repeat",
	    "AES-CBC with a hash, or engine = afxdp");
	add(to, sa->window > SA_KERNEL_WINDOW_MAX, "replay_window",
	    "kernel XFRM has no replay window above 4096", "a number from 64 to 4096");
	add(to, (sa->flags & XIPSEC_SA_DSCP) && sa->dscp, "dscp",
	    "kernel XFRM copies the dscp or writes 0", "copy or 0, or engine = afxdp");
	add(to, sa->flags & XIPSEC_SA_LATER, "later_fragments",
	    "what kernel XFRM opens is asked about packet by packet", other);
	add(to, sa->ttl, "ttl", "kernel XFRM takes the ttl of the route", other);
	add(to, sa->dummies, "dummies", "kernel XFRM sends no dummy packets", other);
	add(to, sa->if_id && sa->mode != XIPSEC_MODE_TUNNEL, "mode",
	    "kernel XFRM gives what it opens in transport mode to no interface of tunnels {}",
	    "tunnel, or engine = afxdp");
	add(to,
	    sa->flags & XIPSEC_SA_UDP && sa->dir == XIPSEC_DIR_OUT &&
		    ntohs(sa->src_port) != NATT_PORT,
	    "src_port", "kernel XFRM is given the socket of UDP 4500 alone",
	    "4500, or engine = afxdp");
}

unsigned int sa_faults(const struct xipsec_sa *sa, struct sa_fault *out, unsigned int max)
{
	struct faults to = {out, 0, max};

	kind_check(&to, sa);
	algorithm_check(&to, sa);
	udp_check(&to, sa);
	range_check(&to, sa);
	sealing_check(&to, sa);
	limits_check(&to, &sa->limits);
	kernel_check(&to, sa);
	add(&to, sa->n_selectors > XIPSEC_SELECTORS_MAX, "local_ts", "too many selectors",
	    "at most " NUMBER(XIPSEC_SELECTORS_MAX));
	return to.n;
}
