/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How packets are sealed: values that an SA of sas {} and a child of connections {} both have, one
 * parse_x() a kind, as in config_value.h.
 */
#ifndef LIB_CONFIG_SEAL_H
#define LIB_CONFIG_SEAL_H

#include <linux/types.h>
#include "lib/config_tree.h"
#include "xipsec/sa.h"

/* set | clear | copy */
bool parse_df(struct config_diag *diag, const struct config_node *node, enum xipsec_df *out);
/* Of the outer header: 0 to 63 sets *fixed and *out, `copy` leaves both alone. */
bool parse_outer_dscp(struct config_diag *diag, const struct config_node *node, bool *fixed,
		      __u8 *out);
/* copy | zero */
bool parse_flow_label(struct config_diag *diag, const struct config_node *node, bool *copy);
/* 1 to 255 */
bool parse_ttl(struct config_diag *diag, const struct config_node *node, __u8 *out);
/* Dummy packets a second, 0 to SA_DUMMIES_MAX. */
bool parse_dummies(struct config_diag *diag, const struct config_node *node, __u32 *out);
/* Length in bytes that inner packets are padded to: 0 to 65535, or `mtu`: XIPSEC_TFC_MTU. */
bool parse_tfc(struct config_diag *diag, const struct config_node *node, __u32 *out);

#endif
