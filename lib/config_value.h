/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values: one parse_x() a kind. Each returns false after telling `diag` what is wrong with the
 * value of `node` and what was expected, and then leaves *out alone.
 */
#ifndef LIB_CONFIG_VALUE_H
#define LIB_CONFIG_VALUE_H

#include "lib/config_tree.h"
#include "xipsec/selector.h"

struct config_word {
	const char *name; /* NULL ends a table */
	unsigned int value;
};

struct config_prefix {
	struct xipsec_addr addr; /* host bits are 0 */
	struct xipsec_addr mask;
	__u8 family; /* ANY: the value was `any` */
	__u8 bits;   /* ones in mask */
};

#define CONFIG_PREFIXES_MAX 128

struct config_prefixes {
	unsigned int n; /* 0: not given, which means any */
	struct config_prefix prefix[CONFIG_PREFIXES_MAX];
};

struct config_range {
	unsigned int lo, hi;
};

/* Decimal, or hexadecimal with 0x. */
bool parse_number(struct config_diag *diag, const struct config_node *node, unsigned int min,
		  unsigned int max, unsigned int *out);
bool parse_word(struct config_diag *diag, const struct config_node *node,
		const struct config_word *words, unsigned int *out);
bool parse_bool(struct config_diag *diag, const struct config_node *node, bool *out);
/* An absolute path of less than `size` bytes. */
bool parse_path(struct config_diag *diag, const struct config_node *node, char *out, size_t size);
/* A name of at most size - 1 letters. */
bool parse_name(struct config_diag *diag, const struct config_node *node, char *out, size_t size);
bool parse_range(struct config_diag *diag, const struct config_node *node, unsigned int max,
		 struct config_range *out);
/* A unicast address. */
bool parse_address(struct config_diag *diag, const struct config_node *node,
		   struct xipsec_addr *out, __u8 *family);
/* Prefixes, addresses or `any`, with commas between. */
bool parse_prefixes(struct config_diag *diag, const struct config_node *node,
		    struct config_prefixes *out);
/* 1 with the number of a protocol; `any` sets *any. */
bool parse_proto(struct config_diag *diag, const struct config_node *node, __u8 *out, bool *any);

/* Calls `item` for each part of a comma list; false if it does or if a part is empty. */
bool parse_list(struct config_diag *diag, const struct config_node *node,
		bool (*item)(struct config_diag *diag, const struct config_node *node,
			     const char *text, void *into),
		void *into);

/* Strict: all of `text` is one number. */
bool text_number(const char *text, unsigned int *out);
/* An address of either family, network order; what *addr does not need is 0. *addr and *family are
 * written in every case. */
bool text_address(const char *text, struct xipsec_addr *addr, __u8 *family);
/* ADDRESS, ADDRESS/LENGTH (host bits do not count) or FIRST-LAST. */
bool text_addr_range(const char *text, struct xipsec_addr *lo, struct xipsec_addr *hi,
		     __u8 *family);
/* The number of a protocol, by name or number; 256 is any. */
bool text_proto(const char *text, unsigned int *out);

#endif
