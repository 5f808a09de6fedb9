// SPDX-License-Identifier: BSD-2-Clause
/*
 * The state of an SA goes to another SA while a burst is under way. The moments are exact, not
 * hoped for: between two instructions of the burst stands a hook of this test, either the AEAD
 * itself or the first write to a page that may only be read.
 */
#include "tests/unit/esp_fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "worker/esp_in.h"
#include "worker/esp_out.h"
#include "worker/seq.h"

/* The state has pages of its own, which can be closed to writers. */
static struct xipsec_sa_state *state;
static size_t state_size;
static volatile sig_atomic_t faults;
static struct sa *opening;

static int setup(void **unused)
{
	state_size = (sizeof(*state) + 4095) / 4096 * 4096;
	state = mmap(NULL, state_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return state == MAP_FAILED ? -1 : crypto_init();
}

/* ------------------------------------------------------------------ in */

/* Decrypts as it should; then the state belongs to another SA. */
static void open_and_lose(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	opening->key->open(ctx, ops, n, aad_len);
	state->generation++;
}

/* As above, the other way for an SA to end: its place is free. */
static void open_and_free(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	opening->key->open(ctx, ops, n, aad_len);
	state->generation = 0;
	state->status = XIPSEC_SA_FREE;
}

static struct packet *seal_one(struct frame *frame)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct sa *sa = sa_make(&config, state, XIPSEC_BACKEND_OPENSSL);
	__u8 inner[256];
	struct packet *p = frame_load(frame, inner, udp_write(inner, 4, 100));

	esp_out_burst(sa, &p, 1, PATH_MTU, 1);
	assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
	sa_free(sa);
	p->reason = 0;
	p->l4_off = 20;
	return p;
}

static void open_one(crypto_burst_fn *hook, __u16 want)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	static struct frame frame;
	struct packet *p = seal_one(&frame);

	opening = sa_make(&config, state, XIPSEC_BACKEND_OPENSSL);
	if (hook)
		opening->open = hook;
	esp_in_burst(opening, &p, 1, 1);
	assert_int_equal(p->reason, want);
	/* what is refused does not count as the other SA's */
	assert_int_equal(state->packets, want == XIPSEC_REASON_OPENED);
	sa_free(opening);
}

static void opened_for_nobody(void **unused)
{
	open_one(NULL, XIPSEC_REASON_OPENED);
	open_one(open_and_lose, XIPSEC_REASON_STALE_META);
	open_one(open_and_free, XIPSEC_REASON_STALE_META);
}

/* ------------------------------------------------------------------ out */

/* The first write to the state: the draw of numbers, which has seen the old generation. Another SA
 * takes the place, and the write goes on to its counter. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	__u8 *at = info->si_addr, *from = (__u8 *)state;

	if (at < from || at >= from + state_size || faults++ ||
	    mprotect(state, state_size, PROT_READ | PROT_WRITE)) {
		signal(SIGSEGV, SIG_DFL);
		return;
	}
	state->generation++;
}

static void numbers_of_another(void **unused)
{
	const struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	enum xipsec_reason reason = XIPSEC_REASON_UNSPEC;
	struct sigaction old;
	__u64 first = 99;
	unsigned int got;

	state_reset(state);
	state->seq = 41;
	faults = 0;
	assert_int_equal(sigaction(SIGSEGV, &act, &old), 0);
	assert_int_equal(mprotect(state, state_size, PROT_READ), 0);
	got = seq_reserve(state, GENERATION, 0, 4, &first, &reason);
	sigaction(SIGSEGV, &old, NULL);
	assert_int_equal(faults, 1);
	assert_int_equal(got, 0);
	assert_int_equal(reason, XIPSEC_REASON_STALE_META);
	assert_int_equal(first, 99);
	/* lost to the other SA, and never given out twice */
	assert_int_equal(state->seq, 45);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opened_for_nobody),
		cmocka_unit_test(numbers_of_another),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
