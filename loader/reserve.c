// SPDX-License-Identifier: BSD-2-Clause
#include "loader/reserve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "lib/alg.h"
#include "lib/cleanup.h"

/* The file: the record, and from the next block on two slots for replay_top. Only a slot is ever
 * rewritten in place, always the one with the lower number, and it is one sector: whatever a loss
 * of power tears, the record and the other slot stand in blocks of their own. */
#define RECORD_SIZE 1024
#define SLOT_SIZE   512
#define N_SLOTS     2
#define SLOT_AT(i)  (4096 * ((i) + 1))
#define FILE_SIZE   (SLOT_AT(N_SLOTS - 1) + SLOT_SIZE)
#define CHECK_LABEL "check = "
#define CHECK_LEN   32

static int plain_rename(int dir, const char *from, const char *to)
{
	return renameat(dir, from, dir, to);
}

static const struct reserve_io plain_io = {write, fsync, plain_rename, pwrite};

static int make_dir(const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int reserve_open(const char *state_dir, struct reserve *out, char text[RESERVE_TEXT_MAX])
{
	_cleanup_close_ int parent = -1, dir = -1, lock = -1;
	char path[300];
	struct stat st;
	int err;

	snprintf(path, sizeof(path), "%s/keys", state_dir);
	err = make_dir(state_dir);
	if (!err)
		err = make_dir(path);
	if (!err) {
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		parent = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = dir < 0 || parent < 0 || fstat(dir, &st) < 0 ? -errno : 0;
	}
	if (err) {
		snprintf(text, RESERVE_TEXT_MAX, "%.150s: %s", path, strerror(-err));
		return err;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 022)) {
		snprintf(text, RESERVE_TEXT_MAX,
			 "%.100s: others can write there, so its records prove nothing: give it to "
			 "xipsecd's user, mode 0700",
			 path);
		return -EPERM;
	}
	/* The directory itself must outlive a crash before a record in it can. */
	if (fsync(parent) < 0)
		return -errno;
	lock = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		snprintf(text, RESERVE_TEXT_MAX, "%.150s/lock: %s", path,
			 err == -EBUSY ? "another xipsecd uses this state_dir" : strerror(-err));
		return err;
	}
	*out = (struct reserve){take_fd(&dir), take_fd(&lock), &plain_io};
	return 0;
}

void reserve_close(struct reserve *reserve)
{
	if (reserve->dir >= 0)
		close(reserve->dir);
	if (reserve->lock >= 0)
		close(reserve->lock);
	reserve->dir = reserve->lock = -1;
}

static void hex(const __u8 *bytes, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
}

static void fingerprint_of(const __u8 *key, size_t len, char out[RESERVE_NAME_LEN])
{
	static const char label[] = "xipsec key fingerprint";
	__u8 mac[EVP_MAX_MD_SIZE];

	HMAC(EVP_sha256(), key, (int)len, (const __u8 *)label, sizeof(label) - 1, mac, NULL);
	hex(mac, 16, out);
	OPENSSL_cleanse(mac, sizeof(mac));
}

void reserve_fingerprint(unsigned int alg, const __u8 *key, __u32 len, char out[RESERVE_NAME_LEN])
{
	__u8 nonces[XIPSEC_KEY_MAX];
	__u32 n = alg_nonces(alg, key, len, nonces);

	fingerprint_of(nonces, n, out);
	OPENSSL_cleanse(nonces, sizeof(nonces));
}

/* ------------------------------------------------------------------ the record as text */

static const char *const engine_names[] = {"none", "afxdp", "xfrm"};
static const char *const alg_names[XIPSEC_ALG_COUNT] = {"none",
#define ALG_NAME(sym, name, key, auth, salt, iv, icv, align) name,
							XIPSEC_ALGS(ALG_NAME)
#undef ALG_NAME
};
static const char *const dir_names[] = {"none", "out", "in"};
static const char *const state_names[] = {"live", "deleted"};

static int name_index(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

static void check_of(const char *text, size_t len, char out[CHECK_LEN + 1])
{
	__u8 md[EVP_MAX_MD_SIZE];

	EVP_Digest(text, len, md, NULL, EVP_sha256(), NULL);
	hex(md, CHECK_LEN / 2, out);
}

/* What stands before the check, of `size` bytes. */
static size_t body_of(size_t size)
{
	return size - strlen(CHECK_LABEL) - CHECK_LEN - 1;
}

/* Fills `size` bytes with the text of `len` bytes, empty lines and the check. */
static void seal(char *text, size_t len, size_t size)
{
	char check[CHECK_LEN + 1];
	size_t body = body_of(size);
	char *tail = text + body;

	memset(text + len, '\n', size - len);
	check_of(text, body, check);
	memcpy(tail, CHECK_LABEL, strlen(CHECK_LABEL));
	memcpy(tail + strlen(CHECK_LABEL), check, CHECK_LEN);
}

static bool sealed(const char *text, size_t size)
{
	char check[CHECK_LEN + 1];
	size_t body = body_of(size);

	check_of(text, body, check);
	return memcmp(text + body, CHECK_LABEL, strlen(CHECK_LABEL)) == 0 &&
	       memcmp(text + body + strlen(CHECK_LABEL), check, CHECK_LEN) == 0;
}

static void slot_print(const struct reserve_record *r, char out[SLOT_SIZE])
{
	int len = snprintf(out, SLOT_SIZE,
			   "xipsec replay top 1\nfingerprint = %s\nreplay_top = %" PRIu64 "\n",
			   r->fingerprint, (uint64_t)r->replay_top);

	seal(out, len, SLOT_SIZE);
}

/* False: torn, damaged, or of another key. */
static bool slot_scan(const char slot[SLOT_SIZE], const char *fingerprint, __u64 *top)
{
	char text[SLOT_SIZE + 1] = {0}, got[RESERVE_NAME_LEN];
	uint64_t n;

	memcpy(text, slot, SLOT_SIZE);
	if (!sealed(text, SLOT_SIZE) ||
	    sscanf(text, "xipsec replay top 1 fingerprint = %32s replay_top = %" SCNu64, got, &n) !=
		    2 ||
	    strcmp(got, fingerprint) != 0)
		return false;
	*top = n;
	return true;
}

static void record_print(const struct reserve_record *r, char out[RECORD_SIZE])
{
	char dst[INET6_ADDRSTRLEN] = "?";
	int len;

	inet_ntop(r->family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6, &r->dst, dst, sizeof(dst));
	len = snprintf(out, body_of(RECORD_SIZE),
		       "xipsec key record 3\n"
		       "fingerprint = %s\n"
		       "engine = %s\n"
		       "algorithm = %s\n"
		       "direction = %s\n"
		       "spi = 0x%08x\n"
		       "dst = %s\n"
		       "state = %s\n"
		       "reserved = %" PRIu64 "\n"
		       "replay_top = %" PRIu64 "\n"
		       "packets = %" PRIu64 "\n"
		       "bytes = %" PRIu64 "\n"
		       "since = %lld\n"
		       "where = %s\n"
		       "place = %u %u\n"
		       "written = %lld\n",
		       r->fingerprint, engine_names[r->engine], alg_names[r->alg],
		       dir_names[r->dir], r->spi, dst, state_names[r->state], (uint64_t)r->reserved,
		       (uint64_t)r->replay_top, (uint64_t)r->packets, (uint64_t)r->bytes, r->since,
		       r->where[0] ? r->where : "-", r->index, r->generation, r->written);
	seal(out, len, RECORD_SIZE);
}

/* Strict: the check says that we wrote it, so anything unexpected is of another version. */
static int record_scan(const char file[RECORD_SIZE], struct reserve_record *out)
{
	struct reserve_record r = {0};
	char dst[INET6_ADDRSTRLEN + 1], engine[8], alg[24], dir[8], state[8];
	char text[RECORD_SIZE + 1] = {0};
	uint64_t reserved, top, packets, bytes;
	int e, a, d, s, n;

	memcpy(text, file, RECORD_SIZE);
	if (!sealed(text, RECORD_SIZE))
		return -EBADMSG;
	n = sscanf(text,
		   "xipsec key record 3 fingerprint = %32s engine = %7s algorithm = %23s "
		   "direction = %7s spi = %x dst = %46s state = %7s reserved = %" SCNu64
		   " replay_top = %" SCNu64 " packets = %" SCNu64 " bytes = %" SCNu64
		   " since = %lld where = %63s place = %u %u written = %lld",
		   r.fingerprint, engine, alg, dir, &r.spi, dst, state, &reserved, &top, &packets,
		   &bytes, &r.since, r.where, &r.index, &r.generation, &r.written);
	if (n != 16)
		return -EBADMSG;
	e = name_index(engine_names, 3, engine);
	a = name_index(alg_names, XIPSEC_ALG_COUNT, alg);
	d = name_index(dir_names, 3, dir);
	s = name_index(state_names, 2, state);
	if (e < 0 || a < 0 || d < 0 || s < 0)
		return -EBADMSG;
	r.engine = e;
	r.alg = a;
	r.dir = d;
	r.state = s;
	r.reserved = reserved;
	r.replay_top = top;
	r.packets = packets;
	r.bytes = bytes;
	if (strcmp(r.where, "-") == 0)
		r.where[0] = 0;
	if (inet_pton(AF_INET, dst, &r.dst) == 1)
		r.family = XIPSEC_FAMILY_IP4;
	else if (inet_pton(AF_INET6, dst, &r.dst) == 1)
		r.family = XIPSEC_FAMILY_IP6;
	*out = r;
	return 0;
}

/* ------------------------------------------------------------------ the record on disk */

int reserve_read(const struct reserve *reserve, const char *fingerprint, struct reserve_record *out)
{
	_cleanup_close_ int fd = -1;
	struct reserve_record r;
	char file[FILE_SIZE];
	struct stat st;
	int valid = 0;
	__u64 top;

	fd = openat(reserve->dir, fingerprint, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EBADMSG;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 022) || st.st_size != FILE_SIZE)
		return -EBADMSG;
	if (pread(fd, file, FILE_SIZE, 0) != FILE_SIZE)
		return -EBADMSG;
	if (record_scan(file, &r) || strcmp(r.fingerprint, fingerprint) != 0)
		return -EBADMSG;
	for (int i = 0; i < N_SLOTS; i++) {
		if (!slot_scan(file + SLOT_AT(i), fingerprint, &top))
			continue;
		valid++;
		if (top > r.replay_top)
			r.replay_top = top;
	}
	if (!valid)
		return -EBADMSG;
	*out = r;
	return 0;
}

int reserve_write(const struct reserve *reserve, struct reserve_record *record)
{
	char file[FILE_SIZE], name[RESERVE_NAME_LEN + 8];
	_cleanup_close_ int fd = -1;
	ssize_t len;

	record->written = (long long)time(NULL);
	memset(file, '\n', sizeof(file));
	record_print(record, file);
	for (int i = 0; i < N_SLOTS; i++)
		slot_print(record, file + SLOT_AT(i));
	snprintf(name, sizeof(name), "%s.new", record->fingerprint);
	fd = openat(reserve->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return -errno;
	len = reserve->io->write(fd, file, FILE_SIZE);
	if (len < 0)
		return -errno;
	if (len != FILE_SIZE)
		return -ENOSPC;
	if (reserve->io->fsync(fd) < 0)
		return -errno;
	if (reserve->io->rename(reserve->dir, name, record->fingerprint) < 0)
		return -errno;
	if (reserve->io->fsync(reserve->dir) < 0)
		return -errno;
	return 0;
}

int reserve_touch(const struct reserve *reserve, const struct reserve_record *record)
{
	_cleanup_close_ int fd = -1;
	char slot[SLOT_SIZE];
	__u64 top, lowest = 0;
	int at = 0;
	ssize_t len;

	fd = openat(reserve->dir, record->fingerprint, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	for (int i = 0; i < N_SLOTS; i++) {
		if (pread(fd, slot, SLOT_SIZE, SLOT_AT(i)) != SLOT_SIZE)
			return -EIO;
		if (!slot_scan(slot, record->fingerprint, &top)) {
			at = i;
			break;
		}
		if (i == 0 || top < lowest) {
			at = i;
			lowest = top;
		}
	}
	slot_print(record, slot);
	len = reserve->io->pwrite(fd, slot, SLOT_SIZE, SLOT_AT(at));
	if (len < 0)
		return -errno;
	if (len != SLOT_SIZE)
		return -EIO;
	/* Starts the writing and does not wait for it. Not all file systems know it: then the page
	 * goes out when the kernel flushes it. */
	(void)sync_file_range(fd, SLOT_AT(at), SLOT_SIZE, SYNC_FILE_RANGE_WRITE);
	return 0;
}

/* ------------------------------------------------------------------ the rules */

__u64 reserve_end(bool esn)
{
	return esn ? UINT64_MAX : UINT32_MAX;
}

static int refuse(char text[RESERVE_TEXT_MAX], int err, const char *name, const char *why)
{
	snprintf(text, RESERVE_TEXT_MAX, "SA %.40s: %s", name, why);
	return err;
}

static int claim_new(const struct xipsec_sa *sa, const char *fingerprint,
		     struct reserve_record *out, char text[RESERVE_TEXT_MAX])
{
	if (!(sa->flags & XIPSEC_SA_FRESH_KEY))
		return refuse(
			text, -ENOKEY, sa->name,
			"there is no record of this key, so it may have been used before: make "
			"a new one and say fresh_key = yes (or sa add --fresh-key)");
	*out = (struct reserve_record){
		.engine = sa->engine,
		.alg = sa->alg,
		.dir = sa->dir,
		.family = sa->outer_family,
		.dst = sa->dst,
		.spi = ntohl(sa->spi),
		.since = (long long)time(NULL),
	};
	memcpy(out->fingerprint, fingerprint, RESERVE_NAME_LEN);
	return 0;
}

/* The record of that name, and whether it lets `sa` have its key. -ENOENT: there is none. */
static int claim_one(const struct reserve *reserve, const struct xipsec_sa *sa,
		     const char *fingerprint, struct reserve_record *out,
		     char text[RESERVE_TEXT_MAX])
{
	int err = reserve_read(reserve, fingerprint, out);

	if (err == -ENOENT)
		return err;
	if (err) {
		snprintf(text, RESERVE_TEXT_MAX,
			 "SA %.40s: the record of its key, keys/%s in state_dir, is damaged or not "
			 "xipsecd's alone; nobody can say which numbers were used: make a new key",
			 sa->name, fingerprint);
		return -EKEYREJECTED;
	}
	if (out->dir != sa->dir)
		return refuse(text, -EKEYREJECTED, sa->name,
			      "its key was used in the other direction before: make a new key");
	if (out->engine != sa->engine)
		return refuse(text, -EKEYREJECTED, sa->name,
			      "its key belongs to the other engine for life: make a new key");
	if (out->alg != sa->alg)
		return refuse(text, -EKEYREJECTED, sa->name,
			      "its key was used with another algorithm before: make a new key");
	if (sa->dir == XIPSEC_DIR_OUT && out->reserved >= reserve_end(sa->flags & XIPSEC_SA_ESN))
		return refuse(text, -EKEYEXPIRED, sa->name,
			      "the sequence numbers of its key are used up: make a new key");
	return 0;
}

#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

/* What either says was used or received. */
static void record_join(struct reserve_record *r, const struct reserve_record *old)
{
	r->reserved = MAX_OF(r->reserved, old->reserved);
	r->replay_top = MAX_OF(r->replay_top, old->replay_top);
	r->packets = MAX_OF(r->packets, old->packets);
	r->bytes = MAX_OF(r->bytes, old->bytes);
	if (old->since < r->since)
		r->since = old->since;
}

void reserve_moved(const struct reserve *reserve, const struct xipsec_sa *sa, const __u8 *key)
{
	char fingerprint[RESERVE_NAME_LEN], whole[RESERVE_NAME_LEN];

	reserve_fingerprint(sa->alg, key, sa->key_len, fingerprint);
	fingerprint_of(key, sa->key_len, whole);
	if (strcmp(whole, fingerprint) != 0 && unlinkat(reserve->dir, whole, 0) == 0)
		(void)reserve->io->fsync(reserve->dir);
}

int reserve_claim(const struct reserve *reserve, const struct xipsec_sa *sa, const __u8 *key,
		  struct reserve_record *out, char text[RESERVE_TEXT_MAX])
{
	char fingerprint[RESERVE_NAME_LEN], whole[RESERVE_NAME_LEN];
	struct reserve_record r, old;
	int err, old_err = -ENOENT;

	reserve_fingerprint(sa->alg, key, sa->key_len, fingerprint);
	fingerprint_of(key, sa->key_len, whole);
	err = claim_one(reserve, sa, fingerprint, &r, text);
	if (err && err != -ENOENT)
		return err;
	if (strcmp(whole, fingerprint) != 0)
		old_err = claim_one(reserve, sa, whole, &old, text);
	if (old_err && old_err != -ENOENT)
		return old_err;
	if (err && old_err)
		return claim_new(sa, fingerprint, out, text);
	if (err)
		r = old;
	else if (!old_err)
		record_join(&r, &old);
	memcpy(r.fingerprint, fingerprint, RESERVE_NAME_LEN);
	r.family = sa->outer_family;
	r.dst = sa->dst;
	r.spi = ntohl(sa->spi);
	*out = r;
	return 0;
}

int reserve_ahead(const struct reserve *reserve, struct reserve_record *record, __u64 seq, bool esn)
{
	struct reserve_record next = *record;
	__u64 end = reserve_end(esn);
	int err;

	next.reserved = seq > end - RESERVE_CHUNK ? end : seq + RESERVE_CHUNK;
	if (next.reserved < record->reserved)
		next.reserved = record->reserved;
	err = reserve_write(reserve, &next);
	if (err)
		return err;
	*record = next;
	return 0;
}
