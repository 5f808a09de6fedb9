/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many initiators of IKE in one process: iked's own engine, an address and an identity for each,
 * against one responder.
 */
#ifndef BENCH_IKE_LOAD_H
#define BENCH_IKE_LOAD_H

#include <openssl/evp.h>

#include "iked/auth.h"
#include "iked/bounds.h"
#include "iked/cert.h"
#include "iked/engine.h"

#define PEERS_MAX 65000
#define PSK       "load load load load load load 1" /* what ike.sh writes into both configs */

/* Who they all are: the same preshared key, or one key with a certificate each. */
struct load_creds {
	bool certs;
	EVP_PKEY *ca_key, *key;
	X509 *ca;
	struct cert_store *trust;
};

/* ------------------------------------------------------------------ ike_load_creds.c */

/* PEM files; NULL: preshared keys. 0 or -EINVAL after a line on stderr. */
int load_creds_read(struct load_creds *creds, const char *ca, const char *ca_key);
/* A certificate for "pN.load.example.org"; *out is for free(). Returns its length, 0: none. */
size_t load_creds_cert(const struct load_creds *creds, unsigned int n, __u8 **out);
/* As env->auth_make() and env->psk_verify() are asked; `id` is the body of our ID payload. */
int load_creds_auth(const struct load_creds *creds, const struct ike_auth_ask *ask, struct bytes id,
		    __u8 *method, struct writer *out);
int load_creds_verify(const struct ike_auth_ask *ask);

/* ------------------------------------------------------------------ ike_load_net.c */

/* IPv4 on UDP 500 and 4500, of any address that the namespace takes for its own. */
struct load_net {
	int fd[2];
};

/* 0 or -errno. */
int load_net_open(struct load_net *net);
void load_net_send(struct load_net *net, const struct ike_path *path, const __u8 *data, size_t len);
/* Gives all that has come to the engine, 64 datagrams of each socket at most. */
void load_net_receive(struct load_net *net, struct engine *engine);

#endif
