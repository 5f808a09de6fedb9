// SPDX-License-Identifier: BSD-2-Clause
#include "worker/transport.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define IP4_LEN      20
#define IP4_CHECK    10
#define IP6_LEN      40
#define IP6_EXTS_MAX 6
#define FRAG_LEN     8

/* A fragment header too: inner_parse() and the programs leave only those that cut nothing. */
static int stays_in_front(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

/* inner_parse() has seen that the chain ends inside the packet. */
static void find_ip6(const __u8 *data, struct transport_place *place)
{
	__u32 off = IP6_LEN, next_off = TRANSPORT_IP6_NEXT;
	__u8 next = data[TRANSPORT_IP6_NEXT];

	*place = (struct transport_place){IP6_LEN, TRANSPORT_IP6_NEXT, next};
	while (stays_in_front(next)) {
		__u8 this = next;

		next_off = off;
		next = data[off];
		off += transport_ext_len(data + off, this);
		/* Destination options count only once a routing header follows. */
		if (this != IPPROTO_DSTOPTS)
			*place = (struct transport_place){(__u16)off, (__u16)next_off, next};
	}
}

enum xipsec_reason transport_find(const __u8 *data, const struct inner *inner,
				  struct transport_place *place)
{
	if (inner->flags & INNER_FRAG)
		return XIPSEC_REASON_FRAG_TRANSPORT;
	if (inner->family == XIPSEC_FAMILY_IP4)
		*place = (struct transport_place){inner->l4_off, TRANSPORT_IP4_NEXT,
						  data[TRANSPORT_IP4_NEXT]};
	else
		find_ip6(data, place);
	return XIPSEC_REASON_UNSPEC;
}

enum xipsec_reason transport_find_at(const __u8 *data, __u32 off, struct transport_place *place)
{
	__u32 at = IP6_LEN, next_off = TRANSPORT_IP6_NEXT;

	if (data[0] >> 4 == 4) {
		*place = (struct transport_place){(__u16)off, TRANSPORT_IP4_NEXT,
						  data[TRANSPORT_IP4_NEXT]};
		return off == (data[0] & 0xf) * 4u && off >= IP4_LEN
			       ? XIPSEC_REASON_UNSPEC
			       : XIPSEC_REASON_INNER_MALFORMED;
	}
	for (int i = 0; at < off && i < IP6_EXTS_MAX; i++) {
		__u8 this = data[next_off];

		if (!stays_in_front(this) || at + 8 > off)
			return XIPSEC_REASON_INNER_MALFORMED;
		next_off = at;
		at += transport_ext_len(data + at, this);
	}
	*place = (struct transport_place){(__u16)off, (__u16)next_off, data[next_off]};
	return at == off ? XIPSEC_REASON_UNSPEC : XIPSEC_REASON_INNER_MALFORMED;
}

void transport_set(__u8 *data, const struct transport_place *place, __u8 next, __u32 total)
{
	__be16 len_be;
	__u16 check = 0;

	data[place->next_off] = next;
	if (data[0] >> 4 == 6) {
		len_be = htons((__u16)(total - IP6_LEN));
		memcpy(data + 4, &len_be, 2);
		return;
	}
	len_be = htons((__u16)total);
	memcpy(data + 2, &len_be, 2);
	memcpy(data + IP4_CHECK, &check, 2);
	check = (__u16)~csum_fold(csum_add(0, data, (data[0] & 0xf) * 4u));
	memcpy(data + IP4_CHECK, &check, 2);
}

/* In the headers before it a length and a "next" are its own to set right. */
static void take_out(struct packet *p, __u32 off, __u32 next_off)
{
	__u8 *ip = p->data;
	__u32 payload = (__u32)(ip[4] << 8 | ip[5]) - FRAG_LEN;

	ip[next_off] = ip[off];
	ip[4] = (__u8)(payload >> 8);
	ip[5] = (__u8)payload;
	memmove(ip + FRAG_LEN, ip, off);
	p->data += FRAG_LEN;
	p->headroom += FRAG_LEN;
	p->len -= FRAG_LEN;
}

__u32 transport_whole(struct packet *p, __u32 front)
{
	const __u8 *ip = p->data;
	__u32 off = IP6_LEN, next_off = TRANSPORT_IP6_NEXT;

	if (front > p->len || front < IP6_LEN + FRAG_LEN || ip[0] >> 4 != 6)
		return 0;
	while (off + FRAG_LEN <= front && ip[next_off] != IPPROTO_FRAGMENT) {
		if (ip[next_off] != IPPROTO_HOPOPTS && ip[next_off] != IPPROTO_DSTOPTS &&
		    ip[next_off] != IPPROTO_ROUTING)
			return 0;
		next_off = off;
		off += 8 + ip[off + 1] * 8u;
	}
	if (off + FRAG_LEN > front || ip[off + 2] || ip[off + 3] & 0xf9 ||
	    (ip[4] << 8 | ip[5]) < FRAG_LEN)
		return 0;
	take_out(p, off, next_off);
	return FRAG_LEN;
}
