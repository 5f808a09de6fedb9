// SPDX-License-Identifier: BSD-2-Clause
#include "tools/xipsec/sa_show.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>

#include "lib/alg.h"
#include "lib/engine_why.h"
#include "lib/reason.h"
#include "lib/sa_fault.h"

static const char *name_of(const char *const *names, size_t n, unsigned int i)
{
	return i < n ? names[i] : "unknown";
}

/* Of an SA of the engine xfrm no worker will ever say one. */
static const char *backend_name(const struct sadb_sa_info *info)
{
	static const char *const names[] = {"auto", "ipsec-mb", "openssl", "none"};

	return info->sa.engine == XIPSEC_ENGINE_XFRM ? "kernel" : name_of(names, 4, info->backend);
}

static const char *engine_name(unsigned int engine)
{
	static const char *const names[] = {"none", "afxdp", "xfrm"};

	return name_of(names, 3, engine);
}

static const char *status_name(unsigned int status)
{
	static const char *const names[] = {"free", "live", "stopped", "refused"};

	return name_of(names, 4, status);
}

static const char *mode_name(unsigned int mode)
{
	return mode == XIPSEC_MODE_TRANSPORT ? "transport" : "tunnel";
}

static const char *protocol_name(const struct xipsec_sa *sa)
{
	return sa->l4_proto == IPPROTO_AH ? "ah" : "esp";
}

static const char *df_name(unsigned int df)
{
	static const char *const names[] = {"set", "clear", "copy"};

	return name_of(names, 3, df);
}

static const char *addr_text(char text[INET6_ADDRSTRLEN], __u8 family,
			     const struct xipsec_addr *addr)
{
	inet_ntop(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, addr, text, INET6_ADDRSTRLEN);
	return text;
}

/* ------------------------------------------------------------------ text */

static void print_drops(const struct sadb_sa_info *info)
{
	bool any = false;

	for (int i = 0; i < XIPSEC_REASON_COUNT; i++) {
		if (!info->drops[i])
			continue;
		printf("%s %s %" PRIu64, any ? "," : "    drops:", reason_name(i),
		       (uint64_t)info->drops[i]);
		any = true;
	}
	if (any)
		putchar('\n');
}

/* Where a part of a line goes: after a comma, or after the words that start it. */
static const char *lead(bool *any, const char *start)
{
	const char *text = *any ? ", " : start;

	*any = true;
	return text;
}

/* What is not as usual of how packets are sealed. */
static void print_sealing(const struct xipsec_sa *sa)
{
	static const char start[] = "    sealed with ";
	bool any = false;

	if (sa->df != XIPSEC_DF_SET)
		printf("%sdf %s", lead(&any, start), df_name(sa->df));
	if (sa->flags & XIPSEC_SA_DSCP)
		printf("%sdscp %u", lead(&any, start), sa->dscp);
	if (sa->flags & XIPSEC_SA_NO_ECN)
		printf("%sno ecn", lead(&any, start));
	if (sa->flags & XIPSEC_SA_FLOW_COPY)
		printf("%sflow label copied", lead(&any, start));
	if (sa->ttl)
		printf("%sttl %u", lead(&any, start), sa->ttl);
	if (sa->tfc_size == XIPSEC_TFC_MTU)
		printf("%spadding to the mtu", lead(&any, start));
	else if (sa->tfc_size)
		printf("%spadding to %u bytes", lead(&any, start), sa->tfc_size);
	if (sa->dummies)
		printf("%s%u dummies a second", lead(&any, start), sa->dummies);
	if (any)
		putchar('\n');
}

static void print_limit(bool *any, __u64 soft, __u64 hard, const char *unit)
{
	if (!soft && !hard)
		return;
	fputs(lead(any, "    limits: "), stdout);
	if (soft)
		printf("rekey at %" PRIu64 " %s", (uint64_t)soft, unit);
	if (hard)
		printf("%send at %" PRIu64 " %s", soft ? ", " : "", (uint64_t)hard, unit);
}

static void print_limits(const struct xipsec_limits *l)
{
	bool any = false;

	print_limit(&any, l->soft_time, l->hard_time, "s");
	print_limit(&any, l->soft_bytes, l->hard_bytes, "bytes");
	print_limit(&any, l->soft_packets, l->hard_packets, "packets");
	if (l->idle)
		printf("%sinactivity %u s", lead(&any, "    limits: "), l->idle);
	if (any)
		putchar('\n');
}

/* What goes by the SA and reaches nobody. */
static void print_hidden(const struct sadb_sa_info *info)
{
	static const char start[] = "    hidden: ";
	bool any = false;

	if (info->tfc_bytes)
		printf("%s%" PRIu64 " bytes of padding", lead(&any, start),
		       (uint64_t)info->tfc_bytes);
	if (info->dummies)
		printf("%s%" PRIu64 " dummies of %" PRIu64 " bytes", lead(&any, start),
		       (uint64_t)info->dummies, (uint64_t)info->dummy_bytes);
	if (any)
		putchar('\n');
}

void sa_show_text(const struct sadb_sa_info *info)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], idle[32] = "never used";
	const struct xipsec_sa *sa = &info->sa;
	bool out = sa->dir == XIPSEC_DIR_OUT;

	if (info->idle != ~0ULL)
		snprintf(idle, sizeof(idle), "idle %" PRIu64 " s", (uint64_t)info->idle);
	printf("%s: %s, child %s", sa->name, out ? "outbound" : "inbound", sa->child);
	if (sa->if_id)
		printf(", if_id %u", sa->if_id);
	printf(", %s\n", status_name(info->status));
	printf("    %s -> %s, %s, SPI 0x%08x, %s, %s, engine %s (%s), backend %s\n",
	       addr_text(src, sa->outer_family, &sa->src),
	       addr_text(dst, sa->outer_family, &sa->dst), protocol_name(sa), ntohl(sa->spi),
	       mode_name(sa->mode), alg_name(sa->alg, sa->l4_proto), engine_name(sa->engine),
	       engine_why_name(info->engine_why), backend_name(info));
	if (sa->flags & XIPSEC_SA_UDP)
		printf("    in UDP, port %u -> %u%s\n", ntohs(sa->src_port), ntohs(sa->dst_port),
		       sa->flags & XIPSEC_SA_STAY ? ", a peer that moves is not followed" : "");
	print_sealing(sa);
	print_limits(&sa->limits);
	if (out)
		printf("    sequence %" PRIu64 " of %" PRIu64 " reserved%s\n", (uint64_t)info->seq,
		       (uint64_t)info->seq_limit, sa->flags & XIPSEC_SA_ESN ? ", ESN" : "");
	else
		printf("    highest received %" PRIu64 ", window %u%s\n", (uint64_t)info->seq,
		       sa->window, sa->flags & XIPSEC_SA_ESN ? ", ESN" : "");
	printf("    age %" PRIu64 " s, %s, %" PRIu64 " packets, %" PRIu64 " bytes\n",
	       (uint64_t)info->age, idle, (uint64_t)info->packets, (uint64_t)info->bytes);
	print_hidden(info);
	print_drops(info);
}

/* ------------------------------------------------------------------ JSON */

static void add_text(struct json_object *object, const char *name, const char *value)
{
	json_object_object_add(object, name, json_object_new_string(value));
}

static void add_number(struct json_object *object, const char *name, __u64 value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static void add_bool(struct json_object *object, const char *name, bool value)
{
	json_object_object_add(object, name, json_object_new_boolean(value));
}

static void add_null(struct json_object *object, const char *name)
{
	json_object_object_add(object, name, NULL);
}

static bool takes_later(const struct xipsec_sa *sa)
{
	return sa->flags & XIPSEC_SA_LATER;
}

static bool follows(const struct xipsec_sa *sa)
{
	return (sa->flags & (XIPSEC_SA_UDP | XIPSEC_SA_STAY)) == XIPSEC_SA_UDP;
}

static void add_encap(struct json_object *object, const struct xipsec_sa *sa)
{
	bool udp = sa->flags & XIPSEC_SA_UDP;

	add_bool(object, "encap", udp);
	if (udp) {
		add_number(object, "src_port", ntohs(sa->src_port));
		add_number(object, "dst_port", ntohs(sa->dst_port));
	} else {
		add_null(object, "src_port");
		add_null(object, "dst_port");
	}
}

/* The names and words of sas {}. */
static void add_sealing(struct json_object *object, const struct xipsec_sa *sa)
{
	add_text(object, "df", df_name(sa->df));
	if (sa->flags & XIPSEC_SA_DSCP)
		add_number(object, "dscp", sa->dscp);
	else
		add_text(object, "dscp", "copy");
	add_bool(object, "ecn", !(sa->flags & XIPSEC_SA_NO_ECN));
	add_text(object, "flow_label", sa->flags & XIPSEC_SA_FLOW_COPY ? "copy" : "zero");
	add_number(object, "ttl", sa->ttl ? sa->ttl : SA_TTL_DEFAULT);
	if (sa->tfc_size == XIPSEC_TFC_MTU)
		add_text(object, "tfc_padding", "mtu");
	else
		add_number(object, "tfc_padding", sa->tfc_size);
	add_number(object, "dummies", sa->dummies);
}

static struct json_object *json_limits(const struct xipsec_limits *l)
{
	struct json_object *object = json_object_new_object();

	add_number(object, "rekey_time", l->soft_time);
	add_number(object, "life_time", l->hard_time);
	add_number(object, "rekey_bytes", l->soft_bytes);
	add_number(object, "life_bytes", l->hard_bytes);
	add_number(object, "rekey_packets", l->soft_packets);
	add_number(object, "life_packets", l->hard_packets);
	add_number(object, "inactivity", l->idle);
	return object;
}

struct json_object *sa_show_json(const struct sadb_sa_info *info)
{
	struct json_object *object = json_object_new_object();
	struct json_object *drops = json_object_new_object();
	const struct xipsec_sa *sa = &info->sa;
	bool out = sa->dir == XIPSEC_DIR_OUT;
	char text[INET6_ADDRSTRLEN], spi[16];

	snprintf(spi, sizeof(spi), "0x%08x", ntohl(sa->spi));
	add_text(object, "name", sa->name);
	add_text(object, "child", sa->child);
	add_text(object, "direction", out ? "out" : "in");
	add_text(object, "src", addr_text(text, sa->outer_family, &sa->src));
	add_text(object, "dst", addr_text(text, sa->outer_family, &sa->dst));
	add_text(object, "spi", spi);
	add_text(object, "protocol", protocol_name(sa));
	add_text(object, "mode", mode_name(sa->mode));
	add_text(object, "algorithm", alg_name(sa->alg, sa->l4_proto));
	add_text(object, "engine", engine_name(sa->engine));
	add_text(object, "engine_why", engine_why_name(info->engine_why));
	add_text(object, "backend", backend_name(info));
	add_text(object, "status", status_name(info->status));
	add_bool(object, "esn", sa->flags & XIPSEC_SA_ESN);
	add_bool(object, "manual", sa->flags & XIPSEC_SA_MANUAL);
	add_number(object, "if_id", sa->if_id);
	add_encap(object, sa);
	if (!out) {
		add_bool(object, "later_fragments", takes_later(sa));
		add_bool(object, "follow", follows(sa));
	}
	if (out)
		add_sealing(object, sa);
	json_object_object_add(object, "limits", json_limits(&sa->limits));
	add_number(object, "index", info->index);
	add_number(object, "generation", info->generation);
	add_number(object, "age", info->age);
	json_object_object_add(object, "idle",
			       info->idle == ~0ULL ? NULL : json_object_new_uint64(info->idle));
	add_number(object, "sequence", info->seq);
	add_number(object, "sequence_limit", info->seq_limit);
	add_number(object, "replay_window", sa->window);
	add_number(object, "packets", info->packets);
	add_number(object, "bytes", info->bytes);
	add_number(object, "tfc_bytes", info->tfc_bytes);
	add_number(object, "dummy_packets", info->dummies);
	add_number(object, "dummy_bytes", info->dummy_bytes);
	for (int i = 0; i < XIPSEC_REASON_COUNT; i++)
		if (info->drops[i])
			add_number(drops, reason_name(i), info->drops[i]);
	json_object_object_add(object, "drops", drops);
	return object;
}
