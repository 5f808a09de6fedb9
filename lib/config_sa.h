/* SPDX-License-Identifier: BSD-2-Clause */
/* What is known of an SA of the file beyond struct xipsec_sa, until the file has been checked. */
#ifndef LIB_CONFIG_SA_H
#define LIB_CONFIG_SA_H

#include "lib/config_key.h"
#include "lib/config_value.h"
#include "xipsec/sa.h"

struct config_sa_draft {
	struct xipsec_sa *sa;
	struct config_place place, key_place, window_place, if_id_place;
	const struct config_node *algorithm; /* lives as long as the tree */
	__u8 src_family;
	struct config_nets local_ts, remote_ts;
};

/* What sas { NAME {} } knows; into struct config_sa_draft. */
extern const struct config_key config_sa_keys[];

#endif
