// SPDX-License-Identifier: BSD-2-Clause
/* What the parent of xipsec-iked reads of keys, certificates and CRLs, and which of them it uses.
 */
#include "tests/unit/cert_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "iked/cert.h"
#include "iked/clients.h"
#include "iked/creds.h"
#include "lib/config.h"
#include "tests/lib/mapping.h"

#define CA .ca = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign"

static struct made root, middle, moon, sun;
static char dir[64];
static const char *secrets_text = ""; /* more of secrets {} */

static void path_of(char path[160], const char *name)
{
	snprintf(path, 160, "%s/%s", dir, name);
}

static void put(const char *name, struct bytes data, mode_t mode)
{
	char path[160];
	FILE *file;

	path_of(path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(data.data, 1, data.len, file), data.len);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* `passphrase` NULL: not encrypted. */
static void put_key(const char *name, EVP_PKEY *key, const char *passphrase, mode_t mode)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long len;

	PEM_write_bio_PrivateKey(bio, key, passphrase ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
				 (void *)passphrase);
	len = BIO_get_mem_data(bio, &pem);
	put(name, BYTES(pem, (size_t)len), mode);
	BIO_free(bio);
}

static void config_text(const char *local_certs)
{
	char text[1024];
	int len = snprintf(text, sizeof(text),
			   "iked { credentials = %s }\n"
			   "connections { c {\n"
			   "local { auth = pubkey\ncerts = %s\nid = moon.example.org }\n"
			   "remote { auth = pubkey\nid = sun.example.org }\n"
			   "children { n { remote_ts = 10.2.0.0/16 } } } }\n"
			   "secrets {\n"
			   "ike-moon { id = moon.example.org\nsecret = \"of moon\" }\n"
			   "ike-both { id-1 = moon.example.org\nid-2 = sun.example.org\n"
			   "secret = \"of both\" }\n"
			   "ike-all { secret = \"of all\" }\n%s}\n",
			   dir, local_certs, secrets_text);

	put("xipsec.conf", BYTES(text, (size_t)len), 0600);
}

static struct creds *load(struct config **config)
{
	struct creds *creds;
	char path[160];

	path_of(path, "xipsec.conf");
	assert_int_equal(config_load(path, config, stderr), 0);
	creds = creds_load(*config);
	assert_non_null(creds);
	return creds;
}

static int setup(void **state)
{
	static const char *const folders[] = {"x509", "x509ca", "x509crl", "private", "ecdsa"};
	struct bytes crl;
	char path[160];

	if (creds_init())
		return -1;
	strcpy(dir, "/tmp/xipsec-creds-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		path_of(path, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	root = make_cert((struct wish){.cn = "root", CA});
	middle = make_cert((struct wish){.cn = "middle", .issuer = &root, CA});
	moon = make_cert((struct wish){.cn = "moon", .issuer = &middle});
	sun = make_cert((struct wish){.cn = "sun", .issuer = &root});
	put("x509/moon.der", made_bytes(&moon), 0644);
	put("x509/sun.der", made_bytes(&sun), 0644);
	put("x509ca/middle.der", made_bytes(&middle), 0644);
	put("x509ca/root.der", made_bytes(&root), 0644);
	put_key("private/moon.pem", moon.key, NULL, 0600);
	put_key("ecdsa/sun.pem", sun.key, NULL, 0600); /* as swanctl has it */
	crl = make_crl(&root, 5, -DAY, DAY);
	put("x509crl/root.crl", crl, 0644);
	free((void *)crl.data);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {
		"x509/moon.der",    "x509/sun.der",  "x509ca/middle.der", "x509ca/root.der",
		"private/moon.pem", "ecdsa/sun.pem", "x509crl/root.crl",  "x509",
		"x509ca",           "x509crl",       "private",           "ecdsa",
		"other.pem",        "xipsec.conf"};
	char path[160];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_of(path, names[i]);
		remove(path);
	}
	made_free(&root);
	made_free(&middle);
	made_free(&moon);
	made_free(&sun);
	return rmdir(dir);
}

static void assert_psk(const struct creds *creds, const char *me, const char *other,
		       const char *want)
{
	struct ident *ids[2] = {NULL, NULL};
	struct bytes got;
	char why[160];

	assert_int_equal(me ? ident_parse(me, &ids[0], why, sizeof(why)) : 0, 0);
	assert_int_equal(other ? ident_parse(other, &ids[1], why, sizeof(why)) : 0, 0);
	got = creds_psk(creds, ids[0], ids[1]);
	if (!bytes_equal(got, BYTES(want, strlen(want))))
		fail_msg("%s, %s: %.*s", me ? me : "-", other ? other : "-", (int)got.len,
			 got.data ? (const char *)got.data : "none");
	free(ids[0]);
	free(ids[1]);
}

/* Who the other is counts more than who we are; without owners it is everybody's. */
static void psk_of_its_owners(void **state)
{
	struct config *config;
	struct creds *creds;

	config_text("moon.der");
	creds = load(&config);
	assert_psk(creds, "sun.example.org", "moon.example.org", "of both");
	assert_psk(creds, "star.example.org", "moon.example.org", "of moon");
	assert_psk(creds, NULL, "moon.example.org", "of moon");
	assert_psk(creds, "moon.example.org", "sun.example.org", "of both");
	assert_psk(creds, "star.example.org", "venus.example.org", "of all");
	assert_psk(creds, NULL, NULL, "of all");
	creds_free(creds);
	config_free(config);
}

/* Who shares a secret with us is not believed to be another, who has none. */
static void psk_of_a_pair(void **state)
{
	char *pair[] = {"moon.example.org", "sun.example.org"}, *road = "*.road.example.org";
	struct conn_secret secret = {.kind = CONN_SECRET_IKE,
				     .name = "pair",
				     .owners = {.n = 2, .text = pair},
				     .data = (__u8 *)"pair",
				     .len = 4};
	struct config config = {0};
	struct creds *creds = creds_load(&config);

	assert_non_null(creds);
	creds_add_psk(creds, &secret);
	assert_psk(creds, "moon.example.org", "sun.example.org", "pair");
	assert_psk(creds, "sun.example.org", "moon.example.org", "pair");
	assert_psk(creds, "moon.example.org", "venus.example.org", "");
	assert_psk(creds, "moon.example.org", NULL, "pair"); /* who answers is not known yet */
	assert_psk(creds, "star.example.org", NULL, "");
	pair[1] = road;
	creds_add_psk(creds, &secret);
	assert_psk(creds, "moon.example.org", "a.road.example.org", "pair");
	assert_psk(creds, "moon.example.org", "venus.example.org", "");
	secret.owners.n = 1;
	creds_add_psk(creds, &secret);
	assert_psk(creds, "moon.example.org", "venus.example.org", "pair");
	creds_free(creds);
}

/* Whatever coredump_filter says: pages with secrets are not for dumps, nor for swap. */
static void secrets_are_in_memory_of_their_own(void **state)
{
	size_t before = CRYPTO_secure_used();
	struct ident *me, *other;
	struct config *config;
	struct creds *creds;
	char why[160];
	struct bytes psk;

	config_text("moon.der");
	creds = load(&config);

	assert_int_equal(ident_parse("moon.example.org", &me, why, sizeof(why)), 0);
	assert_int_equal(ident_parse("sun.example.org", &other, why, sizeof(why)), 0);
	psk = creds_psk(creds, me, other);
	assert_true(psk.len > 0);
	assert_true(CRYPTO_secure_allocated(psk.data));
	assert_true(mapping_has(psk.data, " dd"));
	assert_true(mapping_has(psk.data, " lo"));
#ifndef __SANITIZE_ADDRESS__
	assert_false(mapping_has(creds, " dd")); /* the control: ordinary memory */
#endif
	/* three PSKs, and the private parts of two keys */
	assert_true(CRYPTO_secure_used() >= before + 5 * 32);
	creds_free(creds);
	assert_int_equal(CRYPTO_secure_used(), before);
	config_free(config);
	free(me);
	free(other);
}

/* One whose owner cannot be read is nobody's, not everybody's. */
static void psk_that_lost_its_owner(void **state)
{
	char *owner = "keyid:0x0";
	struct conn_secret secret = {.kind = CONN_SECRET_IKE,
				     .name = "lost",
				     .owners = {.n = 1, .text = &owner},
				     .data = (__u8 *)"lost",
				     .len = 4};
	struct config config = {0};
	struct creds *creds = creds_load(&config);

	assert_non_null(creds);
	creds_add_psk(creds, &secret);
	assert_psk(creds, "moon.example.org", "sun.example.org", "");
	owner = "sun.example.org";
	creds_add_psk(creds, &secret);
	assert_psk(creds, "moon.example.org", "sun.example.org", "lost");
	assert_psk(creds, NULL, "venus.example.org", "");
	creds_free(creds);
}

static void key_of_each_certificate(void **state)
{
	struct config *config;
	struct creds *creds;

	config_text("moon.der, sun.der");
	creds = load(&config);
	assert_int_equal(EVP_PKEY_eq(creds_key(creds, made_bytes(&moon)), moon.key), 1);
	assert_int_equal(EVP_PKEY_eq(creds_key(creds, made_bytes(&sun)), sun.key), 1);
	assert_null(creds_key(creds, made_bytes(&root))); /* its key is not here */
	creds_free(creds);
	config_free(config);
}

/* A key that others can read is not used, wherever it lies. */
static void key_that_others_may_read(void **state)
{
	static const mode_t modes[] = {0644, 0640, 0604, 0660};
	struct config *config;
	struct creds *creds;
	char path[160];

	path_of(path, "private/moon.pem");
	config_text("moon.der, sun.der");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		creds = load(&config);
		assert_null(creds_key(creds, made_bytes(&moon)));
		assert_non_null(creds_key(creds, made_bytes(&sun)));
		creds_free(creds);
		config_free(config);
	}
	assert_int_equal(chmod(path, 0600), 0);
}

/* What is written to standard error meanwhile, in `said`. */
static struct creds *load_and_hear(struct config **config, char *said, size_t size)
{
	int old = dup(STDERR_FILENO), file = memfd_create("said", MFD_CLOEXEC);
	struct creds *creds;
	ssize_t len;

	assert_true(old >= 0 && file >= 0);
	assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
	creds = load(config);
	dup2(old, STDERR_FILENO);
	len = pread(file, said, size - 1, 0);
	assert_true(len >= 0);
	said[len] = 0;
	close(old);
	close(file);
	return creds;
}

/* One of a folder is opened by the passphrase that secrets has for that file, and nothing is
 * wrong then; one without, or with another, is told of, once. */
static void key_with_a_passphrase(void **state)
{
	static const struct {
		const char *more;
		bool good;
	} cases[] = {
		{"private-moon { file = moon.pem\nsecret = \"open\" }\n", true},
		{"ecdsa-moon { file = moon.pem\nsecret = \"open\" }\n", true},
		{"private-moon { file = moon.pem\nsecret = \"shut\" }\n", false},
		{"private-moon { file = other.pem\nsecret = \"open\" }\n", false},
		{"", false},
	};
	struct config *config;
	struct creds *creds;
	char said[2048];

	put_key("private/moon.pem", moon.key, "open", 0600);
	put_key("other.pem", sun.key, "open", 0600);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *complaint;

		secrets_text = cases[i].more;
		config_text("moon.der, sun.der");
		creds = load_and_hear(&config, said, sizeof(said));
		complaint = strstr(said, "moon.pem: no private key");
		assert_int_equal(creds_key(creds, made_bytes(&moon)) != NULL, cases[i].good);
		assert_int_equal(complaint == NULL, cases[i].good);
		assert_true(!complaint || !strstr(complaint + 1, "moon.pem: no private key"));
		assert_non_null(creds_key(creds, made_bytes(&sun)));
		creds_free(creds);
		config_free(config);
	}
	secrets_text = "";
	put_key("private/moon.pem", moon.key, NULL, 0600);
}

/* Clients bring all of theirs every time: what is there already is kept once. An authority lives
 * until it is unloaded by its name. */
static void what_clients_bring(void **state)
{
	struct clients clients = {0};
	struct conn_texts none = {0};
	struct config config = {0};
	struct creds *creds = creds_load(&config);

	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(
			clients_cred_put(&clients, CLIENT_CERT, "", made_bytes(&moon), &none), 0);
		assert_int_equal(
			clients_cred_put(&clients, CLIENT_CA, "", made_bytes(&middle), &none), 0);
		assert_int_equal(clients_cred_put(&clients, CLIENT_AUTHORITY, "a",
						  made_bytes(&middle), &none),
				 0);
		assert_int_equal(
			clients_cred_put(&clients, CLIENT_AUTHORITY, "b", made_bytes(&root), &none),
			0);
		assert_int_equal(clients.n_creds, 4);
	}
	clients_creds_clear(&clients);
	assert_int_equal(clients.n_creds, 2);
	clients_creds_add(&clients, creds);
	assert_int_equal(creds_cas(creds), 2);
	assert_true(clients_cred_remove(&clients, CLIENT_AUTHORITY, "a"));
	assert_false(clients_cred_remove(&clients, CLIENT_AUTHORITY, "a"));
	assert_int_equal(clients.n_creds, 1);
	assert_string_equal(clients.creds[0].id, "b");
	clients_clear(&clients);
	assert_int_equal(clients.n_creds, 0);
	creds_free(creds);
}

/* As listings tell it, of PEM and DER. */
static void subject_as_strongswan_prints_it(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char text[IDENT_TEXT_MAX], *pem;
	long len;

	PEM_write_bio_X509(bio, moon.cert);
	len = BIO_get_mem_data(bio, &pem);
	assert_true(cert_print_subject(BYTES(pem, (size_t)len), text, sizeof(text)));
	assert_string_equal(text, "C=CH, CN=moon");
	assert_true(cert_print_subject(made_bytes(&root), text, sizeof(text)));
	assert_string_equal(text, "C=CH, CN=root");
	assert_false(cert_print_subject(BYTES("x", 1), text, sizeof(text)));
	assert_string_equal(text, "");
	BIO_free(bio);
}

/* What leads to the root, which is not sent; a certificate that the root made stands alone. */
static void chain_to_the_root(void **state)
{
	struct bytes chain[CREDS_CHAIN_MAX];
	struct config *config;
	struct creds *creds;

	config_text("moon.der");
	creds = load(&config);
	assert_int_equal(creds_chain(creds, &config->conns[0], chain), 2);
	assert_true(bytes_equal(chain[0], made_bytes(&moon)));
	assert_true(bytes_equal(chain[1], made_bytes(&middle)));
	creds_free(creds);
	config_free(config);

	config_text("sun.der");
	creds = load(&config);
	assert_int_equal(creds_chain(creds, &config->conns[0], chain), 1);
	assert_true(bytes_equal(chain[0], made_bytes(&sun)));
	creds_free(creds);
	config_free(config);
}

static void certificates_are_there_once(void **state)
{
	struct config *config;
	unsigned int cas = 0;
	struct creds *creds;
	bool ca, has_key;

	config_text("moon.der");
	creds = load(&config);
	assert_int_equal(creds_certs(creds), 3);
	assert_true(creds_add_cert(creds, "again", made_bytes(&moon), false));
	assert_int_equal(creds_certs(creds), 3);
	assert_false(creds_add_cert(creds, "none", BYTES("x", 1), true));
	for (unsigned int i = 0; i < 3; i++) {
		struct bytes der = creds_cert(creds, i, &ca, &has_key);

		cas += ca;
		assert_int_equal(has_key, bytes_equal(der, made_bytes(&moon)));
	}
	assert_int_equal(cas, 2);
	assert_int_equal(creds_cas(creds), 2);
	assert_true(bytes_equal(creds_ca(creds, 0), made_bytes(&middle)));
	assert_true(bytes_equal(creds_ca(creds, 1), made_bytes(&root)));
	assert_null(creds_ca(creds, 2).data);
	creds_free(creds);
	config_free(config);
}

/* Of a file, of a client, and of a file that went meanwhile. */
static void crls_are_opened(void **state)
{
	struct bytes crl = make_crl(&middle, 6, -DAY, DAY);
	struct config *config;
	struct creds *creds;
	__u8 got[4096];
	char path[160];
	int fd;

	config_text("moon.der");
	creds = load(&config);
	creds_add_crl(creds, crl);
	assert_int_equal(creds_crls(creds), 2);
	fd = creds_crl_open(creds, 0);
	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got)) > 0);
	close(fd);
	fd = creds_crl_open(creds, 1);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, got, sizeof(got), 0), crl.len);
	assert_memory_equal(got, crl.data, crl.len);
	close(fd);
	path_of(path, "x509crl/root.crl");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(creds_crl_open(creds, 0), -ENOENT);
	/* By a link the child would be given what somebody else chose. */
	assert_int_equal(symlink("../moon.der", path), 0);
	assert_int_equal(creds_crl_open(creds, 0), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(creds_crl_open(creds, 0), -EINVAL);
	assert_int_equal(unlink(path), 0);
	creds_free(creds);
	config_free(config);
	put("x509crl/root.crl", crl, 0644);
	free((void *)crl.data);
}

static void key_id_is_the_hash_of_its_public_part(void **state)
{
	unsigned char *der = NULL, *spki = NULL, hash[SHA_DIGEST_LENGTH];
	int len = i2d_PrivateKey(moon.key, &der), spki_len = i2d_PUBKEY(moon.key, &spki);
	char id[CREDS_KEY_ID_LEN] = "", want[CREDS_KEY_ID_LEN];

	SHA1(spki, (size_t)spki_len, hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(want + 2 * i, 3, "%02x", hash[i]);
	assert_true(creds_key_id(BYTES(der, (size_t)len), id));
	assert_string_equal(id, want);
	assert_false(creds_key_id(BYTES("x", 1), id));
	OPENSSL_free(der);
	OPENSSL_free(spki);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(psk_of_its_owners),
		cmocka_unit_test(psk_of_a_pair),
		cmocka_unit_test(secrets_are_in_memory_of_their_own),
		cmocka_unit_test(psk_that_lost_its_owner),
		cmocka_unit_test(key_of_each_certificate),
		cmocka_unit_test(key_that_others_may_read),
		cmocka_unit_test(key_with_a_passphrase),
		cmocka_unit_test(what_clients_bring),
		cmocka_unit_test(subject_as_strongswan_prints_it),
		cmocka_unit_test(chain_to_the_root),
		cmocka_unit_test(certificates_are_there_once),
		cmocka_unit_test(crls_are_opened),
		cmocka_unit_test(key_id_is_the_hash_of_its_public_part),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
