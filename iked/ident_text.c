// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iked/ident.h"
#include "iked/ident_dn.h"

static const struct {
	const char *prefix;
	__u8 type;
} prefixes[] = {
	{"ipv4:", IKE_ID_IPV4},       {"ipv6:", IKE_ID_IPV6},     {"fqdn:", IKE_ID_FQDN},
	{"dns:", IKE_ID_FQDN},        {"rfc822:", IKE_ID_RFC822}, {"email:", IKE_ID_RFC822},
	{"userfqdn:", IKE_ID_RFC822}, {"asn1dn:", IKE_ID_DN},     {"keyid:", IKE_ID_KEY_ID},
};

static const char *const anybody[] = {"", "%any", "%any6", "*", "0.0.0.0", "::", "0::0"};

static int refuse(char *why, size_t size, const char *what, const char *text)
{
	snprintf(why, size, "%s: `%.60s`", what, text);
	return -EINVAL;
}

static int made(struct ident *id, struct ident **out)
{
	if (!id)
		return -ENOMEM;
	*out = id;
	return 0;
}

static int of_bytes(__u8 type, struct bytes data, struct ident **out, char *why, size_t size)
{
	const struct ike_id id = {.type = type, .data = data};
	int err = ident_of_payload(&id, out, why, size);

	return err == -EBADMSG ? -EINVAL : err;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at;

	c = (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
	at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

static int of_hex(__u8 type, const char *text, struct ident **out, char *why, size_t size)
{
	__u8 data[IDENT_LEN_MAX];
	size_t n = 0;

	for (const char *at = text; *at; at += 2) {
		int hi = hex_digit(at[0]), lo = hi < 0 ? -1 : hex_digit(at[1]);

		if (lo < 0 || n == sizeof(data))
			return refuse(why, size, "expected pairs of hex digits", text);
		data[n++] = (__u8)(hi << 4 | lo);
	}
	return of_bytes(type, BYTES(data, n), out, why, size);
}

static int of_addr(__u8 type, const char *text, struct ident **out, char *why, size_t size)
{
	__u8 addr[16];

	if (inet_pton(type == IKE_ID_IPV4 ? AF_INET : AF_INET6, text, addr) != 1)
		return refuse(why, size, "expected an address", text);
	return made(ident_new(type, BYTES(addr, type == IKE_ID_IPV4 ? 4 : 16)), out);
}

static int of_name(__u8 type, const char *text, struct ident **out, char *why, size_t size)
{
	if (type == IKE_ID_RFC822 && !strchr(text, '@'))
		return refuse(why, size, "expected NAME@DOMAIN", text);
	return of_bytes(type, BYTES(text, strlen(text)), out, why, size);
}

static int of_type(__u8 type, const char *text, struct ident **out, char *why, size_t size)
{
	if (*text == '#')
		return of_hex(type, text + 1, out, why, size);
	if (type == IKE_ID_KEY_ID && !strncasecmp(text, "0x", 2))
		return of_hex(type, text + 2, out, why, size);
	switch (type) {
	case IKE_ID_IPV4:
	case IKE_ID_IPV6: return of_addr(type, text, out, why, size);
	case IKE_ID_DN: return dn_parse(text, out, why, size);
	default: return of_name(type, text, out, why, size);
	}
}

/* Without a type in front, the text tells. */
static int of_shape(const char *text, struct ident **out, char *why, size_t size)
{
	__u8 addr[16];

	if (!strncmp(text, "@#", 2))
		return of_hex(IKE_ID_KEY_ID, text + 2, out, why, size);
	if (!strncmp(text, "@@", 2))
		return of_name(IKE_ID_RFC822, text + 2, out, why, size);
	if (*text == '@')
		return of_name(IKE_ID_FQDN, text + 1, out, why, size);
	if (strchr(text, '='))
		return dn_parse(text, out, why, size);
	if (strchr(text, '@'))
		return of_name(IKE_ID_RFC822, text, out, why, size);
	if (inet_pton(AF_INET, text, addr) == 1)
		return made(ident_new(IKE_ID_IPV4, BYTES(addr, 4)), out);
	if (inet_pton(AF_INET6, text, addr) == 1)
		return made(ident_new(IKE_ID_IPV6, BYTES(addr, 16)), out);
	if (strchr(text, ':'))
		return refuse(why, size, "no address, and no type that is known in front", text);
	return of_name(IKE_ID_FQDN, text, out, why, size);
}

int ident_parse(const char *text, struct ident **out, char *why, size_t size)
{
	if (size)
		*why = 0;
	for (size_t i = 0; i < sizeof(anybody) / sizeof(anybody[0]); i++)
		if (!strcmp(text, anybody[i]))
			return made(ident_new(IDENT_ANY, BYTES_NONE), out);
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t len = strlen(prefixes[i].prefix);

		if (!strncasecmp(text, prefixes[i].prefix, len))
			return of_type(prefixes[i].type, text + len, out, why, size);
	}
	return of_shape(text, out, why, size);
}

/* ------------------------------------------------------------------ printing */

static bool is_plain(struct bytes data)
{
	for (size_t i = 0; i < data.len; i++)
		if (data.data[i] < 0x20 || data.data[i] > 0x7e)
			return false;
	return data.len;
}

static size_t print_plain(struct bytes data, char *to, size_t size)
{
	size_t n = data.len < size ? data.len : size ? size - 1 : 0;

	for (size_t i = 0; i < n; i++)
		to[i] = (char)(data.data[i] >= 0x20 && data.data[i] < 0x7f ? data.data[i] : '?');
	if (size)
		to[n] = 0;
	return data.len;
}

static size_t print_hex(struct bytes data, char *to, size_t size)
{
	size_t at = 0;

	if (size)
		*to = 0;
	for (size_t i = 0; i < data.len; i++)
		at += (size_t)snprintf(at < size ? to + at : NULL, at < size ? size - at : 0,
				       i ? ":%02x" : "%02x", data.data[i]);
	return at;
}

static size_t print_addr(int family, struct bytes data, char *to, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (data.len == (family == AF_INET ? 4u : 16u))
		inet_ntop(family, data.data, text, sizeof(text));
	return (size_t)snprintf(to, size, "%s", text);
}

size_t ident_print(const struct ident *id, char *to, size_t size)
{
	struct bytes data = BYTES(id->data, id->len);

	switch (id->type) {
	case IDENT_ANY: return (size_t)snprintf(to, size, "%%any");
	case IKE_ID_IPV4: return print_addr(AF_INET, data, to, size);
	case IKE_ID_IPV6: return print_addr(AF_INET6, data, to, size);
	case IKE_ID_DN: return dn_print(data, to, size);
	case IKE_ID_FQDN:
	case IKE_ID_RFC822: return print_plain(data, to, size);
	default: return is_plain(data) ? print_plain(data, to, size) : print_hex(data, to, size);
	}
}
