// SPDX-License-Identifier: BSD-2-Clause
/* RFC 7296 3.4 to 3.16. Reserved fields are not looked at (2.5). */
#include "iked/payload.h"

#include "lib/proposal.h"

/* Looked into by who wants it: payload_sa.h, ts.h. */
static int keep(struct bytes *to, struct bytes body, size_t min, const char *name,
		struct ike_fault *fault)
{
	if (body.len < min)
		return ike_fault_syntax(fault, "%s payload: %zu bytes", name, body.len);
	*to = body;
	return 0;
}

int payload_sa(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	return keep(&msg->sa, body, 8, "SA", fault);
}

int payload_ts_i(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	return keep(&msg->ts_i, body, 4, "TSi", fault);
}

int payload_ts_r(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	return keep(&msg->ts_r, body, 4, "TSr", fault);
}

int payload_cp(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	return keep(&msg->cp, body, 4, "CP", fault);
}

int payload_eap(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	return keep(&msg->eap, body, 4, "EAP", fault);
}

int payload_ke(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	struct reader r = reader_of(body);
	struct ike_ke ke = {.group = reader_u16(&r)};

	reader_skip(&r, 2); /* reserved */
	ke.data = reader_rest(&r);
	if (r.failed || !ke.data.len)
		return ike_fault_syntax(fault, "KE payload: %zu bytes", body.len);
	msg->ke = ke;
	return 0;
}

static int payload_id(struct ike_id *to, struct bytes body, const char *name,
		      struct ike_fault *fault)
{
	struct reader r = reader_of(body);
	struct ike_id id = {.type = reader_u8(&r), .body = body};

	reader_skip(&r, 3); /* reserved */
	id.data = reader_rest(&r);
	if (r.failed)
		return ike_fault_syntax(fault, "%s payload: %zu bytes", name, body.len);
	*to = id;
	return 0;
}

int payload_id_i(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	return payload_id(&msg->id_i, body, "IDi", fault);
}

int payload_id_r(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	return payload_id(&msg->id_r, body, "IDr", fault);
}

int payload_cert(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	struct reader r = reader_of(body);
	struct ike_cert cert = {.encoding = reader_u8(&r)};

	cert.data = reader_rest(&r);
	if (!cert.data.len)
		return ike_fault_syntax(fault, "CERT payload: %zu bytes", body.len);
	if (msg->n_cert == IKE_CERT_MAX)
		return ike_fault_syntax(fault, "more than %d CERT payloads", IKE_CERT_MAX);
	msg->cert[msg->n_cert++] = cert;
	return 0;
}

int payload_certreq(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	struct reader r = reader_of(body);
	struct ike_cert certreq = {.encoding = reader_u8(&r)};

	certreq.data = reader_rest(&r);
	if (r.failed)
		return ike_fault_syntax(fault, "CERTREQ payload: %zu bytes", body.len);
	if (msg->n_certreq < IKE_CERTREQ_MAX)
		msg->certreq[msg->n_certreq++] = certreq;
	return 0;
}

int payload_auth(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	struct reader r = reader_of(body);
	struct ike_auth auth = {.method = reader_u8(&r)};

	reader_skip(&r, 3); /* reserved */
	auth.data = reader_rest(&r);
	if (r.failed)
		return ike_fault_syntax(fault, "AUTH payload: %zu bytes", body.len);
	msg->auth = auth;
	return 0;
}

int payload_nonce(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	if (body.len < IKE_NONCE_MIN || body.len > IKE_NONCE_MAX)
		return ike_fault_syntax(fault, "Nonce payload: %zu bytes, not %d to %d", body.len,
					IKE_NONCE_MIN, IKE_NONCE_MAX);
	msg->nonce = body;
	return 0;
}

int payload_notify(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	struct reader r = reader_of(body);
	struct ike_notify notify = {.protocol = reader_u8(&r)};
	__u8 spi_len = reader_u8(&r);

	notify.type = reader_u16(&r);
	notify.spi = reader_bytes(&r, spi_len);
	notify.data = reader_rest(&r);
	if (r.failed)
		return ike_fault_syntax(fault, "N payload: %zu bytes, SPI of %u", body.len,
					spi_len);
	if (msg->n_notify == IKE_NOTIFY_MAX)
		return ike_fault_syntax(fault, "more than %d N payloads", IKE_NOTIFY_MAX);
	msg->notify[msg->n_notify++] = notify;
	return 0;
}

/* 3.11: SPIs of IKE are not named, the message is of that IKE SA. */
int payload_delete(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	struct reader r = reader_of(body);
	struct ike_delete del = {.protocol = reader_u8(&r)};
	size_t want;
	bool ours;

	del.spi_len = reader_u8(&r);
	del.n = reader_u16(&r);
	del.spis = reader_rest(&r);
	ours = del.protocol >= PROPOSAL_IKE && del.protocol <= PROPOSAL_ESP;
	want = del.protocol == PROPOSAL_IKE ? 0 : 4;
	if (r.failed || del.spis.len != (size_t)del.spi_len * del.n)
		return ike_fault_syntax(fault, "D payload: %zu bytes, %u SPIs of %u", body.len,
					del.n, del.spi_len);
	if (ours && del.spi_len != want)
		return ike_fault_syntax(fault, "D payload: SPIs of %u bytes for protocol %u",
					del.spi_len, del.protocol);
	if (msg->n_del == IKE_DELETE_MAX)
		return ike_fault_syntax(fault, "more than %d D payloads", IKE_DELETE_MAX);
	msg->del[msg->n_del++] = del;
	return 0;
}

int payload_vendor(struct ike_msg *msg, struct bytes body, struct ike_fault *fault)
{
	if (msg->n_vendor < IKE_VENDOR_MAX)
		msg->vendor[msg->n_vendor++] = body;
	return 0;
}
