// SPDX-License-Identifier: BSD-2-Clause
/* Authorities of clients: of each its CA certificate counts, by the name that the client gave it.
 * Nothing is fetched, so their URIs do not. */
#include "iked/parent_vici.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/cert.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* NAME { cacert = ...; crl_uris = [ ... ] }. `uris`: it names some. */
static bool read_authority(struct bytes message, char name[CLIENTS_ID_LEN], struct bytes *cacert,
			   bool *uris)
{
	struct reader r = reader_of(message);
	struct vici_element element;

	*uris = false;
	*cacert = BYTES_NONE;
	if (!vici_next(&r, &element) || element.kind != VICI_SECTION_START || !element.name.len ||
	    element.name.len >= CLIENTS_ID_LEN)
		return false;
	snprintf(name, CLIENTS_ID_LEN, "%.*s", (int)element.name.len,
		 (const char *)element.name.data);
	while (vici_next(&r, &element)) {
		if (element.kind == VICI_KEY_VALUE && vici_name_is(&element, "cacert"))
			*cacert = element.value;
		*uris |= element.kind == VICI_LIST_ITEM;
	}
	return cacert->len > 0;
}

void vici_load_authority(void *ctx, struct vici_request *request)
{
	struct conn_texts owners = {0};
	char name[CLIENTS_ID_LEN];
	struct bytes cacert;
	bool uris;

	if (!read_authority(vici_request_message(request), name, &cacert, &uris)) {
		vici_answer_error(request,
				  "an authority without cacert is not supported in this version");
		return;
	}
	if (!vici_put_cred(ctx, request, CLIENT_AUTHORITY, name, cacert, &owners))
		return;
	if (uris)
		log_warn("authority %s: nothing is fetched from its URIs: put CRLs into x509crl",
			 name);
	vici_answer_ok(request);
}

void vici_unload_authority(void *ctx, struct vici_request *request)
{
	vici_unload_id(ctx, request, CLIENT_AUTHORITY, "name");
}

void vici_get_authorities(void *ctx, struct vici_request *request)
{
	vici_answer_ids(ctx, request, CLIENT_AUTHORITY, "authorities");
}

static void put_empty(struct vici_writer *w, const char *list)
{
	vici_list(w, list);
	vici_list_end(w);
}

void vici_list_authorities(void *ctx, struct vici_request *request)
{
	char only[CLIENTS_ID_LEN], text[IDENT_TEXT_MAX];
	const struct parent *p = ctx;

	vici_get_text(vici_request_message(request), "name", only, sizeof(only));
	for (unsigned int i = 0; i < p->clients.n_creds; i++) {
		const struct client_cred *cred = &p->clients.creds[i];
		_cleanup_vici_ struct vici_writer w = {0};

		if (cred->kind != CLIENT_AUTHORITY || (only[0] && strcmp(only, cred->id) != 0))
			continue;
		cert_print_subject(BYTES(cred->data, cred->len), text, sizeof(text));
		vici_section(&w, cred->id);
		vici_text(&w, "cacert", "%s", text);
		put_empty(&w, "crl_uris");
		put_empty(&w, "ocsp_uris");
		vici_section_end(&w);
		if (!w.err)
			vici_stream(request, VICI_EVENT_LIST_AUTHORITY, vici_view(&w));
	}
	vici_answer(request, BYTES("", 0));
}
