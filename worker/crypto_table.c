// SPDX-License-Identifier: BSD-2-Clause
/* The product's backends, in a file of its own so that a tool can link another table. */
#include "worker/crypto.h"

const struct crypto_backend *const crypto_backends[] = {&crypto_ipsec_mb, &crypto_openssl, NULL};
