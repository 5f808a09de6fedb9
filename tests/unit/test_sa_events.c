// SPDX-License-Identifier: BSD-2-Clause
/* What the SADB tells of its SAs: limits and silence by a clock of the test's own, peers that move,
 * and who hears of it on the socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/sadb_server.h"
#include "loader/samples.h"

#define MAX 8

static struct xipsec_sa_state states[MAX];
static struct sadb_event events[16];
static unsigned int n_events;
static bool hears_lives; /* who comes and goes */
static char said[512];
static struct xipsec_sad_key set_last, deleted_last;
static struct ctl_sa given_last;
static int sad_fails;
static struct sas *sas;
static char text[XIPSEC_SADB_ERR_TEXT];

static void say(const char *what)
{
	strncat(said, what, sizeof(said) - strlen(said) - 1);
}

static int sad_set(void *ctx, const struct xipsec_sad_key *key,
		   const struct xipsec_sad_entry *entry)
{
	set_last = *key;
	say("sad ");
	return sad_fails;
}

static int sad_delete(void *ctx, const struct xipsec_sad_key *key)
{
	deleted_last = *key;
	say("unsad ");
	return 0;
}

static int child_id(void *ctx, const struct xipsec_sa *of)
{
	return of->child[0] - 'a';
}

static int child_set(void *ctx, __u32 id, const struct xipsec_child *child)
{
	return 0;
}

static void install(void *ctx, const struct ctl_sa *msg)
{
	given_last = *msg;
	say(msg->sa.dir == XIPSEC_DIR_OUT ? "out " : "in ");
}

static void forget(void *ctx, const struct ctl_sa_ref *refs, unsigned int n)
{
}

static void event(void *ctx, struct sadb_event *told)
{
	if (!hears_lives &&
	    (told->event == XIPSEC_EVENT_ADDED || told->event == XIPSEC_EVENT_DELETED))
		return;
	assert_true(n_events < sizeof(events) / sizeof(events[0]));
	events[n_events++] = *told;
}

static unsigned int workers(void *ctx)
{
	return 1;
}

static struct xipsec_peer_key peer_last;
static unsigned int n_peers; /* of peer_last */

static int peer_known(void *ctx, const struct xipsec_peer_key *key, bool more)
{
	if (!more)
		assert_memory_equal(key, &peer_last, sizeof(*key));
	peer_last = *key;
	n_peers += more ? 1 : -1;
	return 0;
}

static const struct sas_ops ops = {sad_set, sad_delete, child_id, child_set,  install, forget,
				   event,   workers,    NULL,     peer_known, NULL};

static int setup(void **state)
{
	n_peers = 0;
	memset(states, 0, sizeof(states));
	n_events = 0;
	hears_lives = false;
	sad_fails = 0;
	sas = sas_new(MAX, NULL, &ops, NULL);
	assert_non_null(sas);
	assert_int_equal(sas_bind(sas, states, sizeof(states[0]), MAX, "boot:1"), 0);
	return 0;
}

static int teardown(void **state)
{
	sas_free(sas);
	return 0;
}

static struct xipsec_addr ip4(const char *addr)
{
	struct xipsec_addr out = {0};

	assert_int_equal(inet_pton(AF_INET, addr, &out), 1);
	return out;
}

static struct xipsec_sa make(const char *name, __u8 dir, __u32 spi)
{
	struct xipsec_sa sa = {.child = "a",
			       .src = ip4(dir == XIPSEC_DIR_OUT ? "192.0.2.1" : "198.51.100.7"),
			       .dst = ip4(dir == XIPSEC_DIR_OUT ? "198.51.100.7" : "192.0.2.1"),
			       .spi = htonl(spi),
			       .outer_family = XIPSEC_FAMILY_IP4,
			       .l4_proto = IPPROTO_ESP,
			       .dir = dir,
			       .mode = XIPSEC_MODE_TUNNEL,
			       .alg = XIPSEC_ALG_AES128GCM16,
			       .flags = XIPSEC_SA_UDP,
			       .window = 1024,
			       .n_selectors = dir == XIPSEC_DIR_IN,
			       .src_port = htons(dir == XIPSEC_DIR_OUT ? 4500 : 30000),
			       .dst_port = htons(dir == XIPSEC_DIR_OUT ? 30000 : 4500),
			       .key_len = 20};

	strcpy(sa.name, name);
	sa.key[0] = 1;
	sa.key[1] = spi & 0xff;
	return sa;
}

static struct sa *add(const struct xipsec_sa *sa)
{
	assert_int_equal(sas_add(sas, sa, text), 0);
	return sas_by_name(sas, sa->name);
}

static struct sa *limited(const char *name, struct xipsec_limits limits)
{
	struct xipsec_sa sa = make(name, XIPSEC_DIR_OUT, 0x1001);

	sa.limits = limits;
	return add(&sa);
}

/* One event has come since; none with what = 0. */
static void expect(__u32 what, __u32 limit)
{
	assert_int_equal(n_events, what ? 1 : 0);
	if (what) {
		assert_int_equal(events[0].event, what);
		assert_int_equal(events[0].limit, limit);
		assert_string_equal(events[0].sa, "one");
		assert_string_equal(events[0].child, "a");
		assert_int_equal(events[0].spi, htonl(0x1001));
		assert_int_equal(events[0].dir, XIPSEC_DIR_OUT);
	}
	n_events = 0;
}

/* ------------------------------------------------------------------ limits */

static void time_ends_it(void **state)
{
	struct sa *sa = limited("one", (struct xipsec_limits){.soft_time = 50, .hard_time = 60});
	__u64 born = sa->born;

	sas_limits(sas, born + 49);
	expect(0, 0);
	sas_limits(sas, born + 50);
	expect(XIPSEC_EVENT_EXPIRE_SOFT, XIPSEC_LIMIT_TIME);
	sas_limits(sas, born + 59);
	expect(0, 0);
	assert_int_equal(states[sa->index].status, XIPSEC_SA_LIVE);
	sas_limits(sas, born + 60);
	expect(XIPSEC_EVENT_EXPIRE_HARD, XIPSEC_LIMIT_TIME);
	assert_int_equal(states[sa->index].status, XIPSEC_SA_STOPPED);
	sas_limits(sas, born + 61);
	sas_tick(sas);
	expect(0, 0);
	assert_int_equal(sas_count(sas), 1);
}

static void hard_without_soft(void **state)
{
	struct sa *sa = limited("one", (struct xipsec_limits){.soft_time = 10, .hard_time = 60});

	/* The clock jumped: it is over, and no use to say that it will be. */
	sas_limits(sas, sa->born + 1000);
	expect(XIPSEC_EVENT_EXPIRE_HARD, XIPSEC_LIMIT_TIME);
}

static void packets_and_bytes(void **state)
{
	struct sa *sa = limited("one", (struct xipsec_limits){.soft_packets = 100,
							      .hard_packets = 200,
							      .soft_bytes = 5000,
							      .hard_bytes = 9000});

	states[sa->index].packets = 99;
	states[sa->index].bytes = 4999;
	sas_limits(sas, sa->born + 1);
	expect(0, 0);
	states[sa->index].bytes = 5000;
	sas_limits(sas, sa->born + 2);
	expect(XIPSEC_EVENT_EXPIRE_SOFT, XIPSEC_LIMIT_BYTES);
	states[sa->index].packets = 100;
	sas_limits(sas, sa->born + 3);
	expect(0, 0);
	/* The workers stop it, which sas_tick() sees. */
	states[sa->index].packets = 200;
	states[sa->index].status = XIPSEC_SA_STOPPED;
	sas_tick(sas);
	expect(XIPSEC_EVENT_EXPIRE_HARD, XIPSEC_LIMIT_PACKETS);
}

/* Dummies, what they carry, and padding that hides lengths count as well. */
static void hidden_packets_and_bytes(void **state)
{
	for (int bytes = 0; bytes < 2; bytes++) {
		struct sa *sa = limited("one", (struct xipsec_limits){.soft_packets = 100,
								      .hard_packets = 200,
								      .soft_bytes = 5000,
								      .hard_bytes = 9000});
		struct xipsec_sa_state *s = &states[sa->index];

		s->packets = 90;
		s->dummies = 9;
		s->bytes = 1000;
		s->tfc_bytes = 2000;
		s->dummy_bytes = 1999;
		sas_limits(sas, sa->born + 1);
		expect(0, 0);
		s->dummies += !bytes;
		s->dummy_bytes += bytes;
		sas_limits(sas, sa->born + 2);
		expect(XIPSEC_EVENT_EXPIRE_SOFT, bytes ? XIPSEC_LIMIT_BYTES : XIPSEC_LIMIT_PACKETS);
		s->dummies = bytes ? 0 : 110;
		s->tfc_bytes = bytes ? 8000 : 0;
		s->status = XIPSEC_SA_STOPPED;
		sas_tick(sas);
		expect(XIPSEC_EVENT_EXPIRE_HARD, bytes ? XIPSEC_LIMIT_BYTES : XIPSEC_LIMIT_PACKETS);
		sas_free(sas);
		setup(NULL);
	}
}

/* A dummy proves that the peer has the SA. */
static void dummy_is_use(void **state)
{
	struct xipsec_sa in = make("two", XIPSEC_DIR_IN, 0x1002);
	struct sa *sa = add(&in);

	sas_tick(sas);
	assert_int_equal(n_events, 0);
	states[sa->index].dummies = 1;
	sas_tick(sas);
	sas_tick(sas);
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_USED);
}

static void sequence_numbers(void **state)
{
	struct sa *sa = limited("one", (struct xipsec_limits){0});

	sas_tick(sas);
	states[sa->index].seq = 0xdffffffe;
	sas_tick(sas);
	sas_limits(sas, sa->born);
	expect(0, 0);
	states[sa->index].seq = 0xe0000000;
	sas_tick(sas);
	sas_limits(sas, sa->born);
	expect(XIPSEC_EVENT_EXPIRE_SOFT, XIPSEC_LIMIT_SEQUENCE);
	states[sa->index].seq = 0xffffffff;
	states[sa->index].status = XIPSEC_SA_STOPPED;
	sas_tick(sas);
	expect(XIPSEC_EVENT_EXPIRE_HARD, XIPSEC_LIMIT_SEQUENCE);
}

static void silence(void **state)
{
	struct sa *sa = limited("one", (struct xipsec_limits){.idle = 10});
	__u64 born = sa->born;

	sas_limits(sas, born + 9);
	expect(0, 0);
	sas_limits(sas, born + 10);
	expect(XIPSEC_EVENT_IDLE, 0);
	sas_limits(sas, born + 30);
	expect(0, 0);
	states[sa->index].last_use = born + 31;
	sas_limits(sas, born + 40);
	expect(0, 0);
	sas_limits(sas, born + 41);
	expect(XIPSEC_EVENT_IDLE, 0);
	sas_limits(sas, born + 42);
	expect(0, 0);
}

/* ------------------------------------------------------------------ coming and going */

static void assert_told(unsigned int n, enum xipsec_event what, const char *name, __u32 spi)
{
	assert_true(n < n_events);
	assert_int_equal(events[n].event, what);
	assert_string_equal(events[n].sa, name);
	assert_string_equal(events[n].child, "a");
	assert_int_equal(events[n].spi, htonl(spi));
	assert_int_equal(events[n].family, XIPSEC_FAMILY_IP4);
}

/* What was refused, or failed on the way, was never there. */
static void added_and_deleted(void **state)
{
	struct xipsec_sa out = make("one", XIPSEC_DIR_OUT, 0x1001);
	struct xipsec_sa in = make("two", XIPSEC_DIR_IN, 0x1002);
	struct sa *list[2];

	hears_lives = true;
	list[0] = add(&out);
	list[1] = add(&in);
	assert_int_equal(n_events, 2);
	assert_told(0, XIPSEC_EVENT_ADDED, "one", 0x1001);
	assert_told(1, XIPSEC_EVENT_ADDED, "two", 0x1002);
	assert_int_equal(events[1].dir, XIPSEC_DIR_IN);
	assert_true(sas_add(sas, &in, text) < 0);
	in = make("three", XIPSEC_DIR_IN, 0x1003);
	sad_fails = -E2BIG;
	assert_int_equal(sas_add(sas, &in, text), -E2BIG);
	assert_int_equal(n_events, 2);
	assert_int_equal(sas_delete(sas, list, 2), 0);
	assert_int_equal(n_events, 4);
	assert_told(2, XIPSEC_EVENT_DELETED, "one", 0x1001);
	assert_told(3, XIPSEC_EVENT_DELETED, "two", 0x1002);
}

/* ------------------------------------------------------------------ peers */

static struct ctl_peer peer_of(const struct sa *sa, const char *addr, __u16 port)
{
	return (struct ctl_peer){.index = sa->index,
				 .generation = sa->generation,
				 .addr = ip4(addr),
				 .port = htons(port)};
}

static struct sa *pair(void)
{
	struct xipsec_sa out = make("one", XIPSEC_DIR_OUT, 0x1001);
	struct xipsec_sa in = make("two", XIPSEC_DIR_IN, 0x1002);

	add(&out);
	add(&in);
	said[0] = 0;
	return sas_by_name(sas, "two");
}

static void peer_moves(void **state)
{
	struct sa *in = pair(), *out = sas_by_name(sas, "one");
	struct ctl_peer peer = peer_of(in, "198.51.100.9", 31000);
	struct xipsec_addr there = ip4("198.51.100.9"), was = ip4("198.51.100.7");
	__u32 generation = out->generation;

	states[out->index].seq = 1234;
	states[out->index].pmtu = 1000;
	sas_peer(sas, &peer);
	assert_string_equal(said, "unsad sad out in ");
	assert_memory_equal(&set_last.dst, &there, sizeof(there));
	assert_memory_equal(&deleted_last.dst, &was, sizeof(was));
	assert_memory_equal(&out->sa.dst, &there, sizeof(there));
	assert_int_equal(out->sa.dst_port, htons(31000));
	assert_int_equal(out->sa.src_port, htons(4500));
	assert_memory_equal(&in->sa.src, &there, sizeof(there));
	assert_int_equal(in->sa.src_port, htons(31000));
	/* Its numbers go on. */
	assert_int_equal(out->generation, generation);
	assert_int_equal(states[out->index].seq, 1234);
	assert_int_equal(states[out->index].pmtu, 0);
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_MAPPING);
	assert_string_equal(events[0].sa, "two");
	assert_memory_equal(&events[0].src, &there, sizeof(there));
	assert_memory_equal(&events[0].old_src, &was, sizeof(was));
	assert_int_equal(events[0].src_port, htons(31000));
	assert_int_equal(events[0].old_src_port, htons(30000));
	/* Its pieces may come in any order from there, and no more from where it was. */
	assert_memory_equal(&peer_last.src, &there, sizeof(there));
	assert_int_equal(peer_last.l4_proto, IPPROTO_UDP);
	assert_int_equal(n_peers, 1);
	/* Another worker says the same. */
	sas_peer(sas, &peer);
	assert_int_equal(n_events, 1);
	/* The config has not changed by that. */
	assert_int_equal(sas_compare(sas, out, &(struct xipsec_sa){0}), SA_LIST_OTHER);
	{
		struct xipsec_sa want = make("one", XIPSEC_DIR_OUT, 0x1001);

		assert_int_equal(sas_compare(sas, out, &want), SA_LIST_SAME);
		want.dst = there;
		assert_int_equal(sas_compare(sas, out, &want), SA_LIST_OTHER);
	}
}

static void port_moves(void **state)
{
	struct sa *in = pair();
	struct ctl_peer peer = peer_of(in, "198.51.100.7", 31000);

	sas_peer(sas, &peer);
	assert_string_equal(said, "out in ");
	assert_int_equal(sas_by_name(sas, "one")->sa.dst_port, htons(31000));
	in->sa.mode = XIPSEC_MODE_TRANSPORT;
	peer.port = htons(32000);
	sas_peer(sas, &peer);
	assert_int_equal(sas_by_name(sas, "one")->sa.dst_port, htons(32000));
}

static void who_does_not_follow(void **state)
{
	struct xipsec_sa other = make("plain", XIPSEC_DIR_OUT, 0x1003);
	struct sa *in = pair(), *plain;
	struct ctl_peer peer = peer_of(in, "198.51.100.9", 31000);
	struct xipsec_addr was = ip4("198.51.100.7"), next = ip4("198.51.100.8");

	other.flags = 0;
	other.src_port = other.dst_port = 0;
	plain = add(&other);
	other = make("elsewhere", XIPSEC_DIR_OUT, 0x1004);
	other.dst_port = htons(30001);
	add(&other);
	other = make("host", XIPSEC_DIR_OUT, 0x1006);
	other.dst = next;
	add(&other);
	other = make("child", XIPSEC_DIR_OUT, 0x1005);
	other.child[0] = 'b';
	add(&other);
	sas_peer(sas, &peer);
	assert_memory_equal(&plain->sa.dst, &was, sizeof(was));
	assert_memory_equal(&sas_by_name(sas, "elsewhere")->sa.dst, &was, sizeof(was));
	assert_memory_equal(&sas_by_name(sas, "host")->sa.dst, &next, sizeof(next));
	assert_memory_equal(&sas_by_name(sas, "child")->sa.dst, &was, sizeof(was));
	assert_int_equal(sas_by_name(sas, "one")->sa.dst_port, htons(31000));
}

static void peers_that_lie(void **state)
{
	struct sa *in = pair(), *out = sas_by_name(sas, "one");
	struct ctl_peer peer;

#define IGNORED(addr, port, change)             \
	do {                                    \
		peer = peer_of(in, addr, port); \
		change;                         \
		sas_peer(sas, &peer);           \
		assert_int_equal(n_events, 0);  \
		assert_string_equal(said, "");  \
	} while (0)
	IGNORED("0.0.0.0", 31000, );
	IGNORED("127.0.0.1", 31000, );
	IGNORED("224.0.0.1", 31000, );
	IGNORED("255.255.255.255", 31000, );
	IGNORED("198.51.100.9", 0, );
	IGNORED("198.51.100.9", 31000, peer.generation++);
	IGNORED("198.51.100.9", 31000, peer.index = MAX);
	IGNORED("198.51.100.9", 31000, peer.index = out->index; peer.generation = out->generation);
	IGNORED("198.51.100.9", 31000, peer.addr.word[3] = 1);
	in->sa.mode = XIPSEC_MODE_TRANSPORT; /* the address is the packets' own */
	IGNORED("198.51.100.9", 31000, );
	in->sa.mode = XIPSEC_MODE_TUNNEL;
	in->sa.flags |= XIPSEC_SA_STAY;
	IGNORED("198.51.100.9", 31000, );
	IGNORED("198.51.100.7", 31000, );
	in->sa.flags &= ~(XIPSEC_SA_UDP | XIPSEC_SA_STAY);
	IGNORED("198.51.100.9", 31000, );
#undef IGNORED
}

/* A full map: the SA stays where it was, whole. */
static void no_room_for_the_new_entry(void **state)
{
	struct sa *in = pair(), *out = sas_by_name(sas, "one");
	struct ctl_peer peer = peer_of(in, "198.51.100.9", 31000);
	struct xipsec_addr was = ip4("198.51.100.7");

	sad_fails = -E2BIG;
	sas_peer(sas, &peer);
	assert_memory_equal(&out->sa.dst, &was, sizeof(was));
	assert_int_equal(out->sa.dst_port, htons(30000));
	assert_string_equal(said, "unsad sad sad ");
	assert_memory_equal(&set_last.dst, &was, sizeof(was));
	assert_memory_equal(&in->sa.src, &was, sizeof(was));
	assert_int_equal(n_events, 0);
}

/* ------------------------------------------------------------------ subscribers */

static struct sas *hook_sas(void *ctx)
{
	return sas;
}

static struct config config = {.audit = true};

static const struct config *hook_config(void *ctx)
{
	return &config;
}

static const struct sadb_hooks hooks = {.sas = hook_sas, .config = hook_config};

static struct {
	char dir[64];
	struct event_base *base;
	struct sadb_server *server;
} net;

static int socket_up(void **state)
{
	strcpy(net.dir, "/tmp/xipsec-events.XXXXXX");
	if (setup(state) || !mkdtemp(net.dir))
		return -1;
	net.base = event_base_new();
	return sadb_server_new(net.base, net.dir, &hooks, NULL, &net.server);
}

static int socket_down(void **state)
{
	sadb_server_free(net.server);
	event_base_free(net.base);
	rmdir(net.dir);
	return teardown(state);
}

static int client_asks(__u32 wanted, __u32 flags)
{
	struct sadb_subscribe ask = {
		.hdr = {XIPSEC_SADB_SUBSCRIBE, 0, XIPSEC_ABI, 0, sizeof(ask), 1},
		.events = wanted,
		.flags = flags};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	struct sadb_reply reply;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sadb.sock", net.dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (!wanted)
		ask.hdr.len = sizeof(ask.hdr);
	assert_int_equal(send(fd, &ask, ask.hdr.len, 0), ask.hdr.len);
	for (int i = 0; i < 4; i++)
		event_base_loop(net.base, EVLOOP_NONBLOCK);
	assert_int_equal(recv(fd, &reply, sizeof(reply), MSG_DONTWAIT), sizeof(reply));
	assert_int_equal(reply.hdr.err, 0);
	return fd;
}

static int client(__u32 wanted)
{
	return client_asks(wanted, 0);
}

/* The number of events that wait; the last one in *out. */
static unsigned int hear(int fd, struct sadb_event *out)
{
	unsigned int n = 0;

	for (int quiet = 0; quiet < 3; quiet++) {
		while (recv(fd, out, sizeof(*out), MSG_DONTWAIT) == sizeof(*out)) {
			n++;
			quiet = 0;
		}
		event_base_loop(net.base, EVLOOP_NONBLOCK);
	}
	return n;
}

static void emit(enum xipsec_event what, unsigned int n)
{
	while (n--) {
		struct sadb_event told = {.event = what};

		sadb_server_event(net.server, &told);
	}
}

static void who_wants_what(void **state)
{
	int all = client(~0U), plain = client(0);
	struct sadb_event got;

	emit(XIPSEC_EVENT_SAMPLE, 1);
	assert_int_equal(hear(all, &got), 1);
	assert_int_equal(got.event, XIPSEC_EVENT_SAMPLE);
	assert_int_equal(got.hdr.type, XIPSEC_SADB_EVENT);
	assert_true(got.time != 0);
	assert_int_equal(hear(plain, &got), 0);
	emit(XIPSEC_EVENT_MAPPING, 1);
	assert_int_equal(hear(all, &got), 1);
	assert_int_equal(hear(plain, &got), 1);
	assert_true(sadb_server_wanted(net.server, XIPSEC_EVENT_SAMPLE));
	close(all);
	for (int i = 0; i < 4; i++)
		event_base_loop(net.base, EVLOOP_NONBLOCK);
	assert_false(sadb_server_wanted(net.server, XIPSEC_EVENT_SAMPLE));
	close(plain);
}

/* Bytes of packets go to those who asked for them, and the programs hear what is asked for. */
static void who_gets_bytes(void **state)
{
	static const __u8 zeros[XIPSEC_SAMPLE_BYTES];
	struct sadb_event told = {.event = XIPSEC_EVENT_PASS,
				  .sample = {.captured = 3, .data = {7, 8, 9}}};
	struct sadb_event got;
	int plain = client(XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS)), with;

	assert_int_equal(sadb_server_tell(net.server), XIPSEC_TELL_PASSES);
	with = client_asks(XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS), XIPSEC_SUBSCRIBE_PACKETS);
	assert_int_equal(sadb_server_tell(net.server), XIPSEC_TELL_PASSES | XIPSEC_TELL_PACKETS);
	sadb_server_event(net.server, &told);
	assert_int_equal(hear(plain, &got), 1);
	assert_int_equal(got.sample.captured, 0);
	assert_memory_equal(got.sample.data, zeros, sizeof(zeros));
	assert_int_equal(hear(with, &got), 1);
	assert_int_equal(got.sample.captured, 3);
	assert_memory_equal(got.sample.data, told.sample.data, sizeof(zeros));
	close(plain);
	close(with);
	for (int i = 0; i < 4; i++)
		event_base_loop(net.base, EVLOOP_NONBLOCK);
	assert_int_equal(sadb_server_tell(net.server), 0);
}

/* One that does not read loses samples, is told how many, and loses nothing else. */
static void slow_subscriber(void **state)
{
	int fd = client(~0U);
	struct sadb_event got;
	unsigned int n, samples;

	emit(XIPSEC_EVENT_SAMPLE, 20000);
	emit(XIPSEC_EVENT_EXPIRE_HARD, 5);
	samples = hear(fd, &got) - 5;
	assert_true(samples > 100 && samples < 5000);
	emit(XIPSEC_EVENT_SAMPLE, 20000);
	n = hear(fd, &got);
	assert_true(n > 100 && n < 5000);
	emit(XIPSEC_EVENT_SAMPLE, 1);
	assert_int_equal(hear(fd, &got), 1);
	assert_int_equal(got.lost, 20000 - n);
	/* A reload may bring and take any number of SAs at once. */
	emit(XIPSEC_EVENT_ADDED, 20000);
	emit(XIPSEC_EVENT_DELETED, 20000);
	n = hear(fd, &got);
	assert_true(n > 100 && n < 5000);
	emit(XIPSEC_EVENT_DELETED, 1);
	assert_int_equal(hear(fd, &got), 1);
	assert_int_equal(got.lost, 40000 - n);
	close(fd);
}

/* ------------------------------------------------------------------ samples */

static bool is_wanted;

static bool wanted(void *ctx, enum xipsec_event event)
{
	return is_wanted;
}

static void samples_event(void *ctx, struct sadb_event *told)
{
	sas_describe(sas, &told->sample, told);
	event(ctx, told);
}

static void samples_are_described(void **state)
{
	static const struct samples_hooks mine = {samples_event, wanted};
	struct samples *samples = samples_new(NULL, &mine, NULL);
	struct sa *in = pair();
	struct xipsec_sample sample = {.reason = XIPSEC_REASON_REPLAY,
				       .sa_index = in->index,
				       .sa_generation = in->generation,
				       .child = 77};

	assert_non_null(samples);
	samples_tell(samples, &sample);
	assert_int_equal(n_events, 0);
	is_wanted = true;
	samples_tell(samples, &sample);
	assert_int_equal(n_events, 1);
	assert_string_equal(events[0].sa, "two");
	assert_string_equal(events[0].child, "a");
	assert_int_equal(events[0].sample.worker, 1);
	/* Of an SA that is gone, or was never there; by SPI where no SA is named. */
	sample.sa_generation++;
	samples_tell(samples, &sample);
	assert_string_equal(events[1].sa, "");
	assert_int_equal(events[1].family, 0);
	sample = (struct xipsec_sample){.reason = XIPSEC_REASON_NO_WORKER,
					.family = XIPSEC_FAMILY_IP4,
					.dst = ip4("192.0.2.1"),
					.spi = htonl(0x1002)};
	samples_program(samples, &sample);
	assert_string_equal(events[2].sa, "two");
	sample.reason = XIPSEC_REASON_COUNT;
	samples_tell(samples, &sample);
	assert_int_equal(n_events, 3);
	/* What went on all the same is no drop, and who asks for drops alone does not hear of it.
	 */
	sample.reason = XIPSEC_REASON_OPENED_ECN;
	samples_tell(samples, &sample);
	assert_int_equal(n_events, 4);
	assert_int_equal(events[2].event, XIPSEC_EVENT_SAMPLE);
	assert_int_equal(events[3].event, XIPSEC_EVENT_PASS);
	samples_free(samples);
}

/* AH and ESP have SPIs of their own: the same one to the same address may be of either. */
static void samples_of_ah(void **state)
{
	static const struct samples_hooks mine = {samples_event, wanted};
	static const struct {
		__u8 l4_proto;
		const char *sa;
	} of[] = {{IPPROTO_AH, "ah"}, {IPPROTO_ESP, "esp"}, {IPPROTO_UDP, "esp"}};
	struct samples *samples = samples_new(NULL, &mine, NULL);
	struct xipsec_sa esp = make("esp", XIPSEC_DIR_IN, 0x1002);
	struct xipsec_sa ah = make("ah", XIPSEC_DIR_IN, 0x1002);

	ah.l4_proto = IPPROTO_AH;
	ah.alg = XIPSEC_ALG_AES128GMAC;
	ah.flags = ah.src_port = ah.dst_port = 0;
	ah.key[0] = 2;
	add(&esp);
	add(&ah);
	assert_non_null(samples);
	is_wanted = true;
	for (unsigned int i = 0; i < 3; i++) {
		const struct xipsec_sample sample = {.reason = XIPSEC_REASON_NO_WORKER,
						     .family = XIPSEC_FAMILY_IP4,
						     .l4_proto = of[i].l4_proto,
						     .dst = ip4("192.0.2.1"),
						     .spi = htonl(0x1002)};

		samples_program(samples, &sample);
		assert_int_equal(n_events, i + 1);
		assert_string_equal(events[i].sa, of[i].sa);
	}
	samples_free(samples);
}

static void tunnels_are_described(void **state)
{
	static const struct samples_hooks mine = {samples_event, wanted};
	struct samples *samples = samples_new(NULL, &mine, NULL);
	struct sa *in = pair();
	/* What a worker says of an SA there means nothing. */
	const struct xipsec_sample sample = {.reason = XIPSEC_REASON_NO_SA_OUT,
					     .sa_index = in->index,
					     .sa_generation = in->generation,
					     .family = XIPSEC_FAMILY_IP4,
					     .dst = ip4("10.2.0.2")};

	assert_non_null(samples);
	is_wanted = false;
	samples_tunnel(samples, &sample, "lo", false);
	assert_int_equal(n_events, 0);
	samples_tunnel(samples, &sample, "lo", true);
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_ACQUIRE);
	assert_string_equal(events[0].child, "lo");
	assert_string_equal(events[0].iface, "lo");
	assert_string_equal(events[0].sa, "");
	assert_int_equal(events[0].sample.dst.word[0], ip4("10.2.0.2").word[0]);
	is_wanted = true;
	samples_tunnel(samples, &sample, "lo", false);
	assert_int_equal(n_events, 2);
	assert_int_equal(events[1].event, XIPSEC_EVENT_SAMPLE);
	assert_string_equal(events[1].child, "lo");
	assert_int_equal(events[1].sample.worker, 1);
	samples_free(samples);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(time_ends_it),
		TEST(hard_without_soft),
		TEST(packets_and_bytes),
		TEST(hidden_packets_and_bytes),
		TEST(dummy_is_use),
		TEST(sequence_numbers),
		TEST(silence),
		TEST(added_and_deleted),
		TEST(peer_moves),
		TEST(port_moves),
		TEST(who_does_not_follow),
		TEST(peers_that_lie),
		TEST(no_room_for_the_new_entry),
		cmocka_unit_test_setup_teardown(who_wants_what, socket_up, socket_down),
		cmocka_unit_test_setup_teardown(who_gets_bytes, socket_up, socket_down),
		cmocka_unit_test_setup_teardown(slow_subscriber, socket_up, socket_down),
		TEST(samples_are_described),
		TEST(samples_of_ah),
		TEST(tunnels_are_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
