// SPDX-License-Identifier: BSD-2-Clause
#include "loader/engine.h"

#include <openssl/crypto.h>
#include <string.h>
#include "lib/sa_fault.h"

/* As the kernel's it would have faults that it has not as ours. */
static bool kernel_lacks(const struct xipsec_sa *sa)
{
	struct xipsec_sa as;
	struct sa_fault fault;

	memcpy(&as, sa, XIPSEC_SA_SIZE(0));
	OPENSSL_cleanse(as.key, sizeof(as.key));
	as.n_selectors = 0;
	as.engine = XIPSEC_ENGINE_XFRM;
	return sa_faults(&as, &fault, 1);
}

enum xipsec_engine_why engine_forbids(const struct engine_facts *facts)
{
	if (facts->generic)
		return XIPSEC_ENGINE_WHY_GENERIC;
	if (facts->offload)
		return XIPSEC_ENGINE_WHY_OFFLOAD;
	return XIPSEC_ENGINE_WHY_NONE;
}

bool engine_misses_tunnel(const struct xipsec_sa *sa, const struct engine_facts *facts)
{
	return facts->tunnel != XIPSEC_ENGINE_NONE && sa->engine != facts->tunnel;
}

enum xipsec_engine engine_choose(const struct xipsec_sa *sa, const struct engine_facts *facts,
				 enum xipsec_engine_why *why)
{
	*why = XIPSEC_ENGINE_WHY_ASKED;
	if (sa->engine != XIPSEC_ENGINE_NONE)
		return sa->engine;
	*why = XIPSEC_ENGINE_WHY_TUNNEL;
	if (facts->tunnel != XIPSEC_ENGINE_NONE)
		return facts->tunnel;
	*why = XIPSEC_ENGINE_WHY_NO_ESP;
	if (!facts->esp)
		return XIPSEC_ENGINE_AFXDP;
	*why = engine_forbids(facts);
	if (*why != XIPSEC_ENGINE_WHY_NONE)
		return XIPSEC_ENGINE_AFXDP;
	*why = XIPSEC_ENGINE_WHY_LACKS;
	if (kernel_lacks(sa))
		return XIPSEC_ENGINE_AFXDP;
	*why = XIPSEC_ENGINE_WHY_NARROW;
	if (facts->narrow)
		return XIPSEC_ENGINE_AFXDP;
	*why = XIPSEC_ENGINE_WHY_CHILD;
	if (facts->child)
		return XIPSEC_ENGINE_XFRM;
	*why = XIPSEC_ENGINE_WHY_WORKERS;
	return XIPSEC_ENGINE_AFXDP;
}
