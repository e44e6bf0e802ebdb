/* jval.h - the few ways in which kfops touches JSON values.
 *
 * The only file beside lib/core and the services that knows jansson's rules: parsing with bounds
 * (size, depth, embedded NUL kept), reading members by a dotted path without a chain of NULL
 * checks, and writing. `json_t` values are reference counted as in jansson; AUTO_JSON drops one.
 * The event path does not use this (see core/event.h): a DOM is too dear before the 202. Any
 * thread. */
#ifndef KF_BASE_JVAL_H
#define KF_BASE_JVAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

void jval_drop(json_t **value);
#define AUTO_JSON __attribute__((cleanup(jval_drop)))

/* Parses one JSON text of at most 64 MiB and depth 200 (jansson's own limit is 2048). USER on bad
 * JSON, with line and column. The caller drops *out. */
enum err_class jval_parse(json_t **out, const char *text, size_t len, struct err *err) MUST_CHECK;

/* Compact text with sorted keys, so equal values give equal bytes; the caller frees. */
char *jval_dump(const json_t *value) MUST_CHECK;
/* The same for people: numbers as they were written, so 5.1 is not 5.0999999999999996. */
char *jval_show(const json_t *value) MUST_CHECK;

/* Member at a dotted path ("user.permissions.push"); NULL when absent or null. Borrowed. */
json_t *jval_at(const json_t *value, const char *path);

/* Typed reads at a path; the fallback when absent or of another type. Text is borrowed. */
const char *jval_str(const json_t *value, const char *path, const char *fallback);
int64_t jval_int(const json_t *value, const char *path, int64_t fallback);
bool jval_bool(const json_t *value, const char *path, bool fallback);

/* Sets a member; text that is not UTF-8 is stored with U+FFFD in place of the bad bytes; NULL text
 * stores null. `take_value` is consumed. */
void jval_set_str(json_t *object, const char *key, const char *text);
void jval_set_int(json_t *object, const char *key, int64_t number);
void jval_set_bool(json_t *object, const char *key, bool flag);
void jval_set(json_t *object, const char *key, json_t *take_value);

/* Valid UTF-8 of any bytes: bad sequences become U+FFFD, NUL bytes are dropped. Caller frees. */
char *jval_clean_utf8(const char *bytes, size_t len) MUST_CHECK;

#endif
