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

struct config_net {
	struct xipsec_addr lo, hi;
	__u8 family; /* ANY: the value was `any` */
};

#define CONFIG_NETS_MAX 128

struct config_nets {
	unsigned int n; /* 0: not given, which means any */
	struct config_net net[CONFIG_NETS_MAX];
};

struct config_range {
	unsigned int lo, hi;
};

#define CONFIG_RANGES_MAX 32

struct config_ranges {
	unsigned int n; /* 0: not given, which means any */
	bool opaque;    /* the value was `opaque`; n is 0 */
	struct config_range range[CONFIG_RANGES_MAX];
};

/* Decimal, or hexadecimal with 0x. */
bool parse_number(struct config_diag *diag, const struct config_node *node, unsigned int min,
		  unsigned int max, unsigned int *out);
bool parse_word(struct config_diag *diag, const struct config_node *node,
		const struct config_word *words, unsigned int *out);
extern const struct config_word config_engines[]; /* auto, afxdp, xfrm: enum xipsec_engine */
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
/* Ranges of numbers with commas between, or `any`, or `opaque`. */
bool parse_ranges(struct config_diag *diag, const struct config_node *node, unsigned int max,
		  struct config_ranges *out);
/* DSCPs by name (RFC 2474, 2597, 3246, 5865, 8622) or number, with commas between, or `any`. A bit
 * for each, 0: any. */
bool parse_dscps(struct config_diag *diag, const struct config_node *node, __u64 *out);
/* Prefixes, ranges, addresses or `any`, with commas between. */
bool parse_nets(struct config_diag *diag, const struct config_node *node, struct config_nets *out);
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
/* Its two ends, of one family, the lower first. *lo, *hi and *family are written in every case. */
bool text_range_ends(const char *first, const char *last, struct xipsec_addr *lo,
		     struct xipsec_addr *hi, __u8 *family);
/* The number of a DSCP, by name or number. */
bool text_dscp(const char *text, unsigned int *out);
/* The number of a protocol, by name or number; 256 is any. */
bool text_proto(const char *text, unsigned int *out);

#endif
