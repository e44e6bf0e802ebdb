/* kfp_list.c - list answers read without building them in memory.
 *
 * A page of 200 runs can hold each run's whole pipeline and task list: megabytes of which three
 * members are wanted. One pass over the text, an explicit stack of open brackets, no allocation.
 * The grammar is followed exactly enough that a cut or garbled answer is refused; whether numbers
 * and escapes are well formed does not matter for members that are skipped. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/kfp_impl.h"

enum { DEPTH_MAX = 200, ID_MAX = 256, STATE_MAX = 64 };

enum want { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COLON, WANT_COMMA };

struct slice {
	const char *at; /* between the quotes, escapes not resolved */
	size_t len;
};

struct scan {
	const char *at, *end;
	enum want want;
	int depth;
	bool is_object[DEPTH_MAX + 1];
	struct slice key; /* the last one of the innermost open object */
	bool in_runs;	  /* below the root's member "runs" */
	char run_id[ID_MAX], state[STATE_MAX];
	char *next_token; /* KFP_TOKEN_MAX */
	kfp_run_seen *seen;
	void *arg;
};

static bool slice_is(struct slice slice, const char *text)
{
	return slice.len == strlen(text) && !memcmp(slice.at, text, slice.len);
}

static bool read_string(struct scan *scan, struct slice *out)
{
	out->at = ++scan->at;
	while (scan->at < scan->end && *scan->at != '"') {
		if ((unsigned char)*scan->at < 0x20)
			return false;
		scan->at += *scan->at == '\\' ? 2 : 1;
	}
	if (scan->at >= scan->end)
		return false;
	out->len = (size_t)(scan->at++ - out->at);
	return true;
}

/* Copies a text with its escapes resolved; "" when it does not fit or is not valid. */
static void copy_text(char *out, size_t size, struct slice slice)
{
	AUTO_JSON json_t *text = NULL;

	out[0] = '\0';
	if (slice.len >= 6 * size)
		return;
	if (memchr(slice.at, '\\', slice.len))
		text = json_loadb(slice.at - 1, slice.len + 2, JSON_DECODE_ANY, NULL);
	if (text && json_string_length(text) < size)
		memcpy(out, json_string_value(text), json_string_length(text) + 1);
	else if (!text && slice.len < size && !memchr(slice.at, '\\', slice.len)) {
		memcpy(out, slice.at, slice.len);
		out[slice.len] = '\0';
	}
}

static void take_text(struct scan *scan, struct slice value)
{
	if (!scan->is_object[scan->depth])
		return;
	if (scan->depth == 1 && slice_is(scan->key, "next_page_token"))
		copy_text(scan->next_token, KFP_TOKEN_MAX, value);
	else if (scan->depth == 3 && scan->in_runs && slice_is(scan->key, "run_id"))
		copy_text(scan->run_id, sizeof scan->run_id, value);
	else if (scan->depth == 3 && scan->in_runs && slice_is(scan->key, "state"))
		copy_text(scan->state, sizeof scan->state, value);
}

static bool open_bracket(struct scan *scan, bool is_object)
{
	if (scan->depth == DEPTH_MAX || (!scan->depth && !is_object))
		return false;
	if (scan->depth == 1)
		scan->in_runs = !is_object && slice_is(scan->key, "runs");
	scan->is_object[++scan->depth] = is_object;
	if (scan->depth == 3 && scan->in_runs)
		scan->run_id[0] = scan->state[0] = '\0';
	scan->key = (struct slice){0};
	scan->want = is_object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
	scan->at++;
	return true;
}

static bool close_bracket(struct scan *scan, bool is_object)
{
	bool may_end = scan->want == WANT_COMMA ||
		       scan->want == (is_object ? WANT_KEY_OR_END : WANT_VALUE_OR_END);

	if (!may_end || !scan->depth || scan->is_object[scan->depth] != is_object)
		return false;
	if (scan->depth == 3 && scan->in_runs && is_object)
		scan->seen(scan->arg, scan->run_id, scan->state);
	scan->depth--;
	scan->want = WANT_COMMA;
	scan->at++;
	return true;
}

/* true, false, null and numbers: any run of their characters. */
static bool read_plain(struct scan *scan)
{
	const char *start = scan->at;

	while (scan->at < scan->end && *scan->at &&
	       strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *scan->at))
		scan->at++;
	scan->want = WANT_COMMA;
	return scan->at > start;
}

static bool read_value(struct scan *scan)
{
	struct slice text;

	if (*scan->at == '{' || *scan->at == '[')
		return open_bracket(scan, *scan->at == '{');
	if (!scan->depth)
		return false;
	if (*scan->at != '"')
		return read_plain(scan);
	if (!read_string(scan, &text))
		return false;
	take_text(scan, text);
	scan->want = WANT_COMMA;
	return true;
}

static bool read_token(struct scan *scan)
{
	char c = *scan->at;

	if (c == '}' || c == ']')
		return close_bracket(scan, c == '}');
	switch (scan->want) {
	case WANT_VALUE:
	case WANT_VALUE_OR_END:
		return read_value(scan);
	case WANT_KEY:
	case WANT_KEY_OR_END:
		scan->want = WANT_COLON;
		return c == '"' && read_string(scan, &scan->key);
	case WANT_COLON:
		scan->want = WANT_VALUE;
		scan->at++;
		return c == ':';
	case WANT_COMMA:
		scan->want = scan->is_object[scan->depth] ? WANT_KEY : WANT_VALUE;
		scan->at++;
		return c == ',' && scan->depth;
	}
	return false;
}

bool kfp_list_scan(const char *text, size_t len, kfp_run_seen *seen, void *arg,
		   char next_token[KFP_TOKEN_MAX])
{
	struct scan scan = {
		.at = text, .end = text + len, .next_token = next_token, .seen = seen, .arg = arg};
	bool started = false;

	next_token[0] = '\0';
	while (scan.at < scan.end) {
		if (strchr(" \t\r\n", *scan.at) && *scan.at) {
			scan.at++;
			continue;
		}
		if ((started && !scan.depth) || !read_token(&scan))
			return false;
		started = true;
	}
	return started && !scan.depth;
}
