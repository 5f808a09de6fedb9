// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sas_inside.h"

#include <errno.h>
#include <string.h>

#include "lib/log.h"

void sa_record_see(struct sas *sas, struct sa *sa)
{
	__u64 seq = __atomic_load_n(&sas_state(sas, sa->index)->seq, __ATOMIC_ACQUIRE);

	if (sa->sa.dir == XIPSEC_DIR_OUT && seq > sa->seq_seen)
		sa->seq_seen = seq;
}

void sa_record_keep_top(struct reserve_record *record, __u8 dir,
			const struct xipsec_sa_state *state)
{
	__u64 top = __atomic_load_n(&state->replay_top, __ATOMIC_ACQUIRE);

	if (dir == XIPSEC_DIR_IN && top > record->replay_top)
		record->replay_top = top;
}

void sa_record_count(struct reserve_record *record, const struct xipsec_sa_state *state)
{
	record->packets = sa_limits_packets(state);
	record->bytes = sa_limits_bytes(state);
}

void sa_record_stopped(struct sas *sas, struct sa *sa)
{
	struct reserve_record next = sa->record;
	int err;

	if (!(sa->sa.flags & XIPSEC_SA_MANUAL))
		return;
	sa_record_count(&next, sas_state(sas, sa->index));
	sa_record_keep_top(&next, sa->sa.dir, sas_state(sas, sa->index));
	err = reserve_write(sas->reserve, &next);
	if (!err)
		sa->record = next;
	else
		log_error(
			"SA %s: that it stopped cannot be written to state_dir: %s; after a reboot "
			"it would go on: make room there",
			sa->sa.name, strerror(-err));
}

int sa_record_close(struct sas *sas, struct sa *sa, enum reserve_state state)
{
	struct reserve_record next = sa->record;
	int err;

	if (!(sa->sa.flags & XIPSEC_SA_MANUAL))
		return 0;
	sa_record_see(sas, sa);
	next.state = state;
	/* The kernel counts on between the last look and its end. */
	if (sa->sa.dir == XIPSEC_DIR_OUT && sa->seq_seen < next.reserved && !sa_is_kernel(sa))
		next.reserved = sa->seq_seen;
	sa_record_count(&next, sas_state(sas, sa->index));
	sa_record_keep_top(&next, sa->sa.dir, sas_state(sas, sa->index));
	err = reserve_write(sas->reserve, &next);
	if (!err) {
		sa->record = next;
		return 0;
	}
	if (sa->sa.dir == XIPSEC_DIR_OUT) {
		log_warn("SA %s: the record of its key keeps the numbers reserved ahead: %s",
			 sa->sa.name, strerror(-err));
		return 0;
	}
	/* A full disk still takes this. */
	if (reserve_touch(sas->reserve, &next) == 0) {
		log_warn("SA %s: the record of its key cannot be written anew: %s; what was "
			 "received is noted in the old one",
			 sa->sa.name, strerror(-err));
		return 0;
	}
	log_error("SA %s: what it received cannot be written to state_dir: %s; without that it can "
		  "be replayed after a reboot: make room there, add the SA and delete it again, "
		  "or never use its key again",
		  sa->sa.name, strerror(-err));
	return err;
}

void sa_record_top(struct sas *sas, struct sa *sa)
{
	__u64 top = __atomic_load_n(&sas_state(sas, sa->index)->replay_top, __ATOMIC_ACQUIRE);
	int err;

	if (top <= sa->top_written)
		return;
	sa->record.replay_top = top;
	err = reserve_touch(sas->reserve, &sa->record);
	if (err && !sa->write_failed)
		log_error("SA %s: what it received is not written to state_dir: %s", sa->sa.name,
			  strerror(-err));
	sa->write_failed = err != 0;
	if (!err)
		sa->top_written = top;
}

static void sa_record_refill(struct sas *sas, struct sa *sa)
{
	struct xipsec_sa_state *state = sas_state(sas, sa->index);
	bool esn = sa->sa.flags & XIPSEC_SA_ESN;
	int err;

	if (sa->record.reserved >= reserve_end(esn) ||
	    (sa->seq_seen < sa->record.reserved &&
	     sa->record.reserved - sa->seq_seen > RESERVE_CHUNK / 2))
		return;
	sa_record_count(&sa->record, state);
	err = reserve_ahead(sas->reserve, &sa->record, sa->seq_seen, esn);
	if (err) {
		if (!sa->write_failed)
			log_error("SA %s: it stops at number %llu, for no more can be reserved in "
				  "state_dir: %s; make room there",
				  sa->sa.name, (unsigned long long)sa->record.reserved,
				  strerror(-err));
		sa->write_failed = true;
		return;
	}
	sa->write_failed = false;
	__atomic_store_n(&state->seq_limit, sa->record.reserved, __ATOMIC_RELEASE);
}

void sas_tick(struct sas *sas)
{
	__u64 now = sas_now();
	bool tops = now != sas->tops_at;

	if (!sas->states)
		return;
	sas->tops_at = now;
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		sa_kernel_tick(sas, sa, now, tops);
		sa_record_see(sas, sa);
		sa_limits_stopped(sas, sa, now);
		sa_limits_used(sas, sa);
		if (!(sa->sa.flags & XIPSEC_SA_MANUAL))
			continue;
		if (sa->sa.dir == XIPSEC_DIR_OUT)
			sa_record_refill(sas, sa);
		else if (tops)
			sa_record_top(sas, sa);
	}
	if (tops)
		sas_limits(sas, now);
}
