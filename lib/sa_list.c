// SPDX-License-Identifier: BSD-2-Clause
#include "lib/sa_list.h"

#include <stddef.h>
#include <string.h>

#define AT(field) offsetof(struct xipsec_sa, field)

static bool same_bytes(const struct xipsec_sa *a, const struct xipsec_sa *b, size_t from, size_t to)
{
	return memcmp((const char *)a + from, (const char *)b + from, to - from) == 0;
}

/* All but the list, what follows from it, and the key. */
static bool same_sa(const struct xipsec_sa *a, const struct xipsec_sa *b)
{
	return !((a->flags ^ b->flags) & ~SA_LIST_FLAGS) && same_bytes(a, b, 0, AT(flags)) &&
	       same_bytes(a, b, AT(window), AT(n_selectors)) &&
	       same_bytes(a, b, AT(src_port), AT(key));
}

static bool same_selector(const struct xipsec_selector *a, const struct xipsec_selector *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The first accepted one from `i` on, or n_selectors. */
static __u32 accepted_from(const struct xipsec_sa *sa, __u32 i)
{
	while (i < sa->n_selectors && sa->refuse[i])
		i++;
	return i;
}

static bool same_accepted(const struct xipsec_sa *a, const struct xipsec_sa *b)
{
	__u32 i = accepted_from(a, 0), k = accepted_from(b, 0);

	while (i < a->n_selectors && k < b->n_selectors &&
	       same_selector(&a->selector[i], &b->selector[k])) {
		i = accepted_from(a, i + 1);
		k = accepted_from(b, k + 1);
	}
	return i == a->n_selectors && k == b->n_selectors;
}

enum sa_list sa_list_compare(const struct xipsec_sa *a, const struct xipsec_sa *b)
{
	if (!same_sa(a, b) || !same_accepted(a, b))
		return SA_LIST_OTHER;
	if (a->flags == b->flags && a->n_selectors == b->n_selectors &&
	    memcmp(a->refuse, b->refuse, a->n_selectors) == 0 &&
	    memcmp(a->selector, b->selector, a->n_selectors * sizeof(a->selector[0])) == 0)
		return SA_LIST_SAME;
	return SA_LIST_REFUSALS;
}

/* ------------------------------------------------------------------ both at once */

/* A list that grows; `full`: it did not take one. */
struct joined {
	__u32 n;
	bool full;
	__u8 refuse[XIPSEC_SELECTORS_MAX];
	struct xipsec_selector selector[XIPSEC_SELECTORS_MAX];
};

static void put(struct joined *to, const struct xipsec_selector *sel, __u8 refuse)
{
	for (__u32 i = 0; refuse && i < to->n; i++)
		if (to->refuse[i] && same_selector(&to->selector[i], sel))
			return;
	to->full |= to->n == XIPSEC_SELECTORS_MAX;
	if (to->full)
		return;
	to->refuse[to->n] = refuse;
	to->selector[to->n++] = *sel;
}

static __u32 put_refusals(struct joined *to, const struct xipsec_sa *of, __u32 from)
{
	__u32 end = accepted_from(of, from);

	for (; from < end; from++)
		put(to, &of->selector[from], 1);
	return end;
}

/* A packet is judged by the first accepted entry that it matches, which is the same in both, and
 * refused if a refusal before that one matches: so with the refusals of both before each, it is
 * refused if either list does it. */
bool sa_list_join(struct xipsec_sa *to, const struct xipsec_sa *with)
{
	struct joined joined = {.n = 0};

	for (__u32 i = 0, k = 0; i < to->n_selectors || k < with->n_selectors; i++, k++) {
		i = put_refusals(&joined, to, i);
		k = put_refusals(&joined, with, k);
		if (i < to->n_selectors)
			put(&joined, &to->selector[i], 0);
	}
	if (joined.full)
		return false;
	to->flags |= (__u16)(with->flags & SA_LIST_FLAGS);
	to->n_selectors = joined.n;
	memcpy(to->refuse, joined.refuse, joined.n);
	memcpy(to->selector, joined.selector, joined.n * sizeof(to->selector[0]));
	return true;
}
