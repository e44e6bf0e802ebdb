/* object_store.h - which credentials the operator gives for the object store of a cluster. */
#ifndef KF_BOT_OBJECT_STORE_H
#define KF_BOT_OBJECT_STORE_H

#include <stddef.h>

#include "config/config.h"
#include "lib/services/s3.h"

/* The store of cluster `i`, by the operator's file and, only if that says so, by the environment's
 * AWS_ variables. Asks no server. CONFIG. */
enum err_class object_store_open(struct s3 **out, const struct config *config, size_t i,
				 struct err *err) MUST_CHECK;

#endif
