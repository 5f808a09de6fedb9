/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of xipsec-bench: one file, one subcommand. Each runs in the namespace of its interface.
 */
#ifndef TOOLS_BENCH_BENCH_H
#define TOOLS_BENCH_BENCH_H

#include <stdint.h>

struct bench_bpf;

/* Opens and loads the programs; out_ifindex is where bench_generate sends, `head` the first 48
 * bytes that bench_pass and bench_reset write, or NULL. NULL: told on stderr. */
struct bench_bpf *bench_load(unsigned int out_ifindex, const unsigned char *head);

/* Index of the interface in this namespace; 0: told on stderr. */
unsigned int bench_ifindex(const char *ifname);

uint64_t bench_now_ns(void);

/* Set by SIGTERM and SIGINT. */
extern volatile int bench_stop;

/* IFNAME SPARE DST_MAC FRAME_BYTES SECONDS */
int bench_generate(int argc, char **argv);
/* IFNAME WARMUP_MS MEASURE_MS PID: prints "PACKETS_PER_SECOND BYTES_A_PACKET CPU_NS_A_PACKET": rate
 * and mean size as they arrived, and the time that process PID ran in between */
int bench_sink(int argc, char **argv);
/* IFNAME SPARE PROGRAM FRAME_BYTES BURSTS: prints "INSTRUCTIONS_A_PACKET PACKETS" of a guest whose
 * clock counts instructions; PROGRAM runs on frames as if they came in by IFNAME: drop,
 * reset (headers are written, then drop), pass, redirect:IFNAME, or attached, the one that is */
int bench_insn(int argc, char **argv);
/* INSTRUCTIONS EXPECTED: runs so many and fails where what it measures is not what was expected */
int bench_insn_check(int argc, char **argv);
/* IFNAME FRAMES: holds a TAP, says length and protocol of the first IPv4 frames that are sent to
 * it, then reads no more: what is sent is dropped where a NIC would take it. Until it is killed. */
int bench_tap(int argc, char **argv);
/* RX_IFNAME TX_IFNAME DST_MAC HEAD_BYTES TAIL_BYTES: until it is killed */
int bench_reflect(int argc, char **argv);

#endif
