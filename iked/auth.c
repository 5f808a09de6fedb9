// SPDX-License-Identifier: BSD-2-Clause
#include "iked/auth.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

static const char key_pad[] = "Key Pad for IKEv2";

/* The one thing that is signed: IKE_SA_INIT, of that end, in the clear. */
static bool init_is_fine(const struct auth_in *in)
{
	__u8 want = in->initiator ? IKE_FLAG_INITIATOR : IKE_FLAG_RESPONSE;
	struct ike_msg msg;

	if (ike_msg_parse(in->init, &msg, NULL) || msg.raw.len != in->init.len)
		return false;
	return msg.h.exchange == IKE_SA_INIT && msg.h.id == 0 && !msg.sk.here &&
	       (msg.h.flags & (IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE)) == want;
}

/* InitiatorSignedOctets = RealMessage1 | NonceRData | MACedIDForI, ResponderSignedOctets likewise
 * (RFC 7296 2.15); RFC 9242 adds IntAuth. */
int auth_octets(const struct auth_in *in, struct writer *out)
{
	__u8 mac[PRF_LEN_MAX];
	size_t start = out->len;
	int err;

	if (!init_is_fine(in) || !in->nonce.len || in->id.len < 4 ||
	    in->sk_p.len != prf_len(in->prf))
		return -EINVAL;
	err = prf(in->prf, in->sk_p, &in->id, 1, mac);
	if (err)
		return err;
	writer_bytes(out, in->init);
	writer_bytes(out, in->nonce);
	writer_bytes(out, BYTES(mac, prf_len(in->prf)));
	writer_bytes(out, in->int_auth);
	if (out->err)
		out->len = start;
	return out->err;
}

void auth_id_body(struct writer *w, __u8 type, struct bytes data)
{
	writer_u8(w, type);
	writer_zero(w, 3);
	writer_bytes(w, data);
}

int auth_psk(const struct auth_in *in, struct bytes psk, __u8 out[PRF_LEN_MAX])
{
	const struct bytes pad = BYTES(key_pad, sizeof(key_pad) - 1); /* without a final 0 */
	_cleanup_writer_ struct writer octets = {0};
	__u8 key[PRF_LEN_MAX];
	struct bytes message;
	int err;

	if (!psk.len)
		return -EINVAL;
	err = auth_octets(in, &octets);
	if (!err)
		err = prf(in->prf, psk, &pad, 1, key);
	if (err)
		return err;
	message = writer_view(&octets);
	err = prf(in->prf, BYTES(key, prf_len(in->prf)), &message, 1, out);
	OPENSSL_cleanse(key, sizeof(key));
	return err;
}

int auth_psk_verify(const struct auth_in *in, struct bytes psk, struct bytes data)
{
	__u8 want[PRF_LEN_MAX];
	int err = auth_psk(in, psk, want);

	if (!err && !bytes_equal_secret(BYTES(want, prf_len(in->prf)), data))
		err = -EACCES;
	OPENSSL_cleanse(want, sizeof(want));
	return err;
}
