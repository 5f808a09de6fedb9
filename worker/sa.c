// SPDX-License-Identifier: BSD-2-Clause
#include "worker/sa.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "lib/alg.h"
#include "lib/log.h"
#include "worker/ah.h"
#include "worker/selectors.h"
#include "worker/seq.h"

static int sa_check(const struct xipsec_sa *sa)
{
	__u32 key_len = alg_key_len(sa->alg);

	if (!key_len || (sa->l4_proto != IPPROTO_ESP && sa->l4_proto != IPPROTO_AH))
		return -ENOTSUP;
	if (sa->l4_proto == IPPROTO_AH && (!alg_fits_ah(sa->alg) || sa->flags & XIPSEC_SA_UDP))
		return -EINVAL;
	if (sa->mode != XIPSEC_MODE_TUNNEL && sa->mode != XIPSEC_MODE_TRANSPORT)
		return -EINVAL;
	if (sa->dir != XIPSEC_DIR_IN && sa->dir != XIPSEC_DIR_OUT)
		return -EINVAL;
	if (sa->key_len != key_len || sa->key_len > XIPSEC_KEY_MAX)
		return -EINVAL;
	if (sa->n_selectors > XIPSEC_SELECTORS_MAX)
		return -EINVAL;
	if (sa->dir == XIPSEC_DIR_IN &&
	    (sa->window < XIPSEC_WINDOW_MIN || sa->window > XIPSEC_WINDOW_MAX))
		return -EINVAL;
	return 0;
}

/* A table of 16 bytes is written as padding, however few of them are meant. */
#define PAD_WRITE 16

static void sa_fill_alg(struct sa *to, const struct xipsec_sa *from)
{
	const struct alg *alg = alg_get(from->alg);
	__u32 tail = alg->align - 1u + ESP_TRAILER_MIN + alg->icv;

	memcpy(to->salt, from->key + alg->cipher_key, alg->salt);
	to->salt_len = alg->salt;
	to->iv_len = alg->iv;
	to->icv_len = alg->icv;
	to->align = alg->align;
	to->head_len = ESP_HEADER_LEN + alg->iv;
	to->esp_min = to->head_len + alg->icv + alg->align;
	to->tail_room = tail > PAD_WRITE ? tail : PAD_WRITE;
}

/* Transport mode has headers of its own to put in front: none, or UDP. */
static void outer_transport(struct outer *outer)
{
	__u32 udp = outer->len - outer->ip_len;

	memmove(outer->header, outer->header + outer->ip_len, udp);
	outer->len = udp;
	outer->ip_len = 0;
}

/* AH is padded to 4 bytes over IPv4 and to 8 over IPv6 (RFC 4302 2.6). GMAC's IV stands in the ICV
 * field (RFC 4543 4). What it authenticates has no AAD beside. */
static void sa_fill_ah(struct sa *to)
{
	__u32 pad_to = to->outer_family == XIPSEC_FAMILY_IP4 ? 4 : 8;

	to->icv_off = AH_LEN + to->iv_len;
	to->head_len = (__u8)((to->icv_off + to->icv_len + pad_to - 1) & ~(pad_to - 1));
	to->head_room = (__u8)(to->outer.len + to->head_len +
			       (to->transport ? AH_FRONT_MAX : to->outer.len));
	to->tail_room = 4;
	to->aad_len = 0;
}

static void sa_fill_limits(struct sa *to, const struct xipsec_limits *limits)
{
	to->hard_packets = limits->hard_packets ? limits->hard_packets : ~0ULL;
	to->hard_bytes = limits->hard_bytes ? limits->hard_bytes : ~0ULL;
}

static enum sa_way way_of(const struct sa *sa)
{
	static const enum sa_way ways[2][2][2] = {
		{{SA_TUNNEL4, SA_TUNNEL4_UDP}, {SA_TUNNEL6, SA_TUNNEL6_UDP}},
		{{SA_TRANSPORT4, SA_TRANSPORT4_UDP}, {SA_TRANSPORT6, SA_TRANSPORT6_UDP}},
	};

	if (!sa->usual_iv || sa->tfc_size)
		return SA_ANY;
	return ways[sa->transport][sa->outer_family == XIPSEC_FAMILY_IP6][sa->udp];
}

static int sa_fill(struct sa *to, const struct xipsec_sa *from, enum xipsec_backend backend)
{
	int err = outer_init(&to->outer, from);

	if (err)
		return err;
	to->transport = from->mode == XIPSEC_MODE_TRANSPORT;
	to->udp = !!(from->flags & XIPSEC_SA_UDP);
	if (to->transport)
		outer_transport(&to->outer);
	to->key = crypto_key_new(from->alg, from->key, from->key_len, backend, &err);
	if (!to->key)
		return err;
	to->seal = to->key->seal;
	to->open = to->key->open;
	sa_fill_alg(to, from);
	sa_fill_limits(to, &from->limits);
	to->df_clear = from->df == XIPSEC_DF_CLEAR;
	memcpy(to->child, from->child, sizeof(to->child));
	to->tfc_size = to->transport || from->l4_proto == IPPROTO_AH ? 0 : from->tfc_size;
	to->dummies = from->dummies;
	to->peer = from->src;
	to->peer_port = from->src_port;
	to->src = from->src;
	to->dst = from->dst;
	to->spi = from->spi;
	to->dir = from->dir;
	to->follows = to->udp && from->dir == XIPSEC_DIR_IN && !(from->flags & XIPSEC_SA_STAY);
	to->outer_family = from->outer_family;
	to->esn = !!(from->flags & XIPSEC_SA_ESN);
	to->aad_len = to->esn ? 12 : 8;
	to->aad_shift = to->esn ? 0 : 32;
	to->head_room = (__u8)(to->outer.len + to->head_len);
	to->ah = from->l4_proto == IPPROTO_AH;
	if (to->ah)
		sa_fill_ah(to);
	to->usual_iv = to->salt_len == XIPSEC_SALT_MAX && to->iv_len == SA_USUAL_IV;
	to->way = (__u8)way_of(to);
	to->window = from->window;
	to->n_selectors = from->n_selectors;
	memcpy(to->refuse, from->refuse, from->n_selectors);
	memcpy(to->selector, from->selector, from->n_selectors * sizeof(from->selector[0]));
	to->later = !!(from->flags & XIPSEC_SA_LATER);
	to->apart = !!(from->flags & XIPSEC_SA_APART);
	to->whole = to->transport || from->flags & XIPSEC_SA_WHOLE;
	return selectors_init(to);
}

struct sa *sa_new(const struct xipsec_sa *sa, __u32 index, __u32 generation,
		  struct xipsec_sa_state *state, enum xipsec_backend backend, int *err)
{
	struct sa *made = NULL;

	*err = sa_check(sa);
	if (!*err) {
		made = calloc(1, sizeof(*made) + sa->n_selectors * sizeof(sa->selector[0]));
		*err = made ? sa_fill(made, sa, backend) : -ENOMEM;
	}
	if (*err) {
		log_error("SA %.*s cannot run in this worker: %s; check its mode, algorithm, key "
			  "length, window and the backend",
			  XIPSEC_NAME_LEN, sa->name, strerror(-*err));
		sa_free(made);
		return NULL;
	}
	made->state = state;
	made->index = index;
	made->generation = generation;
	return made;
}

void sa_succeed(struct sa *sa, struct sa *old)
{
	struct firsts *firsts = sa->firsts;

	if (!firsts || !old->firsts)
		return;
	sa->firsts = old->firsts;
	old->firsts = firsts;
}

void sa_free(struct sa *sa)
{
	if (!sa)
		return;
	crypto_key_free(sa->key);
	free(sa->seen);
	free(sa->firsts);
	OPENSSL_cleanse(sa, sizeof(*sa));
	free(sa);
}

enum xipsec_backend sa_backend(const struct sa *sa)
{
	return sa->key->backend->id;
}

void sa_stop(struct sa *sa)
{
	seq_stop(sa->state, sa->generation);
}

/* Bytes that fit between the head and the ICV, less the trailer. */
static __u32 text_max(const struct sa *sa, __u32 path_mtu, __u32 fixed)
{
	if (path_mtu > 0xffff)
		path_mtu = 0xffff;
	fixed += sa->head_len;
	if (sa->ah)
		return path_mtu > fixed ? path_mtu - fixed : 0;
	fixed += sa->icv_len;
	if (path_mtu < fixed + sa->align)
		return 0;
	return ((path_mtu - fixed) & ~(sa->align - 1u)) - ESP_TRAILER_MIN;
}

__u32 sa_inner_max(const struct sa *sa, __u32 path_mtu)
{
	return text_max(sa, path_mtu, sa->outer.len);
}

__u32 sa_transport_max(const struct sa *sa, __u32 path_mtu, __u32 front)
{
	__u32 text = text_max(sa, path_mtu, sa->outer.len + front);

	return text ? text + front : 0;
}

__u32 sa_path_mtu(const struct sa *sa, __u32 link_mtu, __u64 now_s)
{
	__u32 pmtu = __atomic_load_n(&sa->state->pmtu, __ATOMIC_RELAXED);
	__s32 left =
		(__s32)(__atomic_load_n(&sa->state->pmtu_until, __ATOMIC_RELAXED) - (__u32)now_s);

	if (link_mtu >= SA_ANY_MTU)
		return link_mtu;
	return pmtu && pmtu < link_mtu && left > 0 ? pmtu : link_mtu;
}
