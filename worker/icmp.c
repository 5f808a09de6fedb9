// SPDX-License-Identifier: BSD-2-Clause
#include "worker/icmp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "worker/checksum.h"
#include "worker/inner.h"

#define ICMP_LEN 8
#define IP4_LEN  20
#define IP6_LEN  40
#define IP4_MAX  576  /* RFC 1812 4.3.2.3: as much of the packet as fits */
#define IP6_MAX  1280 /* RFC 4443 2.4 (c) */
#define TTL      64
#define IP4_TOS  0xc0 /* RFC 1812 4.3.2.5: internetwork control */

/* What stands in the first 8 bytes of the ICMP message. */
struct icmp_head {
	__u8 type;
	__u8 code;
	__be32 rest; /* MTU; in IPv4 only its low 16 bits (RFC 1191) */
};

/* ---------------------------------------------------------------- may one be sent? */

/* Bytes 0 to 3 of a source that is one host: not 0/8, 127/8, multicast, class E or broadcast. */
static int ip4_host(const __u8 *addr)
{
	return addr[0] != 0 && addr[0] != 127 && addr[0] < 224;
}

static int ip4_answerable(const __u8 *data, const struct inner *inner)
{
	const __u8 *dst = data + 16;
	__u8 type;

	if (inner->opaque || !ip4_host(data + 12) || dst[0] >= 224)
		return 0;
	if (inner->l4_proto != IPPROTO_ICMP)
		return 1;
	/* Only messages known to be no errors: echo, timestamp, information, address mask. */
	type = data[inner->l4_off];
	return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

/* RFC 4443 2.4 (e.3) to (e.6). Packet too big may answer multicast, path MTU needs it. */
static int ip6_answerable(const __u8 *data, const struct inner *inner, enum xipsec_reason reason)
{
	static const __u8 unspecified[16], loopback[16] = {[15] = 1};
	const __u8 *src = data + 8;

	if (src[0] == 0xff || !memcmp(src, unspecified, 16) || !memcmp(src, loopback, 16))
		return 0;
	if (data[24] == 0xff && reason != XIPSEC_REASON_TOO_BIG)
		return 0;
	/* Not seen in a later fragment: (e.1) is about what is known to be an error. */
	if (inner->opaque || inner->l4_proto != IPPROTO_ICMPV6)
		return 1;
	return data[inner->l4_off] >= 128 && data[inner->l4_off] != 137;
}

/* ---------------------------------------------------------------- build */

static void head_write(__u8 *to, const struct icmp_head *head)
{
	to[0] = head->type;
	to[1] = head->code;
	to[2] = 0;
	to[3] = 0;
	memcpy(to + 4, &head->rest, 4);
}

static void check_write(__u8 *icmp, __u32 len, __u64 pseudo)
{
	__u16 check = (__u16)~csum_fold(csum_add(pseudo, icmp, len));

	memcpy(icmp + 2, &check, 2);
}

/* Puts `head_len` bytes before the packet and cuts the quote so that all is at most `max`. */
static void quote(struct packet *p, __u32 head_len, __u32 max)
{
	__u32 quoted = p->len < max - head_len ? p->len : max - head_len;

	p->tailroom += p->len - quoted;
	p->data -= head_len;
	p->headroom -= head_len;
	p->len = head_len + quoted;
}

/* DF and ID 0: an atomic datagram (RFC 6864), too small for any link to mind. */
static void build_ip4(struct packet *p, const struct icmp_head *head, const struct xipsec_addr *src)
{
	__be16 total_be;
	__u16 check;
	__u8 sender[4], *ip;

	memcpy(sender, p->data + 12, 4);
	quote(p, IP4_LEN + ICMP_LEN, IP4_MAX);
	ip = p->data;
	memset(ip, 0, IP4_LEN);
	total_be = htons((__u16)p->len);
	ip[0] = 0x45;
	ip[1] = IP4_TOS;
	memcpy(ip + 2, &total_be, 2);
	ip[6] = 0x40;
	ip[8] = TTL;
	ip[9] = IPPROTO_ICMP;
	memcpy(ip + 12, src->byte, 4);
	memcpy(ip + 16, sender, 4);
	check = (__u16)~csum_fold(csum_add(0, ip, IP4_LEN));
	memcpy(ip + 10, &check, 2);
	head_write(ip + IP4_LEN, head);
	check_write(ip + IP4_LEN, p->len - IP4_LEN, 0);
	p->l4_off = IP4_LEN;
}

static void build_ip6(struct packet *p, const struct icmp_head *head, const struct xipsec_addr *src)
{
	__be16 payload_be;
	__u8 sender[16], *ip;

	memcpy(sender, p->data + 8, 16);
	quote(p, IP6_LEN + ICMP_LEN, IP6_MAX);
	ip = p->data;
	memset(ip, 0, IP6_LEN);
	payload_be = htons((__u16)(p->len - IP6_LEN));
	ip[0] = 0x60;
	memcpy(ip + 4, &payload_be, 2);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = TTL;
	memcpy(ip + 8, src->byte, 16);
	memcpy(ip + 24, sender, 16);
	head_write(ip + IP6_LEN, head);
	check_write(ip + IP6_LEN, p->len - IP6_LEN,
		    csum_pseudo(ip, IPPROTO_ICMPV6, p->len - IP6_LEN));
	p->l4_off = IP6_LEN;
}

static int error_ip4(struct packet *p, const struct inner *inner, const struct xipsec_addr *src)
{
	struct icmp_head head = {.type = 11}; /* time exceeded in transit */

	if (!ip4_answerable(p->data, inner) || p->headroom < IP4_LEN + ICMP_LEN)
		return -ENOTSUP;
	if (p->reason == XIPSEC_REASON_TOO_BIG) {
		head.type = 3; /* destination unreachable: */
		head.code = 4; /* fragmentation needed */
		head.rest = htonl(p->icmp_mtu & 0xffff);
	}
	build_ip4(p, &head, src);
	return 0;
}

static int error_ip6(struct packet *p, const struct inner *inner, const struct xipsec_addr *src)
{
	struct icmp_head head = {.type = 3}; /* time exceeded in transit */

	if (!ip6_answerable(p->data, inner, p->reason) || p->headroom < IP6_LEN + ICMP_LEN)
		return -ENOTSUP;
	if (p->reason == XIPSEC_REASON_TOO_BIG) {
		head.type = 2; /* packet too big */
		head.rest = htonl(p->icmp_mtu);
	}
	build_ip6(p, &head, src);
	return 0;
}

int icmp_error_build(struct packet *p, const struct xipsec_addr *src)
{
	struct inner inner;

	if (p->reason != XIPSEC_REASON_TOO_BIG && p->reason != XIPSEC_REASON_TTL)
		return -ENOTSUP;
	if (inner_parse(p->data, p->len, &inner))
		return -ENOTSUP;
	if (inner.family == XIPSEC_FAMILY_IP4)
		return error_ip4(p, &inner, src);
	return error_ip6(p, &inner, src);
}
