/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of VICI in the parent: parent_vici.c the socket and what is the child's,
 * parent_vici_load.c what clients bring, parent_vici_list.c what they look at. */
#ifndef IKED_PARENT_VICI_H
#define IKED_PARENT_VICI_H

#include "iked/parent_inside.h"
#include "iked/vici_server.h"

/* ------------------------------------------------------------------ parent_vici.c */

/* A command for the child, with that message; the answer comes from there. */
void vici_to_child(struct parent *p, struct vici_request *request, struct bytes message);

/* ------------------------------------------------------------------ parent_vici_load.c */

void vici_load_conn(void *ctx, struct vici_request *request);
void vici_unload_conn(void *ctx, struct vici_request *request);
void vici_get_conns(void *ctx, struct vici_request *request);
void vici_load_shared(void *ctx, struct vici_request *request);
void vici_unload_shared(void *ctx, struct vici_request *request);
void vici_get_shared(void *ctx, struct vici_request *request);
void vici_load_key(void *ctx, struct vici_request *request);
void vici_unload_key(void *ctx, struct vici_request *request);
void vici_get_keys(void *ctx, struct vici_request *request);
void vici_load_cert(void *ctx, struct vici_request *request);
void vici_clear_creds(void *ctx, struct vici_request *request);
void vici_reload_settings(void *ctx, struct vici_request *request);

/* A credential that a client brought, taken over with its owners; answers if it is not. */
bool vici_put_cred(struct parent *p, struct vici_request *request, enum client_cred_kind kind,
		   const char *id, struct bytes data, struct conn_texts *owners);

/* Answers with a list of what clients call those of that kind. */
void vici_answer_ids(const struct parent *p, struct vici_request *request,
		     enum client_cred_kind kind, const char *list);

/* Removes the one that the client calls what the message has at `key`; answers. */
void vici_unload_id(struct parent *p, struct vici_request *request, enum client_cred_kind kind,
		    const char *key);

/* ------------------------------------------------------------------ parent_vici_authority.c */

void vici_load_authority(void *ctx, struct vici_request *request);
void vici_unload_authority(void *ctx, struct vici_request *request);
void vici_get_authorities(void *ctx, struct vici_request *request);
void vici_list_authorities(void *ctx, struct vici_request *request);

/* ------------------------------------------------------------------ parent_vici_list.c */

void vici_version(void *ctx, struct vici_request *request);
void vici_list_conns(void *ctx, struct vici_request *request);
void vici_list_policies(void *ctx, struct vici_request *request);
void vici_list_certs(void *ctx, struct vici_request *request);
void vici_get_algorithms(void *ctx, struct vici_request *request);

#endif
