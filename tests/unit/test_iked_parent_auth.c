// SPDX-License-Identifier: BSD-2-Clause
/* What the parent answers to a child that asks for AUTH, and may have been taken over: identities
 * and secrets are the config's, whatever is asked. The parent around it is this test's. */
#include "tests/unit/cert_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iked/auth.h"
#include "iked/cert.h"
#include "iked/parent_inside.h"
#include "lib/log.h"
#include "tests/lib/skip.h"

static struct parent parent;
static struct chan *chan;
static unsigned int settled;

struct chan *proc_chan(struct proc_slot *slot)
{
	return chan;
}

const struct conn *parent_conn(const struct parent *p, const char *name)
{
	return config_conn_find(p->config, name);
}

void parent_settle(struct parent *p)
{
	settled++;
}

static union {
	struct chan_auth_answer m;
	__u8 room[sizeof(struct chan_auth_answer) + IKE_AUTH_MAX];
} got;
static int child; /* the child's end */

static char dir[] = "/tmp/xipsec-auth-XXXXXX";
static struct made own; /* of connection subj, with its key */

/* Its file in the folder of credentials. */
static FILE *file_in(const char *kind, const char *name)
{
	char path[64];
	mode_t mask = umask(077);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, kind);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", dir, kind, name);
	file = fopen(path, "w");
	umask(mask);
	assert_non_null(file);
	return file;
}

static void put_own(void)
{
	FILE *cert = file_in("x509", "own.der"), *key = file_in("private", "own.pem");

	own = make_cert((struct wish){.cn = "moon", .usage = "digitalSignature"});
	assert_int_equal(fwrite(own.der, 1, own.len, cert), own.len);
	fclose(cert);
	assert_true(PEM_write_PrivateKey(key, own.key, NULL, NULL, 0, NULL, NULL));
	fclose(key);
}

static void clear_own(void)
{
	static const char *const names[] = {"x509/own.der", "private/own.pem", "x509",
					    "private",      "xipsec.conf",     ""};
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	made_free(&own);
}

static int setup(void **state)
{
	static const char text[] =
		"connections {\n"
		"psk { local { auth = psk\nid = moon.example.org }\n"
		"remote { auth = psk\nid = sun.example.org } }\n"
		"any { local { auth = psk\nid = moon.example.org }\nremote { auth = psk } }\n"
		"here { local { auth = psk }\nremote { auth = psk } }\n"
		"cert { local { auth = psk\nid = moon.example.org }\nremote { auth = pubkey\n"
		"id = sun.example.org } }\n"
		"far { local { auth = psk\nid = moon.example.org }\nremote { auth = psk }\n"
		"remote_addrs = 192.0.2.0/24 }\n"
		"subj { local { auth = pubkey\ncerts = own.der }\nremote { auth = psk } }\n"
		"mars { local { auth = psk\nid = mars.example.org }\nremote { auth = psk } }\n"
		"}\nsecrets {\n"
		"ike-1 { id-1 = moon.example.org\nid-2 = sun.example.org\nsecret = \"of sun\" }\n"
		"ike-2 { id-1 = moon.example.org\nid-2 = mercury.example.org\n"
		"secret = \"of mercury\" }\n"
		"ike-3 { id-1 = 127.0.0.1\nsecret = \"of here\" }\n"
		"ike-4 { id-1 = 198.51.100.9\nsecret = \"of 9\" }\n"
		"ike-5 { id-1 = 192.0.2.9\nsecret = \"of ours 9\" }\n}\n";
	char path[64];
	FILE *file;
	int pair[2];

	if (!mkdtemp(dir) || creds_init() ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	put_own();
	file = file_in(".", "xipsec.conf");
	fprintf(file, "%siked { credentials = %s }\n", text, dir);
	fclose(file);
	snprintf(path, sizeof(path), "%s/xipsec.conf", dir);
	if (config_load(path, &parent.config, stderr))
		return -1;
	parent.creds = creds_load(parent.config);
	parent.base = event_base_new();
	child = pair[1];
	chan = chan_new(parent.base, pair[0], NULL, NULL, NULL);
	return !chan || !parent.creds;
}

static int teardown(void **state)
{
	chan_free(chan);
	close(child);
	event_base_free(parent.base);
	creds_free(parent.creds);
	config_free(parent.config);
	clear_own();
	return 0;
}

/* ------------------------------------------------------------------ a question */

static const __u8 sk_p[32] = {7, 7}, nonce[32] = {1, 2, 3};

struct question {
	struct ike_packets *init;
	const char *conn, *peer; /* FQDN that the child claims; NULL: it says nothing */
	struct bytes auth;       /* to verify */
	bool verify;
	__u8 address; /* last octet of 127.0.0.0/8, or of 192.0.2.0/24 */
	bool ours;
	const char *at; /* address of the peer, 4 bytes; NULL: 0.0.0.0 */
};

static struct question question(const char *conn, const char *peer)
{
	struct ike_header h = ike_test_header(IKE_SA_INIT, IKE_FLAG_INITIATOR, 0);
	struct question q = {.conn = conn, .peer = peer, .ours = true, .address = 1};
	struct ike_out m = {0};

	ike_out_open(&m, &h);
	ike_out_nonce(&m, BYTES_OF(nonce));
	assert_int_equal(ike_out_plain(&m, &q.init), 0);
	ike_out_free(&m);
	return q;
}

static void id_of(struct writer *id, const char *name)
{
	if (name)
		auth_id_body(id, IKE_ID_FQDN, BYTES(name, strlen(name)));
}

/* Its err; the answer is in `got`. */
static int ask(struct question *q)
{
	union {
		struct chan_auth m;
		__u8 room[2048];
	} u = {.m = {.id = 0x4711,
		     .verify = q->verify,
		     .initiator = 1,
		     .prf = PRF_HMAC_SHA2_256,
		     .path = {.family = XIPSEC_FAMILY_IP4}}};
	struct bytes init = ike_packet(q->init, 0);
	struct writer id = {0}, w = {0};
	ssize_t len;

	id_of(&id, q->peer);
	strcpy(u.m.name, q->conn);
	memcpy(u.m.path.local.byte, q->ours ? "\x7f\x00\x00" : "\xc0\x00\x02", 3);
	u.m.path.local.byte[3] = q->address;
	if (q->at)
		memcpy(u.m.path.remote.byte, q->at, 4);
	writer_bytes(&w, init);
	writer_bytes(&w, BYTES_OF(nonce));
	writer_bytes(&w, BYTES_OF(sk_p));
	writer_bytes(&w, writer_view(&id));
	writer_bytes(&w, q->auth);
	u.m.message_len = (__u32)init.len;
	u.m.nonce_len = u.m.sk_p_len = 32;
	u.m.id_len = (__u32)id.len;
	u.m.auth_len = (__u32)q->auth.len;
	memcpy(u.m.data, w.data, w.len);
	memset(&got, 0, sizeof(got));
	settled = 0;
	parent_auth(&parent, &u.m);
	len = recv(child, &got, sizeof(got), MSG_DONTWAIT);
	assert_true(len >= (ssize_t)sizeof(got.m) && chan_check(&got, (size_t)len, 0));
	assert_int_equal(got.m.id, 0x4711);
	assert_int_equal(got.m.verify, q->verify);
	assert_int_equal(settled, 1); /* what clients have just loaded counts */
	if (got.m.err)
		assert_int_equal(got.m.data_len, 0);
	writer_free(&id);
	writer_free(&w);
	return got.m.err;
}

static int end(struct question *q, int err)
{
	free(q->init);
	return err;
}

static int make(const char *conn, const char *peer)
{
	struct question q = question(conn, peer);

	return end(&q, ask(&q));
}

/* The MAC by that secret, for who is called so. */
static void mac(const struct question *q, const char *name, const char *psk, __u8 out[PRF_LEN_MAX])
{
	struct auth_in in = {.initiator = true,
			     .init = ike_packet(q->init, 0),
			     .nonce = BYTES_OF(nonce),
			     .prf = PRF_HMAC_SHA2_256,
			     .sk_p = BYTES_OF(sk_p)};
	struct writer id = {0};

	id_of(&id, name);
	in.id = writer_view(&id);
	assert_int_equal(auth_psk(&in, BYTES(psk, strlen(psk)), out), 0);
	writer_free(&id);
}

static int verify(const char *conn, const char *peer, const char *psk)
{
	struct question q = question(conn, peer);
	__u8 data[PRF_LEN_MAX];

	mac(&q, peer ? peer : "x", psk, data);
	q.auth = BYTES(data, 32);
	q.verify = true;
	return end(&q, ask(&q));
}

/* ------------------------------------------------------------------ answers */

static void makes_by_the_config(void **state)
{
	struct question q = question("psk", "sun.example.org");
	__u8 want[PRF_LEN_MAX];

	assert_int_equal(ask(&q), 0);
	assert_int_equal(got.m.method, IKE_AUTH_PSK);
	assert_int_equal(got.m.data_len, 32);
	mac(&q, "moon.example.org", "of sun", want); /* who we are is not asked */
	assert_memory_equal(got.m.data, want, 32);
	/* the initiator does not know who will answer: the config does */
	q.peer = NULL;
	assert_int_equal(ask(&q), 0);
	assert_memory_equal(got.m.data, want, 32);
	end(&q, 0);
	assert_int_equal(make("any", NULL), 0);
	assert_int_equal(make("any", "venus.example.org"), -ENOENT); /* who has none with us */
	assert_int_equal(verify("any", "venus.example.org", "of sun"), -ENOENT);
	assert_int_equal(verify("any", "sun.example.org", "of sun"), 0);
	assert_int_equal(make("none", "sun.example.org"), -ENOENT);
	assert_int_equal(make("mars", "venus.example.org"), -ENOENT); /* of neither */
	assert_int_equal(make("mars", NULL), -ENOENT);
}

static void signs_nothing_else(void **state)
{
	static const struct {
		__u8 at, value;
	} rows[] = {{18, IKE_AUTH}, {23, 1}, {17, 0x30}, {19, IKE_FLAG_RESPONSE}, {31, 9}};
	struct question q = question("psk", "sun.example.org");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		__u8 *byte = (__u8 *)ike_packet(q.init, 0).data + rows[i].at, was = *byte;

		*byte = rows[i].value;
		if (ask(&q) != -EINVAL)
			fail_msg("row %zu gets a MAC", i);
		*byte = was;
	}
	end(&q, 0);
}

/* Who names no identity is called by its address: by one that this host has. */
static void address_is_our_own(void **state)
{
	struct question q = question("here", "peer.example.org");

	assert_int_equal(ask(&q), 0);
	q.ours = false;
	q.address = 77;
	assert_int_equal(ask(&q), -EACCES);
	end(&q, 0);
}

/* A host that may bind any address has not all of them. */
static void nor_what_could_be_bound(void **state)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	struct question q;
	int fd;

	if (unshare(CLONE_NEWNET))
		skip_because("a network namespace wants root");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
	fd = open("/proc/sys/net/ipv4/ip_nonlocal_bind", O_WRONLY);
	if (fd < 0)
		skip_because("ip_nonlocal_bind cannot be set here");
	assert_int_equal(write(fd, "1", 1), 1);
	close(fd);
	q = question("here", "peer.example.org");
	assert_int_equal(ask(&q), 0);
	q.address = 2;
	assert_int_equal(ask(&q), -EACCES);
	if (!system("ip addr add 127.0.0.2/8 dev lo")) /* a second one; there is no secret for it */
		assert_int_equal(ask(&q), -ENOENT);
	q.ours = false;
	q.address = 77;
	assert_int_equal(ask(&q), -EACCES);
	end(&q, 0);
}

/* Who has a certificate and names no identity is its subject, not its address. */
static void subject_is_the_identity(void **state)
{
	struct question q = question("subj", "sun.example.org");
	struct auth_in in = {.initiator = true,
			     .init = ike_packet(q.init, 0),
			     .nonce = BYTES_OF(nonce),
			     .prf = PRF_HMAC_SHA2_256,
			     .sk_p = BYTES_OF(sk_p)};
	struct ident *subject = cert_default_id(made_bytes(&own));
	enum auth_scheme scheme;
	struct writer id = {0};
	char why[200];

	assert_non_null(subject);
	assert_int_equal(subject->type, IKE_ID_DN);
	auth_id_body(&id, subject->type, BYTES(subject->data, subject->len));
	in.id = writer_view(&id);
	q.ours = false; /* an address that is not ours does not matter */
	assert_int_equal(ask(&q), 0);
	assert_int_equal(got.m.method, IKE_AUTH_ECDSA_256);
	assert_int_equal(auth_verify(&in, own.key, got.m.method, BYTES(got.m.data, got.m.data_len),
				     &scheme, why, sizeof(why)),
			 0);
	free(subject);
	writer_free(&id);
	end(&q, 0);
}

static void verifies(void **state)
{
	assert_int_equal(verify("psk", "sun.example.org", "of sun"), 0);
	assert_int_equal(got.m.data_len, 0);
	assert_int_equal(verify("psk", "sun.example.org", "of moon"), -EACCES);
	assert_int_equal(verify("psk", NULL, "of sun"), -EACCES);
	assert_int_equal(verify("none", "sun.example.org", "of sun"), -ENOENT);
	assert_int_equal(verify("any", "mercury.example.org", "of mercury"), 0);
	assert_int_equal(verify("mars", "venus.example.org", "of mercury"), -ENOENT);
}

/* A right MAC of one whom the connection does not mean, and a MAC where a signature is wanted. */
static void another_is_not_the_peer(void **state)
{
	assert_int_equal(verify("psk", "mercury.example.org", "of mercury"), -EACCES);
	assert_int_equal(verify("cert", "sun.example.org", "of sun"), -EACCES);
}

/* Nor is a MAC made for one whom the connection does not mean, whatever the child calls it. */
static void makes_for_the_peer_alone(void **state)
{
	struct question q;
	__u8 want[PRF_LEN_MAX];

	assert_int_equal(make("psk", "mercury.example.org"), -EACCES);
	assert_int_equal(make("psk", "nobody.example.org"), -EACCES);
	assert_int_equal(make("psk", ""), -EACCES); /* an ID payload without data */
	assert_int_equal(make("psk", "sun.example.org\n"), -EACCES); /* one that is no name */
	assert_int_equal(make("any", ""), -EACCES);
	assert_int_equal(make("any", "mercury.example.org"), 0); /* the config says any */

	/* without a name it is where it is, and that the config bounds */
	q = question("far", NULL);
	q.at = "\xc0\x00\x02\x09";
	assert_int_equal(ask(&q), 0);
	mac(&q, "moon.example.org", "of ours 9", want);
	assert_memory_equal(got.m.data, want, 32);
	q.at = "\xc6\x33\x64\x09";
	assert_int_equal(ask(&q), -EACCES);
	end(&q, 0);
}

static void cut_short(void **state)
{
	struct question q = question("psk", "sun.example.org");
	__u8 data[PRF_LEN_MAX];

	mac(&q, "sun.example.org", "of sun", data);
	q.verify = true;
	for (size_t len = 0; len < 32; len++) {
		q.auth = BYTES(data, len);
		assert_int_equal(ask(&q), -EACCES);
	}
	end(&q, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_by_the_config),
		cmocka_unit_test(signs_nothing_else),
		cmocka_unit_test(address_is_our_own),
		cmocka_unit_test(verifies),
		cmocka_unit_test(another_is_not_the_peer),
		cmocka_unit_test(makes_for_the_peer_alone),
		cmocka_unit_test(nor_what_could_be_bound),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(subject_is_the_identity),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("parent_auth", tests, setup, teardown);
}
