// SPDX-License-Identifier: BSD-2-Clause
#include "worker/verdict.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stddef.h>
#include <string.h>

#include "worker/late.h"
#include "xipsec/meta.h"

#define L2_MAX      PACKET_L2_MAX
#define ESP_MIN     8u /* SPI and sequence number */
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Headers stand 14 bytes into a frame: aligned to 2 at best. */
static __u32 read_be16(const __u8 *p)
{
	return p[0] << 8 | p[1];
}

/* Ethernet pads short frames: the packet is as long as its own header says. */
static __u16 trim(struct packet *p)
{
	__u32 len;

	if (p->family == XIPSEC_FAMILY_IP4) {
		len = read_be16(p->data + offsetof(struct iphdr, tot_len));
		if (p->data[0] >> 4 != 4 || len < sizeof(struct iphdr) || len > p->len)
			return XIPSEC_REASON_MALFORMED_IP4;
	} else {
		len = sizeof(struct ipv6hdr);
		if (p->data[0] >> 4 != 6 || p->len < len)
			return XIPSEC_REASON_MALFORMED_IP6;
		len += read_be16(p->data + offsetof(struct ipv6hdr, payload_len));
		if (len > p->len)
			return XIPSEC_REASON_MALFORMED_IP6;
	}
	p->tailroom += p->len - len;
	p->len = len;
	return 0;
}

static bool meta_ok(const struct worker *w, const struct xipsec_meta *meta, __u32 len)
{
	if (meta->magic != XIPSEC_META_MAGIC || meta->abi != XIPSEC_ABI ||
	    meta->sa_index >= w->n_sas)
		return false;
	if (meta->family != XIPSEC_FAMILY_IP4 && meta->family != XIPSEC_FAMILY_IP6)
		return false;
	if (meta->l3_off < ETH_HLEN || meta->l3_off > L2_MAX ||
	    meta->l3_off + sizeof(struct iphdr) > len)
		return false;
	if (meta->dir == XIPSEC_DIR_IN)
		return meta->l4_off >= meta->l3_off + sizeof(struct iphdr) &&
		       (__u32)meta->l4_off + ESP_MIN <= len;
	return meta->dir == XIPSEC_DIR_OUT &&
	       (!meta->l4_off || (meta->l4_off > meta->l3_off && (__u32)meta->l4_off <= len));
}

__u16 verdict_read(const struct worker *w, struct work *work, __u64 addr, __u32 len)
{
	__u8 *frame = frame_at(&w->frames, work->p.frame);
	__u8 *eth = frame_at(&w->frames, addr);
	struct packet *p = &work->p;
	struct xipsec_meta copy;
	const struct xipsec_meta *meta = &copy;
	__u16 reason, stale;

	if (unlikely(eth < frame + sizeof(copy)))
		return XIPSEC_REASON_BAD_META;
	/* A verdict is for one frame: the next that lies here must bring its own. (Copied, as no
	 * driver promises an alignment.) */
	memcpy(&copy, eth - sizeof(copy), sizeof(copy));
	memset(eth - sizeof(copy), 0, sizeof(copy.magic));
	if (unlikely(!meta_ok(w, meta, len)))
		return XIPSEC_REASON_BAD_META;
	work->dir = meta->dir;
	work->sa_index = meta->sa_index;
	work->sa_generation = meta->sa_generation;
	work->spd_generation = meta->spd_generation;
	stale = verdict_fresh(w, work);
	if (unlikely(stale)) {
		if (!late_may_come(w, work))
			return stale;
	} else if (unlikely(w->sas[work->sa_index].dir != work->dir)) {
		return XIPSEC_REASON_BAD_META;
	}
	p->l2_len = meta->l3_off;
	p->data = eth + meta->l3_off;
	p->len = len - meta->l3_off;
	/* ESP may not write where the Ethernet header will stand. */
	p->headroom = p->data - frame - PACKET_L2_MAX;
	p->tailroom = frame + frame_bytes(&w->frames, p->frame) - (p->data + p->len);
	p->l4_off = meta->l4_off ? meta->l4_off - meta->l3_off : 0;
	p->family = meta->family;
	reason = trim(p);
	if (unlikely(reason))
		return reason;
	if (unlikely(p->l4_off > p->len))
		return XIPSEC_REASON_BAD_META;
	if (unlikely(stale))
		return VERDICT_LATE;
	return 0;
}
