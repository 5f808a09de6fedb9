/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AH (RFC 4302) out and in, by the contracts of esp_out.h and esp_in.h.
 *
 * What routers may change is zero while the ICV is computed (3.3.3.1): the headers in front of AH
 * are put aside into the packet's headroom, masked in place, and brought back.
 */
#ifndef WORKER_AH_H
#define WORKER_AH_H

#include "worker/packet.h"
#include "xipsec/reason.h"

#define AH_LEN       12  /* without the ICV */
#define AH_FRONT_MAX 128 /* bytes of headers in front of AH that can be protected */

struct sa;

void ah_out_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u32 path_mtu, __u64 now_s);
void ah_in_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u64 now_s);

/* Zeroes what is mutable in the IP headers that stand in front of AH, `len` bytes in all. UNSPEC,
 * or AH_FRONT, and then they are damaged: headers that contradict themselves or exceed
 * AH_FRONT_MAX, a source route that is not at its end, a fragment. */
enum xipsec_reason ah_mask(__u8 *front, __u32 len);

#endif
