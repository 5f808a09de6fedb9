// SPDX-License-Identifier: BSD-2-Clause
/* The SADB: in which order the world learns of an SA, where its state stands, what is refused. */
#include "sadb_fixture.h"

static void order_of_install_and_delete(void **state)
{
	struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);

	assert_string_equal(said, "key0 sad0 child0 ");
	said[0] = 0;
	delete (sa);
	assert_string_equal(said, "nochild0 unsad0 forget0 ");
	assert_int_equal(states[0].status, XIPSEC_SA_FREE);
	assert_int_equal(sas_count(sas), 0);
}

static void generation_never_comes_back(void **state)
{
	__u32 last[MAX] = {0};

	for (int i = 0; i < 40; i++) {
		struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);

		assert_true(sa->generation > last[sa->index]);
		last[sa->index] = sa->generation;
		delete (sa);
	}
	states[0].generation = UINT32_MAX;
	for (int i = 0; i < MAX; i++) {
		struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);

		assert_int_not_equal(sa->generation, 0);
		delete (sa);
	}
}

/* RFC 4303 3.4.3: whatever the place's last SA left, a new one has seen and sent nothing. */
static void window_begins_anew(void **state)
{
	static const struct xipsec_sa_state fresh;
	struct sa *sa;

	for (int i = 0; i < 2; i++) {
		__u8 way = i ? XIPSEC_DIR_IN : XIPSEC_DIR_OUT;

		memset(states, 0xa5, MAX * sizeof(states[0]));
		for (int k = 0; k < MAX; k++)
			states[k].status = XIPSEC_SA_FREE;
		sa = add("one", way, 0x3000u + way);
		assert_int_equal(states[sa->index].status, XIPSEC_SA_LIVE);
		assert_true(states[sa->index].replay_top == 0);
		assert_memory_equal(states[sa->index].replay, fresh.replay, sizeof(fresh.replay));
		assert_true(states[sa->index].seq == 0);
		assert_true(states[sa->index].packets == 0);
		assert_true(states[sa->index].pmtu == 0);
		delete (sa);
	}
}

/* RFC 4301 4.1: the old and the new one receive beside each other, with the same selectors. */
static void inbound_sas_stand_side_by_side(void **state)
{
	struct sa *one = add("old", XIPSEC_DIR_IN, 0x2001), *two;

	said[0] = 0;
	two = add("new", XIPSEC_DIR_IN, 0x2002);
	assert_string_equal(said, "key1 sad1 ");
	assert_int_equal(states[one->index].status, XIPSEC_SA_LIVE);
	assert_int_equal(states[two->index].status, XIPSEC_SA_LIVE);
	assert_ptr_equal(sas_by_spi(sas, &one->sa.dst, 4, htonl(0x2001), IPPROTO_ESP), one);
	assert_ptr_equal(sas_by_spi(sas, &one->sa.dst, 4, htonl(0x2002), IPPROTO_ESP), two);
}

static void failure_leaves_nothing(void **state)
{
	struct xipsec_sa sa = make("one", XIPSEC_DIR_OUT, 0x1001);

	sad_fails = -E2BIG;
	assert_int_equal(sas_add(sas, &sa, text), -E2BIG);
	assert_int_equal(sas_count(sas), 0);
	assert_int_equal(states[0].status, XIPSEC_SA_FREE);
	assert_non_null(strstr(said, "forget0"));
}

static void rekey_switches_and_back(void **state)
{
	struct sa *old = add("old", XIPSEC_DIR_OUT, 0x1001);
	struct sa *new = add("new", XIPSEC_DIR_OUT, 0x1002);

	assert_int_equal(child_now.sa_index, new->index);
	delete (new);
	assert_int_equal(child_now.sa_index, old->index);
	assert_int_equal(child_now.sa_generation, old->generation);
	/* of several, the newest that is left */
	new = add("newer", XIPSEC_DIR_OUT, 0x1003);
	add("newest", XIPSEC_DIR_OUT, 0x1004);
	delete (sas_by_name(sas, "newest"));
	assert_int_equal(child_now.sa_index, new->index);
	assert_int_equal(child_now.sa_generation, new->generation);
}

static void refusals(void **state)
{
	struct xipsec_sa sa;

	add("one", XIPSEC_DIR_OUT, 0x1001);
#define REFUSED(change, err, word)                              \
	do {                                                    \
		sa = make("two", XIPSEC_DIR_OUT, 0x1002);       \
		change;                                         \
		assert_int_equal(sas_add(sas, &sa, text), err); \
		assert_non_null(strstr(text, word));            \
	} while (0)
	REFUSED(strcpy(sa.name, "one"), -EEXIST, "of that name");
	REFUSED(sa.spi = htonl(0x1001), -EEXIST, "SPI");
	REFUSED(sa.key[1] = 1; sa.key[2] = 0x10, -EEXIST, "same key");
	REFUSED(sa.spi = htonl(255), -EINVAL, "reserved");
	REFUSED(sa.key_len = 16, -EINVAL, "length");
	REFUSED(sa.engine = XIPSEC_ENGINE_XFRM, -EINVAL, "no record on disk");
	REFUSED(sa.engine = XIPSEC_ENGINE_XFRM;
		sa.flags &= ~XIPSEC_SA_MANUAL, -EPROTONOSUPPORT, "no ESP");
	REFUSED(sa.window = 63, -EINVAL, "window");
	REFUSED(sa.dir = XIPSEC_DIR_IN, -EINVAL, "selectors");
	REFUSED(sa.flags &= ~XIPSEC_SA_FRESH_KEY, -ENOKEY, "fresh_key");
	REFUSED(sa.l4_proto = IPPROTO_AH, -EINVAL, "no cipher");
	REFUSED(n_workers = 2; sa.window = 512, -EINVAL, "replay_window");
#undef REFUSED
	assert_int_equal(sas_count(sas), 1);
}

/* How the programs find it: AH by its protocol, ESP in UDP by `udp`. */
static void forms_in_the_sad(void **state)
{
	struct xipsec_sa sa = make("esp", XIPSEC_DIR_OUT, 0x1001);

	sa.mode = XIPSEC_MODE_TRANSPORT;
	assert_int_equal(sas_add(sas, &sa, text), 0);
	assert_int_equal(sad_key.l4_proto, IPPROTO_ESP);
	assert_int_equal(sad_entry.udp, 0);
	sa = make("udp", XIPSEC_DIR_OUT, 0x1002);
	sa.flags |= XIPSEC_SA_UDP;
	sa.src_port = sa.dst_port = htons(4500);
	assert_int_equal(sas_add(sas, &sa, text), 0);
	assert_int_equal(sad_key.l4_proto, IPPROTO_ESP);
	assert_int_equal(sad_entry.udp, 1);
	sa = make("ah", XIPSEC_DIR_OUT, 0x1003);
	sa.l4_proto = IPPROTO_AH;
	sa.alg = XIPSEC_ALG_NULL_SHA256;
	sa.key_len = 32;
	assert_int_equal(sas_add(sas, &sa, text), 0);
	assert_int_equal(sad_key.l4_proto, IPPROTO_AH);
	assert_int_equal(sad_entry.udp, 0);
}

/* Whose pieces may come in any order: an inbound SA tells of its peer once, takes it back once. */
static void peers_of_inbound_sas(void **state)
{
	struct xipsec_sa sa = make("in", XIPSEC_DIR_IN, 0x2001);
	struct sa *one, *two;

	peers_known = 0;
	one = add("out", XIPSEC_DIR_OUT, 0x1001);
	assert_int_equal(peers_known, 0);
	two = add("in", XIPSEC_DIR_IN, 0x2001);
	assert_int_equal(peers_known, 1);
	assert_memory_equal(&peer_key.src, &sa.src, sizeof(sa.src));
	assert_memory_equal(&peer_key.dst, &sa.dst, sizeof(sa.dst));
	assert_int_equal(peer_key.family, sa.outer_family);
	assert_int_equal(peer_key.l4_proto, IPPROTO_ESP);
	/* one that the maps do not take */
	sa = make("three", XIPSEC_DIR_IN, 0x2003);
	sad_fails = -E2BIG;
	assert_int_equal(sas_add(sas, &sa, text), -E2BIG);
	sad_fails = 0;
	assert_int_equal(peers_known, 1);
	/* the new maps are empty */
	peers_known = 0;
	assert_int_equal(sas_bind(sas, states, sizeof(states[0]), MAX, "boot:1"), 0);
	assert_int_equal(peers_known, 1);
	delete (one);
	assert_int_equal(peers_known, 1);
	delete (two);
	assert_int_equal(peers_known, 0);
	sa = make("udp", XIPSEC_DIR_IN, 0x2004);
	sa.flags |= XIPSEC_SA_UDP;
	sa.src_port = sa.dst_port = htons(4500);
	assert_int_equal(sas_add(sas, &sa, text), 0);
	assert_int_equal(peer_key.l4_proto, IPPROTO_UDP);
	sas_stop(sas);
	assert_int_equal(peers_known, 0);
}

static void numbers_go_on_above_the_reserved(void **state)
{
	struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);

	assert_true(states[0].seq == 0);
	assert_true(states[0].seq_limit == RESERVE_CHUNK);
	states[0].seq = RESERVE_CHUNK - 10;
	sas_tick(sas);
	assert_true(states[0].seq_limit == 2 * RESERVE_CHUNK - 10);
	/* A worker that turns its counter back fools nobody. */
	states[0].seq = 5;
	crash();
	start("boot:1");
	sa = add("one", XIPSEC_DIR_OUT, 0x1001);
	assert_true(states[sa->index].seq == 2 * RESERVE_CHUNK - 10);
	/* Deleted: the exact number. Made again: above it. */
	states[sa->index].seq += 7;
	delete (sa);
	sa = add("one", XIPSEC_DIR_OUT, 0x1001);
	assert_true(states[sa->index].seq == 2 * RESERVE_CHUNK - 10 + 7);
}

static struct xipsec_sa ctr(const char *name, __u32 spi, __u8 mac)
{
	struct xipsec_sa sa = make(name, XIPSEC_DIR_OUT, 0x1001);

	sa.spi = htonl(spi);
	sa.alg = XIPSEC_ALG_AES128CTR_SHA256;
	sa.key_len = 52;
	memset(sa.key + 20, mac, 32);
	return sa;
}

/* The nonce of a counter mode is salt and number: what else is in the key changes no key stream. */
static void one_key_stream_one_sa(void **state)
{
	struct xipsec_sa one = ctr("one", 0x1001, 0xaa), sa;

	one.key[16] = 3; /* as CCM's flags would stand there */
	assert_int_equal(sas_add(sas, &one, text), 0);
#define ADD(change, err)                                        \
	do {                                                    \
		sa = ctr("two", 0x1002, 0xbb);                  \
		sa.key[16] = 3;                                 \
		change;                                         \
		assert_int_equal(sas_add(sas, &sa, text), err); \
	} while (0)
	ADD((void)0, -EEXIST);
	assert_string_equal(text, "SA two: SA one has the same cipher key and salt; every SA needs "
				  "a key of its own");
	ADD(sa.dir = XIPSEC_DIR_IN; sa.n_selectors = 1, -EEXIST);
	ADD(sa.alg = XIPSEC_ALG_AES128CTR_SHA512; sa.key_len = 84, -EEXIST);
	ADD(sa.alg = XIPSEC_ALG_AES128GCM16; sa.key_len = 20, -EEXIST);
	ADD(sa.alg = XIPSEC_ALG_AES128GMAC; sa.key_len = 20, -EEXIST);
	ADD(sa.alg = XIPSEC_ALG_AES128CCM16; sa.key_len = 19;
	    memmove(sa.key + 16, sa.key + 17, 3), -EEXIST);
	assert_int_equal(sas_count(sas), 1);
	/* Others have the cipher key and count other blocks, or do not count. */
	ADD(sa.alg = XIPSEC_ALG_AES128CCM16; sa.key_len = 19, 0);
	delete (sas_by_name(sas, "two"));
	ADD(sa.key[19] ^= 1, 0);
	delete (sas_by_name(sas, "two"));
	ADD(sa.alg = XIPSEC_ALG_AES128CBC_SHA256; sa.key_len = 48, 0);
#undef ADD
}

/* Another integrity key and an oath begin nothing anew. */
static void integrity_key_changes_no_number(void **state)
{
	struct xipsec_sa one = ctr("one", 0x1001, 0xaa), two = ctr("one", 0x1001, 0xbb);
	struct sa *sa;

	assert_int_equal(sas_add(sas, &one, text), 0);
	sa = sas_by_name(sas, "one");
	assert_int_equal(sas_compare(sas, sa, &two), SA_LIST_OTHER);
	states[sa->index].seq = 7;
	delete (sa);
	assert_int_equal(sas_add(sas, &two, text), 0);
	assert_true(states[sas_by_name(sas, "one")->index].seq == 7);
	/* A mode with the same counter blocks. */
	delete (sas_by_name(sas, "one"));
	two.alg = XIPSEC_ALG_AES128GCM16;
	two.key_len = 20;
	assert_int_equal(sas_add(sas, &two, text), -EKEYREJECTED);
}

static void full_disk_stops_it(void **state)
{
	struct reserve_io full = *reserve.io;
	const struct reserve_io *good = reserve.io;

	add("one", XIPSEC_DIR_OUT, 0x1001);
	full.write = no_room;
	reserve.io = &full;
	states[0].seq = RESERVE_CHUNK - 1;
	sas_tick(sas);
	assert_true(states[0].seq_limit == RESERVE_CHUNK);
	reserve.io = good;
	sas_tick(sas);
	assert_true(states[0].seq_limit == 2 * RESERVE_CHUNK - 1);
}

static void deleted_key_is_wiped(void **state)
{
	struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);
	struct xipsec_sa want = make("one", XIPSEC_DIR_OUT, 0x1001);
	static struct sa gone;
	static const __u8 zero[XIPSEC_KEY_MAX];
	struct ctl_sa msg;

	memcpy(&gone, sa, offsetof(struct sa, sa) + XIPSEC_SA_SIZE(sa->sa.n_selectors));
	/* The message reads the SA's room in the mapping of keys, whoever is in it. */
	sas_message(sas, &gone, &msg);
	assert_memory_equal(msg.sa.key, want.key, want.key_len);
	delete (sa);
	sas_message(sas, &gone, &msg);
	assert_memory_equal(msg.sa.key, zero, sizeof(zero));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(order_of_install_and_delete),
		TEST(generation_never_comes_back),
		TEST(window_begins_anew),
		TEST(inbound_sas_stand_side_by_side),
		TEST(failure_leaves_nothing),
		TEST(rekey_switches_and_back),
		TEST(refusals),
		TEST(forms_in_the_sad),
		TEST(peers_of_inbound_sas),
		TEST(numbers_go_on_above_the_reserved),
		TEST(one_key_stream_one_sa),
		TEST(integrity_key_changes_no_number),
		TEST(full_disk_stops_it),
		TEST(deleted_key_is_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
