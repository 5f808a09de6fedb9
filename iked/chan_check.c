// SPDX-License-Identifier: BSD-2-Clause
/* What is a message and what is not. Pure: tests and fuzzers need no socket. */
#include "iked/chan.h"

#include <string.h>

#include "iked/vici_server.h"

static bool text_ends(const char *text, size_t size)
{
	return memchr(text, 0, size) != NULL;
}

static bool check_setup(const void *data, size_t len)
{
	const struct chan_setup *m = data;

	return text_ends(m->root, sizeof(m->root));
}

static bool check_name(const void *data, size_t len)
{
	const struct chan_name *m = data;

	return text_ends(m->name, sizeof(m->name));
}

static bool check_sockets(const void *data, size_t len)
{
	const struct chan_sockets *m = data;

	return m->have < 1U << XIPSEC_IKE_SOCKETS;
}

static bool check_blob(const void *data, size_t len)
{
	const struct chan_blob *m = data;

	return len - sizeof(*m) == m->data_len;
}

static bool path_valid(const struct ike_path *path)
{
	return (path->family == XIPSEC_FAMILY_IP4 || path->family == XIPSEC_FAMILY_IP6) &&
	       *(const __u8 *)&path->natt <= 1;
}

static bool check_paths(const void *data, size_t len)
{
	const struct chan_paths *m = data;

	return text_ends(m->name, sizeof(m->name));
}

static bool check_paths_answer(const void *data, size_t len)
{
	const struct chan_paths_answer *m = data;

	if (m->n > IKE_PATHS_MAX)
		return false;
	for (__u32 i = 0; i < m->n; i++)
		if (!path_valid(&m->path[i]))
			return false;
	return true;
}

static bool check_auth(const void *data, size_t len)
{
	const struct chan_auth *m = data;
	__u64 sum = (__u64)m->message_len + m->nonce_len + m->sk_p_len + m->id_len + m->auth_len;

	return text_ends(m->name, sizeof(m->name)) && len - sizeof(*m) == sum && m->verify <= 1 &&
	       m->initiator <= 1 && m->n_hashes <= CHAN_HASHES_MAX && path_valid(&m->path);
}

static bool check_auth_answer(const void *data, size_t len)
{
	const struct chan_auth_answer *m = data;

	return len - sizeof(*m) == m->data_len && m->data_len <= IKE_AUTH_MAX && m->verify <= 1;
}

static bool check_resolve(const void *data, size_t len)
{
	const struct chan_resolve *m = data;

	return text_ends(m->host, sizeof(m->host));
}

static bool check_resolved(const void *data, size_t len)
{
	const struct chan_resolved *m = data;

	if (m->n > CHAN_ANSWERS_MAX)
		return false;
	for (__u32 i = 0; i < m->n; i++)
		if (m->address[i].family != XIPSEC_FAMILY_IP4 &&
		    m->address[i].family != XIPSEC_FAMILY_IP6)
			return false;
	return true;
}

static bool check_vici(const void *data, size_t len)
{
	const struct chan_vici *m = data;

	return len - sizeof(*m) == m->data_len && text_ends(m->command, sizeof(m->command)) &&
	       m->event < VICI_EVENT_COUNT && m->more <= 1;
}

#define PLAIN sizeof(struct chan_hdr)

/* `tail`: it may be longer than its struct. Descriptors: from min to max of them. */
static const struct {
	size_t len;
	bool tail;
	unsigned int fds_min, fds_max;
	bool (*check)(const void *data, size_t len);
} forms[CHAN_TYPES] = {
	[CHAN_SETUP] = {sizeof(struct chan_setup), false, 0, 0, check_setup},
	[CHAN_READY] = {PLAIN, false, 0, 0, NULL},
	[CHAN_SADB] = {PLAIN, false, 1, 1, NULL},
	[CHAN_SADB_GONE] = {sizeof(struct chan_gone), false, 0, 0, NULL},
	[CHAN_SOCKETS] = {sizeof(struct chan_sockets), false, 0, XIPSEC_IKE_SOCKETS, check_sockets},
	[CHAN_CONN] = {PLAIN, false, 1, 1, NULL},
	[CHAN_CONN_GONE] = {sizeof(struct chan_name), false, 0, 0, check_name},
	[CHAN_CONN_START] = {sizeof(struct chan_name), false, 0, 0, check_name},
	[CHAN_TRUST_BEGIN] = {PLAIN, false, 0, 0, NULL},
	[CHAN_CA] = {sizeof(struct chan_blob), true, 0, 0, check_blob},
	[CHAN_CRL] = {PLAIN, false, 0, 1, NULL},
	[CHAN_TRUST_END] = {PLAIN, false, 0, 0, NULL},
	[CHAN_KEYLOG] = {PLAIN, false, 0, 1, NULL},
	[CHAN_STOP] = {sizeof(struct chan_stop), false, 0, 0, NULL},
	[CHAN_PATHS] = {sizeof(struct chan_paths), false, 0, 0, check_paths},
	[CHAN_PATHS_ANSWER] = {sizeof(struct chan_paths_answer), false, 0, 0, check_paths_answer},
	[CHAN_AUTH] = {sizeof(struct chan_auth), true, 0, 0, check_auth},
	[CHAN_AUTH_ANSWER] = {sizeof(struct chan_auth_answer), true, 0, 0, check_auth_answer},
	[CHAN_RESOLVE] = {sizeof(struct chan_resolve), false, 0, 0, check_resolve},
	[CHAN_RESOLVED] = {sizeof(struct chan_resolved), false, 0, 0, check_resolved},
	[CHAN_VICI] = {sizeof(struct chan_vici), true, 0, 0, check_vici},
	[CHAN_VICI_STREAM] = {sizeof(struct chan_vici), true, 0, 0, check_vici},
	[CHAN_VICI_MORE] = {sizeof(struct chan_vici), true, 0, 0, check_vici},
	[CHAN_VICI_ANSWER] = {sizeof(struct chan_vici), true, 0, 0, check_vici},
	[CHAN_VICI_EVENT] = {sizeof(struct chan_vici), true, 0, 0, check_vici},
	[CHAN_VICI_WANTED] = {sizeof(struct chan_wanted), false, 0, 0, NULL},
};

bool chan_check(const void *data, size_t len, unsigned int n)
{
	struct chan_hdr hdr;

	if (len < sizeof(hdr) || len > CHAN_MAX)
		return false;
	memcpy(&hdr, data, sizeof(hdr));
	if (hdr.len != len || hdr.type >= CHAN_TYPES || !forms[hdr.type].len)
		return false;
	if (len < forms[hdr.type].len || (len > forms[hdr.type].len && !forms[hdr.type].tail))
		return false;
	if (n < forms[hdr.type].fds_min || n > forms[hdr.type].fds_max)
		return false;
	return !forms[hdr.type].check || forms[hdr.type].check(data, len);
}
