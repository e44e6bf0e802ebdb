/* gzip.h - unpacks gzip (RFC 1952) from outside, with bounds.
 *
 * Only what answers of far sides hold inside their JSON, such as the nodes that Argo packs; bodies
 * that are packed on the way are libcurl's. How much comes out is bounded by the buffer's maximum,
 * whatever the input promises. Pure; any thread. */
#ifndef KF_BASE_GZIP_H
#define KF_BASE_GZIP_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Appends what one gzip member of `len` bytes holds. USER when it is none, is cut short, has a
 * wrong check sum or something after its end, or unpacks to more than fits. */
enum err_class gzip_unpack(struct buf *out, const void *data, size_t len,
			   struct err *err) MUST_CHECK;

#endif
