// SPDX-License-Identifier: BSD-2-Clause
#include "iked/ident.h"

#include <stdlib.h>
#include <string.h>

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
