/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is remembered of a manual key for as long as the machine lives: which sequence numbers may
 * have been used with it (promise 2), and which were received (promise 3).
 *
 * STATE_DIR/keys/FINGERPRINT holds one record, also after the SA is deleted. It holds no key: the
 * fingerprint is HMAC-SHA256(what no two SAs may share, "xipsec key fingerprint"), 16 bytes of it.
 * What no two may share is lib/alg.h:alg_nonces(): in counter modes the cipher key and the salt, so
 * that another integrity key, or another algorithm, does not begin the numbers anew.
 *
 * Earlier versions took all of the key, which names another file for AES-CTR and AES-CCM. Such a
 * record counts as well: claims look for both names and go on above either, and it is removed when
 * one of the new name, which says as much, is on the disk.
 *
 * Outbound: numbers up to `reserved` may have been used. A number above it is given out only after
 * a record with a higher `reserved` is on the disk (fsync of file and directory returned). Any
 * restart goes on above `reserved`; a clean stop writes back what was really used.
 *
 * Inbound: `replay_top` is the highest number received. It is rewritten in place every second while
 * it moves, without waiting for the disk: in one of two slots by turns, so a torn write leaves the
 * other. While the machine runs, the window itself lives on in sa_state (`place` says where),
 * whatever dies: programs on interfaces hold that map, new generations take it over, and before it
 * goes for good its tops are settled here (heritage.h). When that place cannot be found again (a
 * reboot, a death between the record and the state), everything at or below `replay_top` is
 * refused, seen or not; so a record that names another place has the top of the place before.
 *
 * The gaps that remain: what was received in the last second or so, and was not written out yet,
 * can be replayed once
 * - after a loss of power or a crash of the kernel;
 * - when bpffs is cleared and every interface with a program of ours deleted while no xipsecd runs;
 * - when xipsecd, which has the records locked and holds the map, is killed in that very second,
 *   too: after the last detach, or after the switch to another ABI, which it notices in 0.2 s;
 * - with engine xfrm, in the last 20 ms before somebody else flushes the kernel's SAs, once the
 *   next xipsecd makes the same again; what was being opened in the very moment in which the kernel
 *   ended the SA, which its last word does not count; and all that the kernel opened after xipsecd
 *   died, or sealed beyond `reserved`, if the machine goes down before the next one has asked it
 *   (reserve_settle_kernel()).
 * Keys from IKE have no such gaps, for they die with xipsecd.
 *
 * Its limits are the key's, too: `since`, `packets` and `bytes` go on from one life of an SA to the
 * next. The last two are written when it stops, goes or reserves anew: a loss of power takes what
 * came since.
 *
 * A record that cannot be read, is damaged, or could have been written by others is not
 * trustworthy: its key is refused, whatever the config swears.
 */
#ifndef LOADER_RESERVE_H
#define LOADER_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "loader/xfrm_msg.h"
#include "xipsec/sa.h"

#define RESERVE_CHUNK     (1ULL << 20) /* numbers reserved at a time */
#define RESERVE_NAME_LEN  33           /* fingerprint in hex, with the final 0 */
#define RESERVE_WHERE_LEN 64           /* names a sa_state map: boot id and map id */
#define RESERVE_TEXT_MAX  256          /* of an error, for people */

enum reserve_state { RESERVE_LIVE, RESERVE_DELETED };

struct reserve_record {
	char fingerprint[RESERVE_NAME_LEN];
	enum reserve_state state;
	__u8 engine; /* enum xipsec_engine, for the key's whole life */
	__u8 alg;    /* enum xipsec_alg */
	__u8 dir;    /* XIPSEC_DIR_* */
	__u8 family; /* of dst */
	struct xipsec_addr dst;
	__u32 spi; /* host order; SPI and dst are for people */
	__u64 reserved;
	__u64 replay_top;
	__u64 packets, bytes;          /* that went by it, as of the last writing */
	long long since;               /* seconds since 1970: when the key was first used here */
	char where[RESERVE_WHERE_LEN]; /* of the sa_state entry; empty: none */
	__u32 index;
	__u32 generation;
	long long written; /* seconds since 1970 */
};

/* What a crash or a full disk can break; tests put their own in. */
struct reserve_io {
	ssize_t (*write)(int fd, const void *buf, size_t len);
	int (*fsync)(int fd);
	int (*rename)(int dir, const char *from, const char *to);
	ssize_t (*pwrite)(int fd, const void *buf, size_t len, off_t at);
};

struct reserve {
	int dir;
	int lock;
	const struct reserve_io *io;
};

/* Makes and locks STATE_DIR/keys. 0 or -errno (-EBUSY: another xipsecd has it), with `text`. */
int reserve_open(const char *state_dir, struct reserve *out, char text[RESERVE_TEXT_MAX]);
void reserve_close(struct reserve *reserve);

/* Of a key of `len` bytes, at most XIPSEC_KEY_MAX, in KEYMAT's order. */
void reserve_fingerprint(unsigned int alg, const __u8 *key, __u32 len, char out[RESERVE_NAME_LEN]);

/* 0; -ENOENT: this key was never seen here; -EBADMSG: there is a record and it is not trustworthy.
 * *out is untouched on failure. */
int reserve_read(const struct reserve *reserve, const char *fingerprint,
		 struct reserve_record *out);

/* Durable when it returns 0. After a failure the record on disk is the old or the new one, whole:
 * the caller must count on either, so numbers of the new one are not to be given out. */
int reserve_write(const struct reserve *reserve, struct reserve_record *record);

/* Writes replay_top alone, in place: needs no room on the disk and does not wait for it. What a
 * loss of power tears of it costs this number, never the record. 0 or -errno. */
int reserve_touch(const struct reserve *reserve, const struct reserve_record *record);

/* What stands at a place of the map that records call `where`, NULL: cannot be read. */
typedef const struct xipsec_sa_state *(*reserve_look)(void *ctx, __u32 index);

/* Before a map of states goes: notes in every record that names it what was received there. Its
 * entries may be of another ABI, of which the first 32 bytes are the same for ever. 0, or the first
 * -errno: then the map must not go. */
int reserve_settle(const struct reserve *reserve, const char *where, reserve_look look, void *ctx);

/* The same of the SAs that a dead xipsecd left in kernel XFRM: they went on without it. Every live
 * record that names the SPI and destination of one goes on above its numbers. 0 or the first
 * -errno. */
int reserve_settle_kernel(const struct reserve *reserve, const struct xfrm_state *left,
			  unsigned int n);

/* Last number of the space: 2^32 - 1, or 2^64 - 1 with ESN. */
__u64 reserve_end(bool esn);

/* Finds the record of `sa`'s key, or makes one for a key declared fresh, and applies the rules: one
 * engine, one direction, room left. Nothing is written. 0: *out has it, `reserved` as it was (0 for
 * a fresh key). -EKEYREJECTED and the like: `text` says why and what to do. */
int reserve_claim(const struct reserve *reserve, const struct xipsec_sa *sa, const __u8 *key,
		  struct reserve_record *out, char text[RESERVE_TEXT_MAX]);

/* After reserve_claim(), when the record that it gave is on the disk: the one of the same key that
 * has its earlier name goes. Should it stay, claims look at both. */
void reserve_moved(const struct reserve *reserve, const struct xipsec_sa *sa, const __u8 *key);

/* Reserves ahead so that RESERVE_CHUNK numbers after `seq` can be given out, as far as the space
 * goes. Durable when it returns 0: then, and only then, seq_limit may become record->reserved. On
 * failure *record is as before. */
int reserve_ahead(const struct reserve *reserve, struct reserve_record *record, __u64 seq,
		  bool esn);

#endif
