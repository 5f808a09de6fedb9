// SPDX-License-Identifier: BSD-2-Clause
/* SAs of the engine xfrm in the SADB: what is told to whom and in which order, where the counters
 * come from, what becomes of the kernel's news. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "loader/sas.h"
#include "loader/xfrm_msg.h"
#include "tests/lib/sa_make.h"

static struct xipsec_sa_state states[4];
static struct sas *sas;
static char said[256]; /* one letter for each thing that happened */
static int fails;      /* what the kernel answers to an SA */
static struct xfrm_count counts;
static const struct xfrm_count *at_its_end; /* NULL: the same */
static struct engine_facts facts;
static int ask_fails; /* of the SA with this SPI */
static __be32 ask_fails_spi;
static struct sadb_event events[8];
static unsigned int n_events;
static bool other_engine; /* the SA that comes is not the kernel's */
static unsigned int cpus; /* a digit for each inbound SA: where it is opened */
static char text[XIPSEC_SADB_ERR_TEXT];

static int say(const char *what)
{
	strncat(said, what, sizeof(said) - strlen(said) - 1);
	return 0;
}

static int sad_set(void *ctx, const struct xipsec_sad_key *key,
		   const struct xipsec_sad_entry *entry)
{
	assert_int_equal(entry->engine, other_engine ? XIPSEC_ENGINE_AFXDP : XIPSEC_ENGINE_XFRM);
	if (entry->dir == XIPSEC_DIR_IN)
		cpus = cpus * 10 + entry->xfrm;
	else
		assert_int_equal(entry->xfrm, other_engine ? 0 : htonl(0xc0000201));
	/* the kernel takes the form of its SA alone, workers either */
	if (entry->dir == XIPSEC_DIR_OUT || other_engine)
		assert_int_equal(entry->refused, 0);
	else
		assert_int_equal(entry->refused,
				 entry->udp ? XIPSEC_SAD_NO_PLAIN : XIPSEC_SAD_NO_UDP);
	return say("sad ");
}

static int sad_delete(void *ctx, const struct xipsec_sad_key *key)
{
	return say("unsad ");
}

static int child_id(void *ctx, const struct xipsec_sa *of)
{
	return 5;
}

static int child_set(void *ctx, __u32 id, const struct xipsec_child *child)
{
	assert_int_equal(id, 5);
	return say(child->sa_generation ? "child " : "unchild ");
}

static void install(void *ctx, const struct ctl_sa *msg)
{
	say("WORKER ");
}

static void forget(void *ctx, const struct ctl_sa_ref *refs, unsigned int n)
{
	say("WORKER ");
}

static void event(void *ctx, struct sadb_event *e)
{
	bool comes_or_goes = e->event == XIPSEC_EVENT_ADDED || e->event == XIPSEC_EVENT_DELETED;

	if (!comes_or_goes && n_events < 8)
		events[n_events++] = *e;
}

static unsigned int workers(void *ctx)
{
	return 2;
}

static int kernel_add(void *ctx, const struct xipsec_sa *sa, __u32 index, __u32 child, __u64 seq)
{
	assert_int_equal(child, 5);
	assert_int_equal(seq, 0);
	assert_int_equal(sa->key[0], 7); /* with its key */
	say(fails ? "REFUSED " : "add ");
	return fails;
}

static int kernel_gone(void *ctx, const struct xipsec_sa *sa, struct xfrm_count *last)
{
	*last = at_its_end ? *at_its_end : counts;
	return say("gone ");
}

static int kernel_lead(void *ctx, __u8 dir, const struct xipsec_sa *sa, __u32 index, __u32 child)
{
	assert_int_equal(child, 5);
	return say(!sa ? "unlead " : dir == XIPSEC_DIR_OUT ? "lead-out " : "lead-in ");
}

static int kernel_ask(void *ctx, const struct xipsec_sa *sa, struct xfrm_count *out)
{
	if (ask_fails && sa->spi == ask_fails_spi)
		return ask_fails;
	*out = counts;
	return 0;
}

/* Turns go to inbound SAs alone. */
static __u32 kernel_cpu(void *ctx, __u32 turn)
{
	return turn % 2 + 1;
}

static void kernel_facts(void *ctx, const struct xipsec_sa *sa, struct engine_facts *out)
{
	*out = facts;
}

static const struct sas_kernel kernel = {kernel_add, kernel_gone,  kernel_lead,
					 kernel_ask, kernel_facts, kernel_cpu};
static const struct sas_ops ops = {sad_set, sad_delete, child_id, child_set, install, forget,
				   event,   workers,    &kernel,  NULL,      NULL};

static int setup(void **state)
{
	memset(states, 0, sizeof(states));
	fails = 0;
	said[0] = 0;
	cpus = 0;
	other_engine = false;
	n_events = 0;
	ask_fails = 0;
	facts = (struct engine_facts){.esp = true};
	counts = (struct xfrm_count){0};
	at_its_end = NULL;
	sas = sas_new(4, NULL, &ops, NULL);
	return sas ? sas_bind(sas, states, sizeof(states[0]), 4, "here") : -1;
}

static int teardown(void **state)
{
	sas_free(sas);
	return 0;
}

static struct xipsec_sa make(const char *name, __u8 dir, __u32 spi)
{
	struct xipsec_sa sa = sa_make(dir, XIPSEC_ALG_AES128GCM16, spi);

	snprintf(sa.name, sizeof(sa.name), "%s", name);
	sa.window = 64; /* no worker shares it */
	sa.n_selectors = dir == XIPSEC_DIR_IN ? 1 : 0;
	sa.key[0] = 7;
	sa.key[1] = (__u8)spi;
	return sa;
}

static struct sa *add(const char *name, __u8 dir, __u32 spi)
{
	struct xipsec_sa want = make(name, dir, spi);

	if (sas_add(sas, &want, text))
		fail_msg("%s", text);
	return sas_by_name(sas, name);
}

static void happened(const char *what)
{
	assert_string_equal(said, what);
	said[0] = 0;
}

/* Nothing is led to what is not there; no worker ever hears of it. */
static void order(void **state)
{
	struct sa *out = add("out", XIPSEC_DIR_OUT, 0x1001), *in;

	happened("add sad lead-out child ");
	in = add("in", XIPSEC_DIR_IN, 0x1002);
	happened("add lead-in sad ");
	sas_delete(sas, &out, 1);
	happened("unchild unsad unlead gone ");
	sas_delete(sas, &in, 1);
	happened("unsad unlead gone ");
}

/* Inbound SAs take turns among the CPUs, whatever comes between them. */
static void every_other_cpu(void **state)
{
	add("in1", XIPSEC_DIR_IN, 0x1002);
	add("out", XIPSEC_DIR_OUT, 0x1001);
	add("in2", XIPSEC_DIR_IN, 0x1004);
	add("in3", XIPSEC_DIR_IN, 0x1006);
	assert_int_equal(cpus, 121);
}

/* A rekey: the new one takes over; with it gone the old one serves again. */
static void rekey(void **state)
{
	struct sa *old = add("old", XIPSEC_DIR_OUT, 0x1001), *new;

	said[0] = 0;
	new = add("new", XIPSEC_DIR_OUT, 0x1003);
	happened("add sad lead-out child ");
	sas_delete(sas, &new, 1);
	happened("lead-out child unsad gone ");
	sas_delete(sas, &old, 1);
	happened("unchild unsad unlead gone ");
}

/* What the kernel refuses is nowhere; what is not ours there is not taken away. */
static void refusals(void **state)
{
	static const struct {
		int err;
		const char *word;
	} cases[] = {{-EPROTONOSUPPORT, "no ESP"},
		     {-ENOSYS, "algorithm"},
		     {-EXDEV, "narrower"},
		     {-EEXIST, "somebody else"},
		     {-EADDRINUSE, "other selectors"},
		     {-ENODEV, "interface of its if_id"},
		     {-ENOMEM, "memory"}};
	struct xipsec_sa want = make("out", XIPSEC_DIR_OUT, 0x1001);

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fails = cases[i].err;
		assert_int_equal(sas_add(sas, &want, text), fails);
		assert_non_null(strstr(text, cases[i].word));
		happened("REFUSED unchild unsad ");
		assert_int_equal(sas_count(sas), 0);
		for (int place = 0; place < 4; place++)
			assert_int_equal(states[place].status, XIPSEC_SA_FREE);
	}
}

/* Before anything is told to anybody. */
static void forbidden(void **state)
{
	struct xipsec_sa want = make("out", XIPSEC_DIR_OUT, 0x1001);

	facts.generic = true;
	assert_int_equal(sas_add(sas, &want, text), -EOPNOTSUPP);
	assert_non_null(strstr(text, "SA out: engine = xfrm: an interface runs generic XDP"));
	facts = (struct engine_facts){.esp = true, .offload = true};
	assert_int_equal(sas_add(sas, &want, text), -EOPNOTSUPP);
	assert_non_null(strstr(text, "ESP offload"));
	happened("");
	assert_int_equal(sas_count(sas), 0);
}

/* An SA of a tunnel has its engine, what that engine has not is refused, and it does not move. */
static void of_a_tunnel(void **state)
{
	struct xipsec_sa want = make("out", XIPSEC_DIR_OUT, 0x1001);

	want.if_id = 7;
	facts.tunnel = XIPSEC_ENGINE_AFXDP;
	assert_int_equal(sas_add(sas, &want, text), -EINVAL);
	assert_non_null(strstr(text, "the tunnel of its if_id has another engine"));
	facts.tunnel = XIPSEC_ENGINE_XFRM;
	want.engine = XIPSEC_ENGINE_AFXDP;
	want.window = 1024;
	assert_int_equal(sas_add(sas, &want, text), -EINVAL);
	want.engine = XIPSEC_ENGINE_NONE;
	want.ttl = 9;
	assert_int_equal(sas_add(sas, &want, text), -EOPNOTSUPP);
	assert_non_null(strstr(text, "SA out: ttl: kernel XFRM"));
	want.ttl = 0;
	facts.generic = true;
	assert_int_equal(sas_add(sas, &want, text), -EOPNOTSUPP);
	facts.generic = false;
	happened("");
	assert_int_equal(sas_add(sas, &want, text), 0);
	assert_int_equal(sas_by_name(sas, "out")->sa.engine, XIPSEC_ENGINE_XFRM);
	assert_int_equal(sas_by_name(sas, "out")->engine_why, XIPSEC_ENGINE_WHY_TUNNEL);
	assert_int_equal(sas_wish(sas, "out", XIPSEC_ENGINE_AFXDP, text), -EPERM);
	assert_non_null(strstr(text, "its engine is that of its interface"));
}

/* engine = auto: as its child's other SAs are, while there are such. */
static void left_to_us(void **state)
{
	struct xipsec_sa want = make("new", XIPSEC_DIR_OUT, 0x1003);
	struct sadb_sa_info info;
	struct sa *old = add("old", XIPSEC_DIR_OUT, 0x1001);

	sas_info(sas, old, &info);
	assert_int_equal(info.engine_why, XIPSEC_ENGINE_WHY_ASKED);
	said[0] = 0;
	want.engine = XIPSEC_ENGINE_NONE;
	want.window = 1024; /* for workers who share it, should it be theirs */
	assert_int_equal(sas_add(sas, &want, text), 0);
	happened("add sad lead-out child ");
	sas_info(sas, sas_by_name(sas, "new"), &info);
	assert_int_equal(info.sa.engine, XIPSEC_ENGINE_XFRM);
	assert_int_equal(info.engine_why, XIPSEC_ENGINE_WHY_CHILD);
}

/* A child goes to the other engine by new SAs: the key that is there stays where it is. */
static void a_move_is_a_rekey(void **state)
{
	struct xipsec_sa want;
	struct sa *old = add("old", XIPSEC_DIR_OUT, 0x1001);

	said[0] = 0;
	assert_int_equal(sas_wish(sas, "nobody", XIPSEC_ENGINE_AFXDP, text), -ENOENT);
	assert_int_equal(sas_wish(sas, "old", XIPSEC_ENGINE_XFRM, text), -EALREADY);
	assert_int_equal(sas_wish(sas, "c", XIPSEC_ENGINE_NONE, text), -EINVAL);
	assert_int_equal(n_events, 0);
	assert_int_equal(sas_wish(sas, "c", XIPSEC_ENGINE_AFXDP, text), 0);
	happened(""); /* but that it was asked for */
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_EXPIRE_SOFT);
	assert_string_equal(events[0].sa, "old");
	assert_int_equal(old->sa.engine, XIPSEC_ENGINE_XFRM);
	want = make("new", XIPSEC_DIR_OUT, 0x1003);
	want.window = 1024;
	other_engine = true;
	assert_int_equal(sas_add(sas, &want, text), 0);
	happened("WORKER sad child ");
	assert_int_equal(sas_by_name(sas, "new")->sa.engine, XIPSEC_ENGINE_AFXDP);
	sas_delete(sas, &old, 1);
	happened("child unsad unlead gone ");
	/* and back */
	assert_int_equal(sas_wish(sas, "new", XIPSEC_ENGINE_XFRM, text), 0);
	other_engine = false;
	add("third", XIPSEC_DIR_OUT, 0x1005);
	happened("add sad lead-out child ");
	/* with the config read again, what it says counts */
	sas_wishes_forget(sas);
	want = make("fourth", XIPSEC_DIR_OUT, 0x1007);
	want.window = 1024;
	want.engine = XIPSEC_ENGINE_AFXDP;
	other_engine = true;
	assert_int_equal(sas_add(sas, &want, text), 0);
	happened("WORKER sad child ");
}

/* What cannot be had there is refused before anything is asked, or given up. */
static void a_move_that_cannot_be(void **state)
{
	struct xipsec_sa want = make("ours", XIPSEC_DIR_OUT, 0x1001);

	want.window = 1024;
	want.engine = XIPSEC_ENGINE_AFXDP;
	want.ttl = 9;
	other_engine = true;
	assert_int_equal(sas_add(sas, &want, text), 0);
	assert_int_equal(sas_wish(sas, "ours", XIPSEC_ENGINE_XFRM, text), -EOPNOTSUPP);
	assert_non_null(strstr(text, "ttl"));
	sas_by_name(sas, "ours")->sa.ttl = 0;
	facts.generic = true;
	assert_int_equal(sas_wish(sas, "ours", XIPSEC_ENGINE_XFRM, text), -EOPNOTSUPP);
	facts.generic = false;
	sas_by_name(sas, "ours")->sa.flags = XIPSEC_SA_MANUAL;
	assert_int_equal(sas_wish(sas, "ours", XIPSEC_ENGINE_XFRM, text), -EPERM);
	assert_non_null(strstr(text, "never changes its engine"));
	sas_by_name(sas, "ours")->sa.flags = 0;
	assert_int_equal(n_events, 0);
	assert_int_equal(sas_wish(sas, "ours", XIPSEC_ENGINE_XFRM, text), 0);
	fails = -EXDEV;
	other_engine = false;
	want = make("new", XIPSEC_DIR_OUT, 0x1003);
	want.window = 1024;
	want.engine = XIPSEC_ENGINE_AFXDP;
	assert_int_equal(sas_add(sas, &want, text), -EXDEV);
	said[0] = 0;
	other_engine = true;
	assert_int_equal(sas_add(sas, &want, text), 0); /* stays with its engine */
	happened("WORKER sad child ");
}

static void counters_are_the_kernels(void **state)
{
	struct sa *in = add("in", XIPSEC_DIR_IN, 0x1002);
	struct sadb_sa_info info;

	counts = (struct xfrm_count){.packets = 3, .bytes = 300, .seq = 7};
	sas_tick(sas);
	sas_info(sas, in, &info);
	assert_int_equal(info.packets, 3);
	assert_int_equal(info.bytes, 300);
	assert_int_equal(info.seq, 7);
	assert_int_equal(info.idle, 0);
	/* told at once, while it is young */
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_USED);
}

static struct xfrm_news news_of(enum xfrm_news_kind kind, __u32 spi)
{
	struct xfrm_news news = {
		.kind = kind, .sa = {.spi = htonl(spi), .proto = IPPROTO_ESP, .family = AF_INET}};

	news.sa.daddr.a4 = htonl(0xc0000202);
	return news;
}

static void a_hard_limit_stops(void **state)
{
	struct xipsec_sa want = make("out", XIPSEC_DIR_OUT, 0x1001);
	struct xfrm_news news = news_of(XFRM_NEWS_HARD, 0x1001);

	want.limits.hard_packets = 9;
	assert_int_equal(sas_add(sas, &want, text), 0);
	news.count.packets = 9;
	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_EXPIRE_HARD);
	assert_int_equal(events[0].limit, XIPSEC_LIMIT_PACKETS);
	assert_string_equal(events[0].sa, "out");
	assert_int_equal(states[0].status, XIPSEC_SA_STOPPED);
	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 1); /* once */
}

static void a_soft_limit_is_told(void **state)
{
	struct xipsec_sa want = make("out", XIPSEC_DIR_OUT, 0x1001);
	struct xfrm_news news = news_of(XFRM_NEWS_SOFT, 0x1001);

	want.limits.soft_bytes = 100;
	assert_int_equal(sas_add(sas, &want, text), 0);
	news.count.bytes = 100;
	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_EXPIRE_SOFT);
	assert_int_equal(events[0].limit, XIPSEC_LIMIT_BYTES);
	assert_int_equal(states[0].status, XIPSEC_SA_LIVE);
}

static void an_acquire_names_the_child(void **state)
{
	struct sa *out = add("out", XIPSEC_DIR_OUT, 0x1001);
	struct xfrm_news news = {.kind = XFRM_NEWS_ACQUIRE, .reqid = XIPSEC_MARK_XFRM | out->index};

	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_ACQUIRE);
	assert_string_equal(events[0].child, "c");
	news.reqid = XIPSEC_MARK_XFRM | 3;
	sas_kernel_news(sas, &news);
	news.reqid = XIPSEC_MARK_XFRM | 0xffff;
	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 1);
}

static void a_mapping_is_told(void **state)
{
	struct xfrm_news news = news_of(XFRM_NEWS_MAPPING, 0x1002);

	add("in", XIPSEC_DIR_IN, 0x1002);
	news.src.word[0] = htonl(0xc0000209);
	news.src_port = htons(1024);
	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_MAPPING);
	assert_int_equal(events[0].src.word[0], htonl(0xc0000209));
	assert_int_equal(events[0].old_src.word[0], htonl(0xc0000201));
	/* of an SA that is not ours */
	news.sa.spi = htonl(0x9999);
	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 1);
}

/* Policies that somebody took are put back: for what is opened, and for the SA that seals now. */
static void policies_come_back(void **state)
{
	struct xfrm_news news = {.kind = XFRM_NEWS_POLICIES_GONE};

	add("old", XIPSEC_DIR_OUT, 0x1001);
	add("new", XIPSEC_DIR_OUT, 0x1003);
	add("in", XIPSEC_DIR_IN, 0x1002);
	said[0] = 0;
	sas_kernel_news(sas, &news);
	happened("lead-out lead-in ");
	assert_int_equal(n_events, 0);
}

/* An SA that somebody took has stopped, for good and told once; the others go on. */
static void an_sa_that_was_taken_stops(void **state)
{
	struct xfrm_news news = {.kind = XFRM_NEWS_SAS_GONE};

	add("out", XIPSEC_DIR_OUT, 0x1001);
	add("in", XIPSEC_DIR_IN, 0x1002);
	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 0); /* both are there */
	ask_fails = -ESRCH;
	ask_fails_spi = htonl(0x1001);
	news.sa = news_of(XFRM_NEWS_SAS_GONE, 0x1002).sa; /* it is not about that one */
	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 0);
	news.sa = (struct xfrm_usersa_id){.proto = 0};
	said[0] = 0;
	sas_kernel_news(sas, &news);
	sas_kernel_news(sas, &news);
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].event, XIPSEC_EVENT_EXPIRE_HARD);
	assert_string_equal(events[0].sa, "out");
	happened(""); /* not made again with that key */
}

/* The kernel opens between the last look and the end. */
static void its_last_numbers_count(void **state)
{
	static const struct xfrm_count end = {.packets = 5, .bytes = 500, .seq = 9};
	struct sa *in = add("in", XIPSEC_DIR_IN, 0x1002);

	counts = (struct xfrm_count){.packets = 3, .bytes = 300, .seq = 7};
	at_its_end = &end;
	sas_delete(sas, &in, 1);
	assert_int_equal(states[0].packets, 5);
	assert_int_equal(states[0].bytes, 500);
	assert_int_equal(states[0].replay_top, 9);
}

/* A map with room for fewer: what has no place there ends in the old one. */
static void no_place_in_the_new_map(void **state)
{
	static struct xipsec_sa_state fewer[2];
	static const struct xipsec_sa_state none;

	add("kept", XIPSEC_DIR_IN, 0x1002);
	add("lost", XIPSEC_DIR_IN, 0x1004);
	counts = (struct xfrm_count){.packets = 3, .seq = 7};
	said[0] = 0;
	assert_int_equal(sas_bind(sas, fewer, sizeof(fewer[0]), 1, "there"), -ENOSPC);
	happened("gone sad ");
	assert_null(sas_by_name(sas, "lost"));
	assert_int_equal(states[1].replay_top, 7);
	assert_int_equal(fewer[0].status, XIPSEC_SA_LIVE);
	assert_memory_equal(&fewer[1], &none, sizeof(none));
}

/* The end of xipsecd: nothing of it stays in the kernel. */
static void stop(void **state)
{
	add("old", XIPSEC_DIR_OUT, 0x1001);
	add("new", XIPSEC_DIR_OUT, 0x1003);
	said[0] = 0;
	sas_stop(sas);
	happened("unchild unsad gone unchild unsad unlead gone ");
}

/* ------------------------------------------------------------------ another list */

/* A program compares what the kernel opens in tunnel mode; what it compares itself it cannot change
 * in one step. */
static void list_of_a_kernels_sa(void **state)
{
	struct sa *sa = add("in", XIPSEC_DIR_IN, 0x1001);
	struct xipsec_sa with = make("in", XIPSEC_DIR_IN, 0x1001);

	with.refuse[0] = 1;
	with.n_selectors = 2;
	said[0] = 0;
	sa = sas_relist(sas, sa, &with);
	assert_non_null(sa);
	assert_ptr_equal(sas_by_name(sas, "in"), sa);
	assert_int_equal(sa->sa.n_selectors, 2);
	assert_true(sa->in_kernel);
	sas_settle(sas);
	assert_string_equal(said, "");
	sa->sa.mode = XIPSEC_MODE_TRANSPORT;
	assert_null(sas_relist(sas, sa, &with));
	sa->sa.dir = XIPSEC_DIR_OUT; /* of those it is told when the policies are switched */
	sa = sas_relist(sas, sa, &with);
	assert_non_null(sa);
	sa->sa.dir = XIPSEC_DIR_IN;
	sa->sa.mode = XIPSEC_MODE_TUNNEL;
	sa->sa.if_id = 1;
	assert_null(sas_relist(sas, sa, &with));
	sa->sa.if_id = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order, setup, teardown),
		cmocka_unit_test_setup_teardown(every_other_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(rekey, setup, teardown),
		cmocka_unit_test_setup_teardown(a_move_is_a_rekey, setup, teardown),
		cmocka_unit_test_setup_teardown(a_move_that_cannot_be, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(forbidden, setup, teardown),
		cmocka_unit_test_setup_teardown(of_a_tunnel, setup, teardown),
		cmocka_unit_test_setup_teardown(left_to_us, setup, teardown),
		cmocka_unit_test_setup_teardown(counters_are_the_kernels, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hard_limit_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(a_soft_limit_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(an_acquire_names_the_child, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mapping_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(policies_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(an_sa_that_was_taken_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(its_last_numbers_count, setup, teardown),
		cmocka_unit_test_setup_teardown(no_place_in_the_new_map, setup, teardown),
		cmocka_unit_test_setup_teardown(stop, setup, teardown),
		cmocka_unit_test_setup_teardown(list_of_a_kernels_sa, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
