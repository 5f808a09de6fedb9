// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/see.h"

#include "tests/fuzz/harness.h"

static int see_ip4(const __u8 *data, __u32 len, struct seen *seen)
{
	__u32 frag;

	if (len < 20)
		return 0;
	*seen = (struct seen){
		.len = data[2] * 256u + data[3],
		.l4_off = (data[0] & 15) * 4u,
		.family = 4,
		.tos = data[1],
		.ttl = data[8],
		.proto = data[9],
		.src = data + 12,
		.dst = data + 16,
		.addr_len = 4,
	};
	frag = data[6] * 256u + data[7];
	seen->later = (frag & 8191) != 0;
	seen->fragment = (frag & 16383) != 0;
	seen->id = data[4] * 256u + data[5];
	seen->from = frag % 8192 * 8;
	seen->to = seen->from + seen->len - seen->l4_off;
	return seen->l4_off >= 20 && seen->len >= seen->l4_off && seen->len <= len;
}

static int see_ip6(const __u8 *data, __u32 len, struct seen *seen)
{
	__u32 at = 40, n = 0, n_fragment = 0;

	if (len < 40)
		return 0;
	*seen = (struct seen){
		.len = 40 + data[4] * 256u + data[5],
		.family = 6,
		.tos = (__u8)((data[0] & 15) * 16 + data[1] / 16),
		.ttl = data[7],
		.proto = data[6],
		.src = data + 8,
		.dst = data + 24,
		.addr_len = 16,
	};
	if (seen->len > len)
		return 0;
	while (is_extension(seen->proto)) {
		__u32 frag = 0, size;

		if (at + 8 > seen->len)
			return 0;
		n_fragment += seen->proto == 44;
		seen->odd |= ++n > EXTENSIONS || (seen->proto == 0 && n > 1) || n_fragment > 1;
		size = seen->proto == 44 ? 8 : 8 + data[at + 1] * 8u;
		if (seen->proto == 44) {
			frag = data[at + 2] * 256u + data[at + 3];
			seen->id = (data[at + 4] * 256u + data[at + 5]) * 65536u +
				   data[at + 6] * 256u + data[at + 7];
			seen->from = frag / 8 * 8;
			seen->to = seen->from + seen->len - at - 8;
		}
		seen->fragment |= (frag & 0xfff9) != 0;
		seen->later |= frag >= 8;
		seen->proto = data[at];
		at += size;
		if (seen->later)
			break;
	}
	seen->l4_off = at;
	return at <= seen->len;
}

int packet_see(const __u8 *data, __u32 len, struct seen *seen)
{
	if (!len)
		return 0;
	if (data[0] / 16 == 4)
		return see_ip4(data, len, seen);
	return data[0] / 16 == 6 && see_ip6(data, len, seen);
}

/* The shortest header of a transport protocol, by the RFC of each. */
static __u32 transport_min(const struct seen *seen)
{
	switch (seen->proto) {
	case 6: return 20;
	case 33:
	case 51:
	case 132: return 12;
	case 17:
	case 50:
	case 136: return 8;
	case 1: return seen->family == 4 ? 8 : 0;
	case 58:
	case 135: return seen->family == 6 ? 8 : 0;
	default: return 0;
	}
}

int packet_sound(const __u8 *data, __u32 len, struct seen *seen)
{
	const __u8 *l4;
	__u32 l4_len;

	if (!packet_see(data, len, seen) || seen->odd)
		return 0;
	if (seen->later)
		return seen->family == 6 || seen->from + seen->len <= 65535;
	l4 = data + seen->l4_off;
	l4_len = seen->len - seen->l4_off;
	if (l4_len < transport_min(seen))
		return 0;
	if (seen->proto == 6)
		return l4[12] / 16 >= 5 && l4[12] / 16 * 4u <= l4_len;
	if (seen->proto == 17) /* the length is the datagram's, whose head this may be */
		return l4[4] * 256u + l4[5] >= 8 &&
		       (seen->fragment || l4[4] * 256u + l4[5] <= l4_len);
	return 1;
}

__u32 sum_bytes(__u32 sum, const __u8 *at, __u32 len)
{
	for (__u32 i = 0; i < len; i++)
		sum += i & 1 ? at[i] : at[i] * 256u;
	return sum;
}

__u16 sum_fold(__u32 sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

int packet_sum_fits(const __u8 *data)
{
	return data[0] / 16 != 4 || sum_fold(sum_bytes(0, data, (data[0] & 15) * 4u)) == 0xffff;
}

__u16 transport_sum(const struct seen *seen, const __u8 *data, __u8 proto)
{
	__u32 len = seen->len - seen->l4_off, sum = len + proto;

	sum = sum_bytes(sum, seen->src, seen->addr_len);
	sum = sum_bytes(sum, seen->dst, seen->addr_len);
	return sum_fold(sum_bytes(sum, data + seen->l4_off, len));
}

void packet_mend(__u8 *data, __u32 len)
{
	__u32 header, sum;

	if (len >= 40 && data[0] / 16 == 6) {
		data[4] = (__u8)((len - 40) >> 8);
		data[5] = (__u8)(len - 40);
	}
	if (len < 20 || data[0] / 16 != 4)
		return;
	data[2] = (__u8)(len >> 8);
	data[3] = (__u8)len;
	data[10] = data[11] = 0;
	header = (data[0] & 15) * 4u;
	sum = sum_fold(sum_bytes(0, data, header < len ? header : len));
	data[10] = (__u8)(~sum >> 8);
	data[11] = (__u8)~sum;
}

int seen_error(const struct seen *seen, const __u8 *data)
{
	__u8 type;

	if (seen->later || seen->len < seen->l4_off + 8)
		return 0;
	type = data[seen->l4_off];
	if (seen->family == 6)
		return seen->proto == 58 && type < 128;
	return seen->proto == 1 &&
	       (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

int quote_see(const struct seen *seen, const __u8 *data, struct seen *quote)
{
	const __u8 *at = data + seen->l4_off + 8;
	__u32 len = seen->len - seen->l4_off - 8, off, size, n = 0;
	int ip4 = seen->family == 4;

	if (len < (ip4 ? 20 : 40) || at[0] / 16 != seen->family || (ip4 && (at[0] & 15) < 5))
		return 0;
	*quote = (struct seen){.family = seen->family,
			       .proto = at[ip4 ? 9 : 6],
			       .src = at + (ip4 ? 12 : 8),
			       .dst = at + (ip4 ? 16 : 24),
			       .later = ip4 && (at[6] * 256u + at[7]) % 8192};
	off = ip4 ? (at[0] & 15) * 4u : 40;
	while (!ip4 && !quote->later && is_extension(quote->proto)) {
		if (off + 8 > len || n++ == EXTENSIONS)
			break;
		size = quote->proto == 44 ? 8 : 8 + at[off + 1] * 8u;
		quote->later = quote->proto == 44 && at[off + 2] * 256u + at[off + 3] >= 8;
		quote->proto = at[off];
		off += size;
	}
	quote->l4_off = seen->l4_off + 8 + off;
	quote->later |= off + 4 > len;
	return !memcmp(quote->src, seen->dst, seen->addr_len);
}

int quote_allows(const struct seen *seen, const __u8 *data)
{
	struct seen quote;

	return !seen_error(seen, data) || quote_see(seen, data, &quote);
}
