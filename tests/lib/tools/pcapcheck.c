// SPDX-License-Identifier: BSD-2-Clause
/*
 * The verdict on a capture of the black link: how many ESP packets, how many in the clear, and
 * whether a nonce was ever used twice.
 *
 *	pcapcheck [-i] [-m MARKER] [-k SPI,SPI...]... FILE...
 *
 * -m: packets that hold this text anywhere count as `marker` (and are in the clear for certain).
 * -k: these SPIs use one key, so their IVs are compared with each other; other SPIs are taken to
 *     have a key each. SPIs are compared per outer destination unless named by -k.
 *
 * -i: messages of IKEv2 are `other`; without it they are in the clear like anything else.
 *
 * ESP in UDP is ESP, and so are the IPv4 fragments behind one that begins it; a NAT keepalive is
 * `other`.
 *
 * Prints one line: "esp N clear N marker N other N repeated N cut N", then one line for each of the
 * first clear packets and repeated nonces. `other` is ARP and link-local chatter (ND, MLD) that is
 * nobody's traffic. Exit status: 0 nothing in the clear and nothing repeated, 1 otherwise, 2 the
 * capture cannot be read (which is never a good verdict).
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCAP_MAGIC_US 0xa1b2c3d4
#define PCAP_MAGIC_NS 0xa1b23c4d
#define DLT_EN10MB    1
#define GROUP_SPIS    16
#define GROUPS        16
#define TELL_MAX      5
#define SNAP_MAX      (256 * 1024)

struct pcap_file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, sigfigs, snaplen, network;
};

struct pcap_packet_header {
	uint32_t sec, frac, caplen, len;
};

/* What a nonce is unique within: a key. */
struct nonce {
	uint32_t key; /* group, or the SPI mixed with the destination */
	uint32_t spi;
	uint64_t iv;
};

struct verdict {
	uint64_t packets, esp, clear, marker, other, repeated, cut;
	struct nonce *nonce;
	size_t n_nonces, room;
};

struct group {
	uint32_t spi[GROUP_SPIS];
	unsigned int n;
};

static struct group groups[GROUPS];
static unsigned int n_groups;
static const char *marker;
static bool with_ike;

static void tell_clear(const struct verdict *v, const unsigned char *frame, size_t len,
		       const char *what)
{
	if (v->clear + v->marker > TELL_MAX)
		return;
	printf("clear: packet %llu, %s:", (unsigned long long)v->packets, what);
	for (size_t i = 0; i < len && i < 64; i++)
		printf("%s%02x", i % 4 ? "" : " ", frame[i]);
	printf("\n");
}

static uint32_t key_of(uint32_t spi, const unsigned char *dst, size_t dst_len)
{
	uint32_t hash = 2166136261u;

	for (unsigned int g = 0; g < n_groups; g++)
		for (unsigned int i = 0; i < groups[g].n; i++)
			if (groups[g].spi[i] == spi)
				return g + 1;
	for (size_t i = 0; i < dst_len; i++)
		hash = (hash ^ dst[i]) * 16777619u;
	hash = (hash ^ spi) * 16777619u;
	return hash | 0x80000000u;
}

/* AES-GCM's explicit IV (RFC 4106 3.1) stands after SPI and sequence number. */
static void take_esp(struct verdict *v, const unsigned char *esp, const unsigned char *end,
		     const unsigned char *dst, size_t dst_len)
{
	struct nonce nonce;

	v->esp++;
	if (end - esp < 16) {
		v->cut++;
		return;
	}
	memcpy(&nonce.spi, esp, 4);
	memcpy(&nonce.iv, esp + 8, 8);
	nonce.spi = ntohl(nonce.spi);
	nonce.key = key_of(nonce.spi, dst, dst_len);
	if (v->n_nonces == v->room) {
		v->room = v->room ? v->room * 2 : 65536;
		v->nonce = realloc(v->nonce, v->room * sizeof(*v->nonce));
		if (!v->nonce) {
			fprintf(stderr, "pcapcheck: out of memory\n");
			exit(2);
		}
	}
	v->nonce[v->n_nonces++] = nonce;
}

/* Neighbour discovery, router solicitation and MLD of the interfaces themselves. */
static bool is_link_chatter(const unsigned char *ip6, const unsigned char *end)
{
	const unsigned char *icmp = ip6 + sizeof(struct ip6_hdr);
	unsigned int next = ip6[6];

	if (next == IPPROTO_HOPOPTS && end - icmp >= 8) {
		next = icmp[0];
		icmp += (icmp[1] + 1) * 8;
	}
	if (next != IPPROTO_ICMPV6 || icmp >= end)
		return false;
	return (*icmp >= 130 && *icmp <= 132) || *icmp == 143 || (*icmp >= 133 && *icmp <= 136);
}

/* What stands behind a UDP header of ESP in UDP (RFC 3948): one port is 4500, whatever a NAT made
 * of the other. NULL: it is something else. */
static const unsigned char *natt(const unsigned char *udp, const unsigned char *end)
{
	if (end - udp < 9 || (memcmp(udp, "\x11\x94", 2) && memcmp(udp + 2, "\x11\x94", 2)))
		return NULL;
	return udp + 8;
}

/* A message of IKEv2 (RFC 7296 3.1), on port 500 or behind the non-ESP marker on 4500. */
static bool is_ike(const unsigned char *udp, const unsigned char *end)
{
	const unsigned char *ike = udp + 8;

	if (end - udp < 8)
		return false;
	if (natt(udp, end)) {
		if (end - ike < 4 || memcmp(ike, "\0\0\0", 4))
			return false;
		ike += 4;
	} else if (memcmp(udp, "\x01\xf4", 2) && memcmp(udp + 2, "\x01\xf4", 2)) {
		return false;
	}
	return end - ike >= 28 && ike[17] == 0x20;
}

/* Datagrams whose first fragment was ESP in UDP: source, destination, identification. */
static unsigned char begun[64][10];
static unsigned int n_begun;

static void datagram_of(const unsigned char *ip4, unsigned char datagram[10])
{
	memcpy(datagram, ip4 + 12, 8);
	memcpy(datagram + 8, ip4 + 4, 2);
}

static unsigned int frag_offset(const unsigned char *ip4)
{
	return (ip4[6] & 0x1f) << 8 | ip4[7];
}

static void note_first(const unsigned char *ip4)
{
	if (ip4[6] & 0x20)
		datagram_of(ip4, begun[n_begun++ % 64]);
}

static bool goes_on(const unsigned char *ip4)
{
	unsigned char datagram[10];

	datagram_of(ip4, datagram);
	for (unsigned int i = 0; i < n_begun && i < 64; i++)
		if (!memcmp(begun[i], datagram, sizeof(datagram)))
			return true;
	return false;
}

/* Behind an IPv6 fragment header is a piece of ESP: what begins it is looked at as whole ESP is. */
static bool take_ip6_piece(struct verdict *v, const unsigned char *l3, const unsigned char *end)
{
	const unsigned char *frag = l3 + 40;

	if (l3[6] != IPPROTO_FRAGMENT || end - frag < 8 || frag[0] != IPPROTO_ESP)
		return false;
	if (frag[2] || frag[3] & 0xf8)
		v->esp++;
	else
		take_esp(v, frag + 8, end, l3 + 24, 16);
	return true;
}

/* ESP of IPv4 or IPv6, plain or in UDP; or a NAT keepalive; with -i, IKE. */
static bool take_ipsec(struct verdict *v, const unsigned char *l3, const unsigned char *end,
		       bool ip6)
{
	const unsigned char *l4 = ip6 ? l3 + 40 : l3 + (l3[0] & 15) * 4,
			    *dst = l3 + (ip6 ? 24 : 16);
	unsigned int next = ip6 ? l3[6] : l3[9];

	if (!ip6 && next == IPPROTO_UDP && frag_offset(l3)) {
		v->esp += goes_on(l3);
		return goes_on(l3);
	}
	if (ip6 && take_ip6_piece(v, l3, end))
		return true;
	if (next == IPPROTO_ESP) {
		take_esp(v, l4, end, dst, ip6 ? 16 : 4);
		return true;
	}
	if (with_ike && next == IPPROTO_UDP && is_ike(l4, end)) {
		v->other++;
		return true;
	}
	l4 = next == IPPROTO_UDP ? natt(l4, end) : NULL;
	if (!l4)
		return false;
	if (end - l4 < 8 && *l4 == 0xff) {
		v->other++;
		return true;
	}
	if (end - l4 < 8 || !memcmp(l4, "\0\0\0", 4))
		return false;
	if (!ip6)
		note_first(l3);
	take_esp(v, l4, end, dst, ip6 ? 16 : 4);
	return true;
}

static void take_frame(struct verdict *v, const unsigned char *frame, size_t len)
{
	const unsigned char *end = frame + len, *l3 = frame + ETH_HLEN;
	unsigned int eth_type;

	v->packets++;
	if (len < ETH_HLEN) {
		v->cut++;
		return;
	}
	if (marker && memmem(frame, len, marker, strlen(marker))) {
		v->marker++;
		tell_clear(v, frame, len, "holds the marker");
		return;
	}
	eth_type = frame[12] << 8 | frame[13];
	if (eth_type == ETHERTYPE_ARP) {
		v->other++;
	} else if (eth_type == ETHERTYPE_IP && end - l3 >= 20 && take_ipsec(v, l3, end, false)) {
		return;
	} else if (eth_type == ETHERTYPE_IPV6 && end - l3 >= 40 && take_ipsec(v, l3, end, true)) {
		return;
	} else if (eth_type == ETHERTYPE_IPV6 && end - l3 >= 40 && is_link_chatter(l3, end)) {
		v->other++;
	} else {
		v->clear++;
		tell_clear(v, frame, len, "neither ESP nor link-local chatter");
	}
}

static int read_file(struct verdict *v, const char *path)
{
	static unsigned char frame[SNAP_MAX];
	struct pcap_packet_header head;
	struct pcap_file_header file;
	FILE *in = fopen(path, "rb");

	if (!in || fread(&file, sizeof(file), 1, in) != 1 ||
	    (file.magic != PCAP_MAGIC_US && file.magic != PCAP_MAGIC_NS) ||
	    file.network != DLT_EN10MB) {
		fprintf(stderr, "pcapcheck: %s: not a pcap file of Ethernet frames\n", path);
		if (in)
			fclose(in);
		return -1;
	}
	/* A capture that was stopped may end inside a record: that is its end. */
	while (fread(&head, sizeof(head), 1, in) == 1) {
		if (head.caplen > sizeof(frame) || fread(frame, 1, head.caplen, in) != head.caplen)
			break;
		take_frame(v, frame, head.caplen);
	}
	fclose(in);
	return 0;
}

static int nonce_compare(const void *left, const void *right)
{
	const struct nonce *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->iv < b->iv ? -1 : a->iv > b->iv;
}

static void find_repeated(struct verdict *v)
{
	if (v->n_nonces)
		qsort(v->nonce, v->n_nonces, sizeof(*v->nonce), nonce_compare);
	for (size_t i = 1; i < v->n_nonces; i++) {
		if (nonce_compare(&v->nonce[i - 1], &v->nonce[i]))
			continue;
		if (v->repeated++ < TELL_MAX)
			printf("repeated: SPI 0x%x and 0x%x, IV %llu\n", v->nonce[i - 1].spi,
			       v->nonce[i].spi, (unsigned long long)be64toh(v->nonce[i].iv));
	}
}

static int take_group(char *list)
{
	struct group *group = &groups[n_groups];

	if (n_groups == GROUPS)
		return -1;
	for (char *spi = strtok(list, ","); spi; spi = strtok(NULL, ",")) {
		if (group->n == GROUP_SPIS)
			return -1;
		group->spi[group->n++] = strtoul(spi, NULL, 0);
	}
	n_groups++;
	return 0;
}

int main(int argc, char **argv)
{
	struct verdict v = {0};
	int opt;

	while ((opt = getopt(argc, argv, "im:k:")) != -1) {
		if (opt == 'm') {
			marker = optarg;
		} else if (opt == 'i') {
			with_ike = true;
		} else if (opt != 'k' || take_group(optarg)) {
			fprintf(stderr,
				"usage: pcapcheck [-i] [-m MARKER] [-k SPI,SPI...]... FILE...\n");
			return 2;
		}
	}
	if (optind == argc)
		return 2;
	for (int i = optind; i < argc; i++)
		if (read_file(&v, argv[i]))
			return 2;
	find_repeated(&v);
	printf("esp %llu clear %llu marker %llu other %llu repeated %llu cut %llu\n",
	       (unsigned long long)v.esp, (unsigned long long)v.clear, (unsigned long long)v.marker,
	       (unsigned long long)v.other, (unsigned long long)v.repeated,
	       (unsigned long long)v.cut);
	free(v.nonce);
	return v.clear || v.marker || v.repeated;
}
