// SPDX-License-Identifier: BSD-2-Clause
/* What the processes of xipsec-iked take for a message; and how it gets from one to the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iked/chan.h"
#include "iked/conn_pack.h"
#include "lib/config.h"

/* ------------------------------------------------------------------ what is a message */

static union {
	struct chan_hdr hdr;
	struct chan_setup setup;
	struct chan_name name;
	struct chan_sockets sockets;
	struct chan_blob blob;
	struct chan_paths_answer paths;
	struct chan_auth auth;
	struct chan_auth_answer auth_answer;
	struct chan_resolved resolved;
	__u8 bytes[CHAN_MAX + 8];
} m;

static int setup(void **state)
{
	memset(&m, 0, sizeof(m));
	return 0;
}

static void begin(enum chan_type type, size_t len)
{
	memset(&m, 0, sizeof(m));
	m.hdr = (struct chan_hdr){.type = (__u16)type, .len = (__u32)len};
}

static bool good(void)
{
	return chan_check(&m, m.hdr.len, 0);
}

static void length_is_what_it_says(void **state)
{
	begin(CHAN_CONN_GONE, sizeof(m.name));
	assert_true(good());
	assert_false(chan_check(&m, sizeof(m.name) - 1, 0));
	assert_false(chan_check(&m, sizeof(m.name) + 1, 0));
	assert_false(chan_check(&m, 0, 0));
	assert_false(chan_check(&m, sizeof(m.hdr) - 1, 0));
	m.hdr.len = sizeof(m.name) + 8;
	assert_false(good());
	m.hdr.len = sizeof(m.name) - 8;
	assert_false(good());
	begin(CHAN_CA, CHAN_MAX + 8);
	m.blob.data_len = CHAN_MAX + 8 - sizeof(m.blob);
	assert_false(good());
}

static void unknown_types_are_none(void **state)
{
	begin(0, sizeof(m.hdr));
	assert_false(good());
	for (unsigned int type = CHAN_TYPES; type < 70000; type += 97) {
		begin(0, sizeof(m.hdr));
		m.hdr.type = (__u16)(type > 65535 ? 65535 : type);
		assert_false(good());
	}
}

static void texts_have_an_end(void **state)
{
	begin(CHAN_CONN_GONE, sizeof(m.name));
	memset(m.name.name, 'a', sizeof(m.name.name));
	assert_false(good());
	m.name.name[sizeof(m.name.name) - 1] = 0;
	assert_true(good());
	begin(CHAN_SETUP, sizeof(m.setup));
	memset(m.setup.root, 'a', sizeof(m.setup.root));
	assert_false(good());
	begin(CHAN_AUTH, sizeof(m.auth));
	m.auth.path.family = XIPSEC_FAMILY_IP4;
	assert_true(good());
	memset(m.auth.name, 'a', sizeof(m.auth.name));
	assert_false(good());
}

static void parts_add_up(void **state)
{
	static const size_t part[] = {
		offsetof(struct chan_auth, message_len), offsetof(struct chan_auth, nonce_len),
		offsetof(struct chan_auth, sk_p_len), offsetof(struct chan_auth, id_len),
		offsetof(struct chan_auth, auth_len)};

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		__u32 *len = (__u32 *)(m.bytes + part[i]);

		begin(CHAN_AUTH, sizeof(m.auth) + 100);
		m.auth.path.family = XIPSEC_FAMILY_IP6;
		*len = 100;
		assert_true(good());
		*len = 101;
		assert_false(good());
		*len = 99;
		assert_false(good());
		/* A sum that wraps around. */
		*len = 101;
		*(__u32 *)(m.bytes + part[(i + 1) % 5]) = 0xffffffff;
		assert_false(good());
	}
	begin(CHAN_CA, sizeof(m.blob) + 10);
	m.blob.data_len = 10;
	assert_true(good());
	m.blob.data_len = 11;
	assert_false(good());
}

static void counts_are_within_their_arrays(void **state)
{
	begin(CHAN_AUTH, sizeof(m.auth));
	m.auth.path.family = XIPSEC_FAMILY_IP4;
	m.auth.n_hashes = CHAN_HASHES_MAX;
	assert_true(good());
	m.auth.n_hashes++;
	assert_false(good());
	begin(CHAN_RESOLVED, sizeof(m.resolved));
	for (int i = 0; i < CHAN_ANSWERS_MAX; i++)
		m.resolved.address[i].family = XIPSEC_FAMILY_IP4;
	m.resolved.n = CHAN_ANSWERS_MAX;
	assert_true(good());
	m.resolved.n++;
	assert_false(good());
	begin(CHAN_PATHS_ANSWER, sizeof(m.paths));
	m.paths.n = IKE_PATHS_MAX + 1;
	assert_false(good());
	begin(CHAN_AUTH_ANSWER, sizeof(m.auth_answer) + IKE_AUTH_MAX + 1);
	m.auth_answer.data_len = IKE_AUTH_MAX + 1;
	assert_false(good());
}

static void families_are_families(void **state)
{
	begin(CHAN_RESOLVED, sizeof(m.resolved));
	m.resolved.n = 1;
	m.resolved.address[0].family = 5;
	assert_false(good());
	begin(CHAN_PATHS_ANSWER, sizeof(m.paths));
	m.paths.n = 1;
	assert_false(good());
	m.paths.path[0].family = XIPSEC_FAMILY_IP6;
	assert_true(good());
	memset(&m.paths.path[0].natt, 7, 1);
	assert_false(good());
	begin(CHAN_AUTH, sizeof(m.auth));
	assert_false(good());
}

static void descriptors_come_where_they_belong(void **state)
{
	begin(CHAN_CONN, sizeof(m.hdr));
	assert_false(chan_check(&m, m.hdr.len, 0));
	assert_true(chan_check(&m, m.hdr.len, 1));
	assert_false(chan_check(&m, m.hdr.len, 2));
	begin(CHAN_AUTH_ANSWER, sizeof(m.auth_answer));
	assert_true(chan_check(&m, m.hdr.len, 0));
	assert_false(chan_check(&m, m.hdr.len, 1));
	begin(CHAN_SOCKETS, sizeof(m.sockets));
	assert_true(chan_check(&m, m.hdr.len, XIPSEC_IKE_SOCKETS));
	assert_false(chan_check(&m, m.hdr.len, XIPSEC_IKE_SOCKETS + 1));
	m.sockets.have = 1U << XIPSEC_IKE_SOCKETS;
	assert_false(chan_check(&m, m.hdr.len, 1));
}

/* ------------------------------------------------------------------ from one to the other */

static struct {
	struct event_base *base;
	struct chan *a, *b;
	int raw; /* an end that is nobody's */
	unsigned int messages, gone;
	__u32 last_len;
	int fd;
} net;

static void on_message(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n)
{
	net.messages++;
	net.last_len = hdr->len;
	if (n) {
		net.fd = fds[0];
		fds[0] = -1;
	}
}

static void on_gone(void *ctx)
{
	net.gone++;
}

static int pair_up(void **state)
{
	int fds[2];

	memset(&net, 0, sizeof(net));
	net.fd = net.raw = -1;
	net.base = event_base_new();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
		return -1;
	net.a = chan_new(net.base, fds[0], on_message, on_gone, NULL);
	net.raw = fds[1];
	return net.a ? 0 : -1;
}

static int tear_down(void **state)
{
	chan_free(net.a);
	chan_free(net.b);
	if (net.raw >= 0)
		close(net.raw);
	if (net.fd >= 0)
		close(net.fd);
	event_base_free(net.base);
	return 0;
}

static void turns(int n)
{
	while (n--)
		event_base_loop(net.base, EVLOOP_NONBLOCK);
}

static void other_end(void)
{
	net.b = chan_new(net.base, net.raw, on_message, on_gone, NULL);
	net.raw = -1;
	assert_non_null(net.b);
}

static void nonsense_ends_it(void **state)
{
	begin(CHAN_CONN_GONE, sizeof(m.name));
	memset(m.name.name, 'a', sizeof(m.name.name));
	assert_int_equal(send(net.raw, &m, sizeof(m.name), 0), sizeof(m.name));
	turns(2);
	assert_int_equal(net.messages, 0);
	assert_int_equal(net.gone, 1);
	/* Nothing that comes after it is read. */
	begin(CHAN_READY, sizeof(m.hdr));
	send(net.raw, &m, sizeof(m.hdr), MSG_NOSIGNAL);
	turns(2);
	assert_int_equal(net.messages, 0);
}

static void the_end_is_told_once(void **state)
{
	close(net.raw);
	net.raw = -1;
	turns(3);
	assert_int_equal(net.gone, 1);
}

/* More than a socket holds: nobody waits, nothing is lost. */
static void what_waits_gets_there(void **state)
{
	static char data[40000];
	unsigned int n = 200;

	for (unsigned int i = 0; i < n; i++)
		chan_say_blob(net.a, CHAN_CA, data, sizeof(data));
	other_end();
	turns(500);
	assert_int_equal(net.messages, n);
	assert_int_equal(net.last_len, sizeof(struct chan_blob) + sizeof(data));
	assert_int_equal(net.gone, 0);
}

static void descriptors_wait_too(void **state)
{
	static char data[40000];
	int pipes[2];
	char byte = 0;

	assert_int_equal(pipe(pipes), 0);
	for (unsigned int i = 0; i < 50; i++)
		chan_say_blob(net.a, CHAN_CA, data, sizeof(data));
	chan_say(net.a, CHAN_CONN, &pipes[0], 1);
	close(pipes[0]);
	other_end();
	turns(200);
	assert_int_equal(net.messages, 51);
	assert_true(net.fd >= 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(read(net.fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(pipes[1]);
}

static void who_never_reads_is_gone(void **state)
{
	static char data[40000];

	for (unsigned int i = 0; i < 2000; i++)
		chan_say_blob(net.a, CHAN_CA, data, sizeof(data));
	turns(3);
	assert_int_equal(net.gone, 1);
}

/* ------------------------------------------------------------------ connections */

static const char text[] =
	"connections {\n"
	" one {\n"
	"  local_addrs = 192.0.2.1\n"
	"  remote_addrs = 192.0.2.2, gw.example.org, 198.51.100.0/24\n"
	"  proposals = aes128gcm16-prfsha256-x25519, aes256-sha256-modp2048\n"
	"  local { auth = psk\n id = moon.example.org }\n"
	"  remote { auth = psk\n id = \"C=CH, O=*, CN=sun\" }\n"
	"  children {\n"
	"   net { local_ts = 10.1.0.0/16, 10.9.0.0/16\n remote_ts = 10.2.0.0/16[tcp/443]\n"
	"         esp_proposals = aes128gcm16-x25519\n"
	"         df = set\n dscp = 34\n ttl = 17\n dummies = 10 }\n"
	"   two { local_ts = 10.3.0.0/16\n remote_ts = 10.4.0.0/16\n start_action = trap }\n"
	"  }\n"
	" }\n"
	"}\n";

static struct config *read_config(void)
{
	char path[] = "/tmp/xipsec-chan.XXXXXX";
	struct config *config = NULL;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(config_load(path, &config, stderr), 0);
	unlink(path);
	return config;
}

static void a_connection_travels(void **state)
{
	struct config *config = read_config();
	struct conn *was = &config->conns[0], is = {0};
	int fd;

	was->remote.cacerts.blob = calloc(1, sizeof(struct conn_blob));
	was->remote.cacerts.n = 1;
	was->remote.cacerts.blob[0] =
		(struct conn_blob){.file = strdup("ca.pem"), .data = malloc(300), .len = 300};
	memset(was->remote.cacerts.blob[0].data, 0x5a, 300);
	was->children[0].flow_copy = true;
	fd = conn_pack(was);
	assert_true(fd >= 0);
	assert_int_equal(conn_unpack(fd, &is), 0);
	assert_true(conn_same(was, &is));
	assert_string_equal(is.name, "one");
	assert_int_equal(is.remote_addrs.n, was->remote_addrs.n);
	assert_string_equal(is.remote_addrs.host[1].name, "gw.example.org");
	assert_int_equal(is.proposals.n, 2);
	assert_string_equal(is.proposals.text[1], was->proposals.text[1]);
	assert_string_equal(is.local.id, "moon.example.org");
	assert_string_equal(is.remote.id, "C=CH, O=*, CN=sun");
	assert_null(is.local.ca_id);
	assert_int_equal(is.remote.cacerts.blob[0].len, 300);
	assert_memory_equal(is.remote.cacerts.blob[0].data, was->remote.cacerts.blob[0].data, 300);
	assert_int_equal(is.n_children, 2);
	assert_string_equal(is.children[0].sadb_name, "one/net");
	assert_int_equal(is.children[0].local_ts.n, 2);
	assert_memory_equal(is.children[0].remote_ts.ts, was->children[0].remote_ts.ts,
			    sizeof(struct conn_ts));
	assert_string_equal(is.children[0].proposals.text[0], "aes128gcm16-x25519");
	assert_int_equal(is.children[0].df, XIPSEC_DF_SET);
	assert_int_equal(is.children[0].copy_dscp, CONN_DSCP_NO);
	assert_int_equal(is.children[0].dscp, 34);
	assert_int_equal(is.children[0].ttl, 17);
	assert_int_equal(is.children[0].dummies, 10);
	assert_true(is.children[0].flow_copy);
	assert_false(is.children[1].flow_copy);
	assert_int_equal(is.children[1].start_action, CONN_ACTION_TRAP);
	conn_clear(&is);
	close(fd);
	config_free(config);
}

/* Cut anywhere, it is none; and nothing is left behind (valgrind and ASan look). */
static void a_piece_of_one_is_none(void **state)
{
	struct config *config = read_config();
	int fd = conn_pack(&config->conns[0]), cut;
	struct conn is = {0};
	__u8 *data;
	size_t len;

	assert_int_equal(conn_read_all(fd, CONN_PACK_MAX, &data, &len), 0);
	for (size_t n = 0; n < len; n += n % 7 + 1) {
		cut = memfd_create("cut", 0);
		assert_int_equal(write(cut, data, n), n);
		assert_int_not_equal(conn_unpack(cut, &is), 0);
		close(cut);
	}
	/* And with something behind it. */
	cut = memfd_create("cut", 0);
	assert_int_equal(write(cut, data, len), len);
	assert_int_equal(write(cut, "x", 1), 1);
	assert_int_not_equal(conn_unpack(cut, &is), 0);
	close(cut);
	free(data);
	close(fd);
	config_free(config);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
#define NET(name)  cmocka_unit_test_setup_teardown(name, pair_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(length_is_what_it_says),
		TEST(unknown_types_are_none),
		TEST(texts_have_an_end),
		TEST(parts_add_up),
		TEST(counts_are_within_their_arrays),
		TEST(families_are_families),
		TEST(descriptors_come_where_they_belong),
		NET(nonsense_ends_it),
		NET(the_end_is_told_once),
		NET(what_waits_gets_there),
		NET(descriptors_wait_too),
		NET(who_never_reads_is_gone),
		TEST(a_connection_travels),
		TEST(a_piece_of_one_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
