// SPDX-License-Identifier: BSD-2-Clause
/* What may come out of an SA: the short way for nets alone answers as the whole one does. */
#include "tests/unit/esp_fixture.h"

#include "worker/selectors.h"

static struct xipsec_sa_state state;

/* Few addresses near each other, so that nets of any length hold some and not others. */
static struct xipsec_addr addr_random(int family)
{
	struct xipsec_addr addr = {0};

	if (family == 6)
		addr.word[0] = htonl(0x20010db8);
	addr.word[family == 6 ? 3 : 0] = htonl(0x0a000000 | (__u32)rand() % 16);
	return addr;
}

static struct xipsec_addr mask_of(int len)
{
	struct xipsec_addr mask = {0};

	for (int bit = 0; bit < len; bit++)
		mask.byte[bit / 8] |= (__u8)(0x80 >> bit % 8);
	return mask;
}

static void net_random(struct xipsec_addr *net, struct xipsec_addr *mask, int family)
{
	int bits = family == 4 ? 32 : 128, len = rand() % 8 ? bits - rand() % 5 : 0;

	*net = addr_random(family);
	*mask = mask_of(len);
	for (int i = 0; i < 4; i++)
		net->word[i] &= mask->word[i];
}

static struct xipsec_selector selector_random(void)
{
	struct xipsec_selector sel = any_selector();

	sel.family = (__u8[]){XIPSEC_FAMILY_ANY, 4, 4, 6, 6}[rand() % 5];
	if (!sel.family)
		return sel;
	net_random(&sel.local, &sel.local_mask, sel.family);
	net_random(&sel.remote, &sel.remote_mask, sel.family);
	return sel;
}

static __u32 packet_random(__u8 *ip)
{
	int family = rand() % 2 ? 4 : 6;
	struct xipsec_addr src = addr_random(family), dst = addr_random(family);
	__u32 len = udp_write(ip, family, 30);

	memcpy(ip + (family == 4 ? 12 : 8), &src, family == 4 ? 4 : 16);
	memcpy(ip + (family == 4 ? 16 : 24), &dst, family == 4 ? 4 : 16);
	if (family == 4 && rand() % 4 == 0)
		put16(ip + 6, 1); /* a later fragment */
	return len;
}

static void test_nets_alone(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	unsigned int let[2] = {0};
	struct inner inner;
	__u8 ip[128];

	srand(7);
	for (int round = 0; round < 3000; round++) {
		struct sa *sa;

		config.n_selectors = (__u32)rand() % 5;
		for (__u32 i = 0; i < config.n_selectors; i++) {
			config.selector[i] = selector_random();
			config.refuse[i] = rand() % 3 == 0;
		}
		sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
		assert_int_equal(sa->nets_alone, 1);
		for (int i = 0; i < 50; i++) {
			enum xipsec_reason quick, whole;

			assert_int_equal(inner_parse(ip, packet_random(ip), &inner), 0);
			sa->nets_alone = 1;
			quick = selectors_check(sa, ip, &inner);
			sa->nets_alone = 0;
			whole = selectors_check(sa, ip, &inner);
			assert_int_equal(quick, whole);
			let[quick == XIPSEC_REASON_UNSPEC]++;
		}
		sa_free(sa);
	}
	assert_in_range(let[0], 10000, 140000);
	assert_in_range(let[1], 10000, 140000);
}

/* One selector of a list that asks for more is enough for the whole way. */
static void test_more_than_nets(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);

	config.n_selectors = 2;
	config.selector[1] = any_selector();
	for (int what = 0; what < 5; what++) {
		struct xipsec_selector *sel = &config.selector[1];
		struct sa *sa;

		*sel = any_selector();
		switch (what) {
		case 0: sel->any_proto = 0; break;
		case 1: sel->local_port_lo = 1; break;
		case 2: sel->remote_port_hi = 80; break;
		case 3: sel->icmp_lo = 0x0800; break;
		default: sel->icmp_hi = 0x08ff; break;
		}
		sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
		assert_int_equal(sa->nets_alone, 0);
		sa_free(sa);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nets_alone),
		cmocka_unit_test(test_more_than_nets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
