// SPDX-License-Identifier: BSD-2-Clause
#include "iked/child_make.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/backoff.h"
#include "iked/engine_state.h"
#include "iked/payload_sa.h"
#include "iked/setup.h"
#include "lib/alg.h"
#include "lib/cleanup.h"

/* What one negotiation needs of big tables: on the heap, for one call. */
struct work {
	struct proposals ours, theirs;
	struct ts_list local, remote;       /* of ours */
	struct ts_list ts_local, ts_remote; /* of the peer's message */
	struct ts_list got_local, got_remote;
	struct proposal chosen;
	char text[4][512];
};

static bool wants_udp(const struct ike_sa *ike)
{
	/* By what both ends know of IKE_SA_INIT (2.23), not by what the connection says that was
	 * found later. A float alone is not encapsulation: peers with MOBIKE float without a NAT.
	 */
	return ike->nat_local || ike->nat_remote || (ike->nat_fake && ike->path.natt);
}

static int describe_child(struct xchg *x, const struct ike_msg *msg, const struct proposal *chosen,
			  enum xipsec_mode mode)
{
	struct child_sa *child = x->child;

	if (chosen->spi_len != sizeof(child->spi_out))
		return -EBADMSG;
	memcpy(&child->spi_out, chosen->spi, sizeof(child->spi_out));
	child->alg = proposal_alg(chosen);
	if (child->alg == XIPSEC_ALG_NONE)
		return -EBADMSG;
	child->esn = proposal_id(chosen, TRANSFORM_ESN) == ESN_YES;
	child->ke = proposal_id(chosen, TRANSFORM_KE);
	child->mode = mode;
	child->udp = wants_udp(x->ike);
	child->no_tfc = ike_msg_notify(msg, IKE_N_ESP_TFC_PADDING_NOT_SUPPORTED);
	if (child->no_tfc && child->cfg->tfc_size)
		ike_log(x->ike, LOG_LEVEL_WARN,
			"child %s: without tfc_padding: the peer does not take it",
			child->cfg->name);
	return 0;
}

/* KEYMAT (2.17): who began the exchange sends with the first half. */
static int derive(struct xchg *x, struct bytes peer_public)
{
	struct ike_sa *ike = x->ike;
	_cleanup_secret_ struct secret shared = {0};
	struct keymat_in in = {.nonce_i = nonce_view(&x->nonce_i),
			       .nonce_r = nonce_view(&x->nonce_r)};
	int err;

	if (x->initial) {
		in.nonce_i = nonce_view(&ike->setup->nonce_i);
		in.nonce_r = nonce_view(&ike->setup->nonce_r);
	} else if (x->child->ke) {
		err = dh_shared(x->dh, peer_public, &shared);
		if (err)
			return err;
		in.shared = secret_view(&shared);
	}
	_Static_assert(2 * XIPSEC_KEY_MAX <= KEY_SLOT, "");
	x->keys = key_pool_take(&ike->engine->keys);
	if (!x->keys)
		return -ENOMEM;
	x->key_len = alg_key_len(x->child->alg);
	return keymat_child(ike->keys, &in, x->key_len,
			    x->ours ? x->keys + XIPSEC_KEY_MAX : x->keys,
			    x->ours ? x->keys : x->keys + XIPSEC_KEY_MAX);
}

void child_print(const struct child_sa *child, char *to, size_t size)
{
	_cleanup_free_ struct ts_list *ts = calloc(2, sizeof(*ts));
	char text[2][256] = {"?", "?"};

	if (ts) {
		child_ts(child, &ts[0], &ts[1]);
		ts_list_print(&ts[0], text[0], sizeof(text[0]));
		ts_list_print(&ts[1], text[1], sizeof(text[1]));
	}
	snprintf(to, size, "child %s-%u: %s%s%s%s, %s === %s", child->cfg->name, child->id,
		 alg_name(child->alg, child->l4_proto), child->ke ? "-" : "",
		 child->ke ? ke_name(child->ke) : "", child->udp ? ", in UDP" : "", text[0],
		 text[1]);
}

/* ------------------------------------------------------------------ initiator */

static void set_spi(struct proposals *list, __be32 spi)
{
	for (unsigned int i = 0; i < list->n; i++) {
		list->p[i].spi_len = sizeof(spi);
		memcpy(list->p[i].spi, &spi, sizeof(spi));
	}
}

static void own_proposals(const struct xchg *x, const struct conn_child *cfg, struct proposals *out)
{
	ike_child_proposals(cfg, out);
	if (x->initial)
		proposals_strip_ke(out);
}

/* The key exchange of a CREATE_CHILD_SA: with the group that the peer wished, or our first. */
static int begin_ke(struct xchg *x, const struct proposals *ours)
{
	__u16 groups[PROPOSAL_TRANSFORMS_MAX];
	unsigned int n = proposals_groups(ours, groups, PROPOSAL_TRANSFORMS_MAX);

	nonce_make(x->ike->engine, &x->nonce_i);
	for (unsigned int i = 0; !x->group && i < n; i++)
		if (groups[i] != TRANSFORM_NONE)
			x->group = groups[i];
	return x->group ? dh_new(x->group, &x->dh) : 0;
}

/* RFC 4301 7.3: to be agreed on where later fragments hide what selectors ask for. Kernel XFRM does
 * not remember what first ones showed. */
static bool hides(const struct ts_list *list)
{
	for (unsigned int i = 0; i < list->n; i++)
		if (list->ts[i].port_lo != 0 || list->ts[i].port_hi != XIPSEC_PORT_MAX)
			return true;
	return false;
}

static bool wants_later(const struct conn_child *cfg, const struct ts_list *local,
			const struct ts_list *remote)
{
	return cfg->mode == CONN_MODE_TUNNEL && cfg->engine != XIPSEC_ENGINE_XFRM &&
	       (hides(local) || hides(remote));
}

int child_offer(struct xchg *x, struct ike_conn *conn, const struct conn_child *cfg)
{
	_cleanup_free_ struct work *w = calloc(1, sizeof(*w));
	struct ike_sa *ike = x->ike;
	int err = w ? child_new(ike, conn, cfg, &x->child) : -ENOMEM;

	if (!err) {
		own_proposals(x, cfg, &w->ours);
		set_spi(&w->ours, x->child->spi_in);
		if (!x->initial)
			err = begin_ke(x, &w->ours);
	}
	if (err) {
		ike_log(ike, LOG_LEVEL_ERROR, "child %s: cannot begin: %s", cfg->name,
			strerror(-err));
		return err;
	}
	ike_child_ts(cfg, &ike->path, &w->local, &w->remote);
	if (cfg->mode == CONN_MODE_TRANSPORT)
		ike_out_status(&x->out, IKE_N_USE_TRANSPORT_MODE);
	if (wants_later(cfg, &w->local, &w->remote))
		ike_out_status(&x->out, IKE_N_NON_FIRST_FRAGMENTS_ALSO);
	ike_out_sa(&x->out, &w->ours);
	if (!x->initial)
		ike_out_nonce(&x->out, nonce_view(&x->nonce_i));
	if (x->dh)
		ike_out_ke(&x->out, x->group, dh_public(x->dh));
	if (x->task && x->task->single)
		w->local.n = w->remote.n = 1;
	ike_out_ts(&x->out, IKE_PL_TSI, &w->local);
	ike_out_ts(&x->out, IKE_PL_TSR, &w->remote);
	return 0;
}

/* Selectors that the peer has seen through a NAT hold its idea of our addresses; of transport mode
 * what counts is where packets come from and go to (2.23.1). */
static void through_nat(const struct ike_sa *ike, enum xipsec_mode mode, struct ts_list *local,
			struct ts_list *remote)
{
	const struct ike_path *path = &ike->path;

	if (mode != XIPSEC_MODE_TRANSPORT || !(ike->nat_local || ike->nat_remote))
		return;
	for (unsigned int i = 0; i < local->n; i++)
		if (local->ts[i].family == path->family)
			local->ts[i].lo = local->ts[i].hi = path->local;
	for (unsigned int i = 0; i < remote->n; i++)
		if (remote->ts[i].family == path->family)
			remote->ts[i].lo = remote->ts[i].hi = path->remote;
}

static int read_answer(struct xchg *x, const struct ike_msg *msg, struct work *w, const char **what)
{
	struct ike_fault fault = {0};

	*what = "SA, Nonce, TSi or TSr is missing";
	if (!msg->sa.data || !msg->ts_i.data || !msg->ts_r.data ||
	    (!x->initial && nonce_set(&x->nonce_r, msg->nonce)))
		return -EBADMSG;
	*what = "its payloads cannot be read";
	if (payload_sa_parse(msg->sa, &w->theirs, &fault) ||
	    payload_ts_parse(msg->ts_i, &w->ts_local, &fault) ||
	    payload_ts_parse(msg->ts_r, &w->ts_remote, &fault))
		return -EBADMSG;
	return 0;
}

static int check_answer(struct xchg *x, const struct ike_msg *msg, struct work *w,
			const char **what)
{
	const struct conn_child *cfg = x->child->cfg;
	bool transport = ike_msg_notify(msg, IKE_N_USE_TRANSPORT_MODE);

	own_proposals(x, cfg, &w->ours);
	*what = "it chose a proposal that we did not offer";
	if (proposal_accept(&w->ours, &w->theirs, x->initial, &w->chosen))
		return -EBADMSG;
	*what = "its mode is not ours";
	if (transport != (cfg->mode == CONN_MODE_TRANSPORT))
		return -EBADMSG;
	*what = "its KE payload is of another group";
	if (!x->initial && proposal_id(&w->chosen, TRANSFORM_KE) &&
	    (msg->ke.group != x->group || proposal_id(&w->chosen, TRANSFORM_KE) != x->group))
		return -EBADMSG;
	ike_child_ts(cfg, &x->ike->path, &w->local, &w->remote);
	through_nat(x->ike, transport ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL, &w->ts_local,
		    &w->ts_remote);
	*what = "its selectors are not within ours";
	if (!ts_accept(&w->local, &w->ts_local) || !ts_accept(&w->remote, &w->ts_remote))
		return -EBADMSG;
	*what = "its SPI or its algorithm is none";
	return describe_child(x, msg, &w->chosen,
			      transport ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL);
}

/* Says why, with both offers. What was to be new is not asked for again at once. */
static void refuse_answer(const struct xchg *x, struct work *w, const char *what)
{
	const struct conn_child *cfg = x->child->cfg;
	char offers[640];

	proposals_print(&w->ours, w->text[0], 128);
	proposals_print(&w->theirs, w->text[1], 128);
	ts_list_print(&w->ts_local, w->text[2], 128);
	ts_list_print(&w->ts_remote, w->text[3], 128);
	snprintf(offers, sizeof(offers), "offered %.127s; answered %.127s, %.127s === %.127s",
		 w->text[0], w->text[1], w->text[2], w->text[3]);
	if (x->rekeys)
		ike_log(x->ike, LOG_LEVEL_WARN, "child %s: we refuse the peer's answer: %s; %s",
			cfg->name, what, offers);
	else
		backoff_failed(x->ike, x->child->conn, cfg, "we refuse the peer's answer: %s; %s",
			       what, offers);
}

int child_take(struct xchg *x, const struct ike_msg *msg)
{
	_cleanup_free_ struct work *w = calloc(1, sizeof(*w));
	const char *what = "no memory";
	int err = w ? read_answer(x, msg, w, &what) : -ENOMEM;

	if (!err)
		err = check_answer(x, msg, w, &what);
	if (!err) {
		x->child->pieces = ike_msg_notify(msg, IKE_N_NON_FIRST_FRAGMENTS_ALSO) &&
				   wants_later(x->child->cfg, &w->local, &w->remote);
		what = "its key exchange is not valid";
		err = derive(x, msg->ke.data);
	}
	if (!err) {
		what = "no memory";
		err = child_set_ts(x->child, &w->ts_local, &w->ts_remote);
	}
	if (!err)
		return 0;
	xchg_forget_keys(x); /* who has them installs them */
	if (w)
		refuse_answer(x, w, what);
	return -EBADMSG;
}

/* ------------------------------------------------------------------ responder */

/* How well do a child's selectors fit what the peer wants? 0: not at all. */
static int fit(const struct xchg *x, const struct conn_child *cfg, bool transport, struct work *w)
{
	if (cfg->mode != (transport ? CONN_MODE_TRANSPORT : CONN_MODE_TUNNEL))
		return 0;
	ike_child_ts(cfg, &x->ike->path, &w->local, &w->remote);
	ts_narrow(&w->ts_local, &w->local, &w->got_local);
	ts_narrow(&w->ts_remote, &w->remote, &w->got_remote);
	if (!w->got_local.n || !w->got_remote.n)
		return 0;
	if (ts_list_equal(&w->ts_local, &w->local) && ts_list_equal(&w->ts_remote, &w->remote))
		return 3;
	return ts_list_equal(&w->got_local, &w->ts_local) &&
			       ts_list_equal(&w->got_remote, &w->ts_remote)
		       ? 2
		       : 1;
}

static const struct conn_child *choose_cfg(const struct xchg *x, const struct conn_child *only,
					   bool transport, struct work *w)
{
	const struct conn *model = &x->ike->conn->model;
	const struct conn_child *best = NULL;
	int best_fit = 0;

	for (unsigned int i = 0; i < model->n_children; i++) {
		const struct conn_child *cfg = only ? only : &model->children[i];
		int fits = fit(x, cfg, transport, w);

		if (fits > best_fit) {
			best = cfg;
			best_fit = fits;
		}
		if (only)
			break;
	}
	if (best)
		fit(x, best, transport, w);
	return best;
}

/* "net: 10.1.0.0/16 === 10.2.0.0/16; ..." of all children that could have been meant. */
static void print_children(const struct xchg *x, const struct conn_child *only, struct work *w,
			   char *to, size_t size)
{
	const struct conn *model = &x->ike->conn->model;
	size_t n = 0;

	to[0] = 0;
	for (unsigned int i = 0; i < model->n_children && n < size; i++) {
		const struct conn_child *cfg = &model->children[i];

		if ((only && cfg != only) ||
		    (cfg->mode != CONN_MODE_TUNNEL && cfg->mode != CONN_MODE_TRANSPORT))
			continue;
		ike_child_ts(cfg, &x->ike->path, &w->local, &w->remote);
		ts_list_print(&w->local, w->text[2], sizeof(w->text[2]));
		ts_list_print(&w->remote, w->text[3], sizeof(w->text[3]));
		n += snprintf(to + n, size - n, "%s%s%s: %s === %s", n ? "; " : "", cfg->name,
			      cfg->mode == CONN_MODE_TRANSPORT ? " (transport)" : "", w->text[2],
			      w->text[3]);
	}
}

static int refuse_ts(const struct xchg *x, const struct conn_child *only, struct work *w,
		     struct refusal *why)
{
	char ours[600];

	print_children(x, only, w, ours, sizeof(ours));
	ts_list_print(&w->ts_local, w->text[0], 160);
	ts_list_print(&w->ts_remote, w->text[1], 160);
	ike_log(x->ike, LOG_LEVEL_WARN,
		"we refuse the child that the peer asks for: no selectors in common; it wants %s "
		"=== %s; we have %s",
		w->text[0], w->text[1], ours[0] ? ours : "no child");
	why->notify = IKE_N_TS_UNACCEPTABLE;
	return -EACCES;
}

static int refuse_proposals(const struct xchg *x, const struct conn_child *cfg, struct work *w,
			    struct refusal *why)
{
	proposals_print(&w->theirs, w->text[0], sizeof(w->text[0]));
	proposals_print(&w->ours, w->text[1], sizeof(w->text[1]));
	ike_log(x->ike, LOG_LEVEL_WARN,
		"child %s: we refuse it: no proposal chosen; it offers %s; we take %s", cfg->name,
		w->text[0], w->text[1]);
	why->notify = IKE_N_NO_PROPOSAL_CHOSEN;
	return -EACCES;
}

static int refuse_internal(const struct xchg *x, int err, struct refusal *why)
{
	ike_log(x->ike, LOG_LEVEL_ERROR, "we refuse the child that the peer asks for: %s",
		err == -E2BIG     ? "it has too many"
		: err == -EBADMSG ? "SA, nonce or selectors are missing or cannot be read"
				  : strerror(-err));
	why->notify = err == -EBADMSG ? IKE_N_INVALID_SYNTAX : IKE_N_NO_ADDITIONAL_SAS;
	return -EACCES;
}

/* Its own nonce, and its half of the key exchange. */
static int answer_ke(struct xchg *x, const struct ike_msg *msg)
{
	int err;

	if (x->initial)
		return 0;
	nonce_make(x->ike->engine, &x->nonce_r);
	if (!x->child->ke)
		return 0;
	x->group = x->child->ke;
	err = dh_new(x->group, &x->dh);
	return err ? err : nonce_set(&x->nonce_i, msg->nonce);
}

static int make_child(struct xchg *x, const struct ike_msg *msg, struct ike_conn *conn,
		      const struct conn_child *cfg, bool transport, struct work *w)
{
	int err = child_new(x->ike, conn, cfg, &x->child);

	if (!err)
		err = describe_child(x, msg, &w->chosen,
				     transport ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL);
	if (!err && !x->initial)
		err = nonce_set(&x->nonce_i, msg->nonce);
	if (!err)
		err = answer_ke(x, msg);
	if (!err)
		err = derive(x, msg->ke.data);
	if (!err)
		err = child_set_ts(x->child, &w->got_local, &w->got_remote);
	if (err)
		return err;
	x->child->pieces = ike_msg_notify(msg, IKE_N_NON_FIRST_FRAGMENTS_ALSO) &&
			   wants_later(cfg, &w->got_local, &w->got_remote);
	/* the answer's SA payload has our SPI */
	memcpy(w->chosen.spi, &x->child->spi_in, sizeof(x->child->spi_in));
	x->arg = malloc(sizeof(w->chosen));
	if (!x->arg)
		return -ENOMEM;
	memcpy(x->arg, &w->chosen, sizeof(w->chosen));
	return 0;
}

static int choose(struct xchg *x, const struct ike_msg *msg, const struct child_sa *old,
		  struct work *w, struct refusal *why)
{
	const struct conn_child *only = old ? old->cfg : NULL, *cfg;
	bool transport = ike_msg_notify(msg, IKE_N_USE_TRANSPORT_MODE);
	struct proposal_choice how = {.ke_group = msg->ke.group, .no_ke = x->initial};
	struct ike_fault fault = {0};
	int err;

	if (!msg->sa.data || !msg->ts_i.data || !msg->ts_r.data ||
	    (!x->initial && !msg->nonce.data) || payload_sa_parse(msg->sa, &w->theirs, &fault) ||
	    payload_ts_parse(msg->ts_i, &w->ts_remote, &fault) ||
	    payload_ts_parse(msg->ts_r, &w->ts_local, &fault))
		return refuse_internal(x, -EBADMSG, why);
	through_nat(x->ike, transport ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL, &w->ts_local,
		    &w->ts_remote);
	cfg = choose_cfg(x, only, transport, w);
	/* What would be transport mode is tunnel mode if only that fits (1.3.1: the responder
	 * declines by silence). */
	if (!cfg && transport) {
		transport = false;
		cfg = choose_cfg(x, only, false, w);
	}
	if (!cfg)
		return refuse_ts(x, only, w, why);
	own_proposals(x, cfg, &w->ours);
	if (proposal_choose(&w->ours, &w->theirs, &how, &w->chosen))
		return refuse_proposals(x, cfg, w, why);
	if (!x->initial && proposal_id(&w->chosen, TRANSFORM_KE) &&
	    proposal_id(&w->chosen, TRANSFORM_KE) != msg->ke.group) {
		why->notify = IKE_N_INVALID_KE_PAYLOAD;
		why->group = htons(proposal_id(&w->chosen, TRANSFORM_KE));
		return -EACCES;
	}
	err = make_child(x, msg, old ? old->conn : x->ike->conn, cfg, transport, w);
	return err ? refuse_internal(x, err, why) : 0;
}

int child_choose(struct xchg *x, const struct ike_msg *msg, const struct child_sa *old,
		 struct refusal *why)
{
	_cleanup_free_ struct work *w = calloc(1, sizeof(*w));
	int err = w ? choose(x, msg, old, w, why) : refuse_internal(x, -ENOMEM, why);

	if (err && x->child) {
		child_free(x->child, true);
		x->child = NULL;
	}
	return err;
}

void child_answer(struct xchg *x)
{
	_cleanup_free_ struct ts_list *ts = calloc(2, sizeof(*ts));
	const struct child_sa *child = x->child;

	if (!ts) {
		x->out.text.err = -ENOMEM;
		return;
	}
	child_ts(child, &ts[0], &ts[1]);
	if (child->mode == XIPSEC_MODE_TRANSPORT)
		ike_out_status(&x->out, IKE_N_USE_TRANSPORT_MODE);
	if (child->pieces)
		ike_out_status(&x->out, IKE_N_NON_FIRST_FRAGMENTS_ALSO);
	ike_out_chosen(&x->out, x->arg);
	if (!x->initial)
		ike_out_nonce(&x->out, nonce_view(&x->nonce_r));
	if (x->dh)
		ike_out_ke(&x->out, x->group, dh_public(x->dh));
	ike_out_ts(&x->out, IKE_PL_TSI, &ts[1]);
	ike_out_ts(&x->out, IKE_PL_TSR, &ts[0]);
}

/* ------------------------------------------------------------------ at xipsecd */

static void out_installed(struct xchg *x, const struct answer *answer)
{
	if (answer->err)
		x->child->out_added = false;
	x->installed(x, answer->err, answer->text);
}

static void add_out(struct xchg *x)
{
	int err = child_add(x->child, XIPSEC_DIR_OUT, x->keys + XIPSEC_KEY_MAX,
			    xchg_ask(x, out_installed));

	if (err) {
		x->question = 0;
		x->installed(x, err, strerror(-err));
	}
}

void child_install_out(struct xchg *x, void (*installed)(struct xchg *x, int err, const char *text))
{
	x->installed = installed;
	child_forget_key(x->child);
	add_out(x);
}

static void in_installed_alone(struct xchg *x, const struct answer *answer)
{
	if (answer->err)
		x->child->in_added = false;
	x->installed(x, answer->err, answer->text);
}

static void in_installed(struct xchg *x, const struct answer *answer)
{
	if (answer->err)
		in_installed_alone(x, answer);
	else
		add_out(x);
}

void child_install(struct xchg *x, bool both,
		   void (*installed)(struct xchg *x, int err, const char *text))
{
	int err = 0;

	x->installed = installed;
	if (!both) {
		x->child->key_out = key_pool_take(&x->ike->engine->keys);
		if (x->child->key_out)
			memcpy(x->child->key_out, x->keys + XIPSEC_KEY_MAX, XIPSEC_KEY_MAX);
		else
			err = -ENOMEM;
	}
	if (!err)
		err = child_add(x->child, XIPSEC_DIR_IN, x->keys,
				xchg_ask(x, both ? in_installed : in_installed_alone));
	if (err) {
		x->question = 0;
		installed(x, err, strerror(-err));
	}
}

struct child_sa *child_made(struct xchg *x)
{
	struct child_sa *child = x->child;
	char text[640];

	x->child = NULL;
	child_print(child, text, sizeof(text));
	ike_log(x->ike, LOG_LEVEL_INFO, "%s is up", text);
	child_up(child);
	return child;
}

void child_half(struct xchg *x)
{
	struct child_sa *child = x->child;

	x->child = NULL;
	ike_task_child(x->ike, TASK_CHILD_CLOSE, child);
}
