/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One payload each: its body, behind the generic header, validated and put into the message. Inside
 * of message.c alone; each returns 0 or -EBADMSG with `fault`, and touches only its own fields.
 */
#ifndef IKED_PAYLOAD_H
#define IKED_PAYLOAD_H

#include "iked/fault.h"

typedef int (*payload_fn)(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);

int payload_sa(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_ke(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_id_i(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_id_r(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_cert(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_certreq(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_auth(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_nonce(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_notify(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_delete(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_vendor(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_ts_i(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_ts_r(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_cp(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);
int payload_eap(struct ike_msg *msg, struct bytes body, struct ike_fault *fault);

#endif
