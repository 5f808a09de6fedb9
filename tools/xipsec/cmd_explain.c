// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "tools/xipsec/command.h"
#include "tools/xipsec/explain.h"

struct ask {
	struct packet_words words;
	struct loader_frame frame;
	const char *pcap;
	bool worded;           /* an option described a packet */
	bool has_src, has_dst; /* 0.0.0.0 is an address, too: DHCP's */
	bool json;
};

struct asked {
	const struct ask *ask;
	struct loader_explainer *explainer;
	struct explain_daemon daemon;
	const char *config_path;
	unsigned long unasked; /* packets of a capture that no program could be asked about */
	unsigned long cut;     /* of which the capture does not have all headers */
	struct explain_firsts *firsts;
};

/* ------------------------------------------------------------------ options */

enum {
	OPT_DIR = 1,
	OPT_DEV,
	OPT_FROM,
	OPT_QUEUE,
	OPT_PCAP,
	OPT_JSON,
	OPT_SRC, /* from here on: words about a packet */
	OPT_DST,
	OPT_PROTO,
	OPT_SPORT,
	OPT_DPORT,
	OPT_ICMP,
	OPT_MH_TYPE,
	OPT_DSCP,
	OPT_FRAG,
	OPT_SPI,
	OPT_TTL,
};

static int parse_dir(const char *text, __u32 *out)
{
	if (!strcmp(text, "out"))
		*out = XIPSEC_DIR_OUT;
	else if (!strcmp(text, "in"))
		*out = XIPSEC_DIR_IN;
	else {
		log_error("explain: --dir %s: expected out or in", text);
		return -EINVAL;
	}
	return 0;
}

static int parse_word(int option, const char *text, struct packet_words *words)
{
	__u64 number = 0;
	int err;

	switch (option) {
	case OPT_SRC: return packet_parse_addr(words, "--src", text, &words->src);
	case OPT_DST: return packet_parse_addr(words, "--dst", text, &words->dst);
	case OPT_PROTO: return packet_parse_proto(words, text);
	case OPT_ICMP: return packet_parse_icmp(words, text);
	case OPT_MH_TYPE: return packet_parse_mh_type(words, text);
	case OPT_DSCP: return packet_parse_dscp(words, text);
	case OPT_FRAG: return packet_parse_frag(words, text);
	case OPT_SPORT:
		err = packet_parse_number("--sport", text, 65535, &number);
		words->sport = (int)number;
		return err;
	case OPT_DPORT:
		err = packet_parse_number("--dport", text, 65535, &number);
		words->dport = (int)number;
		return err;
	case OPT_SPI:
		err = packet_parse_number("--spi", text, 0xffffffff, &number);
		words->spi = (__u32)number;
		if (!err && !number) {
			log_error("explain: --spi 0: expected 1 to 0xffffffff: 0 is never sent");
			return -EINVAL;
		}
		return err;
	case OPT_TTL:
		err = packet_parse_number("--ttl", text, 255, &number);
		words->ttl = (int)number;
		return err;
	default: return -EINVAL;
	}
}

static int parse_option(int option, const char *text, struct ask *ask)
{
	__u64 number = 0;
	int err;

	switch (option) {
	case OPT_DIR: return parse_dir(text, &ask->frame.dir);
	case OPT_DEV: ask->frame.ifname = text; return 0;
	case OPT_FROM: ask->frame.from = text; return 0;
	case OPT_PCAP: ask->pcap = text; return 0;
	case OPT_JSON: ask->json = true; return 0;
	case OPT_QUEUE:
		err = packet_parse_number("--queue", text, XIPSEC_QUEUES_MAX - 1, &number);
		ask->frame.queue = (__u32)number;
		return err;
	default:
		ask->worded = true;
		ask->has_src |= option == OPT_SRC;
		ask->has_dst |= option == OPT_DST;
		return parse_word(option, text, &ask->words);
	}
}

static int check(struct ask *ask)
{
	if (!ask->frame.dir || !ask->frame.ifname) {
		log_error("explain: --dir out|in and --dev INTERFACE are needed");
		return -EINVAL;
	}
	if (ask->frame.from && ask->frame.dir == XIPSEC_DIR_IN) {
		log_error("explain: --from names where a forwarded packet came in, of --dir out; "
			  "with --dir in that is --dev");
		return -EINVAL;
	}
	if (ask->pcap && ask->worded) {
		log_error("explain: --pcap brings its own packets: nothing else can be said of "
			  "them");
		return -EINVAL;
	}
	if (ask->pcap)
		return 0;
	if (!ask->has_src || !ask->has_dst)
		ask->words.family = XIPSEC_FAMILY_ANY;
	return packet_complete(&ask->words);
}

static int parse(int argc, char **argv, struct ask *out)
{
	static const struct option options[] = {
		{"dir", required_argument, NULL, OPT_DIR},
		{"dev", required_argument, NULL, OPT_DEV},
		{"from", required_argument, NULL, OPT_FROM},
		{"queue", required_argument, NULL, OPT_QUEUE},
		{"pcap", required_argument, NULL, OPT_PCAP},
		{"json", no_argument, NULL, OPT_JSON},
		{"src", required_argument, NULL, OPT_SRC},
		{"dst", required_argument, NULL, OPT_DST},
		{"proto", required_argument, NULL, OPT_PROTO},
		{"sport", required_argument, NULL, OPT_SPORT},
		{"dport", required_argument, NULL, OPT_DPORT},
		{"icmp", required_argument, NULL, OPT_ICMP},
		{"mh-type", required_argument, NULL, OPT_MH_TYPE},
		{"dscp", required_argument, NULL, OPT_DSCP},
		{"frag", required_argument, NULL, OPT_FRAG},
		{"spi", required_argument, NULL, OPT_SPI},
		{"ttl", required_argument, NULL, OPT_TTL},
		{0},
	};
	struct ask ask = {.words = {.proto = -1,
				    .sport = -1,
				    .dport = -1,
				    .icmp = -1,
				    .mh_type = -1,
				    .ttl = -1}};
	int option, err = 0;

	while (!err && (option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		err = option == '?' ? -EINVAL : parse_option(option, optarg, &ask);
	if (!err && optind < argc) {
		log_error("explain: unexpected: %s", argv[optind]);
		err = -EINVAL;
	}
	if (!err)
		err = check(&ask);
	if (!err)
		*out = ask;
	return err;
}

/* ------------------------------------------------------------------ the command */

/* The interface's own MAC, to which a packet that is to be taken is sent. */
static void read_mac(const char *ifname, __u8 mac[6])
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	memset(mac, 0, 6);
	if (fd >= 0 && !ioctl(fd, SIOCGIFHWADDR, &request))
		memcpy(mac, request.ifr_hwaddr.sa_data, 6);
}

/* This host's own in UDP: which socket sent it is not in the packet, and IKE passes by that alone.
 */
static bool passes_as_ike(struct asked *asked, struct loader_frame frame,
			  const struct loader_explanation *what)
{
	struct loader_explanation marked;

	if (!(what->answer.way.flags & XIPSEC_WAY_OWN) || what->answer.l4_proto != IPPROTO_UDP)
		return false;
	frame.mark = XIPSEC_MARK_OWN;
	return !loader_explain(asked->explainer, &frame, &marked) &&
	       marked.answer.reason == XIPSEC_REASON_IKE_OUT;
}

static int explain_one(void *ctx, unsigned long number, __u64 time, const __u8 *data,
		       unsigned int len, unsigned int missing)
{
	struct asked *asked = ctx;
	struct loader_frame frame = asked->ask->frame;
	struct loader_explanation what;
	struct explain_shown shown = {.frame = &frame,
				      .what = &what,
				      .config_path = asked->config_path,
				      .daemon = &asked->daemon,
				      .number = number,
				      .missing = missing};
	int err;

	frame.data = data;
	frame.len = len;
	err = data ? loader_explain(asked->explainer, &frame, &what) : -EMSGSIZE;
	if (err == -EMSGSIZE && number) {
		/* It is the packet's fault alone: the others are explained. */
		explain_print_unasked(&shown, asked->ask->json);
		asked->unasked++;
		return 0;
	}
	if (err)
		return err;
	asked->cut += explain_headers_cut(&shown);
	shown.ike = passes_as_ike(asked, frame, &what);
	shown.first = explain_firsts_pass(asked->firsts, number, time, &what);
	if (asked->ask->json)
		explain_print_json(&shown);
	else
		explain_print_text(&shown);
	return 0;
}

static int explain(struct asked *asked)
{
	static __u8 frame[LOADER_FRAME_MAX];
	const struct ask *ask = asked->ask;
	__u8 mac[6];

	read_mac(ask->frame.ifname, mac);
	if (ask->pcap) {
		int err = capture_each(ask->pcap, mac, explain_one, asked);

		if (asked->cut)
			log_warn("explain: --pcap %s: of %lu packets it does not have all headers: "
				 "what is said is of others, with zeros there",
				 ask->pcap, asked->cut);
		if (asked->unasked)
			log_error("explain: --pcap %s: of %lu packets nothing can be said",
				  ask->pcap, asked->unasked);
		return err ? err : asked->unasked ? -EMSGSIZE : 0;
	}
	return explain_one(asked, 0, 0, frame, packet_frame(&ask->words, mac, frame), 0);
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_config_ struct config *config = NULL;
	struct asked asked = {0};
	struct ask ask;
	int err;

	if (parse(argc, argv, &ask))
		return EXIT_USAGE;
	asked.ask = &ask;
	asked.config_path = opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH;
	config = config_paths(asked.config_path);
	if (!config || loader_explain_open(config, &asked.explainer))
		return EXIT_FAILED;
	explain_daemon_open(config, &asked.daemon);
	asked.firsts = explain_firsts_new();
	err = asked.firsts ? explain(&asked) : -ENOMEM;
	explain_firsts_free(asked.firsts);
	explain_daemon_close(&asked.daemon);
	loader_explain_close(asked.explainer);
	return err ? EXIT_FAILED : EXIT_OK;
}

const struct command cmd_explain = {
	.name = "explain",
	.args = "--dir out|in --dev IF (--src A --dst B [options] | --pcap FILE) [--json]",
	.summary = "what would become of a packet, and why: rule, SA, worker, reason, what to do",
	.details =
		"Asks a copy of the programs in force, on their live maps; nothing is sent, "
		"counted\n"
		"or changed. What a worker decides of a packet that it gets is not asked: MTU, "
		"TTL,\n"
		"replay, integrity, the selectors of what was inside.\n"
		"\n"
		"  --dir out     what IF receives (IF protected) or is to send (IF unprotected)\n"
		"  --dir in      what IF (unprotected) receives\n"
		"  --dev IF      an attached interface\n"
		"  --from IF2    with --dir out and IF unprotected: forwarded, came in by IF2; "
		"else\n"
		"                it is this host's own\n"
		"  --queue N     of the receive queue, 0 if not given\n"
		"  --src A, --dst B  addresses as in the packet, of one family\n"
		"  --proto P     name or number; if not given ICMP, or ESP with --spi\n"
		"  --sport N, --dport N, --icmp TYPE[/CODE], --ttl N\n"
		"  --mh-type N   of a Mobility Header (IPv6)\n"
		"  --dscp D      name (ef, af11, cs1, ...) or number\n"
		"  --frag first|later\n"
		"  --spi N       of ESP, AH, or with --proto udp of ESP in UDP\n"
		"  --pcap FILE   each packet of a capture (pcap or pcapng, Ethernet or IP); bytes "
		"that\n"
		"                were not captured are taken as 0, and said to be missing; a "
		"later\n"
		"                fragment goes by its first one, where that is in the capture\n"
		"  --json        a line each, names as in docs/json-explain.md\n"
		"\n"
		"Exit: 0, 1 nothing is attached, it failed, or of a packet in FILE nothing can be\n"
		"said (the others are told), 2 usage.\n",
	.run = run,
};
