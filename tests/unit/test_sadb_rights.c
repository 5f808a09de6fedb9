// SPDX-License-Identifier: BSD-2-Clause
/* What a connection to the sadb socket may do after RESTRICT, who reads the sockets of IKE, and
 * lists that are longer than a queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/config_clients.h"
#include "loader/sadb_server.h"

#define MAX 5000

static struct xipsec_sa_state *states;
static struct sas *sas;
static struct config *config;
static struct event_base *base;
static struct sadb_server *server;
static char dir[64];
static struct ike_ports ports;

static int sad_set(void *ctx, const struct xipsec_sad_key *key,
		   const struct xipsec_sad_entry *entry)
{
	return 0;
}

static int sad_delete(void *ctx, const struct xipsec_sad_key *key)
{
	return 0;
}

static int child_id(void *ctx, const struct xipsec_sa *of)
{
	return of->child[0];
}

static int child_set(void *ctx, __u32 id, const struct xipsec_child *child)
{
	return 0;
}

static void install(void *ctx, const struct ctl_sa *msg)
{
}

static void forget(void *ctx, const struct ctl_sa_ref *refs, unsigned int n)
{
}

static void on_event(void *ctx, struct sadb_event *event)
{
	sadb_server_event(server, event);
}

static unsigned int workers(void *ctx)
{
	return 1;
}

static const struct sas_ops ops = {sad_set,  sad_delete, child_id, child_set, install, forget,
				   on_event, workers,    NULL,     NULL,      NULL};

static struct sas *hook_sas(void *ctx)
{
	return sas;
}

static const struct config *hook_config(void *ctx)
{
	return config;
}

static void hook_status(void *ctx, struct sadb_status *out)
{
	out->epoch = 1234;
}

static const struct ike_ports *hook_lend(void *ctx)
{
	ports.lent = true;
	return &ports;
}

static void hook_back(void *ctx)
{
	ports.lent = false;
}

static const struct sadb_hooks hooks = {.sas = hook_sas,
					.status = hook_status,
					.config = hook_config,
					.ike_lend = hook_lend,
					.ike_back = hook_back};

/* A connection "late" with the child "net". */
static int late_conn(struct conn *out)
{
	struct config *read = NULL;
	char path[100];
	FILE *file;
	int err;

	snprintf(path, sizeof(path), "%s/late", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"datapath { run_dir = %s }\nconnections { late { local { auth = psk }\n"
		"remote { auth = psk }\n children {\n"
		"net { local_ts = 10.4.0.0/16\n remote_ts = 10.7.0.0/16 } } } }\n",
		dir);
	fclose(file);
	err = config_load(path, &read, stderr);
	if (err)
		return err;
	*out = read->conns[0];
	memset(&read->conns[0], 0, sizeof(read->conns[0]));
	config_free(read);
	return 0;
}

static struct config *policies(void)
{
	struct config *read = NULL;
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "%s/conf", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("policies {\n"
	      "a { action = protect\n local = 10.1.0.0/16\n remote = 10.2.0.0/16 }\n"
	      "b { action = protect\n local = 10.1.0.0/16\n remote = 10.3.0.0/16 }\n"
	      "out { action = bypass\n local = 192.0.2.1/32\n remote = 192.0.2.2/32 }\n"
	      "}\n"
	      "connections { peer { local { auth = psk }\n remote { auth = psk }\n children {\n"
	      "net { local_ts = 10.4.0.0/16\n remote_ts = 10.5.0.0/16 }\n"
	      "open { local_ts = 10.4.0.0/16\n remote_ts = 10.6.0.0/16\n mode = pass }\n"
	      "} } }\n",
	      file);
	fclose(file);
	assert_int_equal(config_load(path, &read, stderr), 0);
	return read;
}

static int setup(void **state)
{
	states = calloc(MAX, sizeof(states[0]));
	if (!states)
		return -1;
	strcpy(dir, "/tmp/xipsec-rights.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	config = policies();
	ike_ports_init(&ports);
	sas = sas_new(MAX, NULL, &ops, NULL);
	base = event_base_new();
	if (!sas || sas_bind(sas, states, sizeof(states[0]), MAX, "boot:1"))
		return -1;
	return sadb_server_new(base, dir, &hooks, NULL, &server);
}

static int teardown(void **state)
{
	char command[128];

	sadb_server_free(server);
	sas_free(sas);
	event_base_free(base);
	config_free(config);
	free(states);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static void turn(void)
{
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sadb.sock", dir);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Sends one request; the err of the last message that came for it. */
static int ask(int fd, struct sadb_hdr *hdr, __u16 type, size_t len)
{
	struct {
		struct sadb_hdr hdr;
		char rest[16384];
	} got;
	int err = -ENOMSG;

	hdr->type = type;
	hdr->abi = XIPSEC_ABI;
	hdr->len = (__u32)len;
	assert_int_equal(send(fd, hdr, len, 0), len);
	turn();
	while (recv(fd, &got, sizeof(got), MSG_DONTWAIT) > 0)
		if (got.hdr.type != XIPSEC_SADB_EVENT)
			err = got.hdr.err;
	return err;
}

static int ask_plain(int fd, __u16 type)
{
	struct sadb_hdr hdr = {0};

	return ask(fd, &hdr, type, sizeof(hdr));
}

static int ask_name(int fd, __u16 type, const char *name)
{
	struct sadb_name req = {0};

	snprintf(req.name, sizeof(req.name), "%s", name);
	return ask(fd, &req.hdr, type, sizeof(req));
}

static int ask_add(int fd, const char *name, const char *child, __u32 spi, __u16 flags)
{
	struct sadb_sa_add req = {.sa = {.spi = htonl(spi),
					 .outer_family = XIPSEC_FAMILY_IP4,
					 .l4_proto = IPPROTO_ESP,
					 .dir = XIPSEC_DIR_IN,
					 .mode = XIPSEC_MODE_TUNNEL,
					 .alg = XIPSEC_ALG_AES128GCM16,
					 .flags = flags,
					 .window = 1024,
					 .key_len = 20}};

	snprintf(req.sa.name, sizeof(req.sa.name), "%s", name);
	snprintf(req.sa.child, sizeof(req.sa.child), "%s", child);
	memcpy(req.sa.key, &spi, sizeof(spi));
	return ask(fd, &req.hdr, XIPSEC_SADB_SA_ADD, sizeof(req));
}

static int restricted(const char *child)
{
	int fd = dial();

	assert_int_equal(ask_name(fd, XIPSEC_SADB_RESTRICT, child), 0);
	return fd;
}

static void only_its_children(void **state)
{
	int fd = restricted("a");

	assert_int_equal(ask_add(fd, "one", "a", 0x1001, 0), 0);
	assert_int_equal(ask_add(fd, "two", "b", 0x1002, 0), -EPERM);
	/* No child at all, and one of no rule that protects. */
	assert_int_equal(ask_add(fd, "two", "", 0x1002, 0), -EPERM);
	assert_int_equal(ask_add(fd, "two", "out", 0x1002, 0), -EPERM);
	assert_int_equal(sas_count(sas), 1);
	close(fd);
}

static int ask_connections(int fd)
{
	struct sadb_name req = {.hdr.flags = XIPSEC_SADB_CONNECTIONS};

	return ask(fd, &req.hdr, XIPSEC_SADB_RESTRICT, sizeof(req));
}

/* Children of connections {} as they are when it asks: one that comes later is served, one that
 * went is not; those of policies {} never are, nor what passes in the clear. */
static void only_connections(void **state)
{
	struct config_client_change change;
	struct conn conn;
	int fd = dial(), late = restricted("a");

	assert_int_equal(ask_connections(fd), 0);
	assert_int_equal(ask_add(fd, "one", "peer/net", 0x1001, 0), 0);
	assert_int_equal(ask_add(fd, "two", "a", 0x1002, 0), -EPERM);
	assert_int_equal(ask_add(fd, "two", "peer/open", 0x1002, 0), -EPERM);
	assert_int_equal(ask_add(fd, "two", "peer/late", 0x1002, 0), -EPERM);
	assert_int_equal(ask_name(fd, XIPSEC_SADB_RESTRICT, "a"), -EPERM);
	assert_int_equal(ask_plain(fd, XIPSEC_SADB_STATUS), -EPERM);
	assert_int_equal(ask_name(fd, XIPSEC_SADB_SA_DELETE, "one"), 0);

	assert_int_equal(late_conn(&conn), 0);
	assert_int_equal(config_client_set(config, 1, &conn, &change, stderr), 0);
	config_client_change_free(&change);
	assert_int_equal(ask_add(fd, "two", "late/net", 0x1002, 0), 0);
	assert_int_equal(config_client_set(config, 1, NULL, &change, stderr), 0);
	config_client_change_free(&change);
	assert_int_equal(ask_name(fd, XIPSEC_SADB_SA_DELETE, "two"), -EPERM);
	/* Closed for good by its first other request. */
	assert_int_equal(ask_plain(late, XIPSEC_SADB_SA_LIST), 0);
	assert_int_equal(ask_connections(late), -EPERM);
	close(late);
	close(fd);
}

static void no_other_request(void **state)
{
	static const __u16 types[] = {XIPSEC_SADB_STATUS, XIPSEC_SADB_IKE_SOCKETS};
	struct sadb_path path = {0};
	int fd = restricted("a");

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_int_equal(ask_plain(fd, types[i]), -EPERM);
	assert_int_equal(ask_name(fd, XIPSEC_SADB_SA_ADD_NAMED, "x"), -EPERM);
	assert_int_equal(ask(fd, &path.hdr, XIPSEC_SADB_RELOAD, sizeof(path)), -EPERM);
	assert_int_equal(ask_plain(fd, XIPSEC_SADB_HELLO), 0);
	assert_int_equal(ask_plain(fd, XIPSEC_SADB_SA_LIST), 0);
	close(fd);
}

static void it_cannot_be_widened(void **state)
{
	int fd = restricted("a");

	assert_int_equal(ask_name(fd, XIPSEC_SADB_RESTRICT, "c"), 0);
	assert_int_equal(ask_plain(fd, XIPSEC_SADB_SA_LIST), 0);
	assert_int_equal(ask_name(fd, XIPSEC_SADB_RESTRICT, "b"), -EPERM);
	assert_int_equal(ask_add(fd, "two", "b", 0x1002, 0), -EPERM);
	close(fd);
}

static void others_sas_are_not_there(void **state)
{
	int all = dial(), fd = restricted("a");

	assert_int_equal(ask_add(all, "two", "b", 0x1002, 0), 0);
	assert_int_equal(ask_name(fd, XIPSEC_SADB_SA_DELETE, "two"), -EPERM);
	assert_int_equal(sas_count(sas), 1);
	assert_int_equal(ask_add(all, "one", "a", 0x1001, 0), 0);
	/* sas {}: from the config, and of the same child. */
	sas_by_name(sas, "one")->sa.flags |= XIPSEC_SA_MANUAL;
	assert_int_equal(ask_name(fd, XIPSEC_SADB_SA_DELETE, "one"), -EPERM);
	sas_by_name(sas, "one")->sa.flags &= ~XIPSEC_SA_MANUAL;
	assert_int_equal(ask_name(fd, XIPSEC_SADB_SA_DELETE, "one"), 0);
	close(fd);
	close(all);
}

static unsigned int listed(int fd)
{
	struct sadb_hdr hdr = {.type = XIPSEC_SADB_SA_LIST, .abi = XIPSEC_ABI, .len = sizeof(hdr)};
	struct sadb_sa_info got;
	unsigned int n = 0;

	assert_int_equal(send(fd, &hdr, sizeof(hdr), 0), sizeof(hdr));
	turn();
	while (recv(fd, &got, sizeof(got), MSG_DONTWAIT) > 0)
		n += got.hdr.flags & XIPSEC_SADB_MORE ? 1 : 0;
	return n;
}

static void it_lists_its_own(void **state)
{
	int all = dial(), fd = restricted("a");

	assert_int_equal(ask_add(all, "one", "a", 0x1001, 0), 0);
	assert_int_equal(ask_add(all, "two", "b", 0x1002, 0), 0);
	assert_int_equal(listed(all), 2);
	assert_int_equal(listed(fd), 1);
	close(fd);
	close(all);
}

static void send_plain(int fd, __u16 type, __u32 seq)
{
	struct sadb_hdr hdr = {.type = type, .abi = XIPSEC_ABI, .len = sizeof(hdr), .seq = seq};

	assert_int_equal(send(fd, &hdr, sizeof(hdr), 0), sizeof(hdr));
}

/* 37 MB of list, for a client that does not read at first: they wait where they are, and what it
 * asks next has its answer behind them. Others are served meanwhile, and an SA may go. */
static void a_list_waits_for_its_reader(void **state)
{
	int all = dial(), fd = dial();
	struct sadb_sa_info got;
	unsigned int n = 0;
	char name[16];

	for (unsigned int i = 0; i < MAX; i++) {
		snprintf(name, sizeof(name), "sa%u", i);
		assert_int_equal(ask_add(all, name, i % 2 ? "a" : "b", 0x1000 + i, 0), 0);
	}
	send_plain(fd, XIPSEC_SADB_SA_LIST, 7);
	send_plain(fd, XIPSEC_SADB_HELLO, 8);
	turn();
	assert_int_equal(ask_name(all, XIPSEC_SADB_SA_DELETE, name), 0);
	for (;;) {
		turn();
		if (recv(fd, &got, sizeof(got), MSG_DONTWAIT) < 0)
			break;
		if (!(got.hdr.flags & XIPSEC_SADB_MORE))
			break;
		assert_int_equal(got.hdr.seq, 7);
		snprintf(name, sizeof(name), "sa%u", n++);
		assert_string_equal(got.sa.name, name);
	}
	assert_int_equal(n, MAX - 1);
	assert_int_equal(got.hdr.seq, 7);
	assert_int_equal(got.hdr.err, 0);
	turn();
	assert_int_equal(recv(fd, &got, sizeof(got), MSG_DONTWAIT), sizeof(struct sadb_hello));
	assert_int_equal(got.hdr.seq, 8);
	assert_int_equal(ask_plain(fd, XIPSEC_SADB_HELLO), 0);
	close(fd);
	/* one that leaves in the middle */
	fd = dial();
	send_plain(fd, XIPSEC_SADB_SA_LIST, 7);
	turn();
	close(fd);
	turn();
	assert_int_equal(ask_plain(all, XIPSEC_SADB_HELLO), 0);
	close(all);
}

/* Events that came: bit n for event n. */
static unsigned int heard(int fd)
{
	struct sadb_event got;
	unsigned int events = 0;

	turn();
	while (recv(fd, &got, sizeof(got), MSG_DONTWAIT) > 0)
		events |= XIPSEC_EVENT_BIT(got.event);
	return events;
}

static void it_hears_of_its_own(void **state)
{
	struct sadb_subscribe all = {.events = ~0U};
	struct sadb_event event = {.event = XIPSEC_EVENT_ACQUIRE, .child = "b"};
	int fd = restricted("a");

	assert_int_equal(ask(fd, &all.hdr, XIPSEC_SADB_SUBSCRIBE, sizeof(all)), 0);
	sadb_server_event(server, &event);
	assert_int_equal(heard(fd), 0);
	strcpy(event.child, "a");
	sadb_server_event(server, &event);
	assert_int_equal(heard(fd), XIPSEC_EVENT_BIT(XIPSEC_EVENT_ACQUIRE));
	/* A sample is a packet. */
	event.event = XIPSEC_EVENT_SAMPLE;
	sadb_server_event(server, &event);
	assert_int_equal(heard(fd), 0);
	assert_false(sadb_server_wanted(server, XIPSEC_EVENT_SAMPLE));
	/* ESP of nobody's SA may be a peer's: IKE tells it */
	event = (struct sadb_event){.event = XIPSEC_EVENT_NO_SA};
	sadb_server_event(server, &event);
	assert_int_equal(heard(fd), XIPSEC_EVENT_BIT(XIPSEC_EVENT_NO_SA));
	close(fd);
}

static void first_packet_is_told_once(void **state)
{
	struct sadb_subscribe all = {.events = ~0U};
	int fd = restricted("a");
	struct sa *sa;

	assert_int_equal(ask(fd, &all.hdr, XIPSEC_SADB_SUBSCRIBE, sizeof(all)), 0);
	assert_int_equal(ask_add(fd, "one", "a", 0x1001, 0), 0);
	sa = sas_by_name(sas, "one");
	sas_tick(sas);
	assert_int_equal(heard(fd), 0);
	states[sa->index].packets = 1;
	sas_tick(sas);
	assert_int_equal(heard(fd), XIPSEC_EVENT_BIT(XIPSEC_EVENT_USED));
	states[sa->index].packets = 2;
	sas_tick(sas);
	assert_int_equal(heard(fd), 0);
	close(fd);
}

static void who_is_not_restricted_has_no_list(void **state)
{
	int fd = dial();

	assert_int_equal(ask_plain(fd, XIPSEC_SADB_SA_LIST), 0);
	assert_int_equal(ask_name(fd, XIPSEC_SADB_RESTRICT, "a"), 0);
	assert_int_equal(ask_add(fd, "two", "b", 0x1002, 0), -EPERM);
	close(fd);
}

/* ------------------------------------------------------------------ sockets */

/* The descriptors that came with the answer, in fds; `have` of it. */
static unsigned int borrow(int fd, int fds[XIPSEC_IKE_SOCKETS], unsigned int *n)
{
	struct sadb_hdr hdr = {
		.type = XIPSEC_SADB_IKE_SOCKETS, .abi = XIPSEC_ABI, .len = sizeof(hdr)};
	union {
		char buf[CMSG_SPACE(XIPSEC_IKE_SOCKETS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct sadb_ike_sockets got;
	struct iovec iov = {&got, sizeof(got)};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	struct cmsghdr *c;

	assert_int_equal(send(fd, &hdr, sizeof(hdr), 0), sizeof(hdr));
	turn();
	assert_int_equal(recvmsg(fd, &mh, MSG_DONTWAIT), sizeof(got));
	c = CMSG_FIRSTHDR(&mh);
	*n = 0;
	if (c) {
		*n = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *n * sizeof(int));
	}
	return got.have;
}

static void lent_until_the_borrower_ends(void **state)
{
	int fd = dial(), fds[XIPSEC_IKE_SOCKETS], type = 0;
	socklen_t len = sizeof(type);
	unsigned int n;

	ports.ike[XIPSEC_IKE_4500_IP4] = socket(AF_INET, SOCK_DGRAM, 0);
	ports.ike[XIPSEC_IKE_500_IP6] = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(borrow(fd, fds, &n), 1U << XIPSEC_IKE_4500_IP4 | 1U << XIPSEC_IKE_500_IP6);
	assert_int_equal(n, 2);
	assert_int_equal(getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &type, &len), 0);
	assert_int_equal(type, SOCK_DGRAM);
	assert_true(ports.lent);
	close(fds[0]);
	close(fds[1]);
	assert_true(ports.lent);
	close(fd);
	turn();
	assert_false(ports.lent);
	close(ports.ike[XIPSEC_IKE_4500_IP4]);
	close(ports.ike[XIPSEC_IKE_500_IP6]);
}

/* An iked that is killed and the next one: who ends last must not take them from who has them. */
static void last_to_ask_has_them(void **state)
{
	int first = dial(), second = dial(), fds[XIPSEC_IKE_SOCKETS];
	unsigned int n;

	assert_int_equal(borrow(first, fds, &n), 0);
	assert_int_equal(n, 0);
	borrow(second, fds, &n);
	close(first);
	turn();
	assert_true(ports.lent);
	close(second);
	turn();
	assert_false(ports.lent);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_its_children),
		TEST(only_connections),
		TEST(no_other_request),
		TEST(it_cannot_be_widened),
		TEST(others_sas_are_not_there),
		TEST(it_lists_its_own),
		TEST(a_list_waits_for_its_reader),
		TEST(it_hears_of_its_own),
		TEST(first_packet_is_told_once),
		TEST(who_is_not_restricted_has_no_list),
		TEST(lent_until_the_borrower_ends),
		TEST(last_to_ask_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
