// SPDX-License-Identifier: BSD-2-Clause
/* The keys of an SA of sas {}, each understood alone. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include "lib/config_keyfile.h"
#include "lib/config_sa.h"
#include "lib/config_seal.h"
#include "lib/config_units.h"
#include "lib/sa_fault.h"

#define SPI_MIN 256 /* RFC 4303 2.1: 1 to 255 are reserved, 0 is for local use */

static bool key_child(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_name(diag, node, draft->sa->child, sizeof(draft->sa->child));
}

static bool key_direction(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word directions[] = {
		{"out", XIPSEC_DIR_OUT},
		{"in", XIPSEC_DIR_IN},
		{NULL, 0},
	};
	struct config_sa_draft *draft = into;
	unsigned int dir;

	if (!parse_word(diag, node, directions, &dir))
		return false;
	draft->sa->dir = dir;
	return true;
}

static bool key_src(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_address(diag, node, &draft->sa->src, &draft->src_family);
}

static bool key_dst(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_address(diag, node, &draft->sa->dst, &draft->sa->outer_family);
}

static bool key_spi(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;
	unsigned int spi;

	if (!text_number(node->value, &spi) || spi < SPI_MIN) {
		config_error(diag, &node->value_place,
			     "spi = %s: expected a number from 256 to 0xffffffff",
			     config_shown(node->value));
		return false;
	}
	draft->sa->spi = htonl(spi);
	return true;
}

/* Its names depend on the protocol, which may stand further down. */
static bool key_algorithm(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	draft->algorithm = node;
	return true;
}

static bool key_protocol(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word protocols[] = {
		{"esp", IPPROTO_ESP},
		{"ah", IPPROTO_AH},
		{NULL, 0},
	};
	struct config_sa_draft *draft = into;
	unsigned int protocol;

	if (!parse_word(diag, node, protocols, &protocol))
		return false;
	draft->sa->l4_proto = protocol;
	return true;
}

static bool key_key(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	draft->key_place = node->value_place;
	return parse_key(diag, node, draft->sa->key, sizeof(draft->sa->key), &draft->sa->key_len);
}

static bool key_flag(struct config_diag *diag, const struct config_node *node, void *into,
		     __u16 flag)
{
	struct config_sa_draft *draft = into;
	bool on;

	if (!parse_bool(diag, node, &on))
		return false;
	if (on)
		draft->sa->flags |= flag;
	return true;
}

/* The flag says that it is off. */
static bool key_flag_off(struct config_diag *diag, const struct config_node *node, void *into,
			 __u16 flag)
{
	struct config_sa_draft *draft = into;
	bool on;

	if (!parse_bool(diag, node, &on))
		return false;
	if (!on)
		draft->sa->flags |= flag;
	return true;
}

static bool key_esn(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_flag(diag, node, into, XIPSEC_SA_ESN);
}

static bool key_fresh_key(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_flag(diag, node, into, XIPSEC_SA_FRESH_KEY);
}

static bool key_replay_window(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	draft->window_place = node->value_place;
	return parse_number(diag, node, XIPSEC_WINDOW_MIN, XIPSEC_WINDOW_MAX, &draft->sa->window);
}

static bool key_engine(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;
	unsigned int engine;

	if (!parse_word(diag, node, config_engines, &engine))
		return false;
	draft->sa->engine = engine;
	return true;
}

static bool key_mode(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word modes[] = {
		{"tunnel", XIPSEC_MODE_TUNNEL},
		{"transport", XIPSEC_MODE_TRANSPORT},
		{NULL, 0},
	};
	struct config_sa_draft *draft = into;
	unsigned int mode;

	if (!parse_word(diag, node, modes, &mode))
		return false;
	draft->sa->mode = mode;
	return true;
}

static bool key_local_ts(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_nets(diag, node, &draft->local_ts);
}

static bool key_remote_ts(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_nets(diag, node, &draft->remote_ts);
}

static bool key_if_id(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	draft->if_id_place = node->value_place;
	return parse_number(diag, node, 0, 0xffffffff, &draft->sa->if_id);
}

static bool key_later(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_flag(diag, node, into, XIPSEC_SA_LATER);
}

/* ------------------------------------------------------------------ ESP in UDP */

static bool key_encap(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_flag(diag, node, into, XIPSEC_SA_UDP);
}

static bool key_follow(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_flag_off(diag, node, into, XIPSEC_SA_STAY);
}

static bool key_port(struct config_diag *diag, const struct config_node *node, __be16 *out)
{
	unsigned int port;

	if (!parse_number(diag, node, 1, XIPSEC_PORT_MAX, &port))
		return false;
	*out = htons(port);
	return true;
}

static bool key_src_port(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return key_port(diag, node, &draft->sa->src_port);
}

static bool key_dst_port(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return key_port(diag, node, &draft->sa->dst_port);
}

/* ------------------------------------------------------------------ as packets are sealed */

static bool key_df(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;
	enum xipsec_df df;

	if (!parse_df(diag, node, &df))
		return false;
	draft->sa->df = df;
	return true;
}

static bool key_dscp(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;
	bool fixed = false;

	if (!parse_outer_dscp(diag, node, &fixed, &draft->sa->dscp))
		return false;
	if (fixed)
		draft->sa->flags |= XIPSEC_SA_DSCP;
	return true;
}

static bool key_ecn(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_flag_off(diag, node, into, XIPSEC_SA_NO_ECN);
}

static bool key_flow_label(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;
	bool copy;

	if (!parse_flow_label(diag, node, &copy))
		return false;
	if (copy)
		draft->sa->flags |= XIPSEC_SA_FLOW_COPY;
	return true;
}

static bool key_ttl(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_ttl(diag, node, &draft->sa->ttl);
}

static bool key_tfc_padding(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_tfc(diag, node, &draft->sa->tfc_size);
}

static bool key_dummies(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_dummies(diag, node, &draft->sa->dummies);
}

/* ------------------------------------------------------------------ limits */

static bool key_rekey_time(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_time(diag, node, &draft->sa->limits.soft_time);
}

static bool key_rekey_bytes(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_bytes(diag, node, &draft->sa->limits.soft_bytes);
}

static bool key_rekey_packets(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_count(diag, node, &draft->sa->limits.soft_packets);
}

static bool key_life_time(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_time(diag, node, &draft->sa->limits.hard_time);
}

static bool key_life_bytes(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_bytes(diag, node, &draft->sa->limits.hard_bytes);
}

static bool key_life_packets(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_count(diag, node, &draft->sa->limits.hard_packets);
}

static bool key_inactivity(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_time(diag, node, &draft->sa->limits.idle);
}

const struct config_key config_sa_keys[] = {
	{"child", key_child, false, false},
	{"direction", key_direction, false, true},
	{"src", key_src, false, true},
	{"dst", key_dst, false, true},
	{"spi", key_spi, false, true},
	{"algorithm", key_algorithm, false, true},
	{"key", key_key, false, true},
	{"protocol", key_protocol, false, false},
	{"mode", key_mode, false, false},
	{"esn", key_esn, false, false},
	{"replay_window", key_replay_window, false, false},
	{"engine", key_engine, false, false},
	{"fresh_key", key_fresh_key, false, false},
	{"local_ts", key_local_ts, false, false},
	{"remote_ts", key_remote_ts, false, false},
	{"if_id", key_if_id, false, false},
	{"later_fragments", key_later, false, false},
	{"encap", key_encap, false, false},
	{"src_port", key_src_port, false, false},
	{"dst_port", key_dst_port, false, false},
	{"follow", key_follow, false, false},
	{"df", key_df, false, false},
	{"dscp", key_dscp, false, false},
	{"ecn", key_ecn, false, false},
	{"flow_label", key_flow_label, false, false},
	{"ttl", key_ttl, false, false},
	{"tfc_padding", key_tfc_padding, false, false},
	{"dummies", key_dummies, false, false},
	{"rekey_time", key_rekey_time, false, false},
	{"rekey_bytes", key_rekey_bytes, false, false},
	{"rekey_packets", key_rekey_packets, false, false},
	{"life_time", key_life_time, false, false},
	{"life_bytes", key_life_bytes, false, false},
	{"life_packets", key_life_packets, false, false},
	{"inactivity", key_inactivity, false, false},
	{0},
};
