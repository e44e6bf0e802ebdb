/* words.h - a command line cut into words, as a shell would without expanding anything. Private to
 * lib/core (command.c).
 *
 * Blanks separate words; 'single' and "double" quotes hold them together, and inside double quotes
 * \" and \\ stand for the second byte. Nothing else is special: $, `, *, ~, ; and | are themselves.
 * Pure; any thread. */
#ifndef KF_CORE_WORDS_H
#define KF_CORE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

struct word {
	char *text;  /* without quotes; owned */
	bool quoted; /* starts with a quote, so it is never a flag */
};

struct words {
	struct word *items;
	size_t count;
};

/* Cuts a line. A long dash that a phone made of "--" at the start of a word is taken back. USER:
 * "command.quote" for an unclosed or typographic quote, "command.value" for characters that people
 * cannot see (controls, bidi, zero-width, no-break spaces outside quotes) or that are not UTF-8. */
enum err_class words_split(struct words *out, const char *line, struct err *err) MUST_CHECK;
void words_dispose(struct words *words);

#endif
