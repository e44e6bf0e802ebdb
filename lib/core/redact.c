/* redact.c - see redact.h.
 *
 * One walk over the text; the byte at hand says which forms can begin there. A form that fails
 * after a long look remembers how far it looked, so that a text made of half secrets costs no more
 * than any other. Regular expressions were not used: the library's backtrack, and the forms are
 * few. What is redacted too much (a sentence after the word "authorization:") is the price of the
 * rest. */
#include "lib/core/redact.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum {
	SECRET_MIN = 6,
	OTHER_TOKEN_MIN = 30, /* gh?_ of a letter that GitHub does not use yet, or inside a word */
	BEARER_MIN = 8,
	AWS_ID_LEN = 20,
	USERINFO_MIN = 20,
	PEM_MAX = 20000,
	ROUNDS_MAX = 8,
};

static const char *const *known;
static size_t known_count;
static bool known_first[256];

struct text {
	const char *at; /* of the whole text */
	size_t len;
	size_t jwt_not_before; /* no JWT starts before this place */
	size_t pem_end;	       /* start of the next "-----END ", or len */
};

/* Keep so many bytes from the place at hand, then leave out so many. */
struct hit {
	size_t keep, drop;
};

static const struct hit none = {0, 0};

void redact_set(const char *const *secrets, size_t count)
{
	known = secrets;
	known_count = count;
	memset(known_first, 0, sizeof known_first);
	for (size_t i = 0; i < count; i++)
		if (secrets[i] && strlen(secrets[i]) >= SECRET_MIN)
			known_first[(unsigned char)*secrets[i]] = true;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool has(const struct text *t, size_t i, const char *word)
{
	size_t len = strlen(word);

	return t->len - i >= len && !memcmp(t->at + i, word, len);
}

static bool has_nocase(const struct text *t, size_t i, const char *word)
{
	size_t len = strlen(word);

	return t->len - i >= len && !strncasecmp(t->at + i, word, len);
}

/* End of the run of letters, digits and bytes of `extra` that starts at i. */
static size_t run_end(const struct text *t, size_t i, const char *extra)
{
	while (i < t->len && t->at[i] && (is_alnum(t->at[i]) || strchr(extra, t->at[i])))
		i++;
	return i;
}

static struct hit known_secret(const struct text *t, size_t i)
{
	size_t best = 0;

	for (size_t k = 0; k < known_count; k++) {
		size_t len = known[k] ? strlen(known[k]) : 0;

		if (len >= SECRET_MIN && len > best && has(t, i, known[k]))
			best = len;
	}
	return (struct hit){0, best};
}

/* ghp_..., ghs_<app>_<JWT> and their like; github_pat_... */
static struct hit github_token(const struct text *t, size_t i)
{
	bool starts_word = !i || !is_alnum(t->at[i - 1]), used;
	size_t end;

	if (has(t, i, "github_pat_")) {
		end = run_end(t, i, "_");
		return end - i > strlen("github_pat_") ? (struct hit){0, end - i} : none;
	}
	if (t->len - i < 5 || t->at[i + 1] != 'h' || t->at[i + 3] != '_' || t->at[i + 2] < 'a' ||
	    t->at[i + 2] > 'z')
		return none;
	used = t->at[i + 2] && strchr("pousr", t->at[i + 2]);
	end = run_end(t, i + 4, "._-");
	if (end == i + 4 || (!(used && starts_word) && end - i < OTHER_TOKEN_MIN))
		return none;
	return (struct hit){0, end - i};
}

/* Three runs of base64url with dots between; the first begins with eyJ. */
static struct hit jwt(struct text *t, size_t i)
{
	size_t first, second;

	if (i < t->jwt_not_before || !has(t, i, "eyJ"))
		return none;
	first = run_end(t, i, "_-");
	second = first < t->len && t->at[first] == '.' ? run_end(t, first + 1, "_-") : first;
	if (second <= first + 1 || second == t->len || t->at[second] != '.') {
		t->jwt_not_before = first;
		return none;
	}
	return (struct hit){0, run_end(t, second + 1, "_-") - i};
}

static size_t line_end(const struct text *t, size_t i)
{
	const char *newline = i < t->len ? memchr(t->at + i, '\n', t->len - i) : NULL;

	return newline ? (size_t)(newline - t->at) : t->len;
}

/* From the place behind a name: over quotes, blanks and one ':' or '=', to the value. The value
 * ends with its quote, or else with the line (or, for words, the first blank). */
static struct hit value_of(const struct text *t, size_t i, size_t name_len, bool word)
{
	size_t at = i + name_len, end;
	char quote = 0;

	while (at < t->len && strchr("\"'\\ \t", t->at[at]))
		at++;
	if (at == t->len || (t->at[at] != ':' && t->at[at] != '='))
		return none;
	for (at++; at < t->len && strchr("\"'\\ \t", t->at[at]); at++)
		if (t->at[at] == '"' || t->at[at] == '\'')
			quote = t->at[at];
	end = at;
	while (end < t->len && t->at[end] != '\n' && !(quote && t->at[end] == quote) &&
	       !(word && !quote && strchr(" \t,", t->at[end])))
		end++;
	return end > at ? (struct hit){at - i, end - at} : none;
}

static struct hit bearer(const struct text *t, size_t i)
{
	static const char word[] = "bearer ";
	size_t at = i + sizeof word - 1, end = run_end(t, at, "._~+/=-");

	return end - at >= BEARER_MIN ? (struct hit){at - i, end - at} : none;
}

/* A line of a PEM body: nothing but base64. */
static bool is_pem_line(const struct text *t, size_t from, size_t to)
{
	return to > from && run_end(t, from, "+/=") >= to;
}

/* -----BEGIN X----- to -----END X-----; without an end as far as it looks like one. */
static struct hit pem(struct text *t, size_t i)
{
	size_t end;

	if (!has(t, i, "-----BEGIN "))
		return none;
	if (t->pem_end <= i) {
		const char *found = memmem(t->at + i, t->len - i, "-----END ", 9);

		t->pem_end = found ? (size_t)(found - t->at) : t->len;
	}
	if (t->pem_end < t->len && t->pem_end - i < PEM_MAX) {
		size_t line = line_end(t, t->pem_end);

		end = run_end(t, t->pem_end + 9, " ");
		while (end < line && t->at[end] == '-')
			end++;
		return (struct hit){0, end - i};
	}
	end = line_end(t, i);
	while (end < t->len && is_pem_line(t, end + 1, line_end(t, end + 1)))
		end = line_end(t, end + 1);
	return (struct hit){0, end - i};
}

static struct hit aws_id(const struct text *t, size_t i)
{
	if (t->len - i < AWS_ID_LEN || (i && is_alnum(t->at[i - 1])))
		return none;
	for (size_t k = i; k < i + AWS_ID_LEN; k++)
		if (!is_alnum(t->at[k]) || (t->at[k] >= 'a' && t->at[k] <= 'z'))
			return none;
	return (struct hit){0, AWS_ID_LEN};
}

/* Place of the value behind a name, over "=", "%3D" (in a URL inside a URL) or ": "; len if there
 * is none. */
static size_t value_start(const struct text *t, size_t at)
{
	static const char around[] = "\"'\\ \t";

	if (has_nocase(t, at, "%3d"))
		return at + 3;
	while (at < t->len && strchr(around, t->at[at]))
		at++;
	if (at == t->len || (t->at[at] != ':' && t->at[at] != '='))
		return t->len;
	for (at++; at < t->len && strchr(around, t->at[at]);)
		at++;
	return at;
}

/* What makes a pre-signed URL a credential: "X-Amz-Signature=..." and its like, in a query, as a
 * header or in JSON. */
static struct hit amz_value(const struct text *t, size_t i)
{
	static const char *const names[] = {"x-amz-signature", "x-amz-credential",
					    "x-amz-security-token"};

	for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
		size_t at, end;

		if (!has_nocase(t, i, names[k]))
			continue;
		at = value_start(t, i + strlen(names[k]));
		end = run_end(t, at, "%/+-._~=");
		return end > at ? (struct hit){at - i, end - at} : none;
	}
	return none;
}

/* scheme://user:password@host */
static struct hit userinfo(const struct text *t, size_t i)
{
	size_t at = i + 3, end = at;
	bool password = false;

	while (end < t->len && (unsigned char)t->at[end] > ' ' && !strchr("/@\"'<>`", t->at[end]))
		password |= t->at[end++] == ':';
	if (end == t->len || t->at[end] != '@' || end == at ||
	    (!password && end - at < USERINFO_MIN))
		return none;
	return (struct hit){3, end - at};
}

static struct hit by_name(const struct text *t, size_t i)
{
	static const struct {
		const char *name;
		bool word;
	} names[] = {{"authorization", false},
		     {"aws_secret_access_key", true},
		     {"aws_session_token", true}};

	for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
		if (has_nocase(t, i, names[k].name))
			return value_of(t, i, strlen(names[k].name), names[k].word);
	return none;
}

static struct hit find_hit(struct text *t, size_t i)
{
	struct hit hit = none;

	switch (t->at[i]) {
	case 'g':
		hit = github_token(t, i);
		break;
	case 'e':
		hit = jwt(t, i);
		break;
	case 'a':
	case 'A':
		hit = has(t, i, "AKIA") || has(t, i, "ASIA") ? aws_id(t, i) : by_name(t, i);
		break;
	case 'b':
	case 'B':
		hit = has_nocase(t, i, "bearer ") ? bearer(t, i) : none;
		break;
	case 'x':
	case 'X':
		hit = amz_value(t, i);
		break;
	case '-':
		hit = pem(t, i);
		break;
	case ':':
		hit = has(t, i, "://") ? userinfo(t, i) : none;
		break;
	case '[':
		hit.keep = has(t, i, REDACT_MARK) ? strlen(REDACT_MARK) : 0;
		break;
	default:
		break;
	}
	if (!hit.keep && !hit.drop && known_first[(unsigned char)t->at[i]])
		hit = known_secret(t, i);
	return hit;
}

/* One walk; true when it took something out that is not the mark itself. */
static bool redact_once(struct buf *out, const char *text, size_t len)
{
	struct text t = {.at = text, .len = len};
	bool changed = false;
	size_t done = 0;

	for (size_t i = 0; i < len;) {
		struct hit hit = find_hit(&t, i);

		if (!hit.drop) {
			i += hit.keep ? hit.keep : 1;
			continue;
		}
		i += hit.keep;
		changed |= hit.drop != strlen(REDACT_MARK) || !has(&t, i, REDACT_MARK);
		buf_add(out, text + done, i - done);
		buf_puts(out, REDACT_MARK);
		i += hit.drop;
		done = i;
	}
	buf_add(out, text + done, len - done);
	return changed;
}

/* What is left around a secret can be the form of another one, so it is done until nothing changes.
 */
void redact_add(struct buf *out, const char *text, size_t len)
{
	AUTO_BUF struct buf from = buf_make(3 * len + 64);
	AUTO_BUF struct buf to = buf_make(3 * len + 64);
	bool changed = redact_once(&to, text, len);

	for (int round = 0; changed && round < ROUNDS_MAX; round++) {
		struct buf swap = from;

		from = to;
		to = swap;
		buf_clear(&to);
		changed = redact_once(&to, buf_text(&from), from.len);
	}
	buf_add(out, buf_text(&to), to.len);
}
