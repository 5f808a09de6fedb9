/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * X.509 (RFC 5280, RFC 4945): is this peer's certificate good for this identity? Chains to a CA of
 * the config, key usage, names, CRLs. Time is an argument; nothing is fetched.
 */
#ifndef IKED_CERT_H
#define IKED_CERT_H

#include <openssl/evp.h>
#include <time.h>

#include "iked/ident.h"

#define CERT_SIZE_MAX  16384        /* bytes of a certificate's DER; a larger one is refused */
#define CERT_CHAIN_MAX IKE_CERT_MAX /* certificates of a peer, and depth of a chain */
#define CRL_SIZE_MAX   (4 << 20)
#define CERT_HASH_LEN  20 /* SHA-1 of a CA's SubjectPublicKeyInfo, CERTREQ (RFC 7296 3.7) */

/* CA certificates that are trusted, and CRLs. */
struct cert_store;

struct cert_store *cert_store_new(void); /* NULL: no memory */
void cert_store_free(struct cert_store *store);

/*
 * A CA certificate, or a CRL, DER or PEM (of PEM, every one in it). 0; -EINVAL: `why` says what is
 * wrong with it (no CA: basicConstraints, keyUsage); -E2BIG, -ENOMEM. A CA that is there already is
 * no error. CRLs: a newer one of the same issuer takes the place of the older; of a file that is
 * cut off those before the cut are taken, and it is -EINVAL.
 */
int cert_store_add_ca(struct cert_store *store, struct bytes data, char *why, size_t size);
int cert_store_add_crl(struct cert_store *store, struct bytes data, char *why, size_t size);
void cert_store_drop_crls(struct cert_store *store);
/* Those of `old` (it keeps them) whose issuers have no newer one in `store`. 0 or -ENOMEM. */
int cert_store_keep_crls(struct cert_store *store, const struct cert_store *old);
unsigned int cert_store_cas(const struct cert_store *store);

/* Hashes of all its CAs, for CERTREQ: CERT_HASH_LEN bytes each. */
void cert_store_hashes(const struct cert_store *store, struct writer *out);

/* Is that certificate, DER, one of its CAs or does it name one of the hashes as an issuer above it
 * in `chain`? Says which of our certificates answers a CERTREQ. An empty `hashes` asks for any:
 * true. */
bool cert_wanted(const struct bytes *chain, unsigned int n, const struct cert_store *store,
		 struct bytes hashes);

/* strongSwan's `revocation`. */
enum cert_revocation {
	CERT_REVOCATION_RELAXED, /* fails only if a CRL says revoked */
	CERT_REVOCATION_IFURI,   /* strict for certificates that name a CRL's place */
	CERT_REVOCATION_STRICT,  /* a valid, fresh CRL for every certificate below the root */
};

struct cert_policy {
	time_t now;
	enum cert_revocation revocation;
	/* The peer's certificate itself may be given: then only these leafs, DER, are taken, and no
	 * chain is asked for; n_pinned 0: any that a chain is found for. */
	const struct bytes *pinned;
	unsigned int n_pinned;
	/* Only chains through one of these CAs (`cacerts`), hashes of CERT_HASH_LEN bytes; empty:
	 * any. */
	struct bytes cas;
	/* Only chains through a CA of this identity, a pattern that its subject or one of its names
	 * fits (`ca_id`); NULL: any. With `pinned` it asks for a chain as well. */
	const struct ident *ca_id;
	/* Bits that every RSA, resp. every ECDSA key of the chain has at least, that of the anchor
	 * too. 0 beside one that is not: a key of that type is refused (strongSwan's `auth =
	 * rsa-3072-ecdsa-256`). Both 0: as strong as all must be. */
	unsigned int min_rsa, min_ecdsa;
	__u32 hashes; /* 1 << enum ike_hash: of the chain's signatures, but the anchor's; 0: any */
};

struct cert_peer {
	EVP_PKEY *key;          /* own it: EVP_PKEY_free() */
	struct ident *subject;  /* its DN: free() */
	time_t not_after;       /* the earliest end in the chain */
	__u8 ca[CERT_HASH_LEN]; /* the anchor; zero if pinned */
};

void cert_peer_free(struct cert_peer *peer); /* what it holds */

/*
 * `certs[0]` is the peer's own (RFC 7296 3.6), the others, in any order, may help to find a chain.
 * `id` is the identity that it claimed: a DN equals the subject; an address, FQDN or RFC 822 name
 * is one of the subjectAltNames (RFC 4945 3.1; never the CN); a key-id equals the
 * subjectKeyIdentifier.
 *
 * Checked as RFC 5280 6: signatures (none with MD5 or SHA-1; RSA from 2048 bits), times,
 * basicConstraints, path length, keyUsage, name constraints, unknown critical extensions; and RFC
 * 4945 5.1.3: keyUsage of the peer's is digitalSignature or nonRepudiation, extendedKeyUsage, if
 * there, has serverAuth, clientAuth, ikeIntermediate, ipsecIKE or any.
 *
 * 0; -EACCES: refused, `why` says what of which certificate; -EBADMSG: no certificate at all can be
 * read; -ENOMEM. *out is untouched on failure.
 */
int cert_check(const struct cert_store *store, const struct bytes *certs, unsigned int n,
	       const struct ident *id, const struct cert_policy *policy, struct cert_peer *out,
	       char *why, size_t size);

/* Of one certificate, DER: does it bear that identity (as above)? */
bool cert_bears(struct bytes cert, const struct ident *id);

/* Its subject as an identity (NULL: no certificate, no memory), its public key (NULL), what
 * listings tell. */
struct ident *cert_subject(struct bytes cert);
EVP_PKEY *cert_key(struct bytes cert);

/* The subject of the first certificate in PEM or DER, as ident_print() has it. False: there is
 * none, and *to is "". */
bool cert_print_subject(struct bytes data, char *to, size_t size);

/* The identity of an end that has this certificate and is given none: its subject, as strongSwan
 * has it. NULL: that is empty, no certificate, no memory. */
struct ident *cert_default_id(struct bytes cert);

/* PEM or DER to DER, of the first certificate in it. 0, -EINVAL, -ENOMEM. */
int cert_der(struct bytes data, struct writer *out);

#endif
