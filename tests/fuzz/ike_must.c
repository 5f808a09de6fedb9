// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/ike_must.h"

#include "iked/payload_sa.h"
#include "iked/ts.h"

static struct bytes mem[2];

static void view_must(struct bytes b)
{
	bool in = false;

	for (int i = 0; i < 2; i++)
		in |= mem[i].data && b.data >= mem[i].data &&
		      b.data + b.len <= mem[i].data + mem[i].len;
	MUST(in || (!b.data && !b.len));
}

void ike_fault_must(const struct ike_fault *fault)
{
	MUST(*fault->what && memchr(fault->what, 0, sizeof(fault->what)));
	MUST(fault->data_len == (fault->notify == IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD));
}

void ident_must(const struct ident *id)
{
	const struct ident any = {.type = IDENT_ANY};
	static char text[4 * IDENT_LEN_MAX];
	size_t len = ident_print(id, text, sizeof(text));

	MUST(len < sizeof(text) && strlen(text) == len);
	for (size_t i = 0; i < len; i++)
		MUST(text[i] >= 0x20 && text[i] < 0x7f);
	MUST(ident_equal(id, id));
	MUST(ident_match(id, id) > 0 && ident_match(&any, id) == 1);
}

static void ident_of_must(const struct ike_id *payload)
{
	struct ident *id = NULL;
	char why[120] = "";

	if (!payload->body.data)
		return;
	MUST(payload->body.len == payload->data.len + 4);
	if (ident_of_payload(payload, &id, why, sizeof(why))) {
		MUST(!id && *why);
		return;
	}
	ident_must(id);
	free(id);
}

/* What is chosen of theirs is what they would accept (the child of IKE_AUTH, or not). */
static void choice_must(const struct proposals *theirs, enum proposal_protocol protocol)
{
	struct proposal_choice how = {.no_ke = protocol != PROPOSAL_IKE};
	static struct proposals ours, answer;
	struct proposal chosen, accepted;

	proposals_default(&ours, protocol);
	if (proposal_choose(&ours, theirs, &how, &chosen))
		return;
	answer.n = 1;
	answer.p[0] = chosen;
	MUST(!proposal_accept(theirs, &answer, how.no_ke, &accepted));
	MUST(accepted.n == chosen.n && accepted.number == chosen.number);
	if (protocol != PROPOSAL_IKE)
		MUST(proposal_alg(&chosen) != XIPSEC_ALG_NONE);
}

static void sa_must(struct bytes body)
{
	static struct proposals list, again;
	static char text[65536];
	struct writer w = {0};
	struct ike_fault fault;
	bool odd = false;

	if (!body.data)
		return;
	if (payload_sa_parse(body, &list, &fault)) {
		ike_fault_must(&fault);
		return;
	}
	MUST(list.n <= PROPOSALS_MAX);
	MUST(proposals_print(&list, text, sizeof(text)) == strlen(text));
	for (unsigned int p = PROPOSAL_IKE; p <= PROPOSAL_ESP; p++)
		choice_must(&list, p);
	for (unsigned int i = 0; i < list.n; i++)
		for (unsigned int t = 0; t < list.p[i].n; t++)
			odd |= list.p[i].t[t].odd;
	if (odd || !list.n) /* what was not kept cannot come out again */
		return;
	payload_sa_write(&w, &list);
	if (!payload_sa_parse(writer_view(&w), &again, NULL))
		MUST(again.n == list.n && !memcmp(&again, &list, sizeof(list)));
	writer_free(&w);
}

static void ts_must(struct bytes body)
{
	static struct ts_list list, again, narrow;
	static struct xipsec_selector sel[64];
	static char text[20000];
	struct ts_list ours = {.n = 2};
	struct writer w = {0};
	struct ike_fault fault;
	unsigned int n = 99;

	if (!body.data)
		return;
	if (payload_ts_parse(body, &list, &fault)) {
		ike_fault_must(&fault);
		return;
	}
	MUST(list.n <= TS_MAX);
	MUST(ts_list_print(&list, text, sizeof(text)) == strlen(text));
	ours.ts[0] = ts_of_prefix(4, &(struct xipsec_addr){.byte = {10}}, 8);
	ours.ts[1] = ts_of_prefix(6, &(struct xipsec_addr){.byte = {0xfd}}, 8);
	ts_narrow(&list, &ours, &narrow);
	MUST(narrow.n <= TS_MAX);
	MUST(!narrow.n || (ts_accept(&list, &narrow) && ts_accept(&ours, &narrow)));
	if (!ts_selectors(&ours, &list, sel, 64, &n))
		MUST(n <= 64);
	if (!list.n)
		return;
	payload_ts_write(&w, &list);
	MUST(!payload_ts_parse(writer_view(&w), &again, NULL));
	MUST(again.n == list.n && !memcmp(&again, &list, sizeof(list)));
	writer_free(&w);
}

static void lists_must(const struct ike_msg *msg)
{
	MUST(msg->n_payloads <= IKE_PAYLOADS_MAX && msg->n_notify <= IKE_NOTIFY_MAX);
	MUST(msg->n_del <= IKE_DELETE_MAX && msg->n_cert <= IKE_CERT_MAX);
	MUST(msg->n_certreq <= IKE_CERTREQ_MAX && msg->n_vendor <= IKE_VENDOR_MAX);
	for (unsigned int i = 0; i < msg->n_notify; i++) {
		view_must(msg->notify[i].spi);
		view_must(msg->notify[i].data);
		ike_notify_hashes(&msg->notify[i]);
		ike_notify_group(&msg->notify[i]);
	}
	for (unsigned int i = 0; i < msg->n_del; i++) {
		view_must(msg->del[i].spis);
		MUST(msg->del[i].spis.len == (size_t)msg->del[i].n * msg->del[i].spi_len);
		ike_delete_spi(&msg->del[i], msg->del[i].n ? msg->del[i].n - 1u : 0);
	}
	for (unsigned int i = 0; i < msg->n_cert; i++)
		view_must(msg->cert[i].data);
	for (unsigned int i = 0; i < msg->n_certreq; i++)
		view_must(msg->certreq[i].data);
	for (unsigned int i = 0; i < msg->n_vendor; i++)
		view_must(msg->vendor[i]);
}

void ike_msg_must(const struct ike_msg *msg, struct bytes outer, struct bytes inner)
{
	const struct bytes views[] = {
		msg->raw,       msg->sk.body,   msg->sk.aad,    msg->sa,        msg->ke.data,
		msg->nonce,     msg->id_i.data, msg->id_i.body, msg->id_r.data, msg->id_r.body,
		msg->auth.data, msg->ts_i,      msg->ts_r,      msg->cp,        msg->eap};
	char text[2000];

	mem[0] = outer;
	mem[1] = inner;
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		view_must(views[i]);
	if (msg->nonce.data)
		MUST(msg->nonce.len >= IKE_NONCE_MIN && msg->nonce.len <= IKE_NONCE_MAX);
	lists_must(msg);
	sa_must(msg->sa);
	ts_must(msg->ts_i);
	ts_must(msg->ts_r);
	ident_of_must(&msg->id_i);
	ident_of_must(&msg->id_r);
	ike_msg_print(msg, text, sizeof(text));
	MUST(memchr(text, 0, sizeof(text)));
}
