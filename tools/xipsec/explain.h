/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `xipsec explain` in pieces: a frame made of what the user says of a packet, or the frames of a
 * capture; and what the loader says became of one, for people and as JSON.
 */
#ifndef TOOLS_EXPLAIN_H
#define TOOLS_EXPLAIN_H

#include "lib/config.h"
#include "xipsec/loader.h"

/* ------------------------------------------------------------------ explain_frame.c */

enum packet_frag { PACKET_WHOLE, PACKET_FIRST, PACKET_LATER };

/* A packet as options describe it. */
struct packet_words {
	__u8 family; /* XIPSEC_FAMILY_*, of both addresses; ANY: none were given */
	struct xipsec_addr src;
	struct xipsec_addr dst;
	int proto; /* -1: not said: ICMP, or what SPI or ports tell */
	int sport; /* -1: not said */
	int dport;
	int icmp;    /* type << 8 | code; -1: not said: echo request */
	int mh_type; /* of a Mobility Header; -1: not said */
	enum packet_frag frag;
	__u32 spi; /* 0: not said */
	int ttl;   /* -1: not said: 64 */
	__u8 dscp;
};

/* Each takes one option's text; 0, or -EINVAL after a log line. */
int packet_parse_addr(struct packet_words *words, const char *option, const char *text,
		      struct xipsec_addr *to);
int packet_parse_proto(struct packet_words *words, const char *text);
int packet_parse_icmp(struct packet_words *words, const char *text);
int packet_parse_mh_type(struct packet_words *words, const char *text);
int packet_parse_dscp(struct packet_words *words, const char *text);
int packet_parse_frag(struct packet_words *words, const char *text);
int packet_parse_number(const char *option, const char *text, __u64 max, __u64 *out);

/* Do they go together? 0, or -EINVAL after a log line. Fills in what was not said. */
int packet_complete(struct packet_words *words);

/* Makes an Ethernet frame to `mac` of complete words; returns its length. */
unsigned int packet_frame(const struct packet_words *words, const __u8 mac[6],
			  __u8 out[LOADER_FRAME_MAX]);

/* ------------------------------------------------------------------ explain_capture.c */

/* Time in ns; `len` bytes; `missing` of them were not captured and are 0. frame: NULL: it is too
 * long for one, or nothing of it was captured. */
typedef int (*capture_fn)(void *ctx, unsigned long number, __u64 time, const __u8 *frame,
			  unsigned int len, unsigned int missing);

/* Each packet of a pcap or pcapng file of Ethernet frames or IP packets (these get a header to
 * `mac`, as does a frame without any MAC); numbers from 1. 0, what `packet` returned, or -errno
 * after a log line. */
int capture_each(const char *path, const __u8 mac[6], capture_fn packet, void *ctx);

/* ------------------------------------------------------------------ explain_firsts.c */

/* First fragments of a capture. The programs keep them for two seconds, and decide the later pieces
 * of a datagram as its first one; the twin keeps none. */
struct explain_firsts;

struct explain_first {
	unsigned long number; /* its number in the capture; 0: none is known */
	__u32 reason;         /* that it ended with */
};

struct explain_firsts *explain_firsts_new(void);
void explain_firsts_free(struct explain_firsts *firsts);

/* Notes what would be kept of this packet. Of a later piece that the twin has decided without its
 * first one, and the programs would have with it: that first one. */
struct explain_first explain_firsts_pass(struct explain_firsts *firsts, unsigned long number,
					 __u64 time, const struct loader_explanation *what);

/* ------------------------------------------------------------------ explain_cut.c and _show.c */

struct explain_sa {
	__u32 index, generation;
	char name[XIPSEC_NAME_LEN];
};

/* What xipsecd knows and the maps do not. */
struct explain_daemon {
	bool runs; /* else all that follows is zero */
	__u32 n_workers;
	__u32 worker_pid[XIPSEC_WORKERS_MAX]; /* 0: down */
	struct explain_sa *sa;
	size_t n_sas, room;
};

struct explain_shown {
	const struct loader_frame *frame;
	const struct loader_explanation *what;
	const char *config_path;
	const struct explain_daemon *daemon;
	unsigned long number;       /* in a capture; 0: it comes from options */
	unsigned int missing;       /* bytes that the capture does not have */
	struct explain_first first; /* whose reason this later piece has */
	bool ike;                   /* of a socket that xipsecd opened it would pass, as IKE_OUT */
};

/* What the frame's IP header says of the packet's length in bytes, itself included; 0: the capture
 * does not have it, or the frame is not IP. */
unsigned int explain_ip_length(const struct explain_shown *shown);

/* Of the headers that the programs read some are not in the capture: they read zeros, and the
 * answer is that to another packet. */
bool explain_headers_cut(const struct explain_shown *shown);

void explain_daemon_open(const struct config *config, struct explain_daemon *out);
void explain_daemon_close(struct explain_daemon *daemon);

void explain_print_text(const struct explain_shown *shown);
void explain_print_json(const struct explain_shown *shown); /* one line */

/* A packet of a capture that no program can be asked about: only `number`, `missing` and the
 * frame's length are read. */
void explain_print_unasked(const struct explain_shown *shown, bool json);

#endif
