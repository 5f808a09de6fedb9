// SPDX-License-Identifier: BSD-2-Clause
#include "iked/vici_sas.h"
#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "iked/ident.h"
#include "iked/ike_sa.h"
#include "iked/vici_alg.h"
#include "iked/xchg.h"

#define MS 1000

/* ------------------------------------------------------------------ IKE SAs */

static const char *ike_state_name(const struct ike_sa *ike)
{
	switch (ike->state) {
	case IKE_INIT:
	case IKE_AUTHING: return "CONNECTING";
	case IKE_UP: return "ESTABLISHED";
	case IKE_REPLACED: return "REKEYED";
	default: return "DELETING";
	}
}

static void put_host(struct vici_writer *w, const char *side, __u8 family,
		     const struct xipsec_addr *addr, __be16 port)
{
	char text[INET6_ADDRSTRLEN], key[32];

	inet_ntop(family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6, addr->byte, text, sizeof(text));
	snprintf(key, sizeof(key), "%s-host", side);
	vici_text(w, key, "%s", text);
	snprintf(key, sizeof(key), "%s-port", side);
	vici_text(w, key, "%u", ntohs(port));
}

static void put_ident(struct vici_writer *w, const char *key, const struct ident *id)
{
	char text[IDENT_TEXT_MAX] = "%any";

	if (id)
		ident_print(id, text, sizeof(text));
	vici_text(w, key, "%s", text);
}

/* Seconds from now on; nothing if it was never planned or is over. */
static void put_until(struct vici_writer *w, const char *key, __u64 at, __u64 now)
{
	if (at > now)
		vici_text(w, key, "%" PRIu64, (uint64_t)((at - now) / MS));
}

/* In strongSwan's words as far as it has some. */
static const char *task_word(enum task_kind kind)
{
	switch (kind) {
	case TASK_CHILD: return "CHILD_CREATE";
	case TASK_CHILD_REKEY: return "CHILD_REKEY";
	case TASK_CHILD_CLOSE: return "CHILD_DELETE";
	case TASK_IKE_REKEY: return "IKE_REKEY";
	case TASK_IKE_CLOSE:
	case TASK_AUTH_FAILED: return "IKE_DELETE";
	case TASK_DPD: return "IKE_DPD";
	case TASK_INVALID_SPI: return "IKE_INVALID_SPI";
	case TASK_INVALID_SELECTORS: return "IKE_INVALID_SELECTORS";
	case TASK_COUNT: break;
	}
	return "OTHER";
}

static const char *xchg_word(const struct xchg *x)
{
	if (x->exchange == IKE_SA_INIT)
		return "IKE_INIT";
	if (x->exchange == IKE_AUTH)
		return "IKE_AUTH";
	if (x->task)
		return task_word(x->task->kind);
	if (x->exchange == CREATE_CHILD_SA)
		return x->fresh ? "IKE_REKEY" : x->rekeys ? "CHILD_REKEY" : "CHILD_CREATE";
	return "OTHER";
}

static void put_task(struct vici_writer *w, const char *key, const struct xchg *x)
{
	if (!x)
		return;
	vici_list(w, key);
	vici_item_text(w, xchg_word(x));
	vici_list_end(w);
}

/* Our tasks that wait, the one that is under way, and the peer's. */
static void put_tasks(struct vici_writer *w, const struct ike_sa *ike)
{
	put_task(w, "tasks-active", ike->ours);
	put_task(w, "tasks-passive", ike->peers);
	if (!ike->tasks)
		return;
	vici_list(w, "tasks-queued");
	for (const struct task *task = ike->tasks; task; task = task->next)
		vici_item_text(w, task_word(task->kind));
	vici_list_end(w);
}

static void put_spis(struct vici_writer *w, const struct ike_sa *ike)
{
	vici_text(w, "initiator-spi", "%016" PRIx64, (uint64_t)be64toh(ike->spi_i));
	vici_text(w, "responder-spi", "%016" PRIx64, (uint64_t)be64toh(ike->spi_r));
}

static void put_ike_head(struct vici_writer *w, const struct ike_sa *ike)
{
	const struct ike_path *path = &ike->path;
	/* ESP in UDP by wish alone */
	bool fake = ike->nat_fake && path->natt && !ike->nat_local && !ike->nat_remote;

	vici_text(w, "uniqueid", "%u", ike->id);
	vici_text(w, "version", "2");
	vici_text(w, "state", "%s", ike_state_name(ike));
	put_host(w, "local", path->family, &path->local, path->local_port);
	put_ident(w, "local-id", ike->local_id);
	put_host(w, "remote", path->family, &path->remote, path->remote_port);
	put_ident(w, "remote-id", ike->remote_id);
	if (ike->initiator)
		vici_bool(w, "initiator", true);
	put_spis(w, ike);
	if (ike->nat_local)
		vici_bool(w, "nat-local", true);
	if (ike->nat_remote)
		vici_bool(w, "nat-remote", true);
	if (fake)
		vici_bool(w, "nat-fake", true);
	if (ike->nat_local || ike->nat_remote || fake)
		vici_bool(w, "nat-any", true);
	vici_put_suite(w, ike->suite.encr, ike->suite.key_bits, ike->suite.integ, ike->suite.prf,
		       ike->suite.ke);
	if (ike->state >= IKE_UP) {
		__u64 now = ike_now(ike);

		vici_text(w, "established", "%" PRIu64, (uint64_t)((now - ike->since) / MS));
		put_until(w, "rekey-time", ike->rekey_at, now);
		put_until(w, "reauth-time", ike->reauth_at, now);
	}
	put_tasks(w, ike);
}

/* ------------------------------------------------------------------ children */

static const char *child_state_name(const struct child_sa *child)
{
	switch (child->state) {
	case CHILD_MAKING: return "CREATED";
	case CHILD_UP: return "INSTALLED";
	case CHILD_REPLACED: return "REKEYED";
	default: return "DELETING";
	}
}

static void put_child_algs(struct vici_writer *w, const struct child_sa *child)
{
	bool ah = child->l4_proto == IPPROTO_AH;
	struct proposal p;

	if (proposal_of_alg(ah ? PROPOSAL_AH : PROPOSAL_ESP, child->alg, &p))
		return;
	const struct transform *encr = proposal_find(&p, TRANSFORM_ENCR);

	vici_put_suite(w, encr ? encr->id : 0, encr ? encr->key_bits : 0,
		       proposal_id(&p, TRANSFORM_INTEG), 0, child->ke);
	if (child->esn)
		vici_text(w, "esn", "1");
}

static void put_usage(struct vici_writer *w, const struct child_sa *child, __u8 dir,
		      const struct vici_usages *usages)
{
	const char *side = dir == XIPSEC_DIR_IN ? "in" : "out";
	struct vici_usage usage = {.idle = ~0ULL}; /* what has just begun */
	char name[XIPSEC_NAME_LEN], key[32];

	child_sa_name(child, dir, name);
	if (usages ? !usages->find(usages->ctx, name, &usage) : child->state != CHILD_UP)
		return;
	snprintf(key, sizeof(key), "bytes-%s", side);
	vici_text(w, key, "%" PRIu64, (uint64_t)usage.bytes);
	snprintf(key, sizeof(key), "packets-%s", side);
	vici_text(w, key, "%" PRIu64, (uint64_t)usage.packets);
	snprintf(key, sizeof(key), "use-%s", side);
	if (usage.idle != ~0ULL)
		vici_text(w, key, "%" PRIu64, (uint64_t)usage.idle);
}

static void put_ts(struct vici_writer *w, const char *key, const struct ts *ts, unsigned int n)
{
	char text[128];

	vici_list(w, key);
	for (unsigned int i = 0; i < n; i++) {
		ts_print(&ts[i], text, sizeof(text));
		vici_item_text(w, text);
	}
	vici_list_end(w);
}

static void child_section(struct vici_writer *w, const struct child_sa *child)
{
	char section[CONN_NAME_LEN + 16];

	snprintf(section, sizeof(section), "%s-%u", child->cfg->name, child->id);
	vici_section(w, section);
}

static void put_child_keys(struct vici_writer *w, const struct child_sa *child,
			   const struct vici_usages *usages)
{
	__u64 now = ike_now(child->ike);

	vici_text(w, "name", "%s", child->cfg->name);
	vici_text(w, "uniqueid", "%u", child->id);
	vici_text(w, "reqid", "%u", child->reqid);
	vici_text(w, "state", "%s", child_state_name(child));
	vici_text(w, "mode", "%s", child->mode == XIPSEC_MODE_TRANSPORT ? "TRANSPORT" : "TUNNEL");
	vici_text(w, "protocol", "%s", child->l4_proto == IPPROTO_AH ? "AH" : "ESP");
	if (child->udp)
		vici_bool(w, "encap", true);
	vici_text(w, "spi-in", "%08x", ntohl(child->spi_in));
	vici_text(w, "spi-out", "%08x", ntohl(child->spi_out));
	if (child->cfg->if_id) {
		vici_text(w, "if-id-in", "%08x", child->cfg->if_id);
		vici_text(w, "if-id-out", "%08x", child->cfg->if_id);
	}
	put_child_algs(w, child);
	put_usage(w, child, XIPSEC_DIR_IN, usages);
	put_usage(w, child, XIPSEC_DIR_OUT, usages);
	put_until(w, "rekey-time", child->life.due, now);
	put_until(w, "life-time", child->life_end, now);
	vici_text(w, "install-time", "%" PRIu64, (uint64_t)((now - child->since) / MS));
	put_ts(w, "local-ts", child->ts, child->n_local);
	put_ts(w, "remote-ts", child->ts + child->n_local, child->n_remote);
}

static void put_child(struct vici_writer *w, const struct child_sa *child,
		      const struct vici_usages *usages)
{
	child_section(w, child);
	put_child_keys(w, child, usages);
	vici_section_end(w);
}

static bool match_child(const struct child_sa *child, const struct engine_match *match)
{
	return (!match->child || strcmp(child->cfg->name, match->child) == 0) &&
	       (!match->child_id || child->id == match->child_id);
}

void vici_names_read(struct bytes message, struct vici_names *out)
{
	memset(out, 0, sizeof(*out));
	if (vici_get_text(message, "ike", out->ike, sizeof(out->ike)))
		out->match.ike = out->ike;
	if (vici_get_text(message, "child", out->child, sizeof(out->child)))
		out->match.child = out->child;
	out->match.ike_id = vici_get_number(message, "ike-id", 0);
	out->match.child_id = vici_get_number(message, "child-id", 0);
}

unsigned int vici_matches(const struct ike_sa *ike, const struct engine_match *match)
{
	const char *name = ike->conn ? ike->conn->model.name : "";
	unsigned int n = 0;

	if ((match->ike && strcmp(name, match->ike) != 0) ||
	    (match->ike_id && ike->id != match->ike_id))
		return 0;
	if (!match->child && !match->child_id)
		return 1;
	for (const struct child_sa *child = ike->children; child; child = child->next)
		n += match_child(child, match);
	return n;
}

bool vici_match_ike(const struct ike_sa *ike, const struct engine_match *match)
{
	return vici_matches(ike, match) > 0;
}

/* ------------------------------------------------------------------ sections */

static void put_begin(struct vici_writer *w, const struct ike_sa *ike)
{
	vici_section(w, ike->conn ? ike->conn->model.name : "(unnamed)");
	put_ike_head(w, ike);
}

void vici_put_ike(struct vici_writer *w, const struct ike_sa *ike, const struct engine_match *only,
		  const struct vici_usages *usages)
{
	put_begin(w, ike);
	vici_section(w, "child-sas");
	for (const struct child_sa *child = ike->children; child; child = child->next)
		if (match_child(child, only))
			put_child(w, child, usages);
	vici_section_end(w);
	vici_section_end(w);
}

void vici_put_ike_brief(struct vici_writer *w, const struct ike_sa *ike)
{
	put_begin(w, ike);
	vici_section_end(w);
}

void vici_put_ike_rekey(struct vici_writer *w, const struct ike_sa *old, const struct ike_sa *ike)
{
	vici_section(w, ike->conn->model.name);
	vici_section(w, "old");
	put_ike_head(w, old);
	vici_section_end(w);
	vici_section(w, "new");
	put_ike_head(w, ike);
	vici_section_end(w);
	vici_section_end(w);
}

static void put_child_begin(struct vici_writer *w, const struct child_sa *child)
{
	put_begin(w, child->ike);
	vici_section(w, "child-sas");
}

void vici_put_child_brief(struct vici_writer *w, const struct child_sa *child)
{
	put_child_begin(w, child);
	put_child(w, child, NULL);
	vici_section_end(w);
	vici_section_end(w);
}

void vici_put_child_rekey(struct vici_writer *w, const struct child_sa *old,
			  const struct child_sa *child)
{
	put_child_begin(w, child);
	child_section(w, old);
	vici_section(w, "old");
	put_child_keys(w, old, NULL);
	vici_section_end(w);
	vici_section(w, "new");
	put_child_keys(w, child, NULL);
	vici_section_end(w);
	vici_section_end(w);
	vici_section_end(w);
	vici_section_end(w);
}
