// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sas_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/alg.h"

static const char *fault_of(const struct xipsec_sa *sa)
{
	if (!memchr(sa->name, 0, sizeof(sa->name)) || !memchr(sa->child, 0, sizeof(sa->child)) ||
	    !sa->name[0] || !sa->child[0])
		return "it needs a name and a child";
	if (sa->dir != XIPSEC_DIR_IN && sa->dir != XIPSEC_DIR_OUT)
		return "direction is neither in nor out";
	if (sa->alg == XIPSEC_ALG_NONE || sa->alg >= XIPSEC_ALG_COUNT)
		return "unknown algorithm";
	if (sa->key_len != alg_key_len(sa->alg))
		return "the key has the wrong length for its algorithm";
	if (ntohl(sa->spi) < 256)
		return "SPIs below 256 are reserved";
	if (sa->outer_family != XIPSEC_FAMILY_IP4 && sa->outer_family != XIPSEC_FAMILY_IP6)
		return "outer addresses are neither IPv4 nor IPv6";
	if (sa->l4_proto != IPPROTO_ESP)
		return "only ESP is there";
	if (sa->mode != XIPSEC_MODE_TUNNEL)
		return "only tunnel mode is there yet";
	if (sa->engine == XIPSEC_ENGINE_XFRM)
		return "the engine xfrm is not there yet: say afxdp or auto";
	if (sa->engine > XIPSEC_ENGINE_XFRM)
		return "unknown engine";
	if (sa->flags & XIPSEC_SA_UDP)
		return "ESP in UDP is not there yet";
	if (sa->window < XIPSEC_WINDOW_MIN || sa->window > XIPSEC_WINDOW_MAX)
		return "replay window is not within 64 to 8192";
	if (sa->n_selectors > XIPSEC_SELECTORS_MAX)
		return "too many selectors";
	if (sa->dir == XIPSEC_DIR_IN && sa->n_selectors == 0)
		return "an inbound SA without selectors would let nothing through";
	return NULL;
}

int sas_refuse(char *text, int err, const char *name, const char *why)
{
	snprintf(text, XIPSEC_SADB_ERR_TEXT, "SA %.*s: %s", 40, name, why);
	return err;
}

int sas_check(struct sas *sas, const struct xipsec_sa *sa, char *text)
{
	const char *fault = fault_of(sa);

	if (fault)
		return sas_refuse(text, -EINVAL,
				  memchr(sa->name, 0, sizeof(sa->name)) ? sa->name : "?", fault);
	if (!sas->states)
		return sas_refuse(text, -EAGAIN, sa->name, "nothing is attached: xipsec attach");
	if (sas_by_name(sas, sa->name))
		return sas_refuse(text, -EEXIST, sa->name, "there is one of that name already");
	if (sas_by_spi(sas, &sa->dst, sa->outer_family, sa->spi))
		return sas_refuse(text, -EEXIST, sa->name,
				  "there is one with that destination and SPI already");
	for (struct sa *other = sas_next(sas, NULL); other; other = sas_next(sas, other)) {
		if (!sas_same_key(sas, other, sa))
			continue;
		snprintf(text, XIPSEC_SADB_ERR_TEXT,
			 "SA %.40s: SA %.40s has the same key; every SA needs a key of its own",
			 sa->name, other->sa.name);
		return -EEXIST;
	}
	if (sa->dir == XIPSEC_DIR_OUT && sa->window < SAS_SHARED_WINDOW_MIN &&
	    sas->ops->workers(sas->ctx) > 1)
		return sas_refuse(
			text, -EINVAL, sa->name,
			"several workers would share it: set replay_window = 1024 or more, or "
			"workers = 1");
	if ((sa->flags & XIPSEC_SA_MANUAL) && !sas->reserve)
		return sas_refuse(text, -EPERM, sa->name, "manual keys need a state_dir");
	return 0;
}
