/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing captures with a comment on each packet (pcapng, draft-ietf-opsawg-pcapng). */
#ifndef TOOLS_PCAPNG_H
#define TOOLS_PCAPNG_H

#include <linux/types.h>
#include <stdbool.h>

struct pcapng;

struct pcapng_packet {
	__u64 time;        /* ns since 1970 */
	const char *iface; /* name; one interface block is written for each */
	bool raw; /* `data` begins with an IP header: one of Ethernet with no MACs is put before */
	const void *data;
	__u32 captured; /* bytes of data */
	__u32 len;      /* of all that `data` is the beginning of */
	const char *comment;
};

/* Makes the file anew, only its owner may read it: packets are other people's. "-": standard
 * output. 0 or -errno. */
int pcapng_open(const char *path, struct pcapng **out);

/* Each packet is in the file when this returns. 0 or -errno. */
int pcapng_write(struct pcapng *pcapng, const struct pcapng_packet *packet);
void pcapng_close(struct pcapng *pcapng);

#endif
