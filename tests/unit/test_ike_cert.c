// SPDX-License-Identifier: BSD-2-Clause
/* Certificates (RFC 5280, RFC 4945): chains made by OpenSSL, each with one thing wrong. */
#include "tests/unit/cert_fixture.h"

#include <errno.h>

#include "iked/cert.h"

#define CA_USAGE "critical,keyCertSign,cRLSign"
#define CA       .ca = "critical,CA:TRUE", .usage = CA_USAGE
#define EE       .names = "DNS:moon.example.org,email:carol@example.org,IP:192.0.2.1,IP:2001:db8::1"

static struct made root, middle, leaf;

static int open_pki(void **state)
{
	root = make_cert((struct wish){.cn = "root", CA});
	middle = make_cert((struct wish){.cn = "middle", .issuer = &root, CA, .serial = 7});
	leaf = make_cert((struct wish){.cn = "moon",
				       .issuer = &middle,
				       EE,
				       .serial = 8,
				       .usage = "digitalSignature",
				       .until = 90 * DAY});
	return 0;
}

static int close_pki(void **state)
{
	made_free(&root);
	made_free(&middle);
	made_free(&leaf);
	return 0;
}

static struct cert_store *store_of(const struct made *ca)
{
	struct cert_store *store = cert_store_new();
	char why[200];

	assert_non_null(store);
	if (cert_store_add_ca(store, made_bytes(ca), why, sizeof(why)))
		fail_msg("%s", why);
	return store;
}

static struct ident *id_of(const char *text)
{
	struct ident *id;
	char why[200];

	if (ident_parse(text, &id, why, sizeof(why)))
		fail_msg("%s", why);
	return id;
}

/* Of one chain, in the order of the CERT payloads. */
static int check(struct cert_store *store, const struct made *const *chain, unsigned int n,
		 const char *name, const struct cert_policy *policy, char why[300])
{
	const struct cert_policy usual = {.now = NOW};
	struct bytes certs[10];
	struct ident *id = id_of(name);
	struct cert_peer peer = {0};
	int err;

	for (unsigned int i = 0; i < n; i++)
		certs[i] = made_bytes(chain[i]);
	*why = 0;
	err = cert_check(store, certs, n, id, policy ? policy : &usual, &peer, why, 300);
	assert_int_equal(!err, peer.key != NULL);
	if (!err)
		assert_int_equal(EVP_PKEY_eq(peer.key, chain[0]->key), 1);
	else
		assert_true(*why);
	cert_peer_free(&peer);
	free(id);
	return err;
}

static int check_usual(const char *name, char why[300])
{
	const struct made *chain[] = {&leaf, &middle};
	struct cert_store *store = store_of(&root);
	int err = check(store, chain, 2, name, NULL, why);

	cert_store_free(store);
	return err;
}

/* ------------------------------------------------------------------ names */

static const struct {
	const char *name;
	bool fine;
} names[] = {
	{"moon.example.org", true},
	{"MOON.example.org", true},
	{"sun.example.org", false},
	{"example.org", false},
	{"carol@example.org", true},
	{"dave@example.org", false},
	{"192.0.2.1", true},
	{"192.0.2.2", false},
	{"2001:db8::1", true},
	{"2001:db8::2", false},
	{"C=CH, CN=moon", true},
	{"C=CH, CN=sun", false},
	{"CN=moon", false},
	{"dns:moon", false},      /* the CN is no host name */
	{"dns:192.0.2.1", false}, /* an address is none either */
	{"email:moon.example.org@", false},
	{"keyid:moon", false},
};

static void bears_names(void **state)
{
	char why[300], text[200];
	const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(leaf.cert);
	struct ident *id = ident_new(IKE_ID_KEY_ID, BYTES(ASN1_STRING_get0_data(key_id), 20));

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int err = check_usual(names[i].name, why);

		if (err != (names[i].fine ? 0 : -EACCES))
			fail_msg("%s: %d %s", names[i].name, err, why);
	}
	check_usual("sun.example.org", why);
	assert_string_equal(why, "certificate `C=CH, CN=moon`: does not bear the identity "
				 "`sun.example.org`");
	assert_true(cert_bears(made_bytes(&leaf), id));
	assert_false(cert_bears(made_bytes(&root), id));
	free(id);
	id = cert_subject(made_bytes(&leaf));
	ident_print(id, text, sizeof(text));
	assert_string_equal(text, "C=CH, CN=moon");
	free(id);
	assert_null(cert_subject(BYTES("x", 1)));
	assert_null(cert_key(BYTES("x", 1)));
}

/* A star in a certificate is no pattern, and neither is one in what was claimed. */
static void stars(void **state)
{
	struct made star = make_cert(
		(struct wish){.cn = "*", .issuer = &middle, .names = "DNS:*.example.org"});
	const struct made *chain[] = {&star, &middle};
	struct cert_store *store = store_of(&root);
	char why[300];

	assert_int_equal(check(store, chain, 2, "moon.example.org", NULL, why), -EACCES);
	assert_int_equal(check(store, chain, 2, "C=CH, CN=moon", NULL, why), -EACCES);
	assert_int_equal(check(store, chain, 2, "dns:*.example.org", NULL, why), 0);
	cert_store_free(store);
	made_free(&star);
}

/* ------------------------------------------------------------------ chains */

static void finds_chains(void **state)
{
	const struct made *with[] = {&leaf, &middle}, *without[] = {&leaf};
	const struct made *strange[] = {&leaf, &root, &leaf, &middle, &root};
	struct cert_store *store = store_of(&root);
	char why[300];

	assert_int_equal(check(store, with, 2, "moon.example.org", NULL, why), 0);
	assert_int_equal(check(store, strange, 5, "moon.example.org", NULL, why), 0);
	assert_int_equal(check(store, without, 1, "moon.example.org", NULL, why), -EACCES);
	assert_string_equal(why, "certificate `C=CH, CN=moon`: unable to get local issuer "
				 "certificate");
	cert_store_free(store);
	store = store_of(&middle); /* a CA below the root can be what is trusted */
	assert_int_equal(check(store, without, 1, "moon.example.org", NULL, why), 0);
	cert_store_free(store);
}

static void tells_the_end(void **state)
{
	struct bytes certs[] = {made_bytes(&leaf), made_bytes(&middle)};
	struct cert_policy policy = {.now = NOW};
	struct cert_store *store = store_of(&root);
	struct ident *id = id_of("moon.example.org");
	struct writer hashes = {0};
	struct cert_peer peer;
	char why[300];

	assert_int_equal(cert_check(store, certs, 2, id, &policy, &peer, why, sizeof(why)), 0);
	assert_int_equal(peer.not_after, NOW + 90 * DAY);
	cert_store_hashes(store, &hashes);
	assert_int_equal(hashes.len, CERT_HASH_LEN);
	assert_memory_equal(hashes.data, peer.ca, CERT_HASH_LEN);
	cert_peer_free(&peer);
	writer_free(&hashes);
	cert_store_free(store);
	free(id);
}

/* Each with one thing wrong, below the middle or the root. `why` ends in these words. */
struct wrong {
	const char *what;
	struct wish wish;
	const char *why; /* NULL: nothing is wrong */
};

static void check_wrong(struct wrong *w, const struct made *issuer)
{
	struct made made;
	const struct made *chain[] = {&made, issuer};
	struct cert_store *store = store_of(&root);
	char why[300];
	int err;

	w->wish.cn = "moon";
	w->wish.issuer = issuer;
	if (!w->wish.names)
		w->wish.names = "DNS:moon.example.org";
	made = make_cert(w->wish);
	err = check(store, chain, 2, "moon.example.org", NULL, why);
	if (err != (w->why ? -EACCES : 0) || (w->why && !strstr(why, w->why)))
		fail_msg("%s: %d, %s", w->what, err, why);
	made_free(&made);
	cert_store_free(store);
}

static void leafs(void **state)
{
	struct wrong rows[] = {
		{"usual", {.usage = "digitalSignature"}, NULL},
		{"no usage", {.usage = NULL}, NULL},
		{"nonRepudiation", {.usage = "critical,nonRepudiation"}, NULL},
		{"expired", {.from = -2 * DAY, .until = -DAY}, "certificate has expired"},
		{"not yet valid", {.from = DAY}, "certificate is not yet valid"},
		{"wrong usage",
		 {.usage = "keyEncipherment"},
		 "keyUsage has neither digitalSignature nor nonRepudiation"},
		{"code signing", {.extended = "codeSigning"}, "extendedKeyUsage has none"},
		{"server", {.extended = "serverAuth"}, NULL},
		{"client and mail", {.extended = "emailProtection,clientAuth"}, NULL},
		{"ipsecIKE", {.extended = "critical,1.3.6.1.5.5.7.3.17"}, NULL},
		{"ikeIntermediate", {.extended = "1.3.6.1.5.5.8.2.2"}, NULL},
		{"any", {.extended = "anyExtendedKeyUsage"}, NULL},
		{"unknown critical", {.critical = true}, "unhandled critical extension"},
		{"no name", {.names = "DNS:sun.example.org"}, "does not bear the identity"},
		{"RSA of 1024 bits", {.key = EVP_RSA_gen(1024)}, "key too weak"},
		{"RSA of 2048 bits", {.key = EVP_RSA_gen(2048)}, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_wrong(&rows[i], &middle);
}

/* What signs: RSA both ways, ECDSA, Ed25519, Ed448; and what must not. */
static void signers(void **state)
{
	struct {
		const char *what;
		EVP_PKEY *key;
		struct wrong row;
	} rows[] = {
		{"RSA PKCS#1", EVP_RSA_gen(2048), {"", {.md = EVP_sha512()}, NULL}},
		{"RSA PSS", EVP_RSA_gen(2048), {"", {.pss = true}, NULL}},
		{"ECDSA P-384", EVP_EC_gen("P-384"), {"", {.md = EVP_sha384()}, NULL}},
		{"ECDSA P-521", EVP_EC_gen("P-521"), {"", {.md = EVP_sha512()}, NULL}},
		{"Ed25519", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), {"", {.no_md = true}, NULL}},
		{"Ed448", EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), {"", {.no_md = true}, NULL}},
		{"SHA-1", EVP_RSA_gen(2048), {"", {.md = EVP_sha1()}, "too weak"}},
		{"MD5", EVP_RSA_gen(2048), {"", {.md = EVP_md5()}, "too weak"}},
		{"RSA of 1024 bits", EVP_RSA_gen(1024), {"", {.md = EVP_sha256()}, "key too weak"}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct made ca = make_cert(
			(struct wish){.cn = "middle", .issuer = &root, CA, .key = rows[i].key});

		rows[i].row.what = rows[i].what;
		check_wrong(&rows[i].row, &ca);
		made_free(&ca);
	}
}

static void issuers(void **state)
{
	struct wrong rows[] = {
		{"no CA", {.ca = "CA:FALSE"}, "invalid CA certificate"},
		{"no basicConstraints", {.ca = NULL}, "invalid CA certificate"},
		{"no keyCertSign",
		 {.ca = "critical,CA:TRUE", .usage = "cRLSign"},
		 "invalid CA certificate"},
		{"expired", {CA, .from = -2 * DAY, .until = -DAY}, "certificate has expired"},
		{"v1", {.v1 = true}, "invalid CA certificate"},
		{"unknown critical", {CA, .critical = true}, "unhandled critical extension"},
		{"other names",
		 {CA, .constraints = "critical,permitted;DNS:example.com"},
		 "permitted subtree violation"},
		{"these names", {CA, .constraints = "critical,permitted;DNS:example.org"}, NULL},
		{"excluded",
		 {CA, .constraints = "critical,excluded;DNS:moon.example.org"},
		 "excluded subtree violation"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wish wish = rows[i].wish;
		struct wrong below = {rows[i].what, {.ca = NULL}, rows[i].why};
		struct made ca;

		wish.cn = "middle";
		wish.issuer = &root;
		ca = make_cert(wish);
		check_wrong(&below, &ca);
		made_free(&ca);
	}
}

static void path_length(void **state)
{
	struct made top = make_cert(
		(struct wish){.cn = "root", .ca = "critical,CA:TRUE,pathlen:0", .usage = CA_USAGE});
	struct made ca = make_cert((struct wish){.cn = "middle", .issuer = &top, CA});
	struct made below = make_cert((struct wish){.cn = "moon", .issuer = &ca, EE});
	struct made direct = make_cert((struct wish){.cn = "moon", .issuer = &top, EE});
	const struct made *chain[] = {&below, &ca}, *one[] = {&direct};
	struct cert_store *store = store_of(&top);
	char why[300];

	assert_int_equal(check(store, one, 1, "moon.example.org", NULL, why), 0);
	assert_int_equal(check(store, chain, 2, "moon.example.org", NULL, why), -EACCES);
	assert_non_null(strstr(why, "path length constraint exceeded"));
	cert_store_free(store);
	made_free(&top);
	made_free(&ca);
	made_free(&below);
	made_free(&direct);
}

/* A chain that is longer than what one message can carry. */
static void depth(void **state)
{
	struct made cas[CERT_CHAIN_MAX + 2], below;
	const struct made *chain[CERT_CHAIN_MAX];
	const struct made *issuer = &root;
	struct cert_store *store = store_of(&root);
	char why[300];
	unsigned int n = CERT_CHAIN_MAX + 2;

	for (unsigned int i = 0; i < n; i++) {
		cas[i] = make_cert((struct wish){.cn = "ca", .issuer = issuer, CA});
		if (cert_store_add_ca(store, made_bytes(&cas[i]), why, sizeof(why)))
			fail_msg("%s", why);
		issuer = &cas[i];
	}
	cert_store_free(store);
	store = store_of(&root);
	below = make_cert((struct wish){.cn = "moon", .issuer = issuer, EE});
	chain[0] = &below;
	for (unsigned int i = 1; i < CERT_CHAIN_MAX; i++)
		chain[i] = &cas[n - i];
	assert_int_equal(check(store, chain, CERT_CHAIN_MAX, "moon.example.org", NULL, why),
			 -EACCES);
	cert_store_free(store);
	made_free(&below);
	for (unsigned int i = 0; i < n; i++)
		made_free(&cas[i]);
}

static void forged(void **state)
{
	struct made evil = make_cert((struct wish){.cn = "middle", CA}); /* same name, other key */
	struct made below = make_cert((struct wish){.cn = "moon", .issuer = &evil, EE});
	const struct made *chain[] = {&below, &middle, &evil};
	struct cert_store *store = store_of(&root);
	struct bytes certs[2] = {made_bytes(&leaf), made_bytes(&middle)};
	struct cert_policy policy = {.now = NOW};
	struct ident *id = id_of("moon.example.org");
	char why[300];

	assert_int_equal(check(store, chain, 3, "moon.example.org", NULL, why), -EACCES);
	for (size_t i = 0; i < leaf.len; i++) {
		__u8 *copy = exact_copy(leaf.der, leaf.len);
		struct cert_peer peer = {0};

		copy[i] ^= 1;
		certs[0] = BYTES(copy, leaf.len);
		assert_int_not_equal(
			cert_check(store, certs, 2, id, &policy, &peer, why, sizeof(why)), 0);
		assert_null(peer.key);
		free(copy);
	}
	for (size_t n = 0; n < leaf.len; n++) {
		__u8 *copy = exact_copy(leaf.der, n);
		struct cert_peer peer;

		certs[0] = BYTES(copy, n);
		assert_int_equal(cert_check(store, certs, 2, id, &policy, &peer, why, sizeof(why)),
				 -EBADMSG);
		free(copy);
	}
	assert_int_equal(cert_check(store, NULL, 0, id, &policy, NULL, why, sizeof(why)), -EBADMSG);
	free(id);
	cert_store_free(store);
	made_free(&evil);
	made_free(&below);
}

/* ------------------------------------------------------------------ revocation */

#define RELAXED CERT_REVOCATION_RELAXED
#define IFURI   CERT_REVOCATION_IFURI
#define STRICT  CERT_REVOCATION_STRICT

/* Which CRLs there are, and what each policy says. Serial numbers: the middle is 7, the leaf 8. */
static const struct {
	const char *what;
	int from_root, from_middle; /* -1: no CRL; else the serial that it revokes */
	long root_until, middle_until;
	bool fine[3]; /* relaxed, ifuri (no certificate names a place), strict */
} revocations[] = {
	{"no CRL", -1, -1, 0, 0, {true, true, false}},
	{"good ones", 0, 0, DAY, DAY, {true, true, true}},
	{"leaf revoked", 0, 8, DAY, DAY, {false, false, false}},
	{"CA revoked", 7, 0, DAY, DAY, {false, false, false}},
	{"others revoked", 9, 9, DAY, DAY, {true, true, true}},
	{"the leaf's is missing", 0, -1, DAY, DAY, {true, true, false}},
	{"the CA's is missing", -1, 0, DAY, DAY, {true, true, false}},
	{"the leaf's is stale", 0, 0, DAY, -60, {true, true, false}},
	{"stale, but it says revoked", 0, 8, DAY, -60, {false, false, false}},
};

static void revocation(void **state)
{
	const struct made *chain[] = {&leaf, &middle};

	for (size_t i = 0; i < sizeof(revocations) / sizeof(revocations[0]); i++) {
		struct cert_store *store = store_of(&root);
		char why[300];

		for (int ca = 0; ca < 2; ca++) {
			int serial = ca ? revocations[i].from_middle : revocations[i].from_root;
			long until = ca ? revocations[i].middle_until : revocations[i].root_until;
			struct bytes crl;

			if (serial < 0)
				continue;
			crl = make_crl(ca ? &middle : &root, serial, -3600, until);
			assert_int_equal(cert_store_add_crl(store, crl, why, sizeof(why)), 0);
			free((void *)crl.data);
		}
		for (unsigned int policy = RELAXED; policy <= STRICT; policy++) {
			struct cert_policy how = {.now = NOW, .revocation = policy};
			int err = check(store, chain, 2, "moon.example.org", &how, why);

			if ((err == 0) != revocations[i].fine[policy])
				fail_msg("%s, policy %u: %d %s", revocations[i].what, policy, err,
					 why);
		}
		cert_store_drop_crls(store);
		{
			struct cert_policy how = {.now = NOW, .revocation = RELAXED};

			assert_int_equal(check(store, chain, 2, "moon.example.org", &how, why), 0);
		}
		cert_store_free(store);
	}
}

static void revocation_words(void **state)
{
	const struct made *chain[] = {&leaf, &middle};
	struct cert_store *store = store_of(&root);
	struct cert_policy strict = {.now = NOW, .revocation = STRICT};
	struct bytes crl = make_crl(&middle, 8, -3600, DAY);
	char why[300];

	assert_int_equal(check(store, chain, 2, "moon.example.org", &strict, why), -EACCES);
	assert_string_equal(why, "certificate `C=CH, CN=moon`: unable to get certificate CRL");
	cert_store_add_crl(store, crl, why, sizeof(why));
	assert_int_equal(check(store, chain, 2, "moon.example.org", NULL, why), -EACCES);
	assert_string_equal(why, "certificate `C=CH, CN=moon`: certificate revoked");
	free((void *)crl.data);
	cert_store_free(store);
}

/* A CRL that somebody else signed, and certificates that name a CRL's place. */
static void crl_of_others(void **state)
{
	struct made evil = make_cert((struct wish){.cn = "middle", CA});
	struct made uri = make_cert((struct wish){
		.cn = "moon", .issuer = &middle, EE, .crl_place = "URI:http://crl.example.org/x"});
	const struct made *chain[] = {&leaf, &middle}, *with_uri[] = {&uri, &middle};
	struct cert_policy strict = {.now = NOW, .revocation = STRICT};
	struct cert_policy ifuri = {.now = NOW, .revocation = IFURI};
	struct cert_store *store = store_of(&root);
	struct bytes a = make_crl(&evil, 0, -3600, DAY), b = make_crl(&root, 0, -3600, DAY);
	char why[300];

	cert_store_add_crl(store, a, why, sizeof(why));
	cert_store_add_crl(store, b, why, sizeof(why));
	assert_int_equal(check(store, chain, 2, "moon.example.org", &strict, why), -EACCES);
	assert_int_equal(check(store, chain, 2, "moon.example.org", &ifuri, why), 0);
	assert_int_equal(check(store, with_uri, 2, "moon.example.org", &ifuri, why), -EACCES);
	assert_int_equal(check(store, with_uri, 2, "moon.example.org", NULL, why), 0);
	free((void *)a.data);
	free((void *)b.data);
	cert_store_free(store);
	made_free(&evil);
	made_free(&uri);
}

/* A newer CRL takes the place of an older one, never the other way round. */
static void newer_crls(void **state)
{
	const struct made *chain[] = {&leaf, &middle};
	struct cert_store *store = store_of(&root);
	struct bytes old = make_crl(&middle, 0, -7200, DAY), new = make_crl(&middle, 8, -3600, DAY);
	char why[300];

	assert_int_equal(cert_store_add_crl(store, old, why, sizeof(why)), 0);
	assert_int_equal(check(store, chain, 2, "moon.example.org", NULL, why), 0);
	assert_int_equal(cert_store_add_crl(store, new, why, sizeof(why)), 0);
	assert_int_equal(cert_store_add_crl(store, old, why, sizeof(why)), 0);
	assert_int_equal(check(store, chain, 2, "moon.example.org", NULL, why), -EACCES);
	assert_int_equal(cert_store_add_crl(store, BYTES("x", 1), why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "is no CRL, DER or PEM");
	assert_int_equal(cert_store_add_crl(store, BYTES_NONE, why, sizeof(why)), -EINVAL);
	free((void *)old.data);
	free((void *)new.data);
	cert_store_free(store);
}

static struct bytes pem_of_two(const struct made *one, const struct made *two)
{
	const struct made *issuer[] = {one, two};
	BIO *bio = BIO_new(BIO_s_mem());
	struct bytes pem;
	char *data;

	for (int i = 0; i < 2; i++) {
		struct bytes der = make_crl(issuer[i], i ? 8 : 0, -3600, DAY);
		const unsigned char *at = der.data;
		X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der.len);

		PEM_write_bio_X509_CRL(bio, crl);
		X509_CRL_free(crl);
		free((void *)der.data);
	}
	pem.len = (size_t)BIO_get_mem_data(bio, &data);
	pem.data = exact_copy(data, pem.len);
	BIO_free(bio);
	return pem;
}

/* At whatever byte a file is cut off that somebody is writing, that is an error, and what was
 * revoked before stays revoked. */
static void crl_cut_off(void **state)
{
	const struct made *chain[] = {&leaf, &middle};
	struct bytes pem = pem_of_two(&root, &middle);
	struct bytes new = make_crl(&middle, 0, -60, DAY);
	struct cert_store *before = store_of(&root), *after;
	char why[300];

	assert_int_equal(cert_store_add_crl(before, pem, why, sizeof(why)), 0);
	for (size_t len = 0; len < pem.len - 1; len++) {
		/* where the first one ends, nobody can tell */
		bool whole = strstr((const char *)pem.data, "-----END X509 CRL-----\n-") + 22 ==
				     (const char *)pem.data + len ||
			     strstr((const char *)pem.data, "-----END X509 CRL-----\n-") + 23 ==
				     (const char *)pem.data + len;
		struct bytes cut = BYTES(exact_copy(pem.data, len), len);

		after = store_of(&root);
		if ((cert_store_add_crl(after, cut, why, sizeof(why)) == 0) != whole)
			fail_msg("cut off at %zu of %zu", len, pem.len);
		assert_int_equal(check(after, chain, 2, "moon.example.org", NULL, why), 0);
		assert_int_equal(cert_store_keep_crls(after, before), 0);
		assert_int_equal(check(after, chain, 2, "moon.example.org", NULL, why), -EACCES);
		cert_store_free(after);
		free((void *)cut.data);
	}
	/* a newer one that has come counts */
	after = store_of(&root);
	assert_int_equal(cert_store_add_crl(after, new, why, sizeof(why)), 0);
	assert_int_equal(cert_store_keep_crls(after, before), 0);
	cert_store_free(before);
	assert_int_equal(check(after, chain, 2, "moon.example.org", NULL, why), 0);
	cert_store_free(after);
	free((void *)new.data);
	free((void *)pem.data);
}

/* ------------------------------------------------------------------ policies */

static void pinned(void **state)
{
	struct made own = make_cert((struct wish){.cn = "moon", EE}), old, weak;
	struct bytes allowed[] = {made_bytes(&root), made_bytes(&own)};
	struct cert_policy policy = {.now = NOW, .pinned = allowed, .n_pinned = 2};
	const struct made *chain[] = {&own}, *other[] = {&leaf, &middle};
	struct cert_store *store = store_of(&root);
	char why[300];

	assert_int_equal(check(store, chain, 1, "moon.example.org", &policy, why), 0);
	assert_int_equal(check(store, chain, 1, "sun.example.org", &policy, why), -EACCES);
	assert_int_equal(check(store, other, 2, "moon.example.org", &policy, why), -EACCES);
	assert_non_null(strstr(why, "is not the one that the config has"));
	assert_int_equal(check(store, chain, 1, "moon.example.org", NULL, why), -EACCES);
	policy.now = NOW + 400 * DAY;
	assert_int_equal(check(store, chain, 1, "moon.example.org", &policy, why), -EACCES);
	policy.now = NOW - 2 * DAY;
	assert_int_equal(check(store, chain, 1, "moon.example.org", &policy, why), -EACCES);
	policy.now = NOW;
	weak = make_cert((struct wish){.cn = "moon", EE, .key = EVP_RSA_gen(1024)});
	old = make_cert((struct wish){.cn = "moon", EE, .usage = "keyEncipherment"});
	allowed[0] = made_bytes(&weak);
	allowed[1] = made_bytes(&old);
	chain[0] = &weak;
	assert_int_equal(check(store, chain, 1, "moon.example.org", &policy, why), -EACCES);
	assert_non_null(strstr(why, "key is too weak"));
	chain[0] = &old;
	assert_int_equal(check(store, chain, 1, "moon.example.org", &policy, why), -EACCES);
	cert_store_free(store);
	made_free(&own);
	made_free(&old);
	made_free(&weak);
}

static void below_one_ca(void **state)
{
	struct made second = make_cert((struct wish){.cn = "second", CA});
	const struct made *chain[] = {&leaf, &middle};
	struct cert_store *store = store_of(&root), *only = store_of(&second),
			  *below = store_of(&middle);
	struct writer other = {0}, right = {0};
	struct cert_policy policy = {.now = NOW};
	char why[300];

	assert_int_equal(cert_store_add_ca(store, made_bytes(&second), why, sizeof(why)), 0);
	assert_int_equal(cert_store_add_ca(store, made_bytes(&second), why, sizeof(why)), 0);
	assert_int_equal(cert_store_cas(store), 2);
	cert_store_hashes(only, &other);
	cert_store_hashes(below, &right);
	policy.cas = writer_view(&other);
	assert_int_equal(check(store, chain, 2, "moon.example.org", &policy, why), -EACCES);
	assert_non_null(strstr(why, "is not below one of the CAs"));
	policy.cas = writer_view(&right); /* one on the way, not the anchor */
	assert_int_equal(check(store, chain, 2, "moon.example.org", &policy, why), 0);
	writer_free(&other);
	writer_free(&right);
	cert_store_free(store);
	cert_store_free(only);
	cert_store_free(below);
	made_free(&second);
}

/* ca_id: the subject, or a name, of the anchor or of one on the way; never of the peer's own. */
static void below_ca_id(void **state)
{
	struct made named = make_cert(
		(struct wish){.cn = "named", .issuer = &root, .names = "DNS:ca.example.org", CA});
	struct made end = make_cert(
		(struct wish){.cn = "moon", .issuer = &named, .names = "DNS:moon.example.org"});
	const struct made *chain[] = {&end, &named};
	struct bytes pinned[] = {made_bytes(&end)};
	static const struct {
		const char *ca_id;
		bool fine;
	} cases[] = {{"C=CH, CN=root", true},     {"C=CH, CN=named", true},
		     {"C=CH, CN=*", true},        {"ca.example.org", true},
		     {"C=CH, CN=moon", false},    {"C=CH, CN=other", false},
		     {"moon.example.org", false}, {"CN=root", false}};
	struct cert_store *store = store_of(&root);
	char why[300];

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct ident *ca_id = id_of(cases[i / 2].ca_id);
		/* who is in the config itself is below such a CA all the same */
		struct cert_policy policy = {
			.now = NOW, .ca_id = ca_id, .pinned = pinned, .n_pinned = i % 2};
		int err = check(store, chain, 2, "moon.example.org", &policy, why);

		if (err != (cases[i / 2].fine ? 0 : -EACCES))
			fail_msg("%s: %d %s", cases[i / 2].ca_id, err, why);
		if (err)
			assert_non_null(strstr(why, "which ca_id asks for"));
		free(ca_id);
	}
	cert_store_free(store);
	made_free(&named);
	made_free(&end);
}

/* auth = rsa-3072-ecdsa-384-sha384 and its like: every key from the peer's own to the anchor's,
 * each by its type, and every signature but that of the anchor. */
static void strengths(void **state)
{
	struct made ca = make_cert((struct wish){.cn = "strong", CA, .key = EVP_RSA_gen(3072)});
	struct made way = make_cert((struct wish){
		.cn = "way", .issuer = &ca, CA, .key = EVP_EC_gen("P-384"), .md = EVP_sha384()});
	struct made end = make_cert((struct wish){
		.cn = "moon", .issuer = &way, EE, .key = EVP_EC_gen("P-521"), .md = EVP_sha512()});
	struct made edwards =
		make_cert((struct wish){.cn = "moon",
					.issuer = &way,
					EE,
					.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
					.md = EVP_sha384()});
	const struct made *chain[] = {&end, &way}, *bent[] = {&edwards, &way};
	struct bytes pinned[] = {made_bytes(&end)};
	const __u32 sha384 = 1U << IKE_HASH_SHA384, sha512 = 1U << IKE_HASH_SHA512;
	const struct {
		unsigned int min_rsa, min_ecdsa;
		__u32 hashes;
		const struct made **chain;
		unsigned int n_pinned;
		const char *why; /* NULL: fine */
	} rows[] = {
		{0, 0, 0, chain, 0, NULL},
		{3072, 384, 0, chain, 0, NULL},
		{3072, 256, 0, chain, 0, NULL},
		{3073, 256, 0, chain, 0, "CN=strong`: its RSA key has 3072 bits"},
		{3072, 385, 0, chain, 0, "CN=way`: its ECDSA key has 384 bits"},
		{3072, 522, 0, chain, 0, "CN=moon`: its ECDSA key has 521 bits"},
		{0, 256, 0, chain, 0, "CN=strong`: its key is RSA, for which"},
		{3072, 0, 0, chain, 0, "its key is ECDSA, for which"},
		{3072, 384, 0, bent, 0, NULL},
		{0, 0, sha384 | sha512, chain, 0, NULL},
		{0, 0, sha384, chain, 0, "CN=moon`: is signed with a hash that"},
		{0, 0, sha512, chain, 0, "CN=way`: is signed with a hash that"},
		{0, 521, 0, chain, 1, NULL},
		{0, 522, 0, chain, 1, "its ECDSA key has 521 bits"},
	};
	struct cert_store *store = store_of(&ca);
	char why[300];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert_policy policy = {.now = NOW,
					     .min_rsa = rows[i].min_rsa,
					     .min_ecdsa = rows[i].min_ecdsa,
					     .hashes = rows[i].hashes,
					     .pinned = pinned,
					     .n_pinned = rows[i].n_pinned};
		int err = check(store, rows[i].chain, 2, "moon.example.org", &policy, why);

		if (err != (rows[i].why ? -EACCES : 0) || (err && !strstr(why, rows[i].why)))
			fail_msg("row %zu: %d %s", i, err, why);
	}
	cert_store_free(store);
	made_free(&ca);
	made_free(&way);
	made_free(&end);
	made_free(&edwards);
}

/* Which of our certificates answers a CERTREQ (RFC 7296 3.7). */
static void certreq(void **state)
{
	struct bytes full[] = {made_bytes(&leaf), made_bytes(&middle)};
	struct cert_store *store = store_of(&root);
	struct writer of_root = {0}, hashes = {0};
	__u8 strange[3 * CERT_HASH_LEN] = {1};

	cert_store_hashes(store, &of_root);
	writer_bytes(&hashes, BYTES(strange, 2 * CERT_HASH_LEN));
	writer_bytes(&hashes, writer_view(&of_root));
	assert_true(cert_wanted(full, 2, store, writer_view(&hashes)));
	assert_false(cert_wanted(full, 2, NULL, writer_view(&hashes))); /* root not at hand */
	assert_false(cert_wanted(full, 1, store, writer_view(&hashes)));
	assert_false(cert_wanted(full, 2, store, BYTES(strange, 60)));
	assert_true(cert_wanted(full, 1, NULL, BYTES_NONE));
	assert_false(cert_wanted(NULL, 0, store, BYTES_NONE));
	writer_free(&of_root);
	writer_free(&hashes);
	cert_store_free(store);
}

static void files(void **state)
{
	struct cert_store *store = cert_store_new();
	BIO *bio = BIO_new(BIO_s_mem());
	struct writer der = {0};
	char why[200], *pem;
	long len;

	PEM_write_bio_X509(bio, root.cert);
	PEM_write_bio_X509(bio, middle.cert);
	len = BIO_get_mem_data(bio, &pem);
	assert_int_equal(cert_store_add_ca(store, BYTES(pem, (size_t)len), why, sizeof(why)), 0);
	assert_int_equal(cert_store_cas(store), 2);
	assert_int_equal(cert_der(BYTES(pem, (size_t)len), &der), 0);
	assert_true(bytes_equal(writer_view(&der), made_bytes(&root)));
	writer_reset(&der);
	assert_int_equal(cert_der(made_bytes(&leaf), &der), 0);
	assert_int_equal(cert_der(BYTES("x", 1), &der), -EINVAL);
	assert_int_equal(cert_store_add_ca(store, made_bytes(&leaf), why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "is no CA: basicConstraints lacks CA, or keyUsage lacks "
				 "keyCertSign");
	assert_int_equal(cert_store_add_ca(store, BYTES("x", 1), why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "is no certificate, DER or PEM");
	BIO_free(bio);
	writer_free(&der);
	cert_store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bears_names),   cmocka_unit_test(stars),
		cmocka_unit_test(finds_chains),  cmocka_unit_test(tells_the_end),
		cmocka_unit_test(leafs),         cmocka_unit_test(signers),
		cmocka_unit_test(issuers),       cmocka_unit_test(path_length),
		cmocka_unit_test(depth),         cmocka_unit_test(forged),
		cmocka_unit_test(revocation),    cmocka_unit_test(revocation_words),
		cmocka_unit_test(crl_of_others), cmocka_unit_test(newer_crls),
		cmocka_unit_test(crl_cut_off),   cmocka_unit_test(pinned),
		cmocka_unit_test(below_one_ca),  cmocka_unit_test(below_ca_id),
		cmocka_unit_test(certreq),       cmocka_unit_test(files),
		cmocka_unit_test(strengths),
	};

	return cmocka_run_group_tests(tests, open_pki, close_pki);
}
