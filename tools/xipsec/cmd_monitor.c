// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/config.h"
#include "lib/log.h"
#include "lib/reason.h"
#include "lib/sadb_client.h"
#include "tools/xipsec/command.h"
#include "tools/xipsec/daemon.h"
#include "tools/xipsec/monitor_show.h"
#include "tools/xipsec/pcapng.h"
#include "xipsec/loader.h"

/* ------------------------------------------------------------------ what is wanted */

#define PACKETS (XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE) | XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS))

struct wanted {
	__u32 events;
	int reason; /* -1: any */
	const char *sa;
	const char *peer; /* an address, or the name of a child */
	__u8 peer_family; /* XIPSEC_FAMILY_*; ANY: it is a name */
	struct xipsec_addr peer_addr;
	__u64 count; /* 0: no end */
	const char *pcap;
	bool text;
};

static bool is_packet(const struct sadb_event *event)
{
	return event->event == XIPSEC_EVENT_SAMPLE || event->event == XIPSEC_EVENT_PASS;
}

static bool is_there(const struct wanted *wanted, __u8 family, const struct xipsec_addr *addr)
{
	return family == wanted->peer_family &&
	       !memcmp(addr, &wanted->peer_addr,
		       family == XIPSEC_FAMILY_IP6 ? 16 : sizeof(addr->word[0]));
}

/* The packet comes from there or goes there, or the SA does. */
static bool is_of_peer(const struct wanted *wanted, const struct sadb_event *event)
{
	const struct xipsec_sample *s = &event->sample;
	bool packet = is_packet(event) || event->event == XIPSEC_EVENT_ACQUIRE;

	if (wanted->peer_family == XIPSEC_FAMILY_ANY)
		return !strncmp(event->child, wanted->peer, sizeof(event->child));
	if (packet &&
	    (is_there(wanted, s->family, &s->src) || is_there(wanted, s->family, &s->dst)))
		return true;
	return is_there(wanted, event->family, &event->src) ||
	       is_there(wanted, event->family, &event->dst) ||
	       (event->event == XIPSEC_EVENT_MAPPING &&
		is_there(wanted, event->family, &event->old_src));
}

static bool is_wanted(const struct wanted *wanted, const struct sadb_event *event)
{
	if (wanted->reason >= 0 && (!is_packet(event) || event->sample.reason != wanted->reason))
		return false;
	if (wanted->peer && !is_of_peer(wanted, event))
		return false;
	return !wanted->sa || strncmp(event->sa, wanted->sa, sizeof(event->sa)) == 0;
}

/* ------------------------------------------------------------------ telling */

/* Bytes of what is in `data`. A worker's sample has the length of the frame that came in, and may
 * hold what was in it: where that goes on, its IP header knows how far. */
static __u32 true_length(const struct xipsec_sample *s, __u32 captured)
{
	const __u8 *ip = s->data;

	if (!s->raw)
		return s->len;
	if (captured < sizeof(s->data))
		return captured;
	return ip[0] >> 4 == 6 ? 40 + ((__u32)ip[4] << 8 | ip[5]) : (__u32)ip[2] << 8 | ip[3];
}

static int tell_pcap(struct pcapng *pcapng, const struct sadb_event *event)
{
	const struct xipsec_sample *s = &event->sample;
	__u32 captured = s->captured < sizeof(s->data) ? s->captured : sizeof(s->data);
	char comment[256];
	struct pcapng_packet packet = {.time = monitor_time(event->time),
				       .iface = event->iface[0] ? event->iface : "xipsec",
				       .raw = s->raw != 0,
				       .data = s->data,
				       .captured = captured,
				       .len = true_length(s, captured),
				       .comment = comment};

	monitor_comment(event, comment, sizeof(comment));
	return packet.captured ? pcapng_write(pcapng, &packet) : 0;
}

static int tell(const struct wanted *wanted, struct pcapng *pcapng, const struct sadb_event *event)
{
	int err = pcapng && is_packet(event) ? tell_pcap(pcapng, event) : 0;

	if (err)
		log_error("monitor: --pcap-out %s: %s", wanted->pcap,
			  err == -E2BIG ? "packets of more interfaces than one file takes: begin "
					  "another"
					: strerror(-err));
	if (err || (pcapng && !strcmp(wanted->pcap, "-")))
		return err;
	if (wanted->text)
		monitor_print_text(event);
	else
		monitor_print_json(event);
	return ferror(stdout) ? -EIO : 0;
}

static int monitor(int fd, const struct wanted *wanted, struct pcapng *pcapng)
{
	struct sadb_subscribe request = {.hdr.type = XIPSEC_SADB_SUBSCRIBE,
					 .events = wanted->events,
					 .flags = pcapng ? XIPSEC_SUBSCRIBE_PACKETS : 0};
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	struct sadb_event event;
	__u64 left = wanted->count;
	int err;

	err = sadb_call(fd, &request.hdr, sizeof(request), NULL, NULL, text);
	/* A line at a time, into a pipe as well. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (!err && (left || !wanted->count)) {
		err = sadb_event(fd, &event, text);
		if (err || !is_wanted(wanted, &event))
			continue;
		if (tell(wanted, pcapng, &event))
			return EXIT_FAILED;
		left -= left > 0;
	}
	if (!err)
		return EXIT_OK;
	log_error("monitor: %s", text[0] ? text : strerror(-err));
	return err == -ECONNRESET ? EXIT_DAEMON : EXIT_FAILED;
}

static int parse_count(const char *text, __u64 *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (!errno && *out && !*end && text[0] != '-')
		return 0;
	log_error("monitor: --count %s: expected a number of lines from 1", text);
	return -EINVAL;
}

static int parse_reason(const char *text, int *out)
{
	*out = reason_from_name(text);
	if (*out >= 0 && reason_is_told((unsigned int)*out))
		return 0;
	log_error(
		"monitor: --reason %s: %s", text,
		*out < 0 ? "there is no such reason; `xipsec status --all` lists them"
		: reason_kind((unsigned int)*out) == XIPSEC_KIND_DROP
			? "such packets have done their work by ending: they are counted, not told"
			: "neither a drop nor a pass by policy: it is counted, not told");
	return -EINVAL;
}

/* Who mistyped a name would wait for what never comes; but a child may come later, by VICI or a
 * reload. Where the maps cannot be read, it is not known. */
static void check_child(const struct global_options *opts, const char *name)
{
	_cleanup_config_ struct config *config =
		config_paths(opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH);
	struct loader_policy *policy = NULL;
	bool known = false;

	if (!config || loader_policy(config, &policy))
		return;
	for (unsigned int i = 0; i < XIPSEC_CHILDREN_MAX && !known; i++)
		known = policy->child[i][0] &&
			!strncmp(policy->child[i], name, sizeof(policy->child[i]));
	loader_policy_free(policy);
	if (!known)
		log_warn("monitor: --peer %s: neither an address nor a child that a policy or an "
			 "SA names by now (`xipsec policy` and `xipsec sa` list them); waiting",
			 name);
}

/* A reason is told by one kind of lines: is that asked for? */
static int check_reason(const struct wanted *wanted)
{
	const char *name = wanted->reason < 0 ? NULL : reason_name((unsigned int)wanted->reason);
	bool drop = name && reason_kind((unsigned int)wanted->reason) == XIPSEC_KIND_DROP;
	__u32 bit = drop ? XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE)
			 : XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS);

	if (!name || !wanted->events || wanted->events & bit)
		return 0;
	log_error("monitor: --reason %s is told with %s: leave %s away, which leaves nothing of it",
		  name, drop ? "--drops" : "--passes",
		  wanted->events & PACKETS ? drop ? "--passes" : "--drops" : "--events");
	return -EINVAL;
}

/* What is no address is a child's name. */
static void parse_peer(const char *text, struct wanted *wanted)
{
	wanted->peer = text;
	wanted->peer_family = XIPSEC_FAMILY_ANY;
	if (inet_pton(AF_INET, text, &wanted->peer_addr) == 1)
		wanted->peer_family = XIPSEC_FAMILY_IP4;
	else if (inet_pton(AF_INET6, text, &wanted->peer_addr) == 1)
		wanted->peer_family = XIPSEC_FAMILY_IP6;
}

/* Filters imply what they filter. */
static __u32 events_of(const struct wanted *wanted)
{
	if (wanted->reason >= 0)
		return reason_kind((unsigned int)wanted->reason) == XIPSEC_KIND_DROP
			       ? XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE)
			       : XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS);
	if (wanted->events)
		return wanted->events;
	return wanted->pcap ? PACKETS : ~0U;
}

static int parse(int argc, char **argv, struct wanted *out)
{
	static const struct option options[] = {
		{"drops", no_argument, NULL, 'd'},
		{"events", no_argument, NULL, 'e'},
		{"passes", no_argument, NULL, 'p'},
		{"text", no_argument, NULL, 't'},
		{"reason", required_argument, NULL, 'r'},
		{"sa", required_argument, NULL, 's'},
		{"peer", required_argument, NULL, 'P'},
		{"pcap-out", required_argument, NULL, 'w'},
		{"count", required_argument, NULL, 'n'},
		{0},
	};
	struct wanted wanted = {.reason = -1};
	int option, err = 0;

	while (!err && (option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'd': wanted.events |= XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE); break;
		case 'e': wanted.events |= ~PACKETS; break;
		case 'p': wanted.events |= XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS); break;
		case 't': wanted.text = true; break;
		case 'P': parse_peer(optarg, &wanted); break;
		case 'w': wanted.pcap = optarg; break;
		case 'r': err = parse_reason(optarg, &wanted.reason); break;
		case 's': wanted.sa = optarg; break;
		case 'n': err = parse_count(optarg, &wanted.count); break;
		default: return -EINVAL;
		}
	}
	if (!err && optind < argc) {
		log_error("monitor: unexpected: %s", argv[optind]);
		err = -EINVAL;
	}
	if (!err)
		err = check_reason(&wanted);
	wanted.events = events_of(&wanted);
	*out = wanted;
	return err;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_close_ int fd = -1;
	struct pcapng *pcapng = NULL;
	struct wanted wanted;
	int err;

	if (parse(argc, argv, &wanted))
		return EXIT_USAGE;
	err = daemon_connect(opts, &fd);
	if (err)
		return err;
	if (wanted.peer && wanted.peer_family == XIPSEC_FAMILY_ANY)
		check_child(opts, wanted.peer);
	err = wanted.pcap ? pcapng_open(wanted.pcap, &pcapng) : 0;
	if (err) {
		log_error("monitor: --pcap-out %s: %s", wanted.pcap, strerror(-err));
		return EXIT_FAILED;
	}
	err = monitor(fd, &wanted, pcapng);
	pcapng_close(pcapng);
	return err;
}

const struct command cmd_monitor = {
	.name = "monitor",
	.args = "[--drops] [--passes] [--events] [--reason NAME] [--peer P] [--sa NAME]\n"
		"               [--pcap-out FILE] [--text] [--count N]",
	.summary = "print drops, passes and what happens to SAs as they come, a line each",
	.details =
		"--drops        dropped packets alone: some of each reason, ten a second and CPU;\n"
		"               `missed` says how many were not told, the counters count all\n"
		"--passes       packets that a policy lets pass in the clear alone, as many\n"
		"--events       what happens to SAs alone: acquire, added, deleted, expire_soft,\n"
		"               expire_hard, idle, mapping, used, reload. Without any of these: "
		"all\n"
		"--reason NAME  packets with this reason alone (docs/reasons.md)\n"
		"--peer P       packets from or to an address and SAs of it, or of a child by "
		"name\n"
		"--sa NAME      what is about this SA alone\n"
		"--pcap-out F   write the first 256 bytes of each packet to a pcapng file, its\n"
		"               reason in the comment; -: to standard output, without lines\n"
		"--text         lines for people instead of JSON\n"
		"--count N      ends after N lines; else it goes on until it is interrupted\n"
		"\n"
		"Names and meanings: docs/json-monitor.md\n"
		"\n"
		"Exit: 0 done, 1 failed, 2 usage, 5 xipsecd does not run or has ended.\n",
	.run = run,
};
