// SPDX-License-Identifier: BSD-2-Clause
#include "iked/ident.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/ident_dn.h"
#include "xipsec/selector.h"

struct ident *ident_new(__u8 type, struct bytes data)
{
	struct ident *id;

	if (data.len > IDENT_LEN_MAX)
		return NULL;
	id = malloc(sizeof(*id) + data.len);
	if (!id)
		return NULL;
	id->type = type;
	id->len = (__u16)data.len;
	if (data.len)
		memcpy(id->data, data.data, data.len);
	return id;
}

struct ident *ident_copy(const struct ident *id)
{
	return id ? ident_new(id->type, BYTES(id->data, id->len)) : NULL;
}

struct ident *ident_of_addr(__u8 family, const __u8 *addr)
{
	if (family == XIPSEC_FAMILY_IP4)
		return ident_new(IKE_ID_IPV4, BYTES(addr, 4));
	return ident_new(IKE_ID_IPV6, BYTES(addr, 16));
}

/* ------------------------------------------------------------------ of a payload */

/* A control character has no place in a name, and could write a line of log. */
static bool name_is_clean(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] < 0x20 || name.data[i] == 0x7f)
			return false;
	return name.len;
}

static const char *payload_fault(__u8 type, struct bytes data)
{
	switch (type) {
	case IKE_ID_IPV4: return data.len == 4 ? NULL : "an IPv4 address is not of 4 bytes";
	case IKE_ID_IPV6: return data.len == 16 ? NULL : "an IPv6 address is not of 16 bytes";
	case IKE_ID_FQDN:
	case IKE_ID_RFC822:
		return name_is_clean(data) ? NULL : "a name is empty or has control characters";
	case IKE_ID_DN: return dn_valid(data) ? NULL : "a DN is no DER of a name";
	case IKE_ID_KEY_ID: return data.len ? NULL : "a key-id is empty";
	default: return "of a type that is not known";
	}
}

int ident_of_payload(const struct ike_id *id, struct ident **out, char *why, size_t size)
{
	const char *fault = id->data.len > IDENT_LEN_MAX ? "is too long"
							 : payload_fault(id->type, id->data);
	struct ident *new;

	if (fault) {
		snprintf(why, size, "identity of type %u, %zu bytes: %s", id->type, id->data.len,
			 fault);
		return -EBADMSG;
	}
	new = ident_new(id->type, id->data);
	if (!new)
		return -ENOMEM;
	*out = new;
	return 0;
}

/* ------------------------------------------------------------------ comparing */

static struct bytes data_of(const struct ident *id)
{
	return BYTES(id->data, id->len);
}

static bool is_name(__u8 type)
{
	return type == IKE_ID_FQDN || type == IKE_ID_RFC822;
}

static bool names_equal(struct bytes a, struct bytes b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (tolower(a.data[i]) != tolower(b.data[i]))
			return false;
	return true;
}

bool ident_equal(const struct ident *a, const struct ident *b)
{
	if (a->type != b->type)
		return false;
	if (is_name(a->type))
		return names_equal(data_of(a), data_of(b));
	if (a->type == IKE_ID_DN && !dn_is_pattern(data_of(a)))
		return dn_match(data_of(a), data_of(b)) == IDENT_MATCH_EXACT;
	return bytes_equal(data_of(a), data_of(b));
}

/* FNV-1a */
__u64 ident_hash(const struct ident *id)
{
	bool name = is_name(id->type);
	__u64 hash = 0xcbf29ce484222325ULL ^ id->type;

	if (id->type == IKE_ID_DN)
		return hash ^ dn_hash(data_of(id));
	for (unsigned int i = 0; i < id->len; i++)
		hash = (hash ^ (__u64)(name ? tolower(id->data[i]) : id->data[i])) *
		       0x100000001b3ULL;
	return hash;
}

/* A `*` in front stands for anything; before a dot or an at sign, for something. */
static int name_match(struct bytes pattern, struct bytes name)
{
	size_t some, len;

	if (names_equal(pattern, name))
		return IDENT_MATCH_EXACT;
	if (!pattern.len || pattern.data[0] != '*')
		return 0;
	pattern = BYTES(pattern.data + 1, pattern.len - 1);
	len = pattern.len;
	some = len && (pattern.data[0] == '.' || pattern.data[0] == '@');
	if (name.len < len + some || !names_equal(pattern, BYTES(name.data + name.len - len, len)))
		return 0;
	return len + 2 < IDENT_MATCH_EXACT ? (int)len + 2 : IDENT_MATCH_EXACT - 1;
}

int ident_match(const struct ident *pattern, const struct ident *id)
{
	if (pattern->type == IDENT_ANY)
		return 1;
	if (pattern->type != id->type)
		return 0;
	if (is_name(id->type))
		return name_match(data_of(pattern), data_of(id));
	if (id->type == IKE_ID_DN)
		return dn_match(data_of(pattern), data_of(id));
	return bytes_equal(data_of(pattern), data_of(id)) ? IDENT_MATCH_EXACT : 0;
}

bool ident_is_pattern(const struct ident *id)
{
	if (id->type == IDENT_ANY)
		return true;
	if (is_name(id->type))
		return id->len && id->data[0] == '*';
	return id->type == IKE_ID_DN && dn_is_pattern(data_of(id));
}
