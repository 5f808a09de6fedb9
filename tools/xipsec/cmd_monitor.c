// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/reason.h"
#include "lib/sadb_client.h"
#include "tools/xipsec/command.h"
#include "tools/xipsec/daemon.h"

#define NS_A_SECOND 1000000000ULL

/* ------------------------------------------------------------------ one line */

static void add_text(struct json_object *line, const char *name, const char *value)
{
	json_object_object_add(line, name, json_object_new_string(value));
}

static void add_number(struct json_object *line, const char *name, __u64 value)
{
	json_object_object_add(line, name, json_object_new_uint64(value));
}

static void add_addr(struct json_object *line, const char *name, __u8 family,
		     const struct xipsec_addr *addr)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, addr, text, sizeof(text)))
		add_text(line, name, text);
}

static void add_spi(struct json_object *line, __be32 spi)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%08x", ntohl(spi));
	add_text(line, "spi", text);
}

/* Since boot to since 1970: what lies between them moves with the clock. */
static void add_time(struct json_object *line, __u64 boot_ns)
{
	struct timespec boot, real;
	char text[64], day[40];
	struct tm tm;
	time_t s;
	__s64 ns;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &real);
	ns = (__s64)boot_ns + (__s64)(real.tv_sec - boot.tv_sec) * (__s64)NS_A_SECOND +
	     (real.tv_nsec - boot.tv_nsec);
	s = ns / (__s64)NS_A_SECOND;
	gmtime_r(&s, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03dZ", day, (int)(ns / 1000000 % 1000));
	add_text(line, "time", text);
}

static const char *event_name(__u32 event)
{
	static const char *const names[XIPSEC_EVENT_COUNT] = {
		[XIPSEC_EVENT_ACQUIRE] = "acquire",
		[XIPSEC_EVENT_EXPIRE_HARD] = "expire_hard",
		[XIPSEC_EVENT_EXPIRE_SOFT] = "expire_soft",
		[XIPSEC_EVENT_IDLE] = "idle",
		[XIPSEC_EVENT_MAPPING] = "mapping",
		[XIPSEC_EVENT_SAMPLE] = "drop",
		[XIPSEC_EVENT_USED] = "used",
		[XIPSEC_EVENT_NO_SA] = "no-sa",
		[XIPSEC_EVENT_SELECTORS] = "selectors",
		[XIPSEC_EVENT_RELOAD] = "reload",
	};

	return event < XIPSEC_EVENT_COUNT && names[event] ? names[event] : "unknown";
}

static const char *limit_name(__u32 limit)
{
	static const char *const names[XIPSEC_LIMIT_COUNT] = {
		[XIPSEC_LIMIT_NONE] = "none",         [XIPSEC_LIMIT_TIME] = "time",
		[XIPSEC_LIMIT_PACKETS] = "packets",   [XIPSEC_LIMIT_BYTES] = "bytes",
		[XIPSEC_LIMIT_SEQUENCE] = "sequence", [XIPSEC_LIMIT_POLICY] = "policy",
	};

	return limit < XIPSEC_LIMIT_COUNT ? names[limit] : "unknown";
}

static void add_packet(struct json_object *line, const struct xipsec_sample *s)
{
	if (s->family) {
		add_addr(line, "src", s->family, &s->src);
		add_addr(line, "dst", s->family, &s->dst);
		add_number(line, "protocol", s->l4_proto);
	}
	if (s->flow)
		add_number(line, "flow_label", s->flow);
	if (s->sport || s->dport) {
		add_number(line, "sport", s->sport);
		add_number(line, "dport", s->dport);
	}
	add_number(line, "length", s->len);
}

/* A drop: the packet's addresses; `inner`: it is (or was) inside the SA's. */
static void add_sample(struct json_object *line, const struct sadb_event *event)
{
	const struct xipsec_sample *s = &event->sample;

	add_text(line, "reason", reason_name(s->reason));
	add_text(line, "by", s->worker ? "worker" : "program");
	if (event->iface[0])
		add_text(line, "interface", event->iface);
	if (s->spi) {
		add_spi(line, s->spi);
		add_number(line, "sequence", s->seq);
	}
	add_packet(line, s);
	json_object_object_add(line, "inner", json_object_new_boolean(s->inner));
	add_number(line, "missed", s->missed);
}

static void add_sa(struct json_object *line, const struct sadb_event *event)
{
	add_spi(line, event->spi);
	add_text(line, "direction", event->dir == XIPSEC_DIR_OUT ? "out" : "in");
	add_addr(line, "src", event->family, &event->src);
	add_addr(line, "dst", event->family, &event->dst);
	if (event->src_port || event->dst_port) {
		add_number(line, "src_port", ntohs(event->src_port));
		add_number(line, "dst_port", ntohs(event->dst_port));
	}
	if (event->event == XIPSEC_EVENT_MAPPING) {
		add_addr(line, "old_src", event->family, &event->old_src);
		add_number(line, "old_src_port", ntohs(event->old_src_port));
	}
	if (event->event == XIPSEC_EVENT_EXPIRE_HARD || event->event == XIPSEC_EVENT_EXPIRE_SOFT)
		add_text(line, "limit", limit_name(event->limit));
}

static void print_event(const struct sadb_event *event)
{
	struct json_object *line = json_object_new_object();

	add_time(line, event->time);
	add_text(line, "event", event_name(event->event));
	if (event->sa[0])
		add_text(line, "sa", event->sa);
	if (event->child[0])
		add_text(line, "child", event->child);
	switch (event->event) {
	case XIPSEC_EVENT_SAMPLE: add_sample(line, event); break;
	case XIPSEC_EVENT_ACQUIRE: add_packet(line, &event->sample); break;
	case XIPSEC_EVENT_SELECTORS:
		add_sa(line, event);
		add_packet(line, &event->sample);
		break;
	case XIPSEC_EVENT_RELOAD: break;
	default: add_sa(line, event);
	}
	add_number(line, "lost", event->lost);
	puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(line);
}

/* ------------------------------------------------------------------ the command */

struct wanted {
	__u32 events;
	int reason; /* -1: any */
	const char *sa;
	__u64 count; /* 0: no end */
};

static bool is_wanted(const struct wanted *wanted, const struct sadb_event *event)
{
	if (wanted->reason >= 0 &&
	    (event->event != XIPSEC_EVENT_SAMPLE || event->sample.reason != wanted->reason))
		return false;
	return !wanted->sa || strncmp(event->sa, wanted->sa, sizeof(event->sa)) == 0;
}

static int monitor(int fd, const struct wanted *wanted)
{
	struct sadb_subscribe request = {.hdr.type = XIPSEC_SADB_SUBSCRIBE,
					 .events = wanted->events};
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
		print_event(&event);
		if (ferror(stdout))
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
	if (*out >= 0 && reason_kind(*out) == XIPSEC_KIND_DROP)
		return 0;
	log_error("monitor: --reason %s: %s; `xipsec status --all` lists them", text,
		  *out < 0 ? "there is no such reason" : "it drops nothing");
	return -EINVAL;
}

static int parse(int argc, char **argv, struct wanted *out)
{
	static const struct option options[] = {
		{"drops", no_argument, NULL, 'd'},        {"events", no_argument, NULL, 'e'},
		{"reason", required_argument, NULL, 'r'}, {"sa", required_argument, NULL, 's'},
		{"count", required_argument, NULL, 'n'},  {0},
	};
	struct wanted wanted = {.reason = -1};
	int option, err = 0;

	while (!err && (option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'd': wanted.events |= XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE); break;
		case 'e': wanted.events |= ~XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE); break;
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
	if (!wanted.events)
		wanted.events = ~0U;
	if (wanted.reason >= 0)
		wanted.events = XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE);
	*out = wanted;
	return err;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_close_ int fd = -1;
	struct wanted wanted;
	int err;

	if (parse(argc, argv, &wanted))
		return EXIT_USAGE;
	err = daemon_connect(opts, &fd);
	if (err)
		return err;
	return monitor(fd, &wanted);
}

const struct command cmd_monitor = {
	.name = "monitor",
	.args = "[--drops] [--events] [--reason NAME] [--sa NAME] [--count N]",
	.summary = "print drops and what happens to SAs as they come, a line of JSON each",
	.details =
		"--drops        dropped packets alone: some of each reason, ten a second and CPU;\n"
		"               `missed` says how many were not told, the counters count all\n"
		"--events       what happens to SAs alone: acquire, expire_soft, expire_hard, "
		"idle,\n"
		"               mapping, used, reload. Without either: both\n"
		"--reason NAME  drops of this reason alone (docs/reasons.md)\n"
		"--sa NAME      what is about this SA alone\n"
		"--count N      ends after N lines; else it goes on until it is interrupted\n"
		"\n"
		"Names and meanings: docs/json-monitor.md\n"
		"\n"
		"Exit: 0 done, 1 failed, 2 usage, 5 xipsecd does not run or has ended.\n",
	.run = run,
};
