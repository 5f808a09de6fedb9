// SPDX-License-Identifier: BSD-2-Clause
#include "iked/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_state.h"

struct batch {
	struct batch *next;
	__u64 ref;
	unsigned int left;
	int err;
	char text[128];
};

struct batch *batch_new(struct engine *engine, __u64 ref)
{
	struct batch *batch = ref ? calloc(1, sizeof(*batch)) : NULL;

	if (!batch)
		return NULL;
	batch->ref = ref;
	batch->left = 1;
	batch->next = engine->batches;
	engine->batches = batch;
	return batch;
}

void batch_more(struct batch *batch)
{
	batch->left++;
}

bool batch_ends(struct engine *engine, __u64 ref, int *err, const char **text)
{
	static char why[sizeof(((struct batch *)NULL)->text)];
	struct batch **at = &engine->batches, *batch;

	while ((batch = *at) && batch->ref != ref)
		at = &batch->next;
	if (!batch)
		return true;
	if (*err && !batch->err) {
		batch->err = *err;
		snprintf(batch->text, sizeof(batch->text), "%s", *text);
	}
	if (--batch->left)
		return false;
	if (batch->err) {
		*err = batch->err;
		memcpy(why, batch->text, sizeof(why));
		*text = why;
	}
	*at = batch->next;
	free(batch);
	return true;
}

void batches_free(struct engine *engine)
{
	while (engine->batches) {
		struct batch *batch = engine->batches;

		engine->batches = batch->next;
		free(batch);
	}
}
