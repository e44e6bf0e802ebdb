/* scan.h - one validating pass over a JSON text that remembers where the wanted values stand.
 *
 * No tree is built and nothing is allocated: a table names the members that matter, and the pass
 * records for each the span of its raw text. The whole text is checked against RFC 8259 all the
 * same: grammar, UTF-8, nesting of at most SCAN_DEPTH_MAX. A wanted member that comes twice is
 * refused, because two readers could take different ones. Private to lib/core (event.c). Pure; any
 * thread. */
#ifndef KF_CORE_SCAN_H
#define KF_CORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCAN_DEPTH_MAX = 64 };

enum scan_type {
	SCAN_ABSENT,
	SCAN_NULL,
	SCAN_FALSE,
	SCAN_TRUE,
	SCAN_NUMBER,
	SCAN_STRING,
	SCAN_ARRAY,
	SCAN_OBJECT,
};

struct scan_value {
	const char *at; /* borrowed from the text; a string's first byte inside the quotes */
	size_t len;	/* raw bytes; 0 for arrays and objects */
	enum scan_type type;
	bool escaped; /* a string with backslashes in it */
};

/* A wanted member of an object; `members` are those wanted of its own value. Tables end with a NULL
 * key. Write them with SCAN_WANT. */
struct scan_want {
	const char *key;
	size_t key_len;
	int slot; /* index into the values */
	const struct scan_want *members;
};

#define SCAN_WANT(key_, slot_, members_)                                                           \
	{                                                                                          \
		(key_), sizeof(key_) - 1, (slot_), (members_)                                      \
	}
#define SCAN_END                                                                                   \
	{                                                                                          \
		NULL, 0, 0, NULL                                                                   \
	}

/* Reads the text; `values` must be zero, and slot 0 is the text's own value. NULL when it is
 * well-formed, else what is wrong, as static text, and the offset of the place. */
const char *scan_json(const char *text, size_t len, const struct scan_want *wants,
		      struct scan_value *values, size_t *offset);

/* Writes what a recorded string stands for, at most value->len bytes and without a NUL at the end,
 * and returns its length. An unpaired surrogate becomes U+FFFD; \u0000 becomes a NUL byte. */
size_t scan_unescape(char *out, const struct scan_value *value);

/* A recorded number as int64; false when it has a fraction or an exponent, or does not fit. */
bool scan_int64(int64_t *out, const struct scan_value *value);

#endif
