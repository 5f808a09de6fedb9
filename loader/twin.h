/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs' twin: the same object once more, on the maps of a generation, with `explain` set
 * (bpf/explain.h). Pinned beside the programs as prog/explain_NAME, never attached; it goes with
 * its generation. Nothing depends on it but `xipsec explain`.
 */
#ifndef LOADER_TWIN_H
#define LOADER_TWIN_H

#include "loader/generation.h"

/* Loads and pins it. 0 or -errno; nothing is left behind then. */
int twin_pin(const struct generation *gen);

/* The pinned twin of the program "xipsec_NAME": a descriptor that the caller closes, or -errno;
 * -ENOENT: the generation was built without. */
int twin_open(const char *gen_dir, const char *prog_name);

#endif
