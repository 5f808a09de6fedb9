// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests of strangers that are not where they say: whole IKE_SA_INIT requests (RFC 7296 1.2) from
 * addresses of 198.18.0.0/15 (RFC 2544), each with an SPI, a nonce and a public value of its own.
 *
 *	ikeflood IFACE DST-MAC DST-ADDR PPS SECONDS     tells "sent N in S s"
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST      64
#define NS_PER_SEC 1000000000ull

/* One proposal: AES-GCM-16 of 128 bits, HMAC-SHA2-256 as PRF, X25519. */
static const uint8_t sa[] = {
	34, 0, 0, 40,             /* SA; KE follows */
	0,  0, 0, 36, 1, 1, 0, 3, /* the last proposal, number 1, IKE, 3 transforms */
	3,  0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0, 128, 3, 0,
	0,  8, 2, 0,  0, 5, 0, 0,  0,    8,  4, 0,   0, 31,
};
_Static_assert(sizeof(sa) == 40, "as it says");

struct request {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
	uint8_t spi_i[8], spi_r[8];
	uint8_t next, version, exchange, flags;
	uint32_t id, len;
	uint8_t sa[sizeof(sa)];
	uint8_t ke[8], public[32];
	uint8_t nonce_header[4], nonce[32];
} __attribute__((packed));

static uint64_t state;

static uint64_t number(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void fill(uint8_t *to, size_t len)
{
	for (size_t at = 0; at < len; at += 8) {
		uint64_t z = number();

		memcpy(to + at, &z, 8);
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static uint16_t ip_sum(const struct iphdr *ip)
{
	const uint8_t *at = (const uint8_t *)ip;
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(*ip); i += 2)
		sum += at[i] << 8 | at[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

/* What is the same in all of them. */
static struct request template(const uint8_t mac[6], struct in_addr dst)
{
	struct request r = {0};

	memcpy(r.eth.ether_dhost, mac, 6);
	memcpy(r.eth.ether_shost, "\x02\0\0\0\0\x99", 6);
	r.eth.ether_type = htons(ETHERTYPE_IP);
	r.ip.version = 4;
	r.ip.ihl = 5;
	r.ip.ttl = 64;
	r.ip.protocol = IPPROTO_UDP;
	r.ip.tot_len = htons(sizeof(r) - sizeof(r.eth));
	r.ip.daddr = dst.s_addr;
	r.udp.source = r.udp.dest = htons(500);
	r.udp.len = htons(sizeof(r) - sizeof(r.eth) - sizeof(r.ip));
	r.next = 33;
	r.version = 0x20;
	r.exchange = 34;
	r.flags = 8;
	r.len = htonl(28 + sizeof(r.sa) + sizeof(r.ke) + sizeof(r.public) + sizeof(r.nonce_header) +
		      sizeof(r.nonce));
	memcpy(r.sa, sa, sizeof(sa));
	memcpy(r.ke, (uint8_t[]){40, 0, 0, 40, 0, 31, 0, 0}, 8);
	memcpy(r.nonce_header, (uint8_t[]){0, 0, 0, 36}, 4);
	return r;
}

static void another(struct request *r)
{
	struct iphdr ip = r->ip;

	ip.saddr = htonl(0xc6120000 | (number() & 0x1ffff));
	ip.check = 0;
	ip.check = ip_sum(&ip);
	r->ip = ip;
	fill(r->spi_i, sizeof(r->spi_i));
	fill(r->public, sizeof(r->public));
	fill(r->nonce, sizeof(r->nonce));
}

/* A burst each time that one is due. */
static uint64_t flood(int fd, const struct request *first, double pps, uint64_t end)
{
	static struct request all[BURST];
	static struct iovec iov[BURST];
	static struct mmsghdr messages[BURST];
	uint64_t begin = now_ns(), sent = 0;

	for (int i = 0; i < BURST; i++) {
		all[i] = *first;
		iov[i] = (struct iovec){&all[i], sizeof(all[i])};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	while (now_ns() < end) {
		uint64_t due = begin + (uint64_t)((double)sent / pps * NS_PER_SEC), now = now_ns();
		int n;

		if (due > now) {
			struct timespec wait = {0, due - now};

			nanosleep(&wait, NULL);
		}
		for (int i = 0; i < BURST; i++)
			another(&all[i]);
		n = sendmmsg(fd, messages, BURST, 0);
		if (n < 0 && errno != ENOBUFS && errno != EAGAIN) {
			perror("ikeflood: sendmmsg");
			return sent;
		}
		sent += n > 0 ? n : 0;
	}
	return sent;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	uint64_t begin = now_ns(), sent;
	struct request first;
	struct in_addr dst;
	uint8_t mac[6];
	int fd;

	if (argc != 6 || !(to.sll_ifindex = if_nametoindex(argv[1])) ||
	    sscanf(argv[2], "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", mac, mac + 1, mac + 2, mac + 3,
		   mac + 4, mac + 5) != 6 ||
	    inet_pton(AF_INET, argv[3], &dst) != 1 || atof(argv[4]) <= 0) {
		fprintf(stderr, "usage: ikeflood IFACE DST-MAC DST-ADDR PPS SECONDS\n");
		return 2;
	}
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("ikeflood: AF_PACKET");
		return 1;
	}
	state = begin;
	first = template(mac, dst);
	sent = flood(fd, &first, atof(argv[4]), begin + (uint64_t)(atof(argv[5]) * NS_PER_SEC));
	printf("sent %llu in %.1f s\n", (unsigned long long)sent,
	       (double)(now_ns() - begin) / NS_PER_SEC);
	return 0;
}
