/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which policy of the config each rule in force came from, for people. A map of its own beside the
 * generation (gen-N/spd_names), which no program and no other ABI reads: the rules themselves need
 * no names. Each entry names the SPD that it belongs to, so a name is never shown for a rule of
 * another one.
 */
#ifndef LOADER_SPD_NAMES_H
#define LOADER_SPD_NAMES_H

#include "lib/config.h"
#include "xipsec/maps.h"

/* After the SPD that began with this generation was made from `config`. -errno: rules stay without.
 */
int spd_names_write(const char *gen_dir, const struct config *config, __u32 spd_generation);

/* The SPD that began with generation `from` was built anew, with the same policies, as `to`. */
void spd_names_carry(const char *gen_dir, __u32 from, __u32 to);

/* Names of the policies by their number, *n of them; the caller frees. NULL: none are known. */
struct xipsec_spd_name *spd_names_read(const char *gen_dir, __u32 *n);

#endif
