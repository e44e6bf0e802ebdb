/* err.c - see err.h. Fixed buffers instead of allocated messages: an error path must not need
 * memory, and a struct that owns nothing can be copied into a step's result as it is. */
#include "lib/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

static const struct {
	const char *name;
	bool retry;
} classes[ERR_CLASS_COUNT] = {
	[ERR_OK] = {"ok", false},
#define ERR_CLASS(symbol, text, is_retried, who) [ERR_##symbol] = {text, is_retried},
#include "lib/base/errors.def"
#undef ERR_CLASS
};

static void __attribute__((format(printf, 3, 0)))
set_text(struct err *err, enum err_class class, const char *fmt, va_list ap)
{
	char text[ERR_MSG_MAX + 4]; /* str_copy() looks at the byte behind its cut */

	vsnprintf(text, sizeof text, fmt, ap);
	memset(err, 0, sizeof *err);
	err->class = class;
	str_copy(err->msg, sizeof err->msg, text);
}

enum err_class err_set(struct err *err, enum err_class class, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return class;
	va_start(ap, fmt);
	set_text(err, class, fmt, ap);
	va_end(ap);
	return class;
}

enum err_class err_code(struct err *err, enum err_class class, const char *code, const char *fmt,
			...)
{
	va_list ap;

	if (!err)
		return class;
	va_start(ap, fmt);
	set_text(err, class, fmt, ap);
	va_end(ap);
	snprintf(err->code, sizeof err->code, "%s", code);
	return class;
}

enum err_class err_wrap(struct err *err, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list ap;
	int used;

	if (!err)
		return ERR_BUG;
	memcpy(old, err->msg, sizeof old);
	va_start(ap, fmt);
	used = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	if (used >= 0 && (size_t)used + 2 < sizeof err->msg) {
		memcpy(err->msg + used, ": ", 3);
		str_copy(err->msg + used + 2, sizeof err->msg - (size_t)used - 2, old);
	}
	return err->class;
}

const char *err_class_name(enum err_class class)
{
	return class < ERR_CLASS_COUNT ? classes[class].name : "unknown";
}

bool err_is_retried(enum err_class class)
{
	return class < ERR_CLASS_COUNT && classes[class].retry;
}

enum err_class err_class_from_name(const char *name)
{
	for (int i = 0; i < ERR_CLASS_COUNT; i++)
		if (name && !strcmp(classes[i].name, name))
			return (enum err_class)i;
	return ERR_BUG;
}
