/* mlmd_impl.h - what the files of the module mlmd share: protobuf's wire format, read with bounds.
 * Nobody else includes this, except the module's tests.
 *
 * mlmd.c         frames, requests
 * mlmd_read.c    messages into JSON
 * mlmd_outputs.c models and metrics of a run; which model */
#ifndef KF_CORE_MLMD_IMPL_H
#define KF_CORE_MLMD_IMPL_H

#include <stdbool.h>

#include "lib/core/mlmd.h"

/* One field of a message. */
struct wire_field {
	uint32_t number;
	int type; /* 0 varint, 1 64-bit, 2 bytes, 5 32-bit */
	uint64_t value;
	const unsigned char *bytes; /* type 2; borrowed */
	size_t len;
};

struct wire {
	const unsigned char *at, *end;
	bool broken;
};

struct wire wire_open(const unsigned char *bytes, size_t len);
/* The next field; false at the end, and when the rest is not a message (wire->broken). */
bool wire_next(struct wire *wire, struct wire_field *out);

void wire_put_varint(struct buf *out, uint32_t number, uint64_t value);
void wire_put_bytes(struct buf *out, uint32_t number, const void *bytes, size_t len);

#endif
