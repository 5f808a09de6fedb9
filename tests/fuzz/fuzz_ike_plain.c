// SPDX-License-Identifier: BSD-2-Clause
/*
 * A datagram on port 500: header, payloads in the clear, up to SK. Refused with words, or all that
 * is told of it lies in the datagram.
 */
#include "tests/fuzz/ike_must.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ike_msg msg, before;
	struct ike_fault fault = {0};
	struct ike_header h;
	__u8 *copy = malloc(size ? size : 1); /* ASan guards its end */

	MUST(copy);
	memcpy(copy, data, size);
	memset(&before, 0x5a, sizeof(before));
	msg = before;
	if (ike_msg_parse(BYTES(copy, size), &msg, &fault)) {
		ike_fault_must(&fault);
		MUST(!memcmp(&msg, &before, sizeof(msg)));
		free(copy);
		return 0;
	}
	MUST(!ike_header_parse(BYTES(copy, size), &h) && h.len == msg.raw.len && h.major == 2);
	MUST(msg.raw.len >= IKE_HEADER_LEN && msg.raw.len <= size);
	if (msg.sk.here) {
		MUST(!msg.seen && msg.sk.number && msg.sk.number <= msg.sk.total);
		MUST(msg.sk.body.data + msg.sk.body.len == msg.raw.data + msg.raw.len);
	}
	ike_msg_must(&msg, BYTES(copy, size), BYTES_NONE);
	free(copy);
	return 0;
}
