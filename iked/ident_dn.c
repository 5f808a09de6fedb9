// SPDX-License-Identifier: BSD-2-Clause
#include "iked/ident_dn.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DN_TEXT_MAX  1024
#define DN_VALUE_MAX 256

/* strongSwan's words; of those for one attribute, the first is printed. */
static const struct {
	const char *name;
	int nid;
} attributes[] = {
	{"C", NID_countryName},
	{"ST", NID_stateOrProvinceName},
	{"L", NID_localityName},
	{"O", NID_organizationName},
	{"OU", NID_organizationalUnitName},
	{"CN", NID_commonName},
	{"E", NID_pkcs9_emailAddress},
	{"emailAddress", NID_pkcs9_emailAddress},
	{"Email", NID_pkcs9_emailAddress},
	{"SN", NID_serialNumber},
	{"serialNumber", NID_serialNumber},
	{"DC", NID_domainComponent},
	{"UID", NID_userId},
	{"S", NID_surname},
	{"G", NID_givenName},
	{"I", NID_initials},
	{"N", NID_name},
	{"T", NID_title},
	{"D", NID_description},
	{"dnQualifier", NID_dnQualifier},
	{"UN", NID_pkcs9_unstructuredName},
	{"UA", NID_pkcs9_unstructuredAddress},
};

#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

/* ------------------------------------------------------------------ text to DER */

static int refuse(char *why, size_t size, const char *what, const char *which)
{
	snprintf(why, size, "%s: `%.60s`", what, which);
	return -EINVAL;
}

static int attribute_find(const char *name)
{
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (!strcasecmp(attributes[i].name, name))
			return attributes[i].nid;
	return NID_undef;
}

/* PrintableString where that does, else UTF8String; e-mail and domain parts are IA5String. */
static int string_type(int nid, const char *value)
{
	if (nid == NID_pkcs9_emailAddress || nid == NID_domainComponent)
		return V_ASN1_IA5STRING;
	for (; *value; value++)
		if (!isalnum((unsigned char)*value) && !strchr(" '()+,-./:=?", *value))
			return V_ASN1_UTF8STRING;
	return V_ASN1_PRINTABLESTRING;
}

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = 0;
	return text;
}

/* Cuts at the next separator that stands outside of quotes. */
static char *next_rdn(char **rest, char separator)
{
	char *start = *rest, *at;
	bool quoted = false;

	if (!start)
		return NULL;
	for (at = start; *at && (quoted || *at != separator); at++)
		quoted ^= *at == '"';
	*rest = *at ? at + 1 : NULL;
	*at = 0;
	return trim(start);
}

static int add_rdn(X509_NAME *name, char *rdn, char *why, size_t size)
{
	char *equal = strchr(rdn, '='), *value;
	size_t len;
	int nid;

	if (!equal)
		return refuse(why, size, "expected ATTRIBUTE=VALUE", rdn);
	*equal = 0;
	value = trim(equal + 1);
	len = strlen(value);
	nid = attribute_find(trim(rdn));
	if (nid == NID_undef)
		return refuse(why, size, "unknown attribute of a DN", rdn);
	if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
		value[len - 1] = 0;
		value++;
	}
	if (!*value)
		return refuse(why, size, "empty value in a DN", rdn);
	if (!X509_NAME_add_entry_by_NID(name, nid, string_type(nid, value),
					(const unsigned char *)value, (int)strlen(value), -1, 0)) {
		ERR_clear_error(); /* a country of three letters, a value too long */
		return refuse(why, size, "value is not allowed in a DN", value);
	}
	return 0;
}

static int add_all(X509_NAME *name, char *text, char *why, size_t size)
{
	char separator = *text == '/' ? '/' : ',', *rdn;
	int err = 0;

	if (separator == '/')
		text++;
	while (!err && (rdn = next_rdn(&text, separator)))
		err = add_rdn(name, rdn, why, size);
	return err;
}

static int name_ident(X509_NAME *name, struct ident **out)
{
	unsigned char *der = NULL;
	int len = i2d_X509_NAME(name, &der);
	struct ident *id = len > 0 ? ident_new(IKE_ID_DN, BYTES(der, (size_t)len)) : NULL;

	OPENSSL_free(der);
	if (!id)
		return -ENOMEM;
	*out = id;
	return 0;
}

int dn_parse(const char *text, struct ident **out, char *why, size_t size)
{
	char copy[DN_TEXT_MAX];
	X509_NAME *name;
	int err;

	if (strlen(text) >= sizeof(copy))
		return refuse(why, size, "DN is too long", text);
	strcpy(copy, text);
	name = X509_NAME_new();
	if (!name)
		return -ENOMEM;
	err = add_all(name, trim(copy), why, size);
	if (!err)
		err = name_ident(name, out);
	if (err == -ENOMEM)
		snprintf(why, size, "DN is too long");
	X509_NAME_free(name);
	return err;
}

/* ------------------------------------------------------------------ DER */

static X509_NAME *name_of(struct bytes der)
{
	const unsigned char *at = der.data;
	X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)der.len);

	if (name && (at != der.data + der.len || !X509_NAME_entry_count(name))) {
		X509_NAME_free(name);
		name = NULL;
	}
	ERR_clear_error();
	return name;
}

bool dn_valid(struct bytes der)
{
	X509_NAME *name = name_of(der);

	X509_NAME_free(name);
	return name;
}

static struct bytes value_of(const X509_NAME *name, int i)
{
	const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));

	return BYTES(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static bool is_star(struct bytes value)
{
	return value.len == 1 && value.data[0] == '*';
}

static bool is_text(int type)
{
	return type == V_ASN1_PRINTABLESTRING || type == V_ASN1_UTF8STRING ||
	       type == V_ASN1_IA5STRING || type == V_ASN1_T61STRING;
}

static bool same_value(const X509_NAME *a, const X509_NAME *b, int i)
{
	const ASN1_STRING *x = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(a, i));
	const ASN1_STRING *y = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(b, i));
	struct bytes left = value_of(a, i), right = value_of(b, i);

	if (left.len != right.len)
		return false;
	if (!is_text(ASN1_STRING_type(x)) || !is_text(ASN1_STRING_type(y)))
		return ASN1_STRING_type(x) == ASN1_STRING_type(y) && bytes_equal(left, right);
	for (size_t n = 0; n < left.len; n++)
		if (tolower(left.data[n]) != tolower(right.data[n]))
			return false;
	return true;
}

/* The same attribute in the same RDN? (Multi-valued RDNs have several entries of one set.) */
static bool same_attribute(const X509_NAME *a, const X509_NAME *b, int i)
{
	const X509_NAME_ENTRY *x = X509_NAME_get_entry(a, i), *y = X509_NAME_get_entry(b, i);

	return !OBJ_cmp(X509_NAME_ENTRY_get_object(x), X509_NAME_ENTRY_get_object(y)) &&
	       X509_NAME_ENTRY_set(x) == X509_NAME_ENTRY_set(y);
}

static int names_match(const X509_NAME *pattern, const X509_NAME *name)
{
	int n = X509_NAME_entry_count(pattern), score = IDENT_MATCH_EXACT;

	if (n != X509_NAME_entry_count(name))
		return 0;
	for (int i = 0; i < n; i++) {
		if (!same_attribute(pattern, name, i))
			return 0;
		if (is_star(value_of(pattern, i)))
			score -= score > 2;
		else if (!same_value(pattern, name, i))
			return 0;
	}
	return score;
}

int dn_match(struct bytes pattern, struct bytes der)
{
	X509_NAME *a = name_of(pattern), *b = name_of(der);
	int score = a && b ? names_match(a, b) : 0;

	X509_NAME_free(a);
	X509_NAME_free(b);
	return score;
}

bool dn_is_pattern(struct bytes der)
{
	X509_NAME *name = name_of(der);
	bool found = false;

	for (int i = 0; name && i < X509_NAME_entry_count(name); i++)
		found |= is_star(value_of(name, i));
	X509_NAME_free(name);
	return found;
}

__u64 dn_hash(struct bytes der)
{
	X509_NAME *name = name_of(der);
	__u64 hash = 0xcbf29ce484222325ULL;

	for (int i = 0; name && i < X509_NAME_entry_count(name); i++) {
		struct bytes value = value_of(name, i);

		for (size_t n = 0; n < value.len; n++)
			hash = (hash ^ (__u64)tolower(value.data[n])) * 0x100000001b3ULL;
	}
	X509_NAME_free(name);
	return hash;
}

/* ------------------------------------------------------------------ DER to text */

static const char *attribute_name(const ASN1_OBJECT *object, char *dotted, int size)
{
	int nid = OBJ_obj2nid(object);

	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (attributes[i].nid == nid)
			return attributes[i].name;
	OBJ_obj2txt(dotted, size, object, 1);
	return dotted;
}

static void value_text(struct bytes value, char to[DN_VALUE_MAX])
{
	size_t n = value.len < DN_VALUE_MAX - 1 ? value.len : DN_VALUE_MAX - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = (char)(value.data[i] >= 0x20 && value.data[i] < 0x7f ? value.data[i] : '?');
	to[n] = 0;
}

size_t dn_print(struct bytes der, char *to, size_t size)
{
	X509_NAME *name = name_of(der);
	char dotted[80], value[DN_VALUE_MAX];
	size_t at = 0;

	if (size)
		*to = 0;
	for (int i = 0; name && i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		const char *attribute =
			attribute_name(X509_NAME_ENTRY_get_object(entry), dotted, sizeof(dotted));

		value_text(value_of(name, i), value);
		at += (size_t)snprintf(at < size ? to + at : NULL, at < size ? size - at : 0,
				       strchr(value, ',') ? "%s%s=\"%s\"" : "%s%s=%s",
				       i ? ", " : "", attribute, value);
	}
	X509_NAME_free(name);
	return at;
}
