// SPDX-License-Identifier: BSD-2-Clause
#include "iked/keylog.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "lib/alg.h"

#define HEX_MAX (2 * XIPSEC_KEY_MAX + 1)

static const char *hex(const __u8 *data, size_t len, char to[HEX_MAX])
{
	*to = 0;
	for (size_t i = 0; i < len; i++)
		snprintf(to + 2 * i, 3, "%02x", data[i]);
	return to;
}

/* Of Wireshark's packet-isakmp.c: the words of its table, not those of IANA. */
static const char *cipher_word(const struct sk_key *key)
{
	if (key->encr == ENCR_AES_GCM_16)
		return key->key_bits == 128 ? "AES-GCM-128 with 16 octet ICV [RFC5282]"
					    : "AES-GCM-256 with 16 octet ICV [RFC5282]";
	if (key->encr == ENCR_AES_CBC)
		return key->key_bits == 128 ? "AES-CBC-128 [RFC3602]" : "AES-CBC-256 [RFC3602]";
	return NULL;
}

static const char *integ_word(__u16 integ)
{
	switch (integ) {
	case 0: return "NONE [RFC4306]";
	case INTEG_HMAC_SHA2_256_128: return "HMAC_SHA2_256_128 [RFC4868]";
	case INTEG_HMAC_SHA2_384_192: return "HMAC_SHA2_384_192 [RFC4868]";
	default: return "HMAC_SHA2_512_256 [RFC4868]";
	}
}

static int line_end(char *line, int len, char *to, size_t size, size_t line_size)
{
	int err = len;

	if ((size_t)len >= size)
		err = -ENOSPC;
	else
		memcpy(to, line, (size_t)len + 1);
	OPENSSL_cleanse(line, line_size);
	return err;
}

int keylog_ike(__be64 spi_i, __be64 spi_r, const struct ike_keys *keys, char *to, size_t size)
{
	const struct sk_key *i = &keys->i, *r = &keys->r;
	const char *cipher = cipher_word(i);
	char text[4][HEX_MAX], line[KEYLOG_LINE_MAX];
	int len;

	if (!cipher)
		return -EOPNOTSUPP;
	len = snprintf(line, sizeof(line), "%016llx,%016llx,%s,%s,\"%s\",%s,%s,\"%s\"\n",
		       (unsigned long long)be64toh(spi_i), (unsigned long long)be64toh(spi_r),
		       hex(i->encr_key, i->encr_key_len, text[0]),
		       hex(r->encr_key, r->encr_key_len, text[1]), cipher,
		       hex(i->integ_key, i->integ_key_len, text[2]),
		       hex(r->integ_key, r->integ_key_len, text[3]), integ_word(i->integ));
	OPENSSL_cleanse(text, sizeof(text));
	return line_end(line, len, to, size, sizeof(line));
}

/* ------------------------------------------------------------------ ESP */

static const char *esp_cipher(__u8 alg)
{
	switch (alg_kind(alg)) {
	case ALG_GCM: return alg_get(alg)->iv ? "AES-GCM with 16 octet ICV [RFC4106]" : NULL;
	case ALG_CBC_HMAC: return "AES-CBC [RFC3602]";
	case ALG_CTR_HMAC: return "AES-CTR [RFC3686]";
	case ALG_NULL_HMAC: return "NULL";
	default: return NULL;
	}
}

static const char *esp_integ(__u8 alg)
{
	switch (alg_get(alg)->auth_key) {
	case 32: return "HMAC-SHA-256-128 [RFC4868]";
	case 48: return "HMAC-SHA-384-192 [RFC4868]";
	case 64: return "HMAC-SHA-512-256 [RFC4868]";
	default: return "NULL";
	}
}

static void key_text(const __u8 *key, size_t len, char to[HEX_MAX + 2])
{
	*to = 0;
	if (len) {
		memcpy(to, "0x", 2);
		hex(key, len, to + 2);
	}
}

int keylog_esp(const struct xipsec_sa *sa, char *to, size_t size)
{
	int family = sa->outer_family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6;
	char src[INET6_ADDRSTRLEN] = "", dst[INET6_ADDRSTRLEN] = "", line[KEYLOG_LINE_MAX];
	char cipher_key[HEX_MAX + 2], auth_key[HEX_MAX + 2];
	const struct alg *alg = alg_get(sa->alg);
	size_t first = (size_t)alg->cipher_key + alg->salt;
	int len;

	if (sa->l4_proto != IPPROTO_ESP || !esp_cipher(sa->alg) ||
	    first + alg->auth_key > sizeof(sa->key))
		return -EOPNOTSUPP;
	inet_ntop(family, sa->src.byte, src, sizeof(src));
	inet_ntop(family, sa->dst.byte, dst, sizeof(dst));
	key_text(sa->key, first, cipher_key);
	key_text(sa->key + first, alg->auth_key, auth_key);
	len = snprintf(line, sizeof(line),
		       "\"IPv%d\",\"%s\",\"%s\",\"0x%08x\",\"%s\",\"%s\",\"%s\",\"%s\"\n",
		       family == AF_INET ? 4 : 6, src, dst, ntohl(sa->spi), esp_cipher(sa->alg),
		       cipher_key, esp_integ(sa->alg), auth_key);
	OPENSSL_cleanse(cipher_key, sizeof(cipher_key));
	OPENSSL_cleanse(auth_key, sizeof(auth_key));
	return line_end(line, len, to, size, sizeof(line));
}
