// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a worker tells of packets that it refused on the way in: whose they were, as they came or as
 * they are inside, of ESP and AH in both modes.
 */
#include "tests/unit/pipeline_fixture.h"

#include <netinet/in.h>

#include "worker/sa.h"

static const struct form {
	const char *name;
	__u8 proto, mode;
	bool udp;
	__u32 ah_len; /* 0: as we write it */
} forms[] = {
	{"ESP, tunnel", IPPROTO_ESP, XIPSEC_MODE_TUNNEL, false, 0},
	{"ESP, transport", IPPROTO_ESP, XIPSEC_MODE_TRANSPORT, false, 0},
	{"ESP in UDP, tunnel", IPPROTO_ESP, XIPSEC_MODE_TUNNEL, true, 0},
	{"ESP in UDP, transport", IPPROTO_ESP, XIPSEC_MODE_TRANSPORT, true, 0},
	{"AH, tunnel", IPPROTO_AH, XIPSEC_MODE_TUNNEL, false, 0},
	{"AH, transport", IPPROTO_AH, XIPSEC_MODE_TRANSPORT, false, 0},
	{"AH padded to 8, tunnel", IPPROTO_AH, XIPSEC_MODE_TUNNEL, false, 32},
	{"AH padded to 8, transport", IPPROTO_AH, XIPSEC_MODE_TRANSPORT, false, 32},
};

enum { PORT = 31000, SENT_LEN = 20 + 8 + 64 };

static const char elsewhere[] = "203.0.113.9";

/* No short way takes what comes with a protocol in its selectors: `l4_proto` alone comes out. */
static void give(const struct form *form, __u8 dir, __u8 alg, __u8 l4_proto)
{
	struct ctl_in in = sa_message(dir == XIPSEC_DIR_OUT ? SA_OUT : SA_IN, dir);
	struct xipsec_sa *sa = &in.msg.sa.sa;

	sa->l4_proto = form->proto;
	sa->mode = form->mode;
	sa->alg = form->proto == IPPROTO_AH ? XIPSEC_ALG_NULL_SHA256 : alg;
	sa->key_len = sa->alg == XIPSEC_ALG_NULL_SHA256 ? 32 : 20;
	sa->flags = form->udp ? XIPSEC_SA_UDP : 0;
	sa->src_port = sa->dst_port = form->udp ? htons(4500) : 0;
	sa->selector[0].any_proto = 0;
	sa->selector[0].l4_proto = l4_proto;
	assert_int_equal(worker_message(t.w, &in), 0);
	if (dir == XIPSEC_DIR_OUT && form->ah_len) {
		t.w->sas[SA_OUT].sa->head_len = form->ah_len;
		t.w->sas[SA_OUT].sa->head_room += 4;
	}
}

/* The one sample of that reason that is told now. */
static struct xipsec_sample told(const struct form *form, enum xipsec_reason reason)
{
	struct xipsec_sample sample = {0};
	struct ctl_sample got;
	unsigned int n = 0;

	while (recv(t.ctl, &got, sizeof(got), MSG_DONTWAIT) > 0) {
		if (got.hdr.type != XIPSEC_CTL_SAMPLE || got.sample.reason != reason)
			continue;
		sample = got.sample;
		n++;
	}
	if (n != 1)
		fail_msg("%s: %u samples of reason %u", form->name, n, reason);
	assert_int_equal(sample.spi, htonl(0x1001));
	assert_int_equal(sample.sa_index, SA_IN);
	assert_int_equal(sample.sa_generation, GEN);
	return sample;
}

/* Another packet of the SA, on its way behind a NAT: of AH there is none. */
static __u32 on_the_way(const struct form *form)
{
	const __u32 from = inet_addr(elsewhere);
	const __be16 port = htons(PORT);
	__u32 len = seal_one();

	if (form->proto == IPPROTO_AH)
		return len;
	memcpy(t.sent + 14 + 12, &from, 4);
	if (form->udp)
		memcpy(t.sent + 34, &port, 2);
	return len;
}

static void arrives(const struct form *form, __u32 len)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

	meta.l4_off = form->udp ? 42 : 34;
	memset(t.w->gates, 0, sizeof(t.w->gates)); /* for another sample of a reason */
	rx(&t.black, t.sent, len, &meta);
	worker_round(t.w);
}

static void assert_addrs(const struct form *form, const struct xipsec_sample *s, const char *src,
			 const char *dst)
{
	if (s->family != XIPSEC_FAMILY_IP4 || s->src.word[0] != inet_addr(src) ||
	    s->dst.word[0] != inet_addr(dst))
		fail_msg("%s, reason %u: family %u, from %08x to %08x", form->name, s->reason,
			 s->family, ntohl(s->src.word[0]), ntohl(s->dst.word[0]));
}

/* As it came: by addresses and ports that stand in its headers, which the SA need not name. */
static void assert_outside(const struct form *form, const struct xipsec_sample *s)
{
	const bool transport = form->mode == XIPSEC_MODE_TRANSPORT;

	assert_addrs(form, s,
		     form->proto == IPPROTO_ESP ? elsewhere
		     : transport                ? "10.1.0.1"
						: "192.0.2.1",
		     transport ? "10.2.0.1" : "192.0.2.2");
	assert_int_equal(s->inner, 0);
	assert_int_equal(s->l4_proto, form->udp ? IPPROTO_UDP : form->proto);
	assert_int_equal(s->sport, form->udp ? PORT : 0);
	assert_int_equal(s->dport, form->udp ? 4500 : 0);
}

static void assert_inside(const struct form *form, const struct xipsec_sample *s)
{
	const bool moved = form->mode == XIPSEC_MODE_TRANSPORT && form->proto == IPPROTO_ESP;

	assert_addrs(form, s, moved ? elsewhere : "10.1.0.1", "10.2.0.1");
	assert_int_equal(s->inner, 1);
	assert_int_equal(s->l4_proto, IPPROTO_UDP);
	assert_int_equal(s->sport, 1);
	assert_int_equal(s->dport, 2);
	assert_int_equal(s->captured, SENT_LEN);
	assert_int_equal(s->data[0], 0x45);
	assert_memory_equal(s->data + 16, "\x0a\x02\x00\x01\x00\x01\x00\x02", 8);
	assert_memory_equal(s->data + 28, "\x5a\x5a\x5a\x5a", 4);
}

static void one_form(const struct form *form, __u8 alg)
{
	struct xipsec_sample sample;
	__u32 len;

	t.globals->tell = XIPSEC_TELL_PACKETS;
	give(form, XIPSEC_DIR_OUT, alg, IPPROTO_UDP);
	give(form, XIPSEC_DIR_IN, alg, IPPROTO_TCP);
	len = on_the_way(form);
	t.sent[len - 1] ^= 1;
	arrives(form, len);
	sample = told(form, XIPSEC_REASON_ICV);
	assert_outside(form, &sample);
	t.sent[len - 1] ^= 1;
	arrives(form, len);
	sample = told(form, XIPSEC_REASON_SELECTOR);
	assert_inside(form, &sample);
	arrives(form, len);
	sample = told(form, XIPSEC_REASON_REPLAY);
	assert_outside(form, &sample);
	/* the control: that protocol it was */
	give(form, XIPSEC_DIR_IN, alg, IPPROTO_UDP);
	len = on_the_way(form);
	arrives(form, len);
	assert_int_equal(t.sas[SA_IN].packets, 1);
	t.sas[SA_IN].packets = 0;
}

/* Headers of 16 bytes, and of 8: where a moved header lies over what it was differs. */
static void whose_they_were(void **state)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		one_form(&forms[i], XIPSEC_ALG_AES128GCM16);
		one_form(&forms[i], XIPSEC_ALG_AES128GCM16IIV);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whose_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
