// SPDX-License-Identifier: BSD-2-Clause
#include "worker/reassembly.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "worker/checksum.h"

#define IP4_LEN   20
#define IP6_LEN   40
#define IP6_NEXT  6
#define FRAG_LEN  8
#define BYTES_MAX 65535
#define HEAD_MAX  2048 /* bytes of headers before an IPv6 fragment header */
#define BLOCKS    (65536 / 8)
#define NOT_ECT   0 /* the ECN field (RFC 3168 5) */
#define CE        3

/* One fragment as its headers tell. */
struct piece {
	const __u8 *data; /* behind the headers */
	__u32 len;
	__u32 off; /* in the datagram's payload */
	bool more;
	__u32 head_len; /* of the headers that stay */
	__u32 next_off; /* IPv6: of the byte that names what follows them */
	__u8 proto;     /* IPv6: what follows the fragment header */
	__u8 ecn;
};

struct key {
	__u8 addrs[32];
	__u64 tag;
	__u32 id;
	__u8 family;
	__u8 proto; /* IPv4 */
	__u8 pad[2];
};

struct slot {
	struct key key;
	__u64 until;    /* ms; 0: free */
	bool given_up;  /* what still comes of it is refused */
	__u8 ecn;       /* 1 << ECN field of each that came */
	__u32 head_len; /* 0: the first fragment has not come */
	__u32 total;    /* bytes of payload, 0: the last one has not come */
	__u32 got;
	__u32 top;             /* where the last byte of all ends that came */
	__u8 have[BLOCKS / 8]; /* bit by 8 bytes of payload */
	/* The payload stands at a fixed place, so that headers of any length fit before it. */
	__u8 bytes[REASSEMBLY_ROOM + HEAD_MAX + BYTES_MAX + 8 + REASSEMBLY_ROOM];
};

struct reassembly {
	struct slot slot[REASSEMBLY_SLOTS];
	__u32 lost;
};

struct reassembly *reassembly_new(void)
{
	return calloc(1, sizeof(struct reassembly));
}

void reassembly_free(struct reassembly *r)
{
	if (!r)
		return;
	explicit_bzero(r, sizeof(*r));
	free(r);
}

static __u32 get16(const __u8 *at)
{
	return (__u32)(at[0] << 8 | at[1]);
}

static void put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

/* ---------------------------------------------------------------- what a fragment says */

static int read_ip4(const __u8 *data, __u32 len, struct piece *piece, struct key *key)
{
	__u32 head_len = (data[0] & 0xf) * 4u, frag = get16(data + 6);

	if (head_len < IP4_LEN || head_len > len || get16(data + 2) != len)
		return -EINVAL;
	memcpy(key->addrs, data + 12, 8);
	key->id = get16(data + 4);
	key->family = 4;
	key->proto = data[9];
	*piece = (struct piece){.data = data + head_len,
				.len = len - head_len,
				.off = (frag & 0x1fff) * 8,
				.more = frag & 0x2000,
				.head_len = head_len,
				.ecn = data[1] & 3};
	return 0;
}

static int read_ip6(const __u8 *data, __u32 len, struct piece *piece, struct key *key)
{
	__u32 at = IP6_LEN, next_off = IP6_NEXT, frag;

	if (len < IP6_LEN || get16(data + 4) + IP6_LEN != len)
		return -EINVAL;
	while (data[next_off] != IPPROTO_FRAGMENT) {
		__u8 next = data[next_off];

		if ((next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
		     next != IPPROTO_DSTOPTS) ||
		    at + 8 > len || at > HEAD_MAX)
			return -EINVAL;
		next_off = at;
		at += 8 + data[at + 1] * 8u;
	}
	if (at + FRAG_LEN > len || at > HEAD_MAX)
		return -EINVAL;
	memcpy(key->addrs, data + 8, 32);
	memcpy(&key->id, data + at + 4, 4);
	key->family = 6;
	frag = get16(data + at + 2);
	*piece = (struct piece){.data = data + at + FRAG_LEN,
				.len = len - at - FRAG_LEN,
				.off = frag & 0xfff8,
				.more = frag & 1,
				.head_len = at,
				.next_off = next_off,
				.proto = data[at],
				.ecn = data[1] >> 4 & 3};
	return 0;
}

/* A fragment of some bytes, of 8s unless it is the last, that ends within what IP can carry. */
static int read_piece(const __u8 *data, __u32 len, struct piece *piece, struct key *key)
{
	int err = -EINVAL;

	if (len >= IP4_LEN && data[0] >> 4 == 4)
		err = read_ip4(data, len, piece, key);
	else if (len >= IP4_LEN && data[0] >> 4 == 6)
		err = read_ip6(data, len, piece, key);
	if (err)
		return err;
	if ((!piece->more && !piece->off) || !piece->len || (piece->more && (piece->len & 7)) ||
	    piece->off + piece->len + piece->head_len > BYTES_MAX)
		return -EINVAL;
	return 0;
}

/* ---------------------------------------------------------------- slots */

static void slot_start(struct slot *slot, const struct key *key, __u64 now)
{
	slot->key = *key;
	slot->until = now + REASSEMBLY_MS;
	slot->given_up = false;
	slot->ecn = 0;
	slot->head_len = slot->total = slot->got = slot->top = 0;
	memset(slot->have, 0, sizeof(slot->have));
}

/* Its datagram does not become whole any more. One that was given up was told of then. */
static void slot_lose(struct reassembly *r, struct slot *slot)
{
	r->lost += slot->until && slot->got && !slot->given_up;
	slot->until = 0;
}

/* The datagram's slot: a new one takes a free place, or that of the oldest. */
static struct slot *slot_for(struct reassembly *r, const struct key *key, __u64 now)
{
	struct slot *oldest = &r->slot[0];

	for (int i = 0; i < REASSEMBLY_SLOTS; i++) {
		struct slot *slot = &r->slot[i];

		if (slot->until <= now)
			slot_lose(r, slot);
		else if (!memcmp(&slot->key, key, sizeof(*key)))
			return slot;
		if (slot->until < oldest->until)
			oldest = slot;
	}
	slot_lose(r, oldest);
	slot_start(oldest, key, now);
	return oldest;
}

static __u8 *payload_of(struct slot *slot)
{
	return slot->bytes + REASSEMBLY_ROOM + HEAD_MAX;
}

/* How many of the blocks that the piece covers are there. */
static __u32 blocks_there(const struct slot *slot, const struct piece *piece, __u32 *all)
{
	__u32 first = piece->off / 8, end = (piece->off + piece->len + 7) / 8, n = 0;

	for (__u32 i = first; i < end; i++)
		n += slot->have[i / 8] >> i % 8 & 1;
	*all = end - first;
	return n;
}

/* 0: new; 1: there already; -EEXIST; -EINVAL: does not agree about where the datagram ends. */
static int slot_agrees(struct slot *slot, const struct piece *piece)
{
	__u32 end = piece->off + piece->len, all, there = blocks_there(slot, piece, &all);

	if (slot->total && (piece->more ? end > slot->total : end != slot->total))
		return -EINVAL;
	if (!piece->more && slot->top > end)
		return -EINVAL;
	if (!there)
		return 0;
	if (there == all && !memcmp(payload_of(slot) + piece->off, piece->data, piece->len))
		return 1;
	return -EEXIST;
}

static void slot_put(struct slot *slot, const __u8 *data, const struct piece *piece)
{
	__u32 end = (piece->off + piece->len + 7) / 8;

	for (__u32 i = piece->off / 8; i < end; i++)
		slot->have[i / 8] |= (__u8)(1 << i % 8);
	memcpy(payload_of(slot) + piece->off, piece->data, piece->len);
	slot->got += piece->len;
	slot->ecn |= (__u8)(1 << piece->ecn);
	if (slot->top < piece->off + piece->len)
		slot->top = piece->off + piece->len;
	if (!piece->more)
		slot->total = piece->off + piece->len;
	if (piece->off)
		return;
	slot->head_len = piece->head_len;
	memcpy(payload_of(slot) - piece->head_len, data, piece->head_len);
	if (slot->key.family == 6)
		(payload_of(slot) - piece->head_len)[piece->next_off] = piece->proto;
}

/* RFC 3168 5.3: a datagram of which a fragment met congestion says so, or goes if its sender does
 * not know of such marks. */
static bool slot_ecn_contradicts(const struct slot *slot)
{
	return slot->ecn & 1 << CE && slot->ecn & 1 << NOT_ECT;
}

/* The headers of the first fragment, made those of the whole. */
static __u32 slot_finish(struct slot *slot, __u8 **out)
{
	__u8 *ip = payload_of(slot) - slot->head_len;
	__u32 len = slot->head_len + slot->total;
	__u16 check;

	*out = ip;
	slot->until = 0;
	if (slot->ecn & 1 << CE)
		ip[1] |= slot->key.family == 6 ? CE << 4 : CE;
	if (slot->key.family == 6) {
		put16(ip + 4, len - IP6_LEN);
		return len;
	}
	put16(ip + 2, len);
	put16(ip + 6, 0);
	put16(ip + 10, 0);
	check = (__u16)~csum_fold(csum_add(0, ip, slot->head_len));
	memcpy(ip + 10, &check, 2);
	return len;
}

int reassembly_take(struct reassembly *r, const __u8 *data, __u32 len, __u64 tag, __u64 now,
		    __u8 **out, __u32 *out_len)
{
	struct key key = {.tag = tag};
	struct piece piece;
	struct slot *slot;
	int err = read_piece(data, len, &piece, &key);

	if (err)
		return err;
	slot = slot_for(r, &key, now);
	if (slot->given_up)
		return -EEXIST;
	err = slot_agrees(slot, &piece);
	if (err < 0)
		slot->given_up = true;
	if (err)
		return err < 0 ? err : 0;
	slot_put(slot, data, &piece);
	/* Nothing overlaps and nothing goes beyond the end: as many bytes are all of them. */
	if (!slot->total || slot->got != slot->total)
		return 0;
	if (slot->head_len + slot->total > BYTES_MAX || slot_ecn_contradicts(slot)) {
		slot->given_up = true;
		return -EINVAL;
	}
	*out_len = slot_finish(slot, out);
	return 1;
}

__u32 reassembly_lost(struct reassembly *r)
{
	__u32 lost = r->lost;

	r->lost = 0;
	return lost;
}
