// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "lib/reason.h"
#include "tools/xipsec/monitor_show.h"

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
__u64 monitor_time(__u64 boot_ns)
{
	struct timespec boot, real;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &real);
	return boot_ns + (__u64)(real.tv_sec - boot.tv_sec) * NS_A_SECOND +
	       (__u64)(real.tv_nsec - boot.tv_nsec);
}

#define TIME_MAX 64

static const char *time_text(char text[TIME_MAX], __u64 boot_ns)
{
	__u64 ns = monitor_time(boot_ns);
	time_t s = (time_t)(ns / NS_A_SECOND);
	char day[40];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, TIME_MAX, "%s.%03dZ", day, (int)(ns / 1000000 % 1000));
	return text;
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
		[XIPSEC_EVENT_PASS] = "pass",
		[XIPSEC_EVENT_USED] = "used",
		[XIPSEC_EVENT_ADDED] = "added",
		[XIPSEC_EVENT_DELETED] = "deleted",
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

void monitor_print_json(const struct sadb_event *event)
{
	struct json_object *line = json_object_new_object();
	char text[TIME_MAX];

	add_text(line, "time", time_text(text, event->time));
	add_text(line, "event", event_name(event->event));
	if (event->sa[0])
		add_text(line, "sa", event->sa);
	if (event->child[0])
		add_text(line, "child", event->child);
	switch (event->event) {
	case XIPSEC_EVENT_PASS:
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

/* ------------------------------------------------------------------ for people */

static const char *addr_text(char text[INET6_ADDRSTRLEN], __u8 family,
			     const struct xipsec_addr *addr)
{
	text[0] = 0;
	inet_ntop(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, addr, text, INET6_ADDRSTRLEN);
	return text;
}

static void print_packet(const struct xipsec_sample *s)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	if (s->family) {
		printf(" %s", addr_text(src, s->family, &s->src));
		if (s->sport || s->dport)
			printf(" port %u", s->sport);
		printf(" -> %s", addr_text(dst, s->family, &s->dst));
		if (s->sport || s->dport)
			printf(" port %u", s->dport);
		printf(" protocol %u", s->l4_proto);
	}
	if (s->spi)
		printf(" SPI 0x%08x number %u", ntohl(s->spi), s->seq);
	printf(" %u bytes", s->len);
}

static void print_about_sa(const struct sadb_event *event)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	printf(" SPI 0x%08x %s -> %s", ntohl(event->spi),
	       addr_text(src, event->family, &event->src),
	       addr_text(dst, event->family, &event->dst));
	if (event->event == XIPSEC_EVENT_EXPIRE_HARD || event->event == XIPSEC_EVENT_EXPIRE_SOFT)
		printf(" limit %s", limit_name(event->limit));
	if (event->event == XIPSEC_EVENT_MAPPING)
		printf(" was %s port %u", addr_text(src, event->family, &event->old_src),
		       ntohs(event->old_src_port));
}

void monitor_print_text(const struct sadb_event *event)
{
	bool sample = event->event == XIPSEC_EVENT_SAMPLE || event->event == XIPSEC_EVENT_PASS;
	char text[TIME_MAX];

	printf("%s %s", time_text(text, event->time), event_name(event->event));
	if (sample)
		printf(" %s", reason_name(event->sample.reason));
	if (event->iface[0])
		printf(" %s", event->iface);
	if (sample || event->event == XIPSEC_EVENT_ACQUIRE)
		print_packet(&event->sample);
	else if (event->event != XIPSEC_EVENT_RELOAD)
		print_about_sa(event);
	if (event->sa[0])
		printf(" SA %s", event->sa);
	if (event->child[0])
		printf(" child %s", event->child);
	if (sample && event->sample.missed)
		printf(" (and %u not told)", event->sample.missed);
	if (event->lost)
		printf(" (%" PRIu64 " lost)", (uint64_t)event->lost);
	printf("\n");
}

void monitor_comment(const struct sadb_event *event, char *text, size_t size)
{
	const struct xipsec_sample *s = &event->sample;
	int n = snprintf(text, size, "%s: %s", reason_name(s->reason), reason_text(s->reason));

	if (event->sa[0] && n > 0 && (size_t)n < size)
		n += snprintf(text + n, size - (size_t)n, "; SA %s", event->sa);
	if (event->child[0] && n > 0 && (size_t)n < size)
		n += snprintf(text + n, size - (size_t)n, "; child %s", event->child);
	if (s->missed && n > 0 && (size_t)n < size)
		snprintf(text + n, size - (size_t)n, "; %u before it not told", s->missed);
}
