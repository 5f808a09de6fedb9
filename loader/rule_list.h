/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules in order, by their numbers: each knows its neighbours. */
#ifndef LOADER_RULE_LIST_H
#define LOADER_RULE_LIST_H

#include <linux/types.h>

#define NONE (~0U)

struct rule_list {
	struct {
		__u32 before, after; /* NONE: there is none */
	} * at;                      /* by number, the owner's memory */
	__u32 first, last;
};

/* NONE: at the end. */
static inline void rule_list_insert(struct rule_list *list, __u32 number, __u32 before)
{
	__u32 after = before == NONE ? list->last : list->at[before].before;

	list->at[number].before = after;
	list->at[number].after = before;
	*(after == NONE ? &list->first : &list->at[after].after) = number;
	*(before == NONE ? &list->last : &list->at[before].before) = number;
}

static inline void rule_list_remove(struct rule_list *list, __u32 number)
{
	__u32 before = list->at[number].before, after = list->at[number].after;

	*(before == NONE ? &list->first : &list->at[before].after) = after;
	*(after == NONE ? &list->last : &list->at[after].before) = before;
}

/* `to` stands where `from` stood. */
static inline void rule_list_replace(struct rule_list *list, __u32 from, __u32 to)
{
	__u32 after = list->at[from].after;

	rule_list_remove(list, from);
	rule_list_insert(list, to, after);
}

#endif
