// SPDX-License-Identifier: BSD-2-Clause
#include "loader/shape.h"

#include <netinet/in.h>
#include "lib/addr.h"
#include "lib/proto.h"

static wide wide_of(const struct xipsec_addr *addr, __u8 family)
{
	wide number = 0;

	for (unsigned int i = 0; i < addr_bits(family) / 32; i++)
		number |= (wide)ntohl(addr->word[i]) << (96 - 32 * i);
	return number;
}

static struct xipsec_addr addr_of(wide number)
{
	struct xipsec_addr addr;

	for (unsigned int i = 4; i-- > 0; number >>= 32)
		addr.word[i] = htonl((__u32)number);
	return addr;
}

static wide net_block(wide addr, __u8 bits)
{
	return bits ? addr >> (128 - bits) : 0;
}

static __u32 net_blocks(const struct net *net, __u8 bits)
{
	wide n = net_block(net->hi, bits) - net_block(net->lo, bits);

	return n < XIPSEC_KEYS_MAX ? (__u32)n + 1 : XIPSEC_KEYS_MAX + 1;
}

/* The most leading bits with which at most `max` blocks cover the range. */
static __u8 net_bits(const struct net *net, __u8 family, __u32 max)
{
	__u8 bits = addr_bits(family);

	while (bits && net_blocks(net, bits) > max)
		bits--;
	return bits;
}

static struct net net_of(const struct xipsec_addr *lo, const struct xipsec_addr *hi, __u8 family)
{
	struct net net = {.lo = wide_of(lo, family), .hi = wide_of(hi, family)};

	net.bits = net_bits(&net, family, 1);
	return net;
}

#define NET_BLOCKS 4 /* of a range of addresses, on one side */

/* Bits that a few blocks more would bring; a prefix has what it needs. */
static __u8 net_gain(const struct net *net, __u8 family)
{
	wide ones = ~(wide)0, host = net->bits < 128 ? ones >> net->bits : 0;

	if (family == XIPSEC_FAMILY_IP4)
		host &= ~(ones >> 32);
	if (!(net->lo & host) && (net->hi & host) == host)
		return 0;
	return net_bits(net, family, NET_BLOCKS) - net->bits;
}

/* A range that is no prefix has few bits in common where it crosses a round number: it is cut into
 * blocks, on the side that gains most; the other is verified on the candidate. */
static void shape_cut(struct shape *shape)
{
	__u8 local = net_gain(&shape->local, shape->family);
	__u8 remote = net_gain(&shape->remote, shape->family);

	if (local > remote)
		shape->local.bits += local;
	else
		shape->remote.bits += remote;
}

struct shape shape_of(const struct xipsec_selector *sel, __u8 family)
{
	struct shape shape = {.family = family,
			      .l4_proto = sel->l4_proto,
			      .has_proto = !sel->any_proto,
			      .local = net_of(&sel->local_lo, &sel->local_hi, family),
			      .remote = net_of(&sel->remote_lo, &sel->remote_hi, family),
			      .local_port = {0, XIPSEC_PORT_MAX},
			      .remote_port = {0, XIPSEC_PORT_MAX}};

	shape_cut(&shape);
	if (sel->any_proto)
		return shape;
	if (proto_has_type(sel->l4_proto)) {
		shape.remote_port = (struct range){sel->icmp_lo, sel->icmp_hi};
	} else {
		shape.local_port = (struct range){sel->local_port_lo, sel->local_port_hi};
		shape.remote_port = (struct range){sel->remote_port_lo, sel->remote_port_hi};
	}
	return shape;
}

/* Blocks of `bits` leading bits that cover the range. */
static __u64 range_blocks(const struct range *range, __u8 bits)
{
	if (range->lo > range->hi)
		return 1;
	return (__u64)(range->hi >> (16 - bits)) - (range->lo >> (16 - bits)) + 1;
}

/* The most leading bits with which at most `max` blocks cover the range. */
static __u8 range_bits(const struct range *range, __u32 max)
{
	__u8 bits = 16;

	while (bits && range_blocks(range, bits) > max)
		bits--;
	return bits;
}

__u8 range_grain(const struct range *range, __u32 max)
{
	__u8 bits = range_bits(range, max);

	return bits == 16 ? 16 : bits & ~3U;
}

/* An address in the n-th block of the range. */
static struct xipsec_addr block_start(const struct net *net, __u8 bits, __u32 n)
{
	return addr_of(n ? (net_block(net->lo, bits) + n) << (128 - bits) : net->lo);
}

void shape_keys(const struct xipsec_spd_table *table, const struct shape *shape, struct keys *keys)
{
	__u32 blocks[4] = {net_blocks(&shape->local, table->local_bits),
			   net_blocks(&shape->remote, table->remote_bits),
			   (__u32)range_blocks(&shape->local_port, table->local_port_bits),
			   (__u32)range_blocks(&shape->remote_port, table->remote_port_bits)};
	__u32 n = blocks[0] * blocks[1] * blocks[2] * blocks[3];

	keys->n = 0;
	for (__u32 i = 0; i < n && keys->n < XIPSEC_KEYS_MAX; i++) {
		__u32 l = i % blocks[0], r = i / blocks[0] % blocks[1];
		__u32 lp = i / (blocks[0] * blocks[1]) % blocks[2];
		__u32 rp = i / (blocks[0] * blocks[1] * blocks[2]);
		struct xipsec_flow flow = {
			.local = block_start(&shape->local, table->local_bits, l),
			.remote = block_start(&shape->remote, table->remote_bits, r),
			.local_port = (__u16)(shape->local_port.lo +
					      (lp << (16 - table->local_port_bits))),
			.remote_port = (__u16)(shape->remote_port.lo +
					       (rp << (16 - table->remote_port_bits))),
			.family = shape->family,
			.l4_proto = shape->l4_proto};
		struct xipsec_key key;

		xipsec_key_of(&flow, &key);
		keys->hash[keys->n++] =
			xipsec_key_hash(table, &key, shape->family == XIPSEC_FAMILY_IP6);
	}
}

bool shape_fits(const struct xipsec_spd_table *table, const struct shape *shape)
{
	return table->salt && table->family == shape->family &&
	       table->local_bits <= shape->local.bits && table->remote_bits <= shape->remote.bits &&
	       (!table->proto_bits || shape->has_proto) &&
	       net_blocks(&shape->local, table->local_bits) *
			       net_blocks(&shape->remote, table->remote_bits) *
			       range_blocks(&shape->local_port, table->local_port_bits) *
			       range_blocks(&shape->remote_port, table->remote_port_bits) <=
		       XIPSEC_KEYS_MAX;
}
