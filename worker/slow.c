// SPDX-License-Identifier: BSD-2-Clause
/* Direction of failure: closed. */
#include "worker/slow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "worker/checksum.h"
#include "worker/jumbo.h"
#include "worker/pipeline_inside.h"
#include "worker/sa.h"

#define ROOM      256   /* before a packet in its frame */
#define LEAD      1024  /* before a datagram: its headers, and what opening wants before those */
#define EXT_MAX   512   /* bytes of IPv6 extension headers */
#define READ_MAX  65536 /* bytes of a datagram; what is longer is no IP packet */
#define TAIL      256
#define HEADS     4096 /* of the hash table, a power of two */
#define IP4_LEN   20
#define IP6_LEN   40
#define UDP_LEN   8
#define NATT_PORT 4500
#define NATT_MARK 4 /* bytes of the non-ESP marker (RFC 3948 2.2) */
#define ESP_MIN   8
#define AH_MIN    12
#define NONE      0 /* in chains: no place, else its index + 1 */

struct slow {
	int fd[XIPSEC_SLOW_KINDS]; /* -1: none */
	__u32 head[HEADS];         /* inbound SAs by SPI */
	__u32 *next;               /* by place */
	__u8 buffer[LEAD + READ_MAX + TAIL];
};

/* One datagram as the kernel describes it. */
struct datagram {
	__u32 kind; /* enum xipsec_slow_kind */
	__u8 *data; /* as it was read */
	__u32 len;
	struct xipsec_addr src, dst;
	__u32 ifindex; /* that it came in by; 0: not known */
	__be16 sport;
	__u8 tos;
	__u8 ttl; /* or hop limit, of its first fragment */
	/* IPv6: the extension headers that stood between the IPv6 header and what was delivered,
	 * the fragment header apart. */
	bool ext_broken;
	__u8 ext_first; /* protocol of the first one */
	__u8 ext_next;  /* what the last one says it is followed by */
	__u32 ext_len;
	__u8 ext[EXT_MAX];
};

static bool kind_is_ip4(__u32 kind)
{
	return kind == XIPSEC_SLOW_ESP4 || kind == XIPSEC_SLOW_AH4 || kind == XIPSEC_SLOW_NATT4;
}

static bool kind_is_ah(__u32 kind)
{
	return kind == XIPSEC_SLOW_AH4 || kind == XIPSEC_SLOW_AH6;
}

static bool kind_is_udp(__u32 kind)
{
	return kind == XIPSEC_SLOW_NATT4 || kind == XIPSEC_SLOW_NATT6;
}

/* ------------------------------------------------------------------ finding an SA */

static __u32 *chain_of(struct slow *slow, __be32 spi)
{
	return &slow->head[(__u32)(spi * 0x9e3779b1u) >> 20];
}

_Static_assert(HEADS == 1 << (32 - 20), "chain_of()");

void slow_sa_add(struct worker *w, struct sa_place *place)
{
	__u32 index = (__u32)(place - w->sas), *chain;

	if (!w->slow || place->dir != XIPSEC_DIR_IN)
		return;
	chain = chain_of(w->slow, place->sa->spi);
	w->slow->next[index] = *chain;
	*chain = index + 1;
}

void slow_sa_gone(struct worker *w, struct sa_place *place)
{
	__u32 index = (__u32)(place - w->sas), *at;

	if (!w->slow || place->dir != XIPSEC_DIR_IN)
		return;
	for (at = chain_of(w->slow, place->sa->spi); *at != NONE; at = &w->slow->next[*at - 1]) {
		if (*at == index + 1) {
			*at = w->slow->next[index];
			return;
		}
	}
}

static struct sa_place *find_sa(struct worker *w, const struct datagram *d, __be32 spi)
{
	for (__u32 at = *chain_of(w->slow, spi); at != NONE; at = w->slow->next[at - 1]) {
		struct sa_place *place = &w->sas[at - 1];
		const struct sa *sa = place->sa;

		if (sa->spi == spi && !!sa->ah == kind_is_ah(d->kind) &&
		    place->outer_family ==
			    (kind_is_ip4(d->kind) ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6) &&
		    !memcmp(&sa->dst, &d->dst, sizeof(d->dst)))
			return place;
	}
	return NULL;
}

/* ------------------------------------------------------------------ reading */

/* They come in the order in which they stood. AH covers them, and in transport mode they go on. */
static void read_ext(const struct cmsghdr *c, __u8 kind, struct datagram *d)
{
	const __u8 *ext = CMSG_DATA(c);
	size_t len = c->cmsg_len - CMSG_LEN(0);

	if (len < 8 || len != 8 + ext[1] * 8u || len > sizeof(d->ext) - d->ext_len ||
	    (d->ext_len && d->ext_next != kind)) {
		d->ext_broken = true;
		return;
	}
	if (!d->ext_len)
		d->ext_first = kind;
	d->ext_next = ext[0];
	memcpy(d->ext + d->ext_len, ext, len);
	d->ext_len += (__u32)len;
}

/* The kernel tells numbers of a byte as an int. */
static __u8 read_int(const struct cmsghdr *c)
{
	int value;

	memcpy(&value, CMSG_DATA(c), sizeof(value));
	return (__u8)value;
}

static void read_cmsg6(const struct cmsghdr *c, struct datagram *d)
{
	struct in6_pktinfo info;

	switch (c->cmsg_type) {
	case IPV6_PKTINFO:
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		memcpy(d->dst.byte, &info.ipi6_addr, 16);
		d->ifindex = info.ipi6_ifindex;
		break;
	case IPV6_TCLASS: d->tos = *CMSG_DATA(c); break;
	case IPV6_HOPLIMIT: d->ttl = read_int(c); break;
	case IPV6_HOPOPTS: read_ext(c, IPPROTO_HOPOPTS, d); break;
	case IPV6_RTHDR: read_ext(c, IPPROTO_ROUTING, d); break;
	case IPV6_DSTOPTS: read_ext(c, IPPROTO_DSTOPTS, d); break;
	default: break;
	}
}

static void read_cmsg(const struct cmsghdr *c, struct datagram *d)
{
	struct in_pktinfo info;

	if (c->cmsg_level == IPPROTO_IPV6)
		read_cmsg6(c, d);
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		memcpy(d->dst.byte, &info.ipi_addr, 4);
		d->ifindex = (__u32)info.ipi_ifindex;
	}
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
		d->tos = *CMSG_DATA(c);
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL)
		d->ttl = read_int(c);
}

static void read_name(const struct sockaddr_storage *name, struct datagram *d)
{
	const struct sockaddr_in *in = (const void *)name;
	const struct sockaddr_in6 *in6 = (const void *)name;

	if (name->ss_family == AF_INET) {
		memcpy(d->src.byte, &in->sin_addr, 4);
		d->sport = in->sin_port;
	} else {
		memcpy(d->src.byte, &in6->sin6_addr, 16);
		d->sport = in6->sin6_port;
	}
}

/* 1; 0: nothing waits. A datagram that does not fit cannot be one of ours: length 0. */
static int read_datagram(struct slow *slow, __u32 kind, struct datagram *d)
{
	union {
		char buf[256 + 2 * EXT_MAX];
		struct cmsghdr align;
	} control;
	struct sockaddr_storage name = {0};
	struct iovec iov = {slow->buffer + LEAD, READ_MAX};
	struct msghdr mh = {.msg_name = &name,
			    .msg_namelen = sizeof(name),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(slow->fd[kind], &mh, MSG_DONTWAIT);

	if (got < 0)
		return 0;
	memset(d, 0, __builtin_offsetof(struct datagram, ext));
	d->kind = kind;
	d->data = slow->buffer + LEAD;
	d->len = (__u32)got;
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		d->len = 0;
	read_name(&name, d);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
		read_cmsg(c, d);
	return 1;
}

/* ------------------------------------------------------------------ the headers again */

static void put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

/* The socket has taken the headers off, those of IPv4 over UDP and all of IPv6: they are made
 * again as far as SAs look at them. `proto` follows. */
static void push_ip4(struct datagram *d, __u8 proto)
{
	__u8 *ip = d->data - IP4_LEN;
	__u16 check;

	d->data = ip;
	d->len += IP4_LEN;
	memset(ip, 0, IP4_LEN);
	ip[0] = 0x45;
	ip[1] = d->tos;
	put16(ip + 2, d->len);
	ip[8] = d->ttl;
	ip[9] = proto;
	memcpy(ip + 12, d->src.byte, 4);
	memcpy(ip + 16, d->dst.byte, 4);
	check = (__u16)~csum_fold(csum_add(0, ip, IP4_LEN));
	memcpy(ip + 10, &check, 2);
}

static void push_ip6(struct datagram *d, __u8 proto)
{
	__u8 *ip = d->data - d->ext_len - IP6_LEN;

	memset(ip, 0, IP6_LEN);
	ip[0] = (__u8)(0x60 | d->tos >> 4);
	ip[1] = (__u8)(d->tos << 4);
	put16(ip + 4, d->ext_len + d->len);
	ip[6] = d->ext_len ? d->ext_first : proto;
	ip[7] = d->ttl;
	memcpy(ip + 8, d->src.byte, 16);
	memcpy(ip + 24, d->dst.byte, 16);
	memcpy(ip + IP6_LEN, d->ext, d->ext_len);
	d->data = ip;
	d->len += d->ext_len + IP6_LEN;
}

/* 0, or the reason: there was a header that the socket did not tell of, or that has no room. */
static __u16 push_ip(struct datagram *d, __u8 proto, __u32 *l4_off)
{
	if (kind_is_ip4(d->kind)) {
		push_ip4(d, proto);
		*l4_off = IP4_LEN;
		return 0;
	}
	if (d->ext_broken || (d->ext_len && d->ext_next != proto))
		return XIPSEC_REASON_IP6_CHAIN;
	push_ip6(d, proto);
	*l4_off = IP6_LEN + d->ext_len;
	return 0;
}

static __u16 push_udp(struct datagram *d, __u32 *l4_off)
{
	__u16 reason;

	d->data -= UDP_LEN;
	d->len += UDP_LEN;
	memcpy(d->data, &d->sport, 2);
	put16(d->data + 2, NATT_PORT);
	put16(d->data + 4, d->len);
	put16(d->data + 6, 0);
	reason = push_ip(d, IPPROTO_UDP, l4_off);
	*l4_off += UDP_LEN;
	return reason;
}

/* What a datagram to port 4500 is: 0 for ESP, else the reason of its end. */
static __u16 natt_reason(const struct datagram *d)
{
	static const __u8 marker[NATT_MARK];

	if (d->len == 1 && d->data[0] == 0xff)
		return XIPSEC_REASON_NAT_KEEPALIVE;
	if (d->len >= NATT_MARK && !memcmp(d->data, marker, NATT_MARK))
		return XIPSEC_REASON_IKE_CLOSED;
	return d->len < ESP_MIN ? XIPSEC_REASON_ESP_SHORT : 0;
}

/* Whole as it came, but for what routers changed. */
static __u16 check_ip4(struct datagram *d, __u32 *l4_off)
{
	__u32 tot_len;

	if (d->len < IP4_LEN || d->data[0] >> 4 != 4)
		return XIPSEC_REASON_MALFORMED_IP4;
	*l4_off = (d->data[0] & 0xf) * 4u;
	tot_len = (__u32)(d->data[2] << 8 | d->data[3]);
	if (*l4_off < IP4_LEN || tot_len != d->len)
		return XIPSEC_REASON_MALFORMED_IP4;
	memcpy(d->dst.byte, d->data + 16, 4);
	return 0;
}

/* Makes a whole packet of it, as it was on the wire but for what nobody reads. The offset of the
 * ESP or AH header in *l4_off. 0 or a reason, *l4_off 0 while there is no IP header then. */
static __u16 rebuild(struct datagram *d, __u32 *l4_off)
{
	__u32 shortest = kind_is_ah(d->kind) ? AH_MIN : ESP_MIN;
	__u16 reason;

	if (kind_is_udp(d->kind)) {
		reason = natt_reason(d);
		if (!reason)
			reason = push_udp(d, l4_off);
	} else if (kind_is_ip4(d->kind)) {
		reason = check_ip4(d, l4_off);
	} else {
		reason = push_ip(d, kind_is_ah(d->kind) ? IPPROTO_AH : IPPROTO_ESP, l4_off);
	}
	if (reason) {
		*l4_off = 0;
		return reason;
	}
	if (d->len > 0xffff || d->len < *l4_off + shortest)
		return XIPSEC_REASON_ESP_SHORT;
	return 0;
}

/* ------------------------------------------------------------------ opening */

bool slow_settle(struct worker *w, struct packet *p)
{
	__u8 *frame = frame_at(&w->frames, p->frame);

	if (p->len > w->frames.size - ROOM)
		return jumbo_move(w, p);
	memcpy(frame + ROOM, p->data, p->len);
	p->data = frame + ROOM;
	p->headroom = ROOM - PACKET_L2_MAX;
	p->tailroom = w->frames.size - ROOM - p->len;
	p->flags &= (__u8)~PACKET_OUTSIDE;
	return true;
}

/* Ends a datagram that becomes no work. Its SPI and sequence number are told as far as it has them.
 */
static void refuse(struct worker *w, const struct datagram *d, __u32 l4_off, __u16 reason)
{
	const bool ah = kind_is_ah(d->kind), udp = kind_is_udp(d->kind);
	const __u32 spi_off = l4_off + (ah ? 4 : 0);
	struct xipsec_sample known = {
		.src = d->src,
		.dst = d->dst,
		.ifindex = d->ifindex,
		.len = d->len,
		.reason = reason,
		.sport = udp ? ntohs(d->sport) : 0,
		.dport = udp ? NATT_PORT : 0,
		.family = kind_is_ip4(d->kind) ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6,
		.l4_proto = udp  ? IPPROTO_UDP
			    : ah ? IPPROTO_AH
				 : IPPROTO_ESP,
	};

	if (l4_off && spi_off + 8 <= d->len) {
		memcpy(&known.spi, d->data + spi_off, 4);
		memcpy(&known.seq, d->data + spi_off + 4, 4);
		known.seq = ntohl(known.seq);
	}
	worker_count(w, reason, d->len);
	sample_stranger(w, &known, d->data, l4_off ? d->len : 0);
}

/* XIPSEC_SLOTS_MAX: that of none. */
static __u32 slot_of(const struct worker *w, __u32 ifindex)
{
	for (__u32 slot = 0; ifindex && slot < XIPSEC_SLOTS_MAX; slot++)
		if (w->dev[slot].known && w->dev[slot].ctl.ifindex == ifindex)
			return slot;
	return XIPSEC_SLOTS_MAX;
}

static void carry(struct worker *w, struct datagram *d)
{
	__u32 l4_off = 0, bytes = d->len;
	struct sa_place *place;
	__u16 reason = rebuild(d, &l4_off);
	struct work work;
	struct packet *p = &work.p;
	__be32 spi;

	if (reason) {
		refuse(w, d, l4_off, reason);
		return;
	}
	memcpy(&spi, d->data + l4_off + (kind_is_ah(d->kind) ? 4 : 0), sizeof(spi));
	place = find_sa(w, d, spi);
	if (!place || !w->frames.n_free) {
		refuse(w, d, l4_off, place ? XIPSEC_REASON_TX_FULL : XIPSEC_REASON_NO_SA);
		return;
	}
	work = (struct work){
		.p.data = d->data,
		.p.len = d->len,
		.p.headroom = (__u32)(d->data - w->slow->buffer) - PACKET_L2_MAX,
		.p.tailroom =
			(__u32)(w->slow->buffer + sizeof(w->slow->buffer) - (d->data + d->len)),
		.p.l4_off = (__u16)l4_off,
		.p.family = place->outer_family,
		.p.flags = PACKET_OUTSIDE,
		.p.frame = frame_take(&w->frames),
		.p.slot = slot_of(w, d->ifindex),
		.p.queue = w->number % XIPSEC_QUEUES_MAX,
		.bytes = bytes,
		.dir = XIPSEC_DIR_IN,
		.sa_index = (__u32)(place - w->sas),
		.sa_generation = place->generation,
		.spd_generation = __atomic_load_n(&w->globals->spd_generation, __ATOMIC_RELAXED),
	};
	pipeline_in(w, place, &p, 1);
}

void slow_round(struct worker *w)
{
	struct datagram d;

	for (__u32 kind = 0; w->slow && kind < XIPSEC_SLOW_KINDS; kind++) {
		for (int i = 0; i < SLOW_BURST && w->slow->fd[kind] >= 0; i++) {
			if (!read_datagram(w->slow, kind, &d))
				break;
			worker_add(&w->stats->rx_packets, 1);
			carry(w, &d);
		}
	}
}

/* ------------------------------------------------------------------ sockets */

static int slow_new(struct worker *w)
{
	struct slow *slow = calloc(1, sizeof(*slow));

	if (!slow)
		return -ENOMEM;
	slow->next = calloc(w->n_sas, sizeof(*slow->next));
	if (!slow->next) {
		free(slow);
		return -ENOMEM;
	}
	for (int i = 0; i < XIPSEC_SLOW_KINDS; i++)
		slow->fd[i] = -1;
	w->slow = slow;
	for (__u32 i = 0; i < w->n_sas; i++)
		if (w->sas[i].sa)
			slow_sa_add(w, &w->sas[i]);
	return 0;
}

int slow_add(struct worker *w, struct ctl_in *in)
{
	__u32 kind = in->msg.slow.kind;
	int err;

	if (kind >= XIPSEC_SLOW_KINDS) {
		log_error("a socket of kind %u makes no sense", kind);
		return -EPROTO;
	}
	err = w->slow ? 0 : slow_new(w);
	if (err)
		return err;
	if (w->slow->fd[kind] >= 0)
		close(w->slow->fd[kind]);
	w->slow->fd[kind] = in->fd[0];
	in->fd[0] = -1;
	return worker_polls_changed(w);
}

unsigned int slow_polls(const struct worker *w, struct pollfd *polls)
{
	unsigned int n = 0;

	for (int i = 0; w->slow && i < XIPSEC_SLOW_KINDS; i++)
		if (w->slow->fd[i] >= 0)
			polls[n++] = (struct pollfd){.fd = w->slow->fd[i], .events = POLLIN};
	return n;
}

void slow_free(struct worker *w)
{
	if (!w->slow)
		return;
	for (int i = 0; i < XIPSEC_SLOW_KINDS; i++)
		if (w->slow->fd[i] >= 0)
			close(w->slow->fd[i]);
	free(w->slow->next);
	/* Held other people's packets in the clear, like a frame. */
	explicit_bzero(w->slow->buffer, sizeof(w->slow->buffer));
	free(w->slow);
	w->slow = NULL;
}
