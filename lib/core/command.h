/* command.h - what a command is, and how a line becomes a call of one.
 *
 * Grammar: `/word [ENV|NAME|ID] [--flag[=| ]value]... [-- k=v ...]`; also `/kfops word ...`. Single
 * and double quotes, backslash only inside double quotes, no expansion of any kind. Dash and
 * underscore are equal in words and flags, case does not matter in the word. A comment's lines all
 * parse or none runs. The table of commands is handed in, so this module knows none of them. Pure;
 * any thread. */
#ifndef KF_CORE_COMMAND_H
#define KF_CORE_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum right { RIGHT_ANYONE, RIGHT_READ, RIGHT_TRIAGE, RIGHT_WRITE, RIGHT_MAINTAIN, RIGHT_ADMIN };

enum flag_type {
	FLAG_BOOL,
	FLAG_TEXT,     /* at most 500 bytes, no control or bidi characters */
	FLAG_NAME,     /* letters, digits, '-', '_', '.', '/'; does not start with '-' */
	FLAG_INT,      /* from 1 */
	FLAG_DURATION, /* "15m"; stored in milliseconds */
	FLAG_SHA,      /* 7 to 64 lower-case hex digits */
	FLAG_PARAM,    /* k=v, may be repeated; collected into one object */
};

struct command_flag {
	const char *name; /* without dashes, "no-cache" */
	enum flag_type type;
	const char *value_name; /* "S", for usage */
	const char *help;
};

struct step;

/* How a policy speaks of a command (lib/core/policy.h). */
enum command_scope {
	SCOPE_REPOSITORY,  /* `commands.NAME` of the policy */
	SCOPE_ENVIRONMENT, /* `environments.ENV.RULE` */
	SCOPE_ALWAYS,	   /* no policy takes it away: only `right` counts */
};

/* What a command does with the code of the pull request: whether forks may. */
enum command_use { USE_NOTHING = 0, USE_BUILD = 1, USE_RUN = 2, USE_DEPLOY = 4 };

struct command {
	const char *name;		  /* "build_run" */
	const char *alias;		  /* another word for it, "ok-to-test"; NULL */
	const char *summary;		  /* one sentence, for /help */
	const char *const *examples;	  /* ends with NULL */
	const struct command_flag *flags; /* ends with a NULL name */
	const char *arg_name;		  /* positional, "VERSION"; NULL: takes none */
	enum flag_type arg_type;
	bool arg_required;
	enum right right;    /* what a person needs when no policy says otherwise */
	bool right_is_least; /* a policy can ask for more, never for less */
	bool read_only;	     /* changes nothing: does not wait for the pull request's order */
	bool on_closed;	     /* allowed on closed and merged pull requests */
	unsigned uses;	     /* USE_BUILD | ... */
	enum command_scope scope;
	const char *rule;	  /* SCOPE_ENVIRONMENT: "deploy", "rollback", "lock" */
	const char *environment;  /* SCOPE_ENVIRONMENT: the only one; NULL: the argument */
	const char *const *parts; /* it is allowed if these are, unless the policy names it; NULL */
	const char *as; /* its answer speaks of the right to this command, too: "deploy"; NULL */
	const struct step *steps; /* ends with a NULL name */
};

struct command_table {
	const struct command *const *items;
	size_t count;
};

struct command_call {
	const struct command *command;
	/* {"arg": "...", "sha": "...", "no-cache": true, "param": {k: "v"}}: flags by their names,
	 * durations in milliseconds; owned. */
	json_t *args;
	char *line; /* as written, for the answer; owned */
};

struct command_calls {
	struct command_call *items;
	size_t count;
	bool keep_going; /* --keep-going on any line */
};

/* Parses one line. USER with a code ("command.unknown", "command.unknown_flag", "command.value",
 * "command.missing", "command.quote", "command.too_long", "command.doubled_flag") and a sentence
 * that names what is allowed and the nearest match. NOT_FOUND when the word is nobody's (not ours,
 * not near ours, and not in the /kfops form): the line is silently left alone. */
enum err_class command_parse(struct command_call *out, const struct command_table *table,
			     const char *line, struct err *err) MUST_CHECK;
void command_call_dispose(struct command_call *call);

/* Parses all lines of a comment: all or none. USER with one message for the whole comment (also
 * "command.too_many", "command.repeated"); NOT_FOUND when no line is ours. */
struct comment_lines;
enum err_class command_parse_all(struct command_calls *out, const struct command_table *table,
				 const struct comment_lines *lines, struct err *err) MUST_CHECK;
void command_calls_dispose(struct command_calls *calls);

/* "/run [VERSION] [--param K=V]... [--experiment E]"; the caller frees. */
char *command_usage(const struct command *command) MUST_CHECK;

const struct command *command_by_name(const struct command_table *table, const char *name);

/* The same from a word of a person: case does not count, dash is underscore, a slash may lead. */
const struct command *command_by_word(const struct command_table *table, const char *word);

/* The word of a person is that name, read so. */
bool command_word_is(const char *word, const char *name);

/* The name, or other word, of a command that the word may have been meant for; NULL. */
const char *command_nearest(const struct command_table *table, const char *word);

const char *right_name(enum right right);

#endif
