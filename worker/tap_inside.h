/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of the TAPs, for tap.c (what is read), tap_write.c and tap_control.c. */
#ifndef WORKER_TAP_INSIDE_H
#define WORKER_TAP_INSIDE_H

#include "worker/loop.h"
#include "worker/tap.h"

#define TAP_HDR_LEN 10 /* struct virtio_net_hdr, as a TAP has it unless told otherwise */

/* NULL: there is none with that if_id. */
struct tap *tap_find(struct worker *w, __u32 if_id);

/* Somebody deleted the interface: xipsecd makes it anew and lends that. */
void tap_lose(struct worker *w, struct tap *tap);

#endif
