/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identities (RFC 7296 3.5, RFC 4945): text ⇄ ID payload, and whether one matches a pattern.
 *
 * Text is as strongSwan has it: an IPv4 or IPv6 address; a name (FQDN); name@domain (RFC 822); a
 * DN, "C=CH, O=strongSwan, CN=moon" or "/C=CH/O=…", values with a comma in double quotes. Or with
 * its type in front: "ipv4:", "ipv6:", "fqdn:" or "dns:", "rfc822:", "email:" or "userfqdn:",
 * "asn1dn:", "keyid:", each also with "#" and hex digits for the bytes themselves ("keyid:0x…"
 * too); "@name" is an FQDN, "@@name@domain" an RFC 822 name, "@#hex" a key-id. "%any", "*",
 * "0.0.0.0", "::" match everything.
 */
#ifndef IKED_IDENT_H
#define IKED_IDENT_H

#include "iked/message.h"

#define IDENT_ANY      0    /* a type of ours: %any; it is no type of the wire */
#define IDENT_LEN_MAX  1024 /* bytes of an identity; longer ones are refused */
#define IDENT_TEXT_MAX 1536 /* of ident_print(), with its final 0 */

/* One block of memory: free() it. Not a secret. */
struct ident {
	__u8 type; /* enum ike_id_type, or IDENT_ANY */
	__u16 len;
	__u8 data[]; /* as in the payload */
};

/* Returns 0; -EINVAL: `why` says what is wrong; -ENOMEM. */
int ident_parse(const char *text, struct ident **out, char *why, size_t size);

/* Of a payload: -EBADMSG: not a type that we know, or its data cannot be (length of an address, a
 * name that is empty or holds control characters, a DN that is no DER), `why` says; -ENOMEM. */
int ident_of_payload(const struct ike_id *id, struct ident **out, char *why, size_t size);

struct ident *ident_new(__u8 type, struct bytes data); /* as it is; NULL: no memory, too long */
struct ident *ident_copy(const struct ident *id);      /* of NULL: NULL */

/* An address as an identity: the default of who names none. family: XIPSEC_FAMILY_*. */
struct ident *ident_of_addr(__u8 family, const __u8 *addr);

bool ident_equal(const struct ident *a, const struct ident *b);
/* The same for equal ones. Of no use against who looks for collisions. */
__u64 ident_hash(const struct ident *id);

/*
 * Does `id`, a peer's, match `pattern`, from the config? 0: no; else the more, the more specific:
 * an equal one is IDENT_MATCH_EXACT, one with wildcards less, %any 1. Case does not count in names
 * and in DNs' text values, whatever string type they have. Wildcards are `*` as a whole value in a
 * DN (of as many RDNs, in the same order); "*.example.org" (any name below, not example.org
 * itself),
 * "*@example.org", "*example.org" (itself too). `id` is never a pattern: a `*` in it is just a
 * letter.
 */
#define IDENT_MATCH_EXACT 100
int ident_match(const struct ident *pattern, const struct ident *id);

/* Has it wildcards (or is it %any)? Then it cannot be sent as our own. */
bool ident_is_pattern(const struct ident *id);

/* As strongSwan prints them, so that listings agree: "C=CH, O=strongSwan, CN=moon", "%any". Control
 * and non-ASCII bytes are written as "?" : logs are lines. Returns the length in full. */
size_t ident_print(const struct ident *id, char *to, size_t size);

#endif
