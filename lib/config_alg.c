// SPDX-License-Identifier: BSD-2-Clause
#include "lib/config_alg.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/alg.h"
#include "lib/config_key.h"

/* What strongSwan's proposals call them; `why` goes after the name. A longer name of a cipher
 * (blowfish256, cast128) is meant with it. */
static const struct {
	const char *part, *why;
} refused[] = {
	{"3des", "RFC 8221 says SHOULD NOT"},
	{"des", "RFC 8221 says MUST NOT"}, /* des_iv64, des_iv32, des_mac */
	{"blowfish", "RFC 8221 says MUST NOT"},
	{"3idea", "RFC 8221 says MUST NOT"},
	{"idea", "RFC 8221 does not have it"},
	{"cast", "RFC 8221 does not have it"},
	{"rc5", "RFC 8221 does not have it"},
	{"md5", "RFC 8221 says MUST NOT"},
	{"hmac_md5", "RFC 8221 says MUST NOT"},
	{"kpdk_md5", "RFC 8221 says MUST NOT"},
	{"sha1", "RFC 8221 lets SHA-1 go (MUST-)"},
	{"sha_", "RFC 8221 lets SHA-1 go (MUST-)"},
};

static const char *const unauthenticated[] = {
	"null",      "aes",       "aes128",    "aes192",    "aes256",    "aes128cbc",
	"aes192cbc", "aes256cbc", "aes128ctr", "aes192ctr", "aes256ctr", "chacha20",
};

/* A cipher alone, or with "none" behind it. */
static bool is_unauthenticated(const char *name)
{
	size_t len = strcspn(name, "-");
	const char *rest = name + len;

	if (*rest && strcasecmp(rest, "-none") && strcasecmp(rest, "-null") &&
	    strcasecmp(rest, "-noauth"))
		return false;
	for (size_t i = 0; i < sizeof(unauthenticated) / sizeof(unauthenticated[0]); i++)
		if (strlen(unauthenticated[i]) == len &&
		    strncasecmp(name, unauthenticated[i], len) == 0)
			return true;
	return false;
}

static const char *refused_part(const char *part)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strncasecmp(part, refused[i].part, strlen(refused[i].part)) == 0)
			return refused[i].why;
	return NULL;
}

/* Why a name that some know is not one of ours; NULL: no such reason. */
static const char *refused_name(const char *name)
{
	const char *dash, *why;

	if (is_unauthenticated(name))
		return "RFC 8221 says MUST NOT without integrity";
	for (;;) {
		why = refused_part(name);
		dash = strchr(name, '-');
		if (why || !dash)
			return why;
		name = dash + 1;
	}
}

static void tell(struct config_diag *diag, const struct config_node *node, __u8 l4_proto)
{
	const char *names[XIPSEC_ALG_COUNT], *near, *why = refused_name(node->value);
	char list[640] = "";
	size_t n = 0, len = 0;

	for (unsigned int alg = 1; alg < XIPSEC_ALG_COUNT; alg++) {
		if (l4_proto == IPPROTO_AH && !alg_fits_ah(alg))
			continue;
		names[n] = alg_name(alg, l4_proto);
		if (len < sizeof(list))
			len += snprintf(list + len, sizeof(list) - len, "%s%s", n ? " | " : "",
					names[n]);
		n++;
	}
	near = why ? NULL : config_nearest(node->value, names, n);
	config_error(diag, &node->value_place, "algorithm = %s%s%s: expected one of %s%s%s%s",
		     config_shown(node->value), why ? ": " : "",
		     why                      ? why
		     : l4_proto == IPPROTO_AH ? " is none of AH"
					      : " is not known",
		     list, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

bool parse_algorithm(struct config_diag *diag, const struct config_node *node, __u8 l4_proto,
		     __u8 *out)
{
	for (unsigned int alg = 1; alg < XIPSEC_ALG_COUNT; alg++) {
		if (l4_proto == IPPROTO_AH && !alg_fits_ah(alg))
			continue;
		if (strcasecmp(node->value, alg_name(alg, l4_proto)) == 0) {
			*out = alg;
			return true;
		}
	}
	tell(diag, node, l4_proto);
	return false;
}
