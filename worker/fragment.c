// SPDX-License-Identifier: BSD-2-Clause
#include "worker/fragment.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "worker/checksum.h"

#define IP4_LEN    20
#define IP4_FRAG   6
#define IP4_CHECK  10
#define IP4_MF     0x2000
#define IP4_OFFSET 0x1fff
#define OPT_END    0
#define OPT_NOP    1
#define OPT_COPIED 0x80 /* bit of an option's type: into every fragment (RFC 791 3.1) */
#define IP_MAX     65535
#define IP6_LEN    40
#define IP6_NEXT   6
#define FRAG_LEN   8 /* of an IPv6 fragment header */
#define IP6_MORE   1

static void put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

static __u32 get16(const __u8 *at)
{
	return (__u32)(at[0] << 8 | at[1]);
}

/* ---------------------------------------------------------------- IPv4 */

/* Writes the options that go into every fragment behind the header at `to`, filled up with 0 to a
 * multiple of 4. The header's length, or -EINVAL. */
static int options_copied(const __u8 *ip, __u32 header_len, __u8 *to)
{
	__u32 at = IP4_LEN, len = IP4_LEN;

	while (at < header_len && ip[at] != OPT_END) {
		__u32 size = ip[at] == OPT_NOP ? 1 : 2;

		if (size == 2) {
			if (at + 2 > header_len || ip[at + 1] < 2 || at + ip[at + 1] > header_len)
				return -EINVAL;
			size = ip[at + 1];
		}
		if (ip[at] & OPT_COPIED) {
			memcpy(to + len, ip + at, size);
			len += size;
		}
		at += size;
	}
	while (len & 3)
		to[len++] = OPT_END;
	return (int)len;
}

int fragment_ip4(struct fragment_cut *cut, const __u8 *data, __u32 len, __u32 max)
{
	__u32 header_len;
	int later_len;

	if (len < IP4_LEN || data[0] >> 4 != 4)
		return -EINVAL;
	header_len = (data[0] & 0xf) * 4u;
	if (header_len < IP4_LEN || header_len > len || get16(data + 2) != len)
		return -EINVAL;
	*cut = (struct fragment_cut){
		.data = data,
		.head_len = header_len,
		.payload = len - header_len,
		.max = max,
		.base = (__u16)get16(data + IP4_FRAG),
	};
	/* All but the last fragment of a packet end on 8 bytes, so those of this one would not fit
	 * into the gap that it leaves. */
	if (((cut->base & IP4_MF) && (cut->payload & 7)) ||
	    (cut->base & IP4_OFFSET) * 8u + cut->payload > IP_MAX)
		return -EINVAL;
	memcpy(cut->later, data, IP4_LEN);
	later_len = options_copied(data, header_len, cut->later);
	if (later_len < 0)
		return later_len;
	cut->later_len = (__u32)later_len;
	cut->later[0] = (__u8)(0x40 | later_len / 4);
	return len > max && max < header_len + 8 ? -EMSGSIZE : 0;
}

static void ip4_finish(const struct fragment_cut *cut, __u8 *to, __u32 head_len, __u32 size)
{
	__u32 frag = cut->base + cut->done / 8;
	__u16 check;

	if (cut->done + size < cut->payload)
		frag |= IP4_MF;
	put16(to + 2, head_len + size);
	put16(to + IP4_FRAG, frag);
	put16(to + IP4_CHECK, 0);
	check = (__u16)~csum_fold(csum_add(0, to, head_len));
	memcpy(to + IP4_CHECK, &check, 2);
}

/* ---------------------------------------------------------------- IPv6 */

/* Follows the chain to `off`; the place of the byte that names what stands there, or -EINVAL. */
static int ip6_next_off(const __u8 *data, __u32 len, __u32 off)
{
	__u32 at = IP6_LEN, next_off = IP6_NEXT;

	while (at < off) {
		__u8 next = data[next_off];

		if ((next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
		     next != IPPROTO_DSTOPTS) ||
		    at + 8 > len)
			return -EINVAL;
		next_off = at;
		at += 8 + data[at + 1] * 8u;
	}
	return at == off && data[next_off] != IPPROTO_FRAGMENT ? (int)next_off : -EINVAL;
}

int fragment_ip6(struct fragment_cut *cut, const __u8 *data, __u32 len, __u32 off, __u32 max,
		 __be32 id)
{
	int next_off;

	if (len < IP6_LEN || data[0] >> 4 != 6 || get16(data + 4) + IP6_LEN != len ||
	    off < IP6_LEN || off > len)
		return -EINVAL;
	next_off = ip6_next_off(data, len, off);
	if (next_off < 0)
		return next_off;
	*cut = (struct fragment_cut){
		.data = data,
		.head_len = off,
		.later_len = off,
		.payload = len - off,
		.max = max,
		.next_off = (__u16)next_off,
		.id = id,
	};
	return max < off + FRAG_LEN + 8 ? -EMSGSIZE : 0;
}

static void ip6_finish(const struct fragment_cut *cut, __u8 *to, __u32 size)
{
	__u8 *frag = to + cut->head_len;

	put16(to + 4, cut->head_len - IP6_LEN + FRAG_LEN + size);
	frag[0] = to[cut->next_off];
	frag[1] = 0;
	put16(frag + 2, cut->done | (cut->done + size < cut->payload ? IP6_MORE : 0));
	memcpy(frag + 4, &cut->id, 4);
	to[cut->next_off] = IPPROTO_FRAGMENT;
}

/* ---------------------------------------------------------------- both */

static int cut_is_ip6(const struct fragment_cut *cut)
{
	return cut->next_off != 0;
}

/* Bytes of payload in the piece that comes when `done` bytes are out. */
static __u32 piece_size(const struct fragment_cut *cut, __u32 done)
{
	__u32 head_len = done ? cut->later_len : cut->head_len, left = cut->payload - done, room;

	if (cut_is_ip6(cut))
		head_len += FRAG_LEN;
	room = cut->max - head_len;
	return left <= room ? left : room & ~7u;
}

__u32 fragment_count(const struct fragment_cut *cut)
{
	__u32 n = 0;

	for (__u32 done = cut->done; done < cut->payload; n++)
		done += piece_size(cut, done);
	return n;
}

__u32 fragment_next(struct fragment_cut *cut, __u8 *to)
{
	__u32 head_len = cut->done ? cut->later_len : cut->head_len, size, at = head_len;

	if (cut->done >= cut->payload)
		return 0;
	size = piece_size(cut, cut->done);
	memcpy(to, cut->done ? (cut_is_ip6(cut) ? cut->data : cut->later) : cut->data, head_len);
	if (cut_is_ip6(cut)) {
		ip6_finish(cut, to, size);
		at += FRAG_LEN;
	} else {
		ip4_finish(cut, to, head_len, size);
	}
	memcpy(to + at, cut->data + cut->head_len + cut->done, size);
	cut->done += size;
	return at + size;
}
