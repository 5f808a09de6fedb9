// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sas_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/sa_fault.h"

/* Room for the longest of sa_faults(), beside the name of its SA. */
#define FAULT_TEXT 200

/* What cannot run yet is the worker's to say: such an SA is there and stays closed. */
static const char *fault_of(const struct xipsec_sa *sa, char *text, size_t size)
{
	struct sa_fault fault;

	if (!memchr(sa->name, 0, sizeof(sa->name)) || !memchr(sa->child, 0, sizeof(sa->child)) ||
	    !sa->name[0] || !sa->child[0])
		return "it needs a name and a child";
	if (sa->dir == XIPSEC_DIR_IN && sa->n_selectors == 0)
		return "an inbound SA without selectors would let nothing through";
	if (!sa_faults(sa, &fault, 1))
		return NULL;
	snprintf(text, size, "%s: expected %s", fault.what, fault.expected);
	return text;
}

int sas_refuse(char *text, int err, const char *name, const char *why)
{
	snprintf(text, XIPSEC_SADB_ERR_TEXT, "SA %.*s: %s", 40, name, why);
	return err;
}

int sas_check(struct sas *sas, const struct xipsec_sa *sa, char *text)
{
	const struct sa *other;
	char why[FAULT_TEXT];
	const char *fault = fault_of(sa, why, sizeof(why));

	if (fault)
		return sas_refuse(text, -EINVAL,
				  memchr(sa->name, 0, sizeof(sa->name)) ? sa->name : "?", fault);
	if (!sas->states)
		return sas_refuse(text, -EAGAIN, sa->name, "nothing is attached: xipsec attach");
	if (sas_by_name(sas, sa->name))
		return sas_refuse(text, -EEXIST, sa->name, "there is one of that name already");
	if (sas_by_spi(sas, &sa->dst, sa->outer_family, sa->spi, sa->l4_proto))
		return sas_refuse(text, -EEXIST, sa->name,
				  "there is one with that destination, protocol and SPI already");
	other = sas_by_key(sas, sa);
	if (other) {
		snprintf(text, XIPSEC_SADB_ERR_TEXT,
			 "SA %.40s: SA %.40s has the same %s; every SA needs a key of its own",
			 sa->name, other->sa.name,
			 sas_same_key(sas, other, sa) ? "key" : "cipher key and salt");
		return -EEXIST;
	}
	if (sa->dir == XIPSEC_DIR_OUT && sa->engine != XIPSEC_ENGINE_XFRM &&
	    sa->window < SAS_SHARED_WINDOW_MIN && sas->ops->workers(sas->ctx) > 1)
		return sas_refuse(
			text, -EINVAL, sa->name,
			"several workers would share it: set replay_window = 1024 or more, or "
			"workers = 1");
	if ((sa->flags & XIPSEC_SA_MANUAL) && !sas->reserve)
		return sas_refuse(text, -EPERM, sa->name, "manual keys need a state_dir");
	return 0;
}
