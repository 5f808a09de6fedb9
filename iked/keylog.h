/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of an IKE SA as Wireshark reads them: only where the user asked for it (`save_keys`). */
#ifndef IKED_KEYLOG_H
#define IKED_KEYLOG_H

#include "iked/keymat.h"

#define KEYLOG_LINE_MAX 640

/*
 * One line of Wireshark's ikev2_decryption_table, with the newline: SPIs, SK_ei, SK_er, cipher,
 * SK_ai, SK_ar, integrity. Returns its length; -EOPNOTSUPP: Wireshark has no word for the cipher
 * (ChaCha20-Poly1305 in 4.0), `to` is untouched; -ENOSPC. Who calls wipes `to`.
 */
int keylog_ike(__be64 spi_i, __be64 spi_r, const struct ike_keys *keys, char *to, size_t size);

/* One line of Wireshark's esp_sa table of a child's SA. */
int keylog_esp(const struct xipsec_sa *sa, char *to, size_t size);

#endif
