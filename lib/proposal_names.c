// SPDX-License-Identifier: BSD-2-Clause
#include "lib/proposal_names.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct proposal_name names[] = {
	{"aes128gcm16", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_AES_GCM_16, 128},
	{"aes256gcm16", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_AES_GCM_16, 256},
	{"chacha20poly1305", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_CHACHA20_POLY1305, 0},
	{"aes128", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_AES_CBC, 128},
	{"aes256", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_AES_CBC, 256},
	{"aes128gcm16iiv", TRANSFORM_ENCR, IN_ESP, ENCR_AES_GCM_16_IIV, 128},
	{"aes256gcm16iiv", TRANSFORM_ENCR, IN_ESP, ENCR_AES_GCM_16_IIV, 256},
	{"chacha20poly1305iiv", TRANSFORM_ENCR, IN_ESP, ENCR_CHACHA20_POLY1305_IIV, 0},
	{"aes128ccm16", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_16, 128},
	{"aes256ccm16", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_16, 256},
	{"aes128ccm8", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_8, 128},
	{"aes256ccm8", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_8, 256},
	{"aes128ccm8iiv", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_8_IIV, 128},
	{"aes256ccm8iiv", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_8_IIV, 256},
	{"aes128ctr", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CTR, 128},
	{"aes256ctr", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CTR, 256},
	{"aes128gmac", TRANSFORM_ENCR, IN_ESP, ENCR_NULL_AUTH_AES_GMAC, 128},
	{"aes256gmac", TRANSFORM_ENCR, IN_ESP, ENCR_NULL_AUTH_AES_GMAC, 256},
	{"null", TRANSFORM_ENCR, IN_ESP, ENCR_NULL, 0},
	{"aes", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_AES_CBC, 128},
	{"aes128gcm", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_AES_GCM_16, 128},
	{"aes256gcm", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_AES_GCM_16, 256},
	{"aes128gcm128", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_AES_GCM_16, 128},
	{"aes256gcm128", TRANSFORM_ENCR, IN_IKE | IN_ESP, ENCR_AES_GCM_16, 256},
	{"aes128ccm", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_16, 128},
	{"aes256ccm", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_16, 256},
	{"aes128ccm128", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_16, 128},
	{"aes256ccm128", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_16, 256},
	{"aes128ccm64", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_8, 128},
	{"aes256ccm64", TRANSFORM_ENCR, IN_ESP, ENCR_AES_CCM_8, 256},

	{"sha256", TRANSFORM_INTEG, IN_ALL, INTEG_HMAC_SHA2_256_128, 0},
	{"sha384", TRANSFORM_INTEG, IN_ALL, INTEG_HMAC_SHA2_384_192, 0},
	{"sha512", TRANSFORM_INTEG, IN_ALL, INTEG_HMAC_SHA2_512_256, 0},
	{"sha2_256", TRANSFORM_INTEG, IN_ALL, INTEG_HMAC_SHA2_256_128, 0},
	{"sha2_384", TRANSFORM_INTEG, IN_ALL, INTEG_HMAC_SHA2_384_192, 0},
	{"sha2_512", TRANSFORM_INTEG, IN_ALL, INTEG_HMAC_SHA2_512_256, 0},
	{"aes128gmac", TRANSFORM_INTEG, IN_AH, INTEG_AES_128_GMAC, 0},
	{"aes256gmac", TRANSFORM_INTEG, IN_AH, INTEG_AES_256_GMAC, 0},

	{"prfsha256", TRANSFORM_PRF, IN_IKE, PRF_HMAC_SHA2_256, 0},
	{"prfsha384", TRANSFORM_PRF, IN_IKE, PRF_HMAC_SHA2_384, 0},
	{"prfsha512", TRANSFORM_PRF, IN_IKE, PRF_HMAC_SHA2_512, 0},

	{"x25519", TRANSFORM_KE, IN_ALL, KE_X25519, 0},
	{"x448", TRANSFORM_KE, IN_ALL, KE_X448, 0},
	{"ecp256", TRANSFORM_KE, IN_ALL, KE_ECP_256, 0},
	{"ecp384", TRANSFORM_KE, IN_ALL, KE_ECP_384, 0},
	{"ecp521", TRANSFORM_KE, IN_ALL, KE_ECP_521, 0},
	{"modp2048", TRANSFORM_KE, IN_ALL, KE_MODP_2048, 0},
	{"modp3072", TRANSFORM_KE, IN_ALL, KE_MODP_3072, 0},
	{"modp4096", TRANSFORM_KE, IN_ALL, KE_MODP_4096, 0},
	{"modp6144", TRANSFORM_KE, IN_ALL, KE_MODP_6144, 0},
	{"modp8192", TRANSFORM_KE, IN_ALL, KE_MODP_8192, 0},
	{"modpnone", TRANSFORM_KE, IN_SA, TRANSFORM_NONE, 0},
	{"curve25519", TRANSFORM_KE, IN_ALL, KE_X25519, 0},
	{"curve448", TRANSFORM_KE, IN_ALL, KE_X448, 0},

	{"noesn", TRANSFORM_ESN, IN_SA, ESN_NO, 0},
	{"esn", TRANSFORM_ESN, IN_SA, ESN_YES, 0},
};

/* The first that begins like the name decides. */
static const struct {
	const char *start, *why;
} refused[] = {
	{"3des", "RFC 8221 says SHOULD NOT, RFC 8247 lets it go"},
	{"des", "RFC 8247 and RFC 8221 say MUST NOT"}, /* des_mac and des_iv64 too */
	{"blowfish", "RFC 8221 says MUST NOT"},
	{"idea", "RFC 8221 says MUST NOT"},
	{"3idea", "RFC 8221 says MUST NOT"},
	{"md5", "RFC 8247 and RFC 8221 say MUST NOT"},
	{"hmac_md5", "RFC 8247 and RFC 8221 say MUST NOT"},
	{"kpdk_md5", "RFC 8247 and RFC 8221 say MUST NOT"},
	{"prfmd5", "RFC 8247 says MUST NOT"},
	{"sha1", "RFC 8247 and RFC 8221 let SHA-1 go (MUST-)"},
	{"sha_", "RFC 8247 and RFC 8221 let SHA-1 go (MUST-)"},
	{"prfsha1", "RFC 8247 lets SHA-1 go (MUST-)"},
	{"sha256_96", "is truncated otherwise than RFC 4868 says"},
	{"sha2_256_96", "is truncated otherwise than RFC 4868 says"},
	{"modp768", "RFC 8247 says MUST NOT"},
	{"modp1024s160", "RFC 8247 says MUST NOT"},
	{"modp1024", "RFC 8247 says SHOULD NOT"},
	{"modp1536", "RFC 8247 says SHOULD NOT"},
	{"modp2048s", "RFC 8247 says SHOULD NOT"}, /* 23 and 24 */
	{"modpnull", "is no key exchange"},
	{"null", "RFC 8247 says MUST NOT"}, /* for IKE */
	{"ecp192", "is weaker than what RFC 8247 has"},
	{"ecp224", "is weaker than what RFC 8247 has"},
};

static const char not_ours[] = "RFC 8247 and RFC 8221 do not ask for it, and it is not here";

/* Known to strongSwan: not typing errors. */
static const char *const others[] = {
	"aes192",      "aes128gcm8",  "aes128gcm12", "aes256gcm8",  "aes256gcm12",  "aes128gcm64",
	"aes128gcm96", "aes256gcm64", "aes256gcm96", "aes128ccm12", "aes256ccm12",  "aes128ccm96",
	"aes256ccm96", "aesxcbc",     "aescmac",     "prfaesxcbc",  "prfaescmac",   "camellia",
	"serpent",     "twofish",     "cast",        "rc5",         "ecp224bp",     "ecp256bp",
	"ecp384bp",    "ecp512bp",    "ntru",        "newhope",     "kyber",        "mlkem",
	"ke1_",        "ke2_",        "ke3_",        "prfcamellia", "camelliaxcbc",
};

/* A peer's protocol can be any byte. */
static bool goes_with(const struct proposal_name *name, unsigned int protocol)
{
	return protocol <= PROPOSAL_ESP && (name->where & 1u << protocol);
}

const struct proposal_name *proposal_name_find(const char *name, enum proposal_protocol protocol)
{
	for (size_t i = 0; i < COUNT(names); i++)
		if (goes_with(&names[i], protocol) && !strcasecmp(names[i].name, name))
			return &names[i];
	return NULL;
}

const struct proposal_name *proposal_name_of(const struct transform *t, unsigned int protocol)
{
	for (size_t i = 0; i < COUNT(names); i++)
		if (names[i].type == t->type && names[i].id == t->id &&
		    names[i].key_bits == t->key_bits &&
		    (!protocol || goes_with(&names[i], protocol)))
			return &names[i];
	return NULL;
}

const char *proposal_name_refused(const char *name)
{
	for (size_t i = 0; i < COUNT(others); i++)
		if (!strncasecmp(name, others[i], strlen(others[i])))
			return not_ours;
	for (size_t i = 0; i < COUNT(refused); i++)
		if (!strncasecmp(name, refused[i].start, strlen(refused[i].start)))
			return refused[i].why;
	return NULL;
}

size_t proposal_names(enum proposal_protocol protocol, const char **to, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT(names) && n < max; i++)
		if (goes_with(&names[i], protocol))
			to[n++] = names[i].name;
	return n;
}
