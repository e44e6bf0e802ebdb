/* err.h - what went wrong, for a program and for a person.
 *
 * Every function that can fail returns `enum err_class` (ERR_OK is 0) and takes `struct err *`
 * last. The struct is plain memory without ownership, so it can be copied and stored. Messages are
 * cut at ERR_MSG_MAX bytes; they are sentences for people and never hold secrets. Any thread. */
#ifndef KF_BASE_ERR_H
#define KF_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/mem.h"

enum err_class {
	ERR_OK = 0,
#define ERR_CLASS(symbol, name, retry, who) ERR_##symbol,
#include "lib/base/errors.def"
#undef ERR_CLASS
	ERR_CLASS_COUNT
};

enum { ERR_MSG_MAX = 1024, ERR_CODE_MAX = 48 };

struct err {
	enum err_class class;
	int64_t retry_at_ms;	 /* THROTTLED: wall clock, not before; 0 = unknown */
	bool in_doubt;		 /* the far side may have acted on the request */
	char code[ERR_CODE_MAX]; /* stable reason code, "run.unknown_parameter"; "" when none */
	char msg[ERR_MSG_MAX];
};

/* Sets class and message, clears the rest, returns the class. `err` may be NULL. */
enum err_class err_set(struct err *err, enum err_class class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set with a stable reason code. */
enum err_class err_code(struct err *err, enum err_class class, const char *code, const char *fmt,
			...) __attribute__((format(printf, 4, 5)));

/* Puts "context: " before the message and returns the class unchanged. */
enum err_class err_wrap(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "transient", "user", ...; "ok" for ERR_OK. */
const char *err_class_name(enum err_class class);

/* True when waiting and trying again may help. */
bool err_is_retried(enum err_class class);

/* Class by name; ERR_BUG when unknown. For rows read back from the store. */
enum err_class err_class_from_name(const char *name);

#endif
