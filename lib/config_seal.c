// SPDX-License-Identifier: BSD-2-Clause
#include "lib/config_seal.h"

#include <string.h>
#include "lib/config_value.h"
#include "lib/sa_fault.h"

#define DSCP_MAX 63u
#define TFC_MAX  65535u

bool parse_df(struct config_diag *diag, const struct config_node *node, enum xipsec_df *out)
{
	static const struct config_word words[] = {
		{"set", XIPSEC_DF_SET},
		{"clear", XIPSEC_DF_CLEAR},
		{"copy", XIPSEC_DF_COPY},
		{NULL, 0},
	};
	unsigned int df;

	if (!parse_word(diag, node, words, &df))
		return false;
	*out = df;
	return true;
}

bool parse_outer_dscp(struct config_diag *diag, const struct config_node *node, bool *fixed,
		      __u8 *out)
{
	unsigned int dscp;

	if (strcasecmp(node->value, "copy") == 0)
		return true;
	if (!text_number(node->value, &dscp) || dscp > DSCP_MAX) {
		config_error(diag, &node->value_place,
			     "dscp = %s: expected copy, or a number from 0 to %u",
			     config_shown(node->value), DSCP_MAX);
		return false;
	}
	*fixed = true;
	*out = dscp;
	return true;
}

bool parse_flow_label(struct config_diag *diag, const struct config_node *node, bool *copy)
{
	static const struct config_word words[] = {{"copy", true}, {"zero", false}, {NULL, 0}};
	unsigned int value;

	if (!parse_word(diag, node, words, &value))
		return false;
	*copy = value;
	return true;
}

bool parse_ttl(struct config_diag *diag, const struct config_node *node, __u8 *out)
{
	unsigned int ttl;

	if (!parse_number(diag, node, 1, 255, &ttl))
		return false;
	*out = ttl;
	return true;
}

bool parse_dummies(struct config_diag *diag, const struct config_node *node, __u32 *out)
{
	return parse_number(diag, node, 0, SA_DUMMIES_MAX, out);
}

bool parse_tfc(struct config_diag *diag, const struct config_node *node, __u32 *out)
{
	unsigned int size;

	if (strcasecmp(node->value, "mtu") == 0) {
		*out = XIPSEC_TFC_MTU;
		return true;
	}
	if (!text_number(node->value, &size) || size > TFC_MAX) {
		config_error(diag, &node->value_place,
			     "tfc_padding = %s: expected mtu, or a number from 0 to %u",
			     config_shown(node->value), TFC_MAX);
		return false;
	}
	*out = size;
	return true;
}
