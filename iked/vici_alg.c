// SPDX-License-Identifier: BSD-2-Clause
#include "iked/vici_alg.h"

struct alg_name {
	__u8 type; /* enum transform_type */
	__u8 aead;
	__u16 id;
	const char *name;
	bool ike; /* for IKE itself; else for ESP and AH alone */
};

static const struct alg_name names[] = {
	{TRANSFORM_ENCR, 0, ENCR_AES_CBC, "AES_CBC", true},
	{TRANSFORM_ENCR, 0, ENCR_AES_CTR, "AES_CTR", false},
	{TRANSFORM_ENCR, 0, ENCR_NULL, "NULL", false},
	{TRANSFORM_ENCR, 1, ENCR_AES_GCM_16, "AES_GCM_16", true},
	{TRANSFORM_ENCR, 1, ENCR_CHACHA20_POLY1305, "CHACHA20_POLY1305", true},
	{TRANSFORM_ENCR, 1, ENCR_AES_CCM_16, "AES_CCM_16", false},
	{TRANSFORM_ENCR, 1, ENCR_AES_CCM_8, "AES_CCM_8", false},
	{TRANSFORM_ENCR, 1, ENCR_NULL_AUTH_AES_GMAC, "NULL_AES_GMAC", false},
	{TRANSFORM_ENCR, 1, ENCR_AES_CCM_8_IIV, "AES_CCM_8_IIV", false},
	{TRANSFORM_ENCR, 1, ENCR_AES_GCM_16_IIV, "AES_GCM_16_IIV", false},
	{TRANSFORM_ENCR, 1, ENCR_CHACHA20_POLY1305_IIV, "CHACHA20_POLY1305_IIV", false},
	{TRANSFORM_INTEG, 0, INTEG_HMAC_SHA2_256_128, "HMAC_SHA2_256_128", true},
	{TRANSFORM_INTEG, 0, INTEG_HMAC_SHA2_384_192, "HMAC_SHA2_384_192", true},
	{TRANSFORM_INTEG, 0, INTEG_HMAC_SHA2_512_256, "HMAC_SHA2_512_256", true},
	{TRANSFORM_INTEG, 0, INTEG_AES_128_GMAC, "AES_128_GMAC", false},
	{TRANSFORM_INTEG, 0, INTEG_AES_256_GMAC, "AES_256_GMAC", false},
	{TRANSFORM_PRF, 0, PRF_HMAC_SHA2_256, "PRF_HMAC_SHA2_256", true},
	{TRANSFORM_PRF, 0, PRF_HMAC_SHA2_384, "PRF_HMAC_SHA2_384", true},
	{TRANSFORM_PRF, 0, PRF_HMAC_SHA2_512, "PRF_HMAC_SHA2_512", true},
	{TRANSFORM_KE, 0, KE_X25519, "CURVE_25519", true},
	{TRANSFORM_KE, 0, KE_X448, "CURVE_448", true},
	{TRANSFORM_KE, 0, KE_ECP_256, "ECP_256", true},
	{TRANSFORM_KE, 0, KE_ECP_384, "ECP_384", true},
	{TRANSFORM_KE, 0, KE_ECP_521, "ECP_521", true},
	{TRANSFORM_KE, 0, KE_MODP_2048, "MODP_2048", true},
	{TRANSFORM_KE, 0, KE_MODP_3072, "MODP_3072", true},
	{TRANSFORM_KE, 0, KE_MODP_4096, "MODP_4096", true},
	{TRANSFORM_KE, 0, KE_MODP_6144, "MODP_6144", true},
	{TRANSFORM_KE, 0, KE_MODP_8192, "MODP_8192", true},
};

#define N_NAMES (sizeof(names) / sizeof(names[0]))

const char *vici_alg_name(enum transform_type type, __u16 id)
{
	for (unsigned int i = 0; i < N_NAMES; i++)
		if (names[i].type == type && names[i].id == id)
			return names[i].name;
	return NULL;
}

static void put_alg(struct vici_writer *w, const char *key, enum transform_type type, __u16 id)
{
	const char *name = vici_alg_name(type, id);

	if (id && name)
		vici_text(w, key, "%s", name);
}

void vici_put_suite(struct vici_writer *w, __u16 encr, __u16 key_bits, __u16 integ, __u16 prf,
		    __u16 ke)
{
	put_alg(w, "encr-alg", TRANSFORM_ENCR, encr);
	if (encr && key_bits)
		vici_text(w, "encr-keysize", "%u", key_bits);
	put_alg(w, "integ-alg", TRANSFORM_INTEG, integ);
	put_alg(w, "prf-alg", TRANSFORM_PRF, prf);
	put_alg(w, "dh-group", TRANSFORM_KE, ke);
}

static void put_section(struct vici_writer *w, const char *section, enum transform_type type,
			bool aead)
{
	vici_section(w, section);
	for (unsigned int i = 0; i < N_NAMES; i++)
		if (names[i].type == type && names[i].aead == aead && names[i].ike)
			vici_text(w, names[i].name, "openssl");
	vici_section_end(w);
}

void vici_put_algorithms(struct vici_writer *w)
{
	put_section(w, "encryption", TRANSFORM_ENCR, false);
	put_section(w, "integrity", TRANSFORM_INTEG, false);
	put_section(w, "aead", TRANSFORM_ENCR, true);
	put_section(w, "prf", TRANSFORM_PRF, false);
	put_section(w, "dh", TRANSFORM_KE, false);
}
