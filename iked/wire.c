// SPDX-License-Identifier: BSD-2-Clause
#include "iked/wire.h"

#include <stddef.h>

const char *ike_exchange_name(unsigned int exchange)
{
	switch (exchange) {
	case IKE_SA_INIT: return "IKE_SA_INIT";
	case IKE_AUTH: return "IKE_AUTH";
	case CREATE_CHILD_SA: return "CREATE_CHILD_SA";
	case INFORMATIONAL: return "INFORMATIONAL";
	case IKE_SESSION_RESUME: return "IKE_SESSION_RESUME";
	case IKE_INTERMEDIATE: return "IKE_INTERMEDIATE";
	case IKE_FOLLOWUP_KE: return "IKE_FOLLOWUP_KE";
	default: return NULL;
	}
}

const char *ike_payload_name(unsigned int payload)
{
	static const char *const names[] = {
		[IKE_PL_SA] = "SA",     [IKE_PL_KE] = "KE",       [IKE_PL_IDI] = "IDi",
		[IKE_PL_IDR] = "IDr",   [IKE_PL_CERT] = "CERT",   [IKE_PL_CERTREQ] = "CERTREQ",
		[IKE_PL_AUTH] = "AUTH", [IKE_PL_NONCE] = "Nonce", [IKE_PL_NOTIFY] = "N",
		[IKE_PL_DELETE] = "D",  [IKE_PL_VENDOR] = "V",    [IKE_PL_TSI] = "TSi",
		[IKE_PL_TSR] = "TSr",   [IKE_PL_SK] = "SK",       [IKE_PL_CP] = "CP",
		[IKE_PL_EAP] = "EAP",   [IKE_PL_SKF] = "SKF",
	};

	return payload < sizeof(names) / sizeof(names[0]) ? names[payload] : NULL;
}

const char *ike_notify_name(unsigned int notify)
{
	switch (notify) {
#define IKE_NOTIFY_CASE(symbol, number) \
	case number: return #symbol;
		IKE_NOTIFIES(IKE_NOTIFY_CASE)
#undef IKE_NOTIFY_CASE
	default: return NULL;
	}
}
