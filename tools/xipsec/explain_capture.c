// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <linux/if_ether.h>
#include <pcap/pcap.h>
#include <string.h>
#include "lib/log.h"
#include "tools/xipsec/explain.h"

/* Bytes of link-layer header that we must put in front of a packet; -1: not a kind of capture that
 * holds what an Ethernet interface sees. */
static int missing_header(int link_type)
{
	switch (link_type) {
	case DLT_EN10MB: return 0;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6: return ETH_HLEN;
	default: return -1;
	}
}

static void put_header(__u8 *frame, const __u8 mac[6], const __u8 *packet)
{
	unsigned int type = packet[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;

	memcpy(frame, mac, ETH_ALEN);
	frame[ETH_ALEN] = 2;
	frame[12] = (__u8)(type >> 8);
	frame[13] = (__u8)type;
}

/* `xipsec monitor --pcap-out` writes what a worker told so: it had no MAC any more. */
static bool has_no_macs(const __u8 *frame)
{
	static const __u8 none[2 * ETH_ALEN];

	return memcmp(frame, none, sizeof(none)) == 0;
}

static int one_packet(const struct pcap_pkthdr *header, const __u8 *data, unsigned int front,
		      unsigned long number, const __u8 mac[6], capture_fn packet, void *ctx)
{
	static __u8 frame[LOADER_FRAME_MAX];
	unsigned int len = header->len + front, have = header->caplen + front;

	__u64 time = (__u64)header->ts.tv_sec * 1000000000 + (__u64)header->ts.tv_usec * 1000;

	if (header->caplen == 0 || len < ETH_HLEN || len > sizeof(frame) || have > len) {
		log_warn("explain: packet %lu has %u bytes, %u of them captured: expected 14 to "
			 "%zu, and some of them",
			 number, header->len, header->caplen, sizeof(frame));
		return packet(ctx, number, time, NULL, header->len, have > len ? 0 : len - have);
	}
	memset(frame, 0, len);
	if (front)
		put_header(frame, mac, data);
	memcpy(frame + front, data, header->caplen);
	if (has_no_macs(frame))
		memcpy(frame, mac, ETH_ALEN);
	return packet(ctx, number, time, frame, len, len - have);
}

int capture_each(const char *path, const __u8 mac[6], capture_fn packet, void *ctx)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *capture = pcap_open_offline(path, text);
	struct pcap_pkthdr *header;
	unsigned long number = 0;
	const __u8 *data;
	int front, got, err = 0;

	if (!capture) {
		log_error("explain: --pcap: %s", text);
		return -EINVAL;
	}
	front = missing_header(pcap_datalink(capture));
	if (front < 0) {
		log_error("explain: --pcap %s: expected Ethernet frames or IP packets, not %s",
			  path, pcap_datalink_val_to_name(pcap_datalink(capture)));
		pcap_close(capture);
		return -EINVAL;
	}
	while (!err && (got = pcap_next_ex(capture, &header, &data)) == 1)
		err = one_packet(header, data, (unsigned int)front, ++number, mac, packet, ctx);
	if (!err && got != PCAP_ERROR_BREAK) {
		log_error("explain: --pcap %s: after %lu packets: %s", path, number,
			  pcap_geterr(capture));
		err = -EINVAL;
	}
	pcap_close(capture);
	return err;
}
