// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/reason.h"
#include "lib/sadb_client.h"
#include "tools/xipsec/explain.h"

/* ------------------------------------------------------------------ xipsecd's part */

static int note_sa(void *ctx, const struct sadb_hdr *item, size_t len)
{
	const struct sadb_sa_info *info = (const void *)item;
	struct explain_daemon *daemon = ctx;
	struct explain_sa *sa;

	if (!sadb_sa_info_whole(info, len))
		return -EBADMSG;
	if (daemon->n_sas == daemon->room) {
		size_t room = daemon->room ? daemon->room * 2 : 64;

		sa = realloc(daemon->sa, room * sizeof(*sa));
		if (!sa)
			return -ENOMEM;
		daemon->sa = sa;
		daemon->room = room;
	}
	sa = &daemon->sa[daemon->n_sas++];
	sa->index = info->index;
	sa->generation = info->generation;
	memcpy(sa->name, info->sa.name, sizeof(sa->name));
	return 0;
}

void explain_daemon_open(const struct config *config, struct explain_daemon *out)
{
	struct sadb_hdr status = {.type = XIPSEC_SADB_STATUS}, list = {.type = XIPSEC_SADB_SA_LIST};
	int fd = sadb_connect(config->run_dir);
	struct sadb_status answer;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return;
	if (!sadb_ask(fd, &status, sizeof(status), &answer, sizeof(answer), NULL)) {
		out->runs = true;
		out->n_workers = answer.n_workers <= XIPSEC_WORKERS_MAX ? answer.n_workers : 0;
		memcpy(out->worker_pid, answer.worker_pid, sizeof(out->worker_pid));
		sadb_call(fd, &list, sizeof(list), note_sa, out, NULL);
	}
	close(fd);
}

void explain_daemon_close(struct explain_daemon *daemon)
{
	free(daemon->sa);
	daemon->sa = NULL;
}

static const char *sa_name(const struct explain_daemon *daemon, const struct xipsec_way *way)
{
	for (size_t i = 0; i < daemon->n_sas; i++) {
		if (daemon->sa[i].index == way->sa_index &&
		    daemon->sa[i].generation == way->sa_generation)
			return daemon->sa[i].name;
	}
	return "";
}

/* Queue q belongs to worker q mod n (docs/architecture.md). -1: there is no worker. */
static int worker_of(const struct explain_shown *shown)
{
	const struct explain_daemon *daemon = shown->daemon;

	if (strcmp(shown->what->program, "xipsec_guard") == 0 || !daemon->n_workers)
		return -1;
	return (int)(shown->what->answer.queue % daemon->n_workers);
}

/* ------------------------------------------------------------------ words */

#define TEXT_MAX 128

static const char *addr_text(char text[TEXT_MAX], __u8 family, const struct xipsec_addr *addr)
{
	text[0] = 0;
	inet_ntop(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, addr, text, TEXT_MAX);
	return text;
}

static const char *proto_text(char text[TEXT_MAX], __u8 proto)
{
	const struct protoent *known = getprotobynumber(proto);

	if (known)
		snprintf(text, TEXT_MAX, "%s", known->p_name);
	else
		snprintf(text, TEXT_MAX, "protocol %u", proto);
	return text;
}

static const char *frag_text(const struct xipsec_explain *answer)
{
	if (answer->frag & XIPSEC_FRAG_LATER)
		return "later";
	if (answer->frag & XIPSEC_FRAG_PART)
		return "first";
	return answer->frag & XIPSEC_FRAG_HEADER ? "atomic" : "none";
}

static const char *action_text(__u8 action)
{
	static const char *const names[] = {"discard", "bypass", "protect"};

	return action <= XIPSEC_ACTION_PROTECT ? names[action] : "unknown";
}

static const char *role_text(__u32 role)
{
	return role == XIPSEC_ROLE_PROTECTED     ? "protected"
	       : role == XIPSEC_ROLE_UNPROTECTED ? "unprotected"
						 : "none";
}

static const char *engine_text(__u8 engine)
{
	return engine == XIPSEC_ENGINE_AFXDP  ? "afxdp"
	       : engine == XIPSEC_ENGINE_XFRM ? "xfrm"
					      : "none";
}

static bool is_icmp(const struct xipsec_explain *answer)
{
	return answer->l4_proto ==
	       (answer->family == XIPSEC_FAMILY_IP6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static bool has_l4(const struct xipsec_explain *answer)
{
	return answer->family && !(answer->frag & XIPSEC_FRAG_LATER);
}

/* ------------------------------------------------------------------ for people */

/* What the frame lacks: of its bytes in the capture, or of the packet in the frame. */
static void print_cut(const struct explain_shown *shown)
{
	const struct xipsec_explain *answer = &shown->what->answer;
	unsigned int says = explain_ip_length(shown);

	if (shown->missing)
		printf("             (%u bytes are not in the capture, taken as 0)\n",
		       shown->missing);
	if (answer->l3_off + says > answer->len)
		printf("             (its IP header says %u bytes, the frame has %u for it)\n",
		       says, answer->len - answer->l3_off);
	if (explain_headers_cut(shown))
		printf("  beware     the capture has %u bytes of it, not all of its headers: this "
		       "is "
		       "the answer to one with zeros there; capture more of each packet\n",
		       answer->len - shown->missing);
}

static void print_parsed(const struct explain_shown *shown)
{
	const struct xipsec_explain *answer = &shown->what->answer;
	char text[TEXT_MAX];

	printf("  parsed as  ");
	if (!answer->family) {
		if (answer->eth_type)
			printf("ethertype 0x%04x, ", answer->eth_type);
		printf("%u bytes\n", answer->len);
		return;
	}
	printf("%s", addr_text(text, answer->family, &answer->src));
	printf(" -> %s, ", addr_text(text, answer->family, &answer->dst));
	printf("%s", answer->opaque & XIPSEC_OPAQUE_PROTO ? "hidden protocol"
							  : proto_text(text, answer->l4_proto));
	if (has_l4(answer) && is_icmp(answer))
		printf(" type %u code %u", answer->icmp >> 8, answer->icmp & 255);
	if (has_l4(answer) && answer->l4_proto == IPPROTO_MH)
		printf(" type %u", answer->icmp >> 8);
	if (answer->sport || answer->dport)
		printf(" ports %u -> %u", answer->sport, answer->dport);
	if (answer->way.spi)
		printf(", SPI 0x%08x", ntohl(answer->way.spi));
	if (answer->frag & XIPSEC_FRAG_PART)
		printf(", %s fragment", frag_text(answer));
	if (answer->dscp)
		printf(", DSCP %u", answer->dscp);
	printf(", TTL %u, %u bytes\n", answer->hop_limit, answer->len);
}

static void print_route(const struct loader_explanation *what)
{
	const struct xipsec_way *way = &what->answer.way;

	if (way->flags & XIPSEC_WAY_LOCAL)
		printf("  route      to this host\n");
	else if (what->egress[0])
		printf("  route      leaves by %s (%s)\n", what->egress,
		       what->egress_role ? role_text(what->egress_role) : "no role");
}

static void print_rule(const struct explain_shown *shown, const struct loader_rule *rule)
{
	printf("rule %u of %s (%s:%u): %s", rule->number, rule->policy[0] ? rule->policy : "-",
	       shown->config_path, rule->rule.line, action_text(rule->rule.action));
}

static void print_policy(const struct explain_shown *shown)
{
	const struct loader_explanation *what = shown->what;
	const struct xipsec_way *way = &what->answer.way;

	if (!way->dir)
		return;
	printf("  policy     %s, generation %u: ", way->dir == XIPSEC_DIR_OUT ? "out" : "in",
	       way->spd_generation);
	if (way->flags & XIPSEC_WAY_FOLLOWED)
		printf("as the first fragment of this packet: ");
	if (what->rule_known)
		print_rule(shown, &what->rule);
	else if (!what->maybe_known)
		printf("no rule matches");
	else
		printf("no rule is certain");
	if (what->child[0])
		printf(", child %s", what->child);
	printf("\n");
	if (what->maybe_known && what->answer.opaque) {
		printf("             before it, if what is hidden fits: ");
		print_rule(shown, &what->maybe);
		printf("\n");
	}
	if (way->tables)
		printf("             looked into %u table%s\n", way->tables,
		       way->tables == 1 ? "" : "s");
}

static void print_sa(const struct explain_shown *shown)
{
	const struct loader_explanation *what = shown->what;
	const struct xipsec_way *way = &what->answer.way;
	const char *name = sa_name(shown->daemon, way);
	char text[TEXT_MAX];

	if (!way->sa_generation)
		return;
	printf("  SA         %s", name[0] ? name : "(its name is xipsecd's)");
	if (what->sa.spi) {
		printf(", SPI 0x%08x", ntohl(what->sa.spi));
		printf(" to %s", addr_text(text, what->sa.family, &what->sa.dst));
		printf(", %s", proto_text(text, what->sa.l4_proto));
	}
	printf(", engine %s, place %u\n", engine_text(way->engine), way->sa_index);
}

static bool for_worker(const struct explain_shown *shown)
{
	__u32 reason = shown->what->answer.reason;

	return reason_kind(reason) == XIPSEC_KIND_STEER || reason == XIPSEC_REASON_NO_WORKER;
}

static void print_worker(const struct explain_shown *shown)
{
	const struct xipsec_way *way = &shown->what->answer.way;
	int worker = worker_of(shown);

	if (!for_worker(shown))
		return;
	printf("  worker     ");
	if (!shown->daemon->runs)
		printf("none: xipsecd does not run\n");
	else if (shown->what->answer.reason == XIPSEC_REASON_HOST_OUT)
		printf("whichever reads xipsec0's queue\n");
	else if (worker < 0)
		printf("none runs\n");
	else
		printf("%d (queue %u), %s\n", worker, shown->what->answer.queue,
		       way->flags & XIPSEC_WAY_SOCKET ? "has a socket there"
						      : "has no socket there");
	printf("             not asked: what it decides then (%s)\n",
	       shown->frame->dir == XIPSEC_DIR_OUT
		       ? "does it fit the MTU, is its TTL used up"
		       : "replay, integrity, selectors of what is inside, TTL, MTU");
}

/* What the packet ends with: a later piece of a capture as its first one, where that is there. */
static __u32 reason_of(const struct explain_shown *shown)
{
	return shown->first.number ? shown->first.reason : shown->what->answer.reason;
}

/* The rule stands in for one that comes with an SA: what it discards is not meant to be. */
static bool by_standin(const struct explain_shown *shown)
{
	const struct xipsec_spd_rule *rule = &shown->what->rule.rule;

	return shown->what->rule_known && reason_of(shown) == XIPSEC_REASON_DISCARD &&
	       rule->action == XIPSEC_ACTION_DISCARD &&
	       (rule->origin & (XIPSEC_RULE_LOCAL_LATER | XIPSEC_RULE_REMOTE_LATER));
}

static const char *advice_of(const struct explain_shown *shown)
{
	if (shown->ike)
		return "nothing, if it is IKE's: that passes by its socket. Any other program's "
		       "needs a policy";
	return by_standin(shown)
		       ? "this rule discards until an SA of its child makes the address known, and "
			 "none has made this one: `xipsec conn`, is the peer there, and has it "
			 "that address?"
		       : reason_advice(reason_of(shown));
}

static void print_first(const struct explain_shown *shown)
{
	const struct xipsec_explain *answer = &shown->what->answer;

	if (shown->first.number)
		printf("  first      packet %lu is its first fragment: decided as that one; "
		       "without "
		       "it %s\n",
		       shown->first.number, reason_name(answer->reason));
	else if ((answer->frag & XIPSEC_FRAG_LATER) && answer->way.dir &&
		 !shown->what->rule_known && !(answer->way.flags & XIPSEC_WAY_FOLLOWED))
		printf("  first      none of this packet was seen in the last 2 s: behind its "
		       "first "
		       "fragment it is decided as that one\n");
}

void explain_print_text(const struct explain_shown *shown)
{
	const struct loader_explanation *what = shown->what;
	__u32 reason = reason_of(shown);
	const char *advice = advice_of(shown);

	if (shown->number)
		printf("packet %lu, ", shown->number);
	printf("%s: program %s", shown->frame->ifname, what->program);
	if (strcmp(what->program, "xipsec_guard") != 0)
		printf(", queue %u\n", what->answer.queue);
	else if (shown->frame->from)
		printf(", forwarded from %s\n", shown->frame->from);
	else
		printf(", this host's own\n");
	print_parsed(shown);
	print_cut(shown);
	print_route(what);
	print_policy(shown);
	print_sa(shown);
	print_worker(shown);
	print_first(shown);
	if (shown->ike)
		printf("  IKE        sent from a socket that xipsecd opened, as xipsec-iked does, "
		       "it "
		       "passes: %s. Else:\n",
		       reason_name(XIPSEC_REASON_IKE_OUT));
	printf("  reason     %s (%s): %s\n", reason_name(reason), reason_kind_name(reason),
	       reason_text(reason));
	if (advice[0])
		printf("  to do      %s\n", advice);
}

/* ------------------------------------------------------------------ JSON (docs/json-explain.md) */

static void put_text(struct json_object *to, const char *name, const char *value)
{
	json_object_object_add(to, name, json_object_new_string(value));
}

static void put_u64(struct json_object *to, const char *name, __u64 value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static void put_bool(struct json_object *to, const char *name, bool value)
{
	json_object_object_add(to, name, json_object_new_boolean(value));
}

static void put_spi(struct json_object *to, __be32 spi)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "0x%08x", ntohl(spi));
	put_text(to, "spi", text);
}

static struct json_object *parsed_json(const struct explain_shown *shown)
{
	const struct xipsec_explain *answer = &shown->what->answer;
	struct json_object *to = json_object_new_object();
	char text[TEXT_MAX];

	put_u64(to, "length", answer->len);
	put_u64(to, "missing", shown->missing);
	put_bool(to, "headers_cut", explain_headers_cut(shown));
	if (explain_ip_length(shown))
		put_u64(to, "ip_length", explain_ip_length(shown));
	snprintf(text, sizeof(text), "0x%04x", answer->eth_type);
	put_text(to, "ethertype", text);
	if (!answer->family)
		return to;
	put_text(to, "family", answer->family == XIPSEC_FAMILY_IP6 ? "ip6" : "ip4");
	put_text(to, "src", addr_text(text, answer->family, &answer->src));
	put_text(to, "dst", addr_text(text, answer->family, &answer->dst));
	put_u64(to, "protocol", answer->l4_proto);
	put_bool(to, "protocol_hidden", answer->opaque & XIPSEC_OPAQUE_PROTO);
	put_u64(to, "hop_limit", answer->hop_limit);
	put_u64(to, "dscp", answer->dscp);
	put_text(to, "fragment", frag_text(answer));
	if (answer->sport || answer->dport) {
		put_u64(to, "sport", answer->sport);
		put_u64(to, "dport", answer->dport);
	}
	if (has_l4(answer) && is_icmp(answer)) {
		put_u64(to, "icmp_type", answer->icmp >> 8);
		put_u64(to, "icmp_code", answer->icmp & 255);
	}
	if (has_l4(answer) && answer->l4_proto == IPPROTO_MH)
		put_u64(to, "mh_type", answer->icmp >> 8);
	if (answer->way.spi)
		put_spi(to, answer->way.spi);
	return to;
}

static struct json_object *rule_json(__u32 known, const struct loader_rule *rule)
{
	struct json_object *to;

	if (!known)
		return NULL;
	to = json_object_new_object();
	put_u64(to, "rule", rule->number);
	put_text(to, "policy", rule->policy);
	put_text(to, "action", action_text(rule->rule.action));
	put_u64(to, "line", rule->rule.line);
	return to;
}

static struct json_object *policy_json(const struct loader_explanation *what)
{
	const struct xipsec_way *way = &what->answer.way;
	struct json_object *to;

	if (!way->dir)
		return NULL;
	to = json_object_new_object();
	put_text(to, "direction", way->dir == XIPSEC_DIR_OUT ? "out" : "in");
	put_u64(to, "spd_generation", way->spd_generation);
	put_u64(to, "tables", way->tables);
	put_bool(to, "followed", way->flags & XIPSEC_WAY_FOLLOWED);
	json_object_object_add(to, "rule", rule_json(what->rule_known, &what->rule));
	json_object_object_add(to, "maybe", rule_json(what->maybe_known, &what->maybe));
	put_text(to, "child", what->child);
	return to;
}

static struct json_object *route_json(const struct loader_explanation *what)
{
	struct json_object *to = json_object_new_object();

	put_bool(to, "local", what->answer.way.flags & XIPSEC_WAY_LOCAL);
	put_text(to, "interface", what->egress);
	put_text(to, "role", role_text(what->egress_role));
	return to;
}

static struct json_object *sa_json(const struct explain_shown *shown)
{
	const struct loader_explanation *what = shown->what;
	const struct xipsec_way *way = &what->answer.way;
	struct json_object *to;
	char text[TEXT_MAX];

	if (!way->sa_generation)
		return NULL;
	to = json_object_new_object();
	put_text(to, "name", sa_name(shown->daemon, way));
	if (what->sa.spi) {
		put_spi(to, what->sa.spi);
		put_text(to, "dst", addr_text(text, what->sa.family, &what->sa.dst));
		put_u64(to, "protocol", what->sa.l4_proto);
	}
	put_text(to, "engine", engine_text(way->engine));
	put_u64(to, "index", way->sa_index);
	put_u64(to, "generation", way->sa_generation);
	return to;
}

static struct json_object *worker_json(const struct explain_shown *shown)
{
	const struct xipsec_way *way = &shown->what->answer.way;
	int worker = worker_of(shown);
	struct json_object *to;

	if (!for_worker(shown) || worker < 0)
		return NULL;
	to = json_object_new_object();
	put_u64(to, "worker", (__u64)worker);
	put_u64(to, "pid", shown->daemon->worker_pid[worker]);
	put_bool(to, "socket", way->flags & XIPSEC_WAY_SOCKET);
	return to;
}

static struct json_object *first_json(const struct explain_shown *shown)
{
	struct json_object *to;

	if (!shown->first.number)
		return NULL;
	to = json_object_new_object();
	put_u64(to, "packet", shown->first.number);
	put_text(to, "without", reason_name(shown->what->answer.reason));
	return to;
}

void explain_print_json(const struct explain_shown *shown)
{
	const struct loader_explanation *what = shown->what;
	struct json_object *top = json_object_new_object();
	__u32 reason = reason_of(shown);

	if (shown->number)
		put_u64(top, "packet", shown->number);
	put_text(top, "program", what->program);
	put_text(top, "interface", shown->frame->ifname);
	put_u64(top, "queue", what->answer.queue);
	put_bool(top, "own", what->answer.way.flags & XIPSEC_WAY_OWN);
	json_object_object_add(top, "parsed", parsed_json(shown));
	json_object_object_add(top, "route", route_json(what));
	json_object_object_add(top, "policy", policy_json(what));
	json_object_object_add(top, "first", first_json(shown));
	json_object_object_add(top, "sa", sa_json(shown));
	json_object_object_add(top, "worker", worker_json(shown));
	put_bool(top, "xipsecd", shown->daemon->runs);
	put_text(top, "reason", reason_name(reason));
	put_text(top, "kind", reason_kind_name(reason));
	put_text(top, "text", reason_text(reason));
	put_bool(top, "standin", by_standin(shown));
	put_bool(top, "passes_as_ike", shown->ike);
	put_text(top, "advice", advice_of(shown));
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
}

void explain_print_unasked(const struct explain_shown *shown, bool json)
{
	struct json_object *top, *parsed;

	if (!json) {
		printf("packet %lu, %u bytes, %u of them missing: the programs cannot be asked "
		       "about it\n",
		       shown->number, shown->frame->len, shown->missing);
		return;
	}
	top = json_object_new_object();
	parsed = json_object_new_object();
	put_u64(top, "packet", shown->number);
	put_bool(top, "unasked", true);
	put_u64(parsed, "length", shown->frame->len);
	put_u64(parsed, "missing", shown->missing);
	json_object_object_add(top, "parsed", parsed);
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PLAIN));
	json_object_put(top);
}
