// SPDX-License-Identifier: BSD-2-Clause
#include "loader/hook_nft.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <nftables/libnftables.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/hook_tc.h"
#include "loader/hook_xdp.h"

/* The rule's comment: another number when what the table does changes, so that an older one is seen
 * as changed and made anew. */
#define MARK "xipsec 1"

/* Out as late as can be: oif is final, and what others drop is not counted as ours. In as early as
 * can be: nothing is to be tracked, translated or answered. */
#define DROP " counter name \"closed\" drop comment \"" MARK "\"\n"
#define FRAME                                                           \
	"table " HOOK_NFT_TABLE " {\n"                                  \
	" counter closed { }\n"                                         \
	" set names { type ifname; }\n"                                 \
	" set attached { type iface_index; }\n"                         \
	" chain out {\n"                                                \
	"  type filter hook postrouting priority 300; policy accept;\n" \
	"  oifname @names oif != @attached" DROP " }\n"                 \
	" chain in {\n"                                                 \
	"  type filter hook prerouting priority -300; policy accept;\n" \
	"  iifname @names iif != @attached" DROP " }\n"                 \
	"}\n"
#define AWAY "add table " HOOK_NFT_TABLE "\ndelete table " HOOK_NFT_TABLE "\n"

const char *hook_nft_state_name(enum nft_state state)
{
	static const char *const names[] = {"unavailable", "absent", "changed", "whole"};

	return names[state];
}

/* ------------------------------------------------------------------ libnftables */

static void cleanup_nft(struct nft_ctx **nft)
{
	if (*nft)
		nft_ctx_free(*nft);
}

static void cleanup_json(struct json_object **json)
{
	json_object_put(*json);
}

#define _cleanup_nft_  __attribute__((cleanup(cleanup_nft)))
#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

/* libnftables ends the process where the kernel has no such socket: so it is tried before. */
static int nft_new(struct nft_ctx **out)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	_cleanup_nft_ struct nft_ctx *nft = NULL;

	if (fd < 0)
		return -errno;
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!nft || nft_ctx_buffer_output(nft) || nft_ctx_buffer_error(nft))
		return -ENOMEM;
	*out = take_ptr(nft);
	return 0;
}

static int nft_run(struct nft_ctx *nft, const char *commands)
{
	const char *words;

	if (!nft_run_cmd_from_buffer(nft, commands))
		return 0;
	words = nft_ctx_get_error_buffer(nft);
	log_debug("nftables: %.*s", (int)strcspn(words, "\n"), words);
	return -EOPNOTSUPP;
}

/* The list "nftables" of an answer in JSON; *top owns it. */
static int nft_ask(const char *commands, struct json_object **top, struct json_object **list)
{
	_cleanup_nft_ struct nft_ctx *nft = NULL;
	int err = nft_new(&nft);

	if (err)
		return err;
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON);
	err = nft_run(nft, commands);
	if (err)
		return err;
	*top = json_tokener_parse(nft_ctx_get_output_buffer(nft));
	if (!json_object_object_get_ex(*top, "nftables", list) ||
	    !json_object_is_type(*list, json_type_array))
		return -EOPNOTSUPP;
	return 0;
}

/* ------------------------------------------------------------------ read */

static const char *text_of(struct json_object *from, const char *name)
{
	return json_object_get_string(json_object_object_get(from, name)) ?: "";
}

static bool is_ours(struct json_object *table)
{
	return !strcmp(text_of(table, "name"), "xipsec") &&
	       !strcmp(text_of(table, "family"), "inet");
}

static bool table_exists(struct json_object *list)
{
	struct json_object *table;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		if (json_object_object_get_ex(json_object_array_get_idx(list, i), "table",
					      &table) &&
		    is_ours(table))
			return true;
	}
	return false;
}

/* libnftables shows an index by the name of its interface, and as digits where there is none. */
static unsigned int index_of(const char *text)
{
	unsigned int ifindex = if_nametoindex(text);

	return ifindex ? ifindex : (unsigned int)strtoul(text, NULL, 10);
}

/* False: it holds more than we would have put there. */
static bool read_set(struct json_object *set, struct nft_table *out)
{
	struct json_object *elems = json_object_object_get(set, "elem");
	size_t n = elems ? json_object_array_length(elems) : 0;
	bool names = !strcmp(text_of(set, "name"), "names");

	if (n > XIPSEC_SLOTS_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(elems, i));

		if (names)
			snprintf(out->name[out->n_names++], sizeof(out->name[0]), "%s", text);
		else
			out->attached[out->n_attached++] = index_of(text);
	}
	return true;
}

/* Is it hooked where ours are? */
static bool is_hooked(struct json_object *chain)
{
	const char *hook = !strcmp(text_of(chain, "name"), "out") ? "postrouting" : "prerouting";

	return !strcmp(text_of(chain, "hook"), hook);
}

/* Whole: both chains are hooked as ours, our rules are the only ones, the table is not switched
 * off. */
static void read_table(struct json_object *list, struct nft_table *out)
{
	unsigned int chains = 0, rules = 0, marked = 0, sets = 0;
	bool good = true;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i), *of;

		if (json_object_object_get_ex(item, "table", &of)) {
			good = good && !json_object_object_get(of, "flags");
		} else if (json_object_object_get_ex(item, "chain", &of)) {
			chains++;
			good = good && is_hooked(of);
		} else if (json_object_object_get_ex(item, "rule", &of)) {
			rules++;
			marked += !strcmp(text_of(of, "comment"), MARK);
		} else if (json_object_object_get_ex(item, "set", &of)) {
			sets++;
			good = sets <= 2 && good && read_set(of, out);
		} else if (json_object_object_get_ex(item, "counter", &of)) {
			out->packets =
				json_object_get_uint64(json_object_object_get(of, "packets"));
			out->bytes = json_object_get_uint64(json_object_object_get(of, "bytes"));
		}
	}
	good = good && chains == 2 && rules == 2 && marked == 2 && sets == 2;
	out->state = good ? NFT_STATE_WHOLE : NFT_STATE_CHANGED;
}

int hook_nft_read(struct nft_table *out)
{
	_cleanup_json_ struct json_object *tables = NULL, *top = NULL;
	struct json_object *list;
	int err;

	memset(out, 0, sizeof(*out));
	err = nft_ask("list tables inet", &tables, &list);
	if (err)
		return err;
	out->state = NFT_STATE_ABSENT;
	if (table_exists(list) && !nft_ask("list table " HOOK_NFT_TABLE, &top, &list))
		read_table(list, out);
	return 0;
}

int hook_nft_try(void)
{
	_cleanup_nft_ struct nft_ctx *nft = NULL;
	int err = nft_new(&nft);

	return err ? err : nft_run(nft, FRAME);
}

bool hook_nft_has_name(const struct nft_table *table, const char *name)
{
	for (unsigned int i = 0; i < table->n_names; i++) {
		if (!strcmp(table->name[i], name))
			return true;
	}
	return false;
}

bool hook_nft_has_index(const struct nft_table *table, unsigned int ifindex)
{
	for (unsigned int i = 0; i < table->n_attached; i++) {
		if (table->attached[i] == ifindex)
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ write */

/* Words of nft's language, for one transaction. */
struct script {
	char text[16384];
	size_t len;
};

_Static_assert(sizeof(FRAME) + sizeof(AWAY) + 4 * XIPSEC_SLOTS_MAX * 80 < sizeof(struct script),
	       "the longest script: two sets emptied and filled, a line an element");

static void __attribute__((format(printf, 2, 3))) say(struct script *script, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	script->len += (size_t)vsnprintf(script->text + script->len,
					 sizeof(script->text) - script->len, fmt, args);
	va_end(args);
}

static void say_name(struct script *script, const char *verb, const char *name)
{
	say(script, "%s element " HOOK_NFT_TABLE " names { \"%s\" }\n", verb, name);
}

static void say_index(struct script *script, const char *verb, unsigned int ifindex)
{
	say(script, "%s element " HOOK_NFT_TABLE " attached { %u }\n", verb, ifindex);
}

/* What `want` has and `have` has not. */
static void say_more(struct script *script, const char *verb, const struct nft_table *have,
		     const struct nft_table *want)
{
	for (unsigned int i = 0; i < want->n_names; i++) {
		if (!hook_nft_has_name(have, want->name[i]))
			say_name(script, verb, want->name[i]);
	}
	for (unsigned int i = 0; i < want->n_attached; i++) {
		if (!hook_nft_has_index(have, want->attached[i]))
			say_index(script, verb, want->attached[i]);
	}
}

static void say_anew(struct script *script, const struct nft_table *want)
{
	static const struct nft_table none;

	script->len = 0;
	say(script, AWAY FRAME);
	say_more(script, "add", &none, want);
}

static int write_table(const struct nft_table *have, const struct nft_table *want)
{
	_cleanup_free_ struct script *script = calloc(1, sizeof(*script));
	_cleanup_nft_ struct nft_ctx *nft = NULL;
	int err = script ? nft_new(&nft) : -ENOMEM;

	if (err)
		return err;
	if (!want->n_names) {
		return have->state == NFT_STATE_ABSENT ? 0 : nft_run(nft, AWAY) ?: 1;
	} else if (have->state == NFT_STATE_WHOLE) {
		say_more(script, "add", have, want);
		say_more(script, "delete", want, have);
		if (!script->len)
			return 0;
		if (!nft_run(nft, script->text))
			return 1;
		/* Somebody changed it since it was read. */
	}
	say_anew(script, want);
	return nft_run(nft, script->text) ?: 1;
}

/* ------------------------------------------------------------------ what is true */

/* nft takes a star as a pattern and knows no escape in a string; an index is read as a name where
 * an interface is called so. Nobody names interfaces like that, so they are not served. */
static bool can_be_said(const char *name)
{
	return !strpbrk(name, "\"*\\") && name[strspn(name, "0123456789")];
}

static bool guarded(unsigned int ifindex)
{
	struct xdp_state xdp;
	struct tc_state tc;

	return !xdp_query(ifindex, &xdp) && xdp.role == XIPSEC_ROLE_UNPROTECTED &&
	       !tc_query_place(ifindex, &tc_place[TC_GUARD], &tc) && tc.prog_id;
}

static void want_from(const struct record *record, const struct iflist_entry *links, unsigned int n,
		      struct nft_table *want)
{
	memset(want, 0, sizeof(*want));
	for (unsigned int i = 0; i < record->n; i++) {
		const struct record_entry *entry = &record->entry[i];

		if (entry->role != XIPSEC_ROLE_UNPROTECTED || !can_be_said(entry->name))
			continue;
		memcpy(want->name[want->n_names++], entry->name, sizeof(entry->name));
		for (unsigned int k = 0; k < n; k++) {
			if (!strcmp(links[k].name, entry->name) && guarded(links[k].ifindex))
				want->attached[want->n_attached++] = links[k].ifindex;
		}
	}
}

int hook_nft_sync(const struct record *record, const struct iflist_entry *links, unsigned int n)
{
	static bool told;
	struct nft_table have, want;
	int err;

	want_from(record, links, n, &want);
	err = hook_nft_read(&have);
	if (err && !want.n_names)
		return 0;
	if (!err)
		err = write_table(&have, &want);
	if (err < 0 && !told) {
		log_warn("nftables does not take the table " HOOK_NFT_TABLE
			 " (%s): a black interface that is made anew has no guard until xipsecd "
			 "has attached it",
			 strerror(-err));
		told = true;
	}
	return have.state == NFT_STATE_NONE ? 0 : err;
}

int hook_nft_back(const char *run_dir, bool was)
{
	_cleanup_free_ struct iflist_entry *links = NULL;
	struct record record = {0};
	unsigned int n = 0;
	int err = 0;

	if (was) {
		err = record_read(run_dir, &record);
		if (!err)
			err = iflist_get(&links, &n);
	}
	if (!err)
		err = hook_nft_sync(&record, links, n);
	return err < 0 ? err : 0;
}
