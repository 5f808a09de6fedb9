// SPDX-License-Identifier: BSD-2-Clause
/* What clients look at that the parent knows: connections, policies, certificates, algorithms. */
#include "iked/parent_vici.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "iked/cert.h"
#include "iked/ike_conn.h"
#include "iked/vici_alg.h"
#include "lib/cleanup.h"

void vici_version(void *ctx, struct vici_request *request)
{
	_cleanup_vici_ struct vici_writer w = {0};
	struct utsname host;

	vici_text(&w, "daemon", "xipsec-iked");
	vici_text(&w, "version", "%s", XIPSEC_VERSION);
	if (!uname(&host)) {
		vici_text(&w, "sysname", "%s", host.sysname);
		vici_text(&w, "release", "%s", host.release);
		vici_text(&w, "machine", "%s", host.machine);
	}
	vici_answer(request, vici_view(&w));
}

/* ------------------------------------------------------------------ connections */

static void print_addr(char *to, size_t size, __u8 family, const struct xipsec_addr *addr)
{
	inet_ntop(family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6, addr->byte, to, size);
}

static void put_range(struct vici_writer *w, __u8 family, const struct xipsec_addr *lo,
		      const struct xipsec_addr *hi)
{
	char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN], text[2 * INET6_ADDRSTRLEN + 2];

	print_addr(first, sizeof(first), family, lo);
	print_addr(last, sizeof(last), family, hi);
	if (strcmp(first, last) == 0)
		snprintf(text, sizeof(text), "%s", first);
	else
		snprintf(text, sizeof(text), "%s-%s", first, last);
	vici_item_text(w, text);
}

static void put_hosts(struct vici_writer *w, const char *key, const struct conn_hosts *hosts)
{
	vici_list(w, key);
	if (!hosts->n)
		vici_item_text(w, "%any");
	for (unsigned int i = 0; i < hosts->n; i++) {
		const struct conn_host *host = &hosts->host[i];

		if (host->kind == CONN_HOST_NAME)
			vici_item_text(w, host->name);
		else if (host->kind == CONN_HOST_ANY)
			vici_item_text(w, "%any");
		else
			put_range(w, host->family, &host->lo, &host->hi);
	}
	vici_list_end(w);
}

/* As those of SAs are printed; what is dynamic has no address yet. */
static void put_one_ts(struct vici_writer *w, const struct conn_ts *ts)
{
	static const struct xipsec_addr none;
	struct ts fixed = ike_ts(ts, XIPSEC_FAMILY_IP4, &none);
	const char *behind;
	char text[128], dynamic[140];

	ts_print(&fixed, text, sizeof(text));
	if (!ts->dynamic) {
		vici_item_text(w, text);
		return;
	}
	behind = strchr(text, '[');
	snprintf(dynamic, sizeof(dynamic), "dynamic%s", behind ? behind : "");
	vici_item_text(w, dynamic);
}

static void put_ts(struct vici_writer *w, const char *key, const struct conn_ts_list *list)
{
	vici_list(w, key);
	for (unsigned int i = 0; i < list->n; i++)
		put_one_ts(w, &list->ts[i]);
	vici_list_end(w);
}

static const char *mode_name(enum conn_mode mode)
{
	static const char *const names[] = {"TUNNEL", "TRANSPORT", "PASS", "DROP"};

	return names[mode];
}

static const char *action_name(enum conn_action action)
{
	static const char *const names[] = {"none", "trap", "start"};

	return names[action];
}

static void put_child(struct vici_writer *w, const struct conn_child *child)
{
	vici_section(w, child->name);
	vici_text(w, "mode", "%s", mode_name(child->mode));
	vici_text(w, "rekey_time", "%u", child->rekey_time);
	vici_text(w, "rekey_bytes", "%llu", (unsigned long long)child->rekey_bytes);
	vici_text(w, "rekey_packets", "%llu", (unsigned long long)child->rekey_packets);
	vici_text(w, "start_action", "%s", action_name(child->start_action));
	vici_text(w, "dpd_action", "%s", action_name(child->dpd_action));
	vici_text(w, "close_action", "%s", action_name(child->close_action));
	put_ts(w, "local-ts", &child->local_ts);
	put_ts(w, "remote-ts", &child->remote_ts);
	vici_section_end(w);
}

static void put_subjects(struct vici_writer *w, const char *list, const struct conn_blobs *blobs)
{
	char text[IDENT_TEXT_MAX];

	vici_list(w, list);
	for (unsigned int i = 0; i < blobs->n; i++) {
		const struct conn_blob *blob = &blobs->blob[i];

		if (cert_print_subject(BYTES(blob->data, blob->len), text, sizeof(text)))
			vici_item_text(w, text);
		else
			vici_item_text(w, blob->file ? blob->file : "(certificate)");
	}
	vici_list_end(w);
}

/* Who this end is, without an id in the config: NULL: its address. */
static struct ident *own_subject(const struct parent *p, const struct conn *conn)
{
	struct bytes chain[CREDS_CHAIN_MAX];

	if (conn->local.id || conn->local.kind != CONN_AUTH_PUBKEY ||
	    !creds_chain(p->creds, conn, chain))
		return NULL;
	return cert_default_id(chain[0]);
}

static void put_auth(struct vici_writer *w, const char *section, const struct conn_auth *auth,
		     const struct ident *subject)
{
	char text[IDENT_TEXT_MAX];

	vici_section(w, section);
	vici_text(w, "class", "%s", auth->kind == CONN_AUTH_PSK ? "pre-shared key" : "public key");
	if (auth->id)
		vici_text(w, "id", "%s", auth->id);
	if (subject) {
		ident_print(subject, text, sizeof(text));
		vici_text(w, "id", "%s", text);
	}
	vici_list(w, "groups");
	vici_list_end(w);
	vici_list(w, "cert_policy");
	vici_list_end(w);
	put_subjects(w, "certs", &auth->certs);
	put_subjects(w, "cacerts", &auth->cacerts);
	vici_section_end(w);
}

static void put_conn(struct vici_writer *w, const struct parent *p, const struct conn *conn)
{
	static const char *const uniques[] = {"UNIQUE_NO", "UNIQUE_NEVER", "UNIQUE_KEEP",
					      "UNIQUE_REPLACE"};
	struct ident *subject = own_subject(p, conn);

	vici_section(w, conn->name);
	put_hosts(w, "local_addrs", &conn->local_addrs);
	put_hosts(w, "remote_addrs", &conn->remote_addrs);
	vici_text(w, "version", "IKEv2");
	vici_text(w, "reauth_time", "%u", conn->reauth_time);
	vici_text(w, "rekey_time", "%u", conn->rekey_time);
	vici_text(w, "unique", "%s", uniques[conn->unique]);
	if (conn->dpd_delay)
		vici_text(w, "dpd_delay", "%u", conn->dpd_delay);
	put_auth(w, "local-1", &conn->local, subject);
	put_auth(w, "remote-1", &conn->remote, NULL);
	free(subject);
	vici_section(w, "children");
	for (unsigned int i = 0; i < conn->n_children; i++)
		put_child(w, &conn->children[i]);
	vici_section_end(w);
	vici_section_end(w);
}

void vici_list_conns(void *ctx, struct vici_request *request)
{
	const struct parent *p = ctx;
	char only[CONN_NAME_LEN];

	vici_get_text(vici_request_message(request), "ike", only, sizeof(only));
	for (unsigned int i = 0; i < p->config->n_conns; i++) {
		_cleanup_vici_ struct vici_writer w = {0};

		if (only[0] && strcmp(only, p->config->conns[i].name) != 0)
			continue;
		put_conn(&w, p, &p->config->conns[i]);
		if (!w.err)
			vici_stream(request, VICI_EVENT_LIST_CONN, vici_view(&w));
	}
	vici_answer(request, BYTES("", 0));
}

/* ------------------------------------------------------------------ policies */

struct policy_filter {
	bool drop, pass, trap;
	char ike[CONN_NAME_LEN], child[CONN_NAME_LEN];
};

/* Without a filter: all. */
static bool fits(const struct policy_filter *filter, const struct conn *conn,
		 const struct conn_child *child)
{
	bool by_kind = filter->drop || filter->pass || filter->trap;

	if ((filter->ike[0] && strcmp(filter->ike, conn->name) != 0) ||
	    (filter->child[0] && strcmp(filter->child, child->name) != 0))
		return false;
	if (!by_kind)
		return true;
	if (child->mode == CONN_MODE_DROP)
		return filter->drop;
	return child->mode == CONN_MODE_PASS ? filter->pass : filter->trap;
}

/* Every child has its rules, whatever its start_action: all of them are listed. */
static void list_policy(struct vici_request *request, const struct conn *conn,
			const struct conn_child *child)
{
	_cleanup_vici_ struct vici_writer w = {0};

	vici_section(&w, child->sadb_name);
	vici_text(&w, "child", "%s", child->name);
	vici_text(&w, "ike", "%s", conn->name);
	vici_text(&w, "mode", "%s", mode_name(child->mode));
	put_ts(&w, "local-ts", &child->local_ts);
	put_ts(&w, "remote-ts", &child->remote_ts);
	vici_section_end(&w);
	if (!w.err)
		vici_stream(request, VICI_EVENT_LIST_POLICY, vici_view(&w));
}

void vici_list_policies(void *ctx, struct vici_request *request)
{
	struct bytes message = vici_request_message(request);
	struct policy_filter filter = {
		.drop = vici_get_bool(message, "drop", false),
		.pass = vici_get_bool(message, "pass", false),
		.trap = vici_get_bool(message, "trap", false),
	};
	const struct parent *p = ctx;

	vici_get_text(message, "ike", filter.ike, sizeof(filter.ike));
	vici_get_text(message, "child", filter.child, sizeof(filter.child));
	for (unsigned int i = 0; i < p->config->n_conns; i++) {
		const struct conn *conn = &p->config->conns[i];

		for (unsigned int k = 0; k < conn->n_children; k++)
			if (fits(&filter, conn, &conn->children[k]))
				list_policy(request, conn, &conn->children[k]);
	}
	vici_answer(request, BYTES("", 0));
}

/* ------------------------------------------------------------------ certificates, algorithms */

/* `wanted`, an identity (a pattern, as in the config): is it the subject's, or does it fit a name
 * of it? "": all are. */
static bool is_subject(struct bytes der, const char *wanted)
{
	struct ident *pattern = NULL, *subject = NULL;
	char why[160];
	bool fits = !wanted[0];

	if (!fits && !ident_parse(wanted, &pattern, why, sizeof(why)))
		subject = cert_subject(der);
	if (subject)
		fits = ident_match(pattern, subject) || cert_bears(der, pattern);
	free(pattern);
	free(subject);
	return fits;
}

void vici_list_certs(void *ctx, struct vici_request *request)
{
	struct bytes message = vici_request_message(request);
	char type[16], flag[16], subject[IDENT_TEXT_MAX];
	const struct parent *p = ctx;

	parent_settle(ctx);
	vici_get_text(message, "type", type, sizeof(type));
	vici_get_text(message, "flag", flag, sizeof(flag));
	vici_get_text(message, "subject", subject, sizeof(subject));
	for (unsigned int i = 0; i < creds_certs(p->creds); i++) {
		_cleanup_vici_ struct vici_writer w = {0};
		bool ca, has_key;
		struct bytes der = creds_cert(p->creds, i, &ca, &has_key);

		if ((type[0] && strcasecmp(type, "ANY") != 0 && strcasecmp(type, "X509") != 0) ||
		    (flag[0] && strcasecmp(flag, "ANY") != 0 &&
		     strcasecmp(flag, ca ? "CA" : "NONE") != 0) ||
		    !is_subject(der, subject))
			continue;
		vici_text(&w, "type", "X509");
		vici_text(&w, "flag", "%s", ca ? "CA" : "NONE");
		if (has_key)
			vici_bool(&w, "has_privkey", true);
		vici_blob(&w, "data", der);
		if (!w.err)
			vici_stream(request, VICI_EVENT_LIST_CERT, vici_view(&w));
	}
	vici_answer(request, BYTES("", 0));
}

void vici_get_algorithms(void *ctx, struct vici_request *request)
{
	_cleanup_vici_ struct vici_writer w = {0};

	vici_put_algorithms(&w);
	vici_answer(request, vici_view(&w));
}
