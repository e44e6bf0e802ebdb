/* log.h - logfmt on stderr, one line per event.
 *
 * error = someone must act; warn = odd, handled; info = state changes only; debug per module. First
 * keys are always time and level, then event; pass delivery job step repo pr in this order. Values
 * are quoted when needed and cut at 200 bytes; control characters are shown as \xNN, so a value
 * from outside can neither end a line nor colour a terminal. Never pass a secret or a whole body.
 * Lines are written with one write(2), so threads do not mix. */
#ifndef KF_BASE_LOG_H
#define KF_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_field {
	const char *key;
	const char *text; /* NULL: the number counts */
	int64_t number;
};

/* A function, so that an array may be passed without a warning that its address is never NULL. */
static inline struct log_field log_text_field(const char *key, const char *text)
{
	return (struct log_field){.key = key, .text = text ? text : ""};
}

#define LOG_S(key_, text_)   log_text_field((key_), (text_))
#define LOG_I(key_, number_) ((struct log_field){.key = (key_), .number = (int64_t)(number_)})

void log_set_level(enum log_level level);

/* "debug", "info", "warn", "error"; false when it is none of them. */
bool log_level_from_name(enum log_level *out, const char *name);

void log_write(enum log_level level, const char *event, const struct log_field *fields,
	       size_t count);

#define LOG_FIELDS_(...)                                                                           \
	(const struct log_field[])                                                                 \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define LOG_AT_(level, event, ...)                                                                 \
	log_write(level, event, LOG_FIELDS_(__VA_ARGS__),                                          \
		  sizeof(LOG_FIELDS_(__VA_ARGS__)) / sizeof(struct log_field))
#define log_error(event, ...) LOG_AT_(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  LOG_AT_(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  LOG_AT_(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) LOG_AT_(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

#endif
