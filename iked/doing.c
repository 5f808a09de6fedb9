// SPDX-License-Identifier: BSD-2-Clause
#include "iked/doing.h"

static enum collide_doing our_exchange(const struct xchg *ours, const struct child_sa *child)
{
	bool this = child && ours->task && ours->task->child == child->id;

	if (!ours->task)
		return DOING_NOTHING;
	switch (ours->task->kind) {
	case TASK_CHILD: return DOING_CHILD;
	case TASK_CHILD_REKEY: return this ? DOING_CHILD_REKEY : DOING_CHILD;
	case TASK_CHILD_CLOSE: return this ? DOING_CHILD_CLOSE : DOING_CHILD;
	case TASK_IKE_REKEY: return DOING_IKE_REKEY;
	case TASK_IKE_CLOSE: return DOING_IKE_CLOSE;
	default: return DOING_NOTHING;
	}
}

enum collide_doing ike_doing(const struct ike_sa *ike, const struct child_sa *child)
{
	enum collide_doing doing = ike->ours ? our_exchange(ike->ours, child) : DOING_NOTHING;

	if (ike->state == IKE_REPLACED)
		return DOING_REPLACED;
	if (ike->state == IKE_CLOSING)
		return DOING_IKE_CLOSE;
	if (child && child->state == CHILD_CLOSING && doing < DOING_CHILD_CLOSE)
		doing = DOING_CHILD_CLOSE;
	return doing;
}
