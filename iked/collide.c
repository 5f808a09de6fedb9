// SPDX-License-Identifier: BSD-2-Clause
#include "iked/collide.h"

#include <string.h>

#define USUAL     ANSWER_USUAL
#define RIVAL     ANSWER_RIVAL
#define FORGET    ANSWER_FORGET
#define EMPTY     ANSWER_EMPTY
#define TEMPORARY ANSWER_TEMPORARY

/*
 * RFC 7296 2.25.1 and 2.25.2, row by row. What is said of an IKE SA that we close (2.25.2: a rekey
 * of it gets TEMPORARY_FAILURE) holds for children on it as well: they would not outlive it. The
 * same for one that has a successor, "whether or not it has already sent the delete" (2.8.2).
 */
static const __u8 answers[COLLIDE_ASKS][COLLIDE_DOINGS] = {
	/* clang-format off */
	/*                   nothing  a child    its rekey  its close  IKE rekey  IKE close  replaced */
	[ASK_CHILD_NEW]   = {USUAL,   USUAL,     USUAL,     USUAL,     TEMPORARY, TEMPORARY, TEMPORARY},
	[ASK_CHILD_REKEY] = {USUAL,   USUAL,     RIVAL,     TEMPORARY, TEMPORARY, TEMPORARY, TEMPORARY},
	[ASK_CHILD_CLOSE] = {USUAL,   USUAL,     USUAL,     EMPTY,     USUAL,     USUAL,     USUAL},
	[ASK_IKE_REKEY]   = {USUAL,   TEMPORARY, TEMPORARY, TEMPORARY, RIVAL,     TEMPORARY, TEMPORARY},
	[ASK_IKE_CLOSE]   = {USUAL,   FORGET,    FORGET,    FORGET,    FORGET,    FORGET,    FORGET},
	/* clang-format on */
};

enum collide_answer collide(enum collide_ask ask, enum collide_doing doing, bool known)
{
	enum collide_answer answer = answers[ask][doing];

	if (known || answer == ANSWER_TEMPORARY)
		return answer;
	if (ask == ASK_CHILD_REKEY)
		return doing == DOING_CHILD ? ANSWER_TEMPORARY : ANSWER_NOT_FOUND;
	if (ask == ASK_CHILD_CLOSE)
		return ANSWER_EMPTY;
	return answer;
}

static int compare(struct bytes a, struct bytes b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	if (order)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

struct bytes collide_lower(struct bytes a, struct bytes b)
{
	return compare(a, b) <= 0 ? a : b;
}

bool collide_loses(struct bytes a1, struct bytes a2, struct bytes b1, struct bytes b2)
{
	return compare(collide_lower(a1, a2), collide_lower(b1, b2)) < 0;
}
