// SPDX-License-Identifier: BSD-2-Clause
/* RFC 4302 3.3.3.1 and appendix A: which bytes of the headers in front count as zero. */
#include "worker/ah.h"

#include <netinet/in.h>
#include <string.h>

#define IP4_LEN 20
#define IP6_LEN 40

#define OPT4_END     0
#define OPT4_NOP     1
#define OPT4_LSRR    131
#define OPT4_SSRR    137
#define OPT4_SR_LEFT 4 /* smallest pointer */
#define OPT6_PAD1    0
#define OPT6_MUTABLE 0x20 /* RFC 8200 4.2: may change on the way */
#define ROUTING_LEFT 3    /* offset of Segments Left */

/* Immutable ones: security, extended security, commercial security, router alert, sender directed
 * multi-destination delivery. */
static int option4_stays(__u8 type)
{
	return type == 130 || type == 133 || type == 134 || type == 148 || type == 149;
}

static enum xipsec_reason mask_options4(__u8 *opt, const __u8 *end)
{
	while (opt < end && *opt != OPT4_END) {
		__u32 len;

		if (*opt == OPT4_NOP) {
			opt++;
			continue;
		}
		if (end - opt < 2 || opt[1] < 2 || opt[1] > end - opt)
			return XIPSEC_REASON_AH_FRONT;
		len = opt[1];
		/* Under way the destination is another than at the end. */
		if ((*opt == OPT4_LSRR || *opt == OPT4_SSRR) &&
		    (len < 3 || (opt[2] >= OPT4_SR_LEFT && opt[2] < len)))
			return XIPSEC_REASON_AH_FRONT;
		if (!option4_stays(*opt))
			memset(opt, 0, len);
		opt += len;
	}
	return XIPSEC_REASON_UNSPEC;
}

static enum xipsec_reason mask_ip4(__u8 *ip, __u32 len)
{
	if ((ip[0] & 0xf) * 4u != len || (ip[6] & 0x3f) || ip[7])
		return XIPSEC_REASON_AH_FRONT;
	ip[1] = 0;             /* DSCP, ECN */
	memset(ip + 6, 0, 3);  /* flags, offset, TTL */
	memset(ip + 10, 0, 2); /* checksum */
	return mask_options4(ip + IP4_LEN, ip + len);
}

static enum xipsec_reason mask_options6(__u8 *opt, const __u8 *end)
{
	while (opt < end) {
		if (*opt == OPT6_PAD1) {
			opt++;
			continue;
		}
		if (end - opt < 2 || opt[1] > end - opt - 2)
			return XIPSEC_REASON_AH_FRONT;
		if (*opt & OPT6_MUTABLE)
			memset(opt + 2, 0, opt[1]);
		opt += 2 + opt[1];
	}
	return XIPSEC_REASON_UNSPEC;
}

static enum xipsec_reason mask_ext6(__u8 *ext, __u8 kind, __u32 len)
{
	switch (kind) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS: return mask_options6(ext + 2, ext + len);
	case IPPROTO_ROUTING:
		return ext[ROUTING_LEFT] ? XIPSEC_REASON_AH_FRONT : XIPSEC_REASON_UNSPEC;
	default: return XIPSEC_REASON_AH_FRONT;
	}
}

static enum xipsec_reason mask_ip6(__u8 *ip, __u32 len)
{
	enum xipsec_reason reason = XIPSEC_REASON_UNSPEC;
	__u32 off = IP6_LEN, ext_len;
	__u8 next = ip[6];

	ip[0] &= 0xf0; /* traffic class */
	memset(ip + 1, 0, 3);
	ip[7] = 0; /* hop limit */
	for (; off < len && !reason; off += ext_len) {
		__u8 kind = next;

		if (off + 8 > len)
			return XIPSEC_REASON_AH_FRONT;
		ext_len = 8 + ip[off + 1] * 8u;
		if (off + ext_len > len)
			return XIPSEC_REASON_AH_FRONT;
		next = ip[off];
		reason = mask_ext6(ip + off, kind, ext_len);
	}
	return reason;
}

enum xipsec_reason ah_mask(__u8 *front, __u32 len)
{
	if (len > AH_FRONT_MAX)
		return XIPSEC_REASON_AH_FRONT;
	if (len >= IP4_LEN && front[0] >> 4 == 4)
		return mask_ip4(front, len);
	if (len >= IP6_LEN && front[0] >> 4 == 6)
		return mask_ip6(front, len);
	return XIPSEC_REASON_AH_FRONT;
}
