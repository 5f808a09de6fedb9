// SPDX-License-Identifier: BSD-2-Clause
/*
 * The worker's own steps of ESP and AH behind a pipe, for judges in other languages. One request a
 * line, fields in any order, one answer a line:
 *
 *	dir=out proto=50 alg=aes128gcm16 backend=openssl mode=tunnel family=4 src=192.0.2.1
 *	dst=192.0.2.2 spi=4097 esn=0 seq=1 udp=0 sport=4500 dport=4500 local=0 off=0 key=HEX
 *	packets=HEX,HEX...
 *
 * The packets are one burst of one SA that was made for it: sealed with the numbers from `seq` on,
 * or opened by a window whose newest number is the one before `seq`. Inbound `off` is where the ESP
 * or AH header stands, as the programs would have said. `local`: the packets are this host's own.
 * The answer is `REASON:HEX,REASON:HEX...`, with the packet as it is afterwards, or `error TEXT`.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alg.h"
#include "lib/reason.h"
#include "worker/ah.h"
#include "worker/crypto.h"
#include "worker/esp_in.h"
#include "worker/esp_out.h"
#include "worker/sa.h"

#define GENERATION 7
#define FRAME      4096
#define HEADROOM   256
#define PATH_MTU   3400
#define WINDOW     1024

struct request {
	struct xipsec_sa sa;
	enum xipsec_backend backend;
	__u64 seq;
	__u32 off;
	int local;
	char *packets;
};

static __u8 frames[BURST_MAX][FRAME];
static struct packet packets[BURST_MAX];
static struct xipsec_sa_state state;

/* ---------------------------------------------------------------- fields */

/* Bytes of `hex`, -1 when it is none or longer than `max` bytes. */
static int hex_read(const char *hex, __u8 *to, int max)
{
	int n = 0;

	for (; hex[0] && hex[1]; hex += 2, n++) {
		unsigned int byte;

		if (n == max || sscanf(hex, "%2x", &byte) != 1)
			return -1;
		to[n] = (__u8)byte;
	}
	return hex[0] ? -1 : n;
}

static int addr_read(const char *text, struct xipsec_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	return inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, addr->byte) == 1 ? 0 : -1;
}

static int alg_read(const char *name, __u8 *alg)
{
	for (unsigned int i = 1; i < XIPSEC_ALG_COUNT; i++)
		if (!strcmp(alg_get(i)->name, name)) {
			*alg = (__u8)i;
			return 0;
		}
	return -1;
}

static int backend_read(const char *name, enum xipsec_backend *backend)
{
	for (int i = 0; crypto_backends[i]; i++)
		if (!strcmp(crypto_backends[i]->name, name)) {
			*backend = crypto_backends[i]->id;
			return 0;
		}
	return -1;
}

static void flag_read(const char *value, __u16 *flags, __u16 flag)
{
	if (atoi(value))
		*flags |= flag;
}

static int sa_field(const char *name, const char *value, struct xipsec_sa *sa)
{
	const unsigned long number = strtoul(value, NULL, 10);
	int len;

	if (!strcmp(name, "dir"))
		sa->dir = strcmp(value, "out") ? XIPSEC_DIR_IN : XIPSEC_DIR_OUT;
	else if (!strcmp(name, "proto"))
		sa->l4_proto = (__u8)number;
	else if (!strcmp(name, "mode"))
		sa->mode = strcmp(value, "tunnel") ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL;
	else if (!strcmp(name, "family"))
		sa->outer_family = (__u8)number;
	else if (!strcmp(name, "spi"))
		sa->spi = htonl((__u32)number);
	else if (!strcmp(name, "esn"))
		flag_read(value, &sa->flags, XIPSEC_SA_ESN);
	else if (!strcmp(name, "udp"))
		flag_read(value, &sa->flags, XIPSEC_SA_UDP);
	else if (!strcmp(name, "sport"))
		sa->src_port = htons((__u16)number);
	else if (!strcmp(name, "dport"))
		sa->dst_port = htons((__u16)number);
	else if (!strcmp(name, "alg"))
		return alg_read(value, &sa->alg);
	else if (!strcmp(name, "src"))
		return addr_read(value, &sa->src);
	else if (!strcmp(name, "dst"))
		return addr_read(value, &sa->dst);
	else if (!strcmp(name, "key")) {
		len = hex_read(value, sa->key, XIPSEC_KEY_MAX);
		sa->key_len = (__u32)len;
		return len < 0 ? -1 : 0;
	} else
		return -1;
	return 0;
}

static int field(const char *name, char *value, struct request *request)
{
	if (!strcmp(name, "seq"))
		request->seq = strtoull(value, NULL, 10);
	else if (!strcmp(name, "off"))
		request->off = (__u32)strtoul(value, NULL, 10);
	else if (!strcmp(name, "local"))
		request->local = atoi(value);
	else if (!strcmp(name, "packets"))
		request->packets = value;
	else if (!strcmp(name, "backend"))
		return backend_read(value, &request->backend);
	else
		return sa_field(name, value, &request->sa);
	return 0;
}

/* NULL, or the field that is wrong. */
static const char *request_read(char *line, struct request *request)
{
	char *left = line, *word;

	memset(request, 0, sizeof(*request));
	request->sa.window = WINDOW;
	request->sa.n_selectors = 1;
	request->sa.selector[0] = (struct xipsec_selector){
		.local_hi = {{.word = {~0U, ~0U, ~0U, ~0U}}},
		.remote_hi = {{.word = {~0U, ~0U, ~0U, ~0U}}},
		.local_port_hi = XIPSEC_PORT_MAX,
		.remote_port_hi = XIPSEC_PORT_MAX,
		.icmp_hi = XIPSEC_PORT_MAX,
		.any_proto = 1,
	};
	while ((word = strsep(&left, " \n"))) {
		char *value = strchr(word, '=');

		if (!*word)
			continue;
		if (!value)
			return word;
		*value++ = 0;
		if (field(word, value, request))
			return word;
	}
	return request->packets && request->seq ? NULL : "packets or seq";
}

/* ---------------------------------------------------------------- packets */

static int packets_load(struct request *request, struct packet **burst)
{
	char *hex;
	int n = 0;

	while ((hex = strsep(&request->packets, ",")) && n < BURST_MAX) {
		struct packet *p = &packets[n];
		int len = hex_read(hex, frames[n] + HEADROOM, FRAME - HEADROOM);

		if (len < 20)
			return -1;
		memset(frames[n], 0xee, HEADROOM);
		memset(frames[n] + HEADROOM + len, 0xee, (size_t)(FRAME - HEADROOM - len));
		*p = (struct packet){
			.data = frames[n] + HEADROOM,
			.len = (__u32)len,
			.headroom = HEADROOM,
			.tailroom = (__u32)(FRAME - HEADROOM - len),
			.l4_off = (__u16)request->off,
			.family = frames[n][HEADROOM] >> 4,
			.flags = request->local ? PACKET_LOCAL : 0,
		};
		burst[n++] = p;
	}
	return n;
}

static void packets_tell(struct packet **burst, int n)
{
	for (int i = 0; i < n; i++) {
		printf("%s%s:", i ? "," : "", reason_name(burst[i]->reason));
		for (__u32 at = 0; at < burst[i]->len; at++)
			printf("%02x", burst[i]->data[at]);
	}
	putchar('\n');
}

static void run(struct request *request)
{
	struct packet *burst[BURST_MAX];
	int n = packets_load(request, burst), err = 0;
	struct sa *sa;

	if (n < 0) {
		puts("error packets: no hex, too long or too short");
		return;
	}
	memset(&state, 0, sizeof(state));
	state.generation = GENERATION;
	state.status = XIPSEC_SA_LIVE;
	state.seq = state.replay_top = request->seq - 1;
	state.seq_limit = ~0ULL;
	sa = sa_new(&request->sa, 0, GENERATION, &state, request->backend, &err);
	if (!sa) {
		printf("error %s\n", strerror(-err));
		return;
	}
	if (request->sa.dir == XIPSEC_DIR_OUT)
		(sa->ah ? ah_out_burst : esp_out_burst)(sa, burst, (unsigned int)n, PATH_MTU, 0);
	else
		(sa->ah ? ah_in_burst : esp_in_burst)(sa, burst, (unsigned int)n, 0);
	packets_tell(burst, n);
	sa_free(sa);
}

int main(void)
{
	struct request request;
	const char *wrong;
	char *line = NULL;
	size_t size = 0;

	if (crypto_init())
		return 1;
	while (getline(&line, &size, stdin) > 0) {
		wrong = request_read(line, &request);
		if (wrong)
			printf("error field %s\n", wrong);
		else
			run(&request);
		fflush(stdout);
	}
	free(line);
	return 0;
}
