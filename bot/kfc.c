/* kfc.c - the command line for people: is a policy or a configuration right, and what would be
 * allowed? Without network, database or credentials; it reads the files that are named and writes
 * to standard output.
 *
 * The same code decides here as in the daemon. What GitHub would say comes from a file, so that a
 * change of a policy can be tried before it is merged, in a terminal or in a workflow. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bot/ceilings.h"
#include "config/settings.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/rights.h"
#include "lib/core/approvers.h"
#include "lib/core/comment.h"
#include "lib/core/event.h"
#include "lib/core/thresholds.h"

enum { FILE_MAX = 2 << 20, REPORT_MAX = 1 << 20 };
enum { KFC_OK = 0, KFC_NO = 1, KFC_USAGE = 64, KFC_DATA = 65, KFC_NO_INPUT = 66 };

static const char policy_file[] = ".github/kfops.yaml";
static const char other_policy_file[] = ".github/kfops.yml"; /* which nobody reads */
static const char settings_file[] = "config_files/config.yaml";

static void print_help(void)
{
	printf("Usage: kfc lint [--policy FILE] [--repository OWNER/NAME] [FILE...]\n"
	       "       kfc simulate --policy FILE --payload FILE [--answers FILE] "
	       "[--ceilings FILE]\n"
	       "\n"
	       "Checks the files of a repository that uses kfops, without a network.\n"
	       "\n"
	       "lint: every fault with file, line and column. Without files it looks at\n"
	       "%s and %s, as far as they are there.\n"
	       "      --policy FILE            a policy file\n"
	       "      --repository OWNER/NAME  whose config.yaml it must be\n"
	       "\n"
	       "simulate: may the person of this comment do what it says, and by which rule?\n"
	       "      --policy FILE     the policy; none: as a repository without one\n"
	       "      --payload FILE    the webhook issue_comment, as GitHub sends it (JSON)\n"
	       "      --answers FILE    what GitHub would say of the person (JSON)\n"
	       "      --ceilings FILE   the operator's kfops.yaml\n"
	       "\n"
	       "  -h, --help     show this\n"
	       "  -V, --version  show the version\n"
	       "\n"
	       "Exit codes: 0 no faults, everything allowed; 1 faults, or something is not "
	       "allowed;\n"
	       "64 wrong usage; 65 a payload or answers that cannot be read; 66 no such file.\n",
	       policy_file, settings_file);
}

struct options {
	const char *policy, *repository, *payload, *answers, *ceilings;
	char **files;
	int file_count;
};

/* --- files --- */

/* The content, at most FILE_MAX bytes; NULL after a message. The caller frees. */
static char *read_file(const char *path, size_t *len)
{
	AUTO_BUF struct buf text = buf_make(FILE_MAX);
	char chunk[4096];
	ssize_t n = 0;
	int fd = str_eq(path, "-") ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		while (!text.truncated && (n = read(fd, chunk, sizeof chunk)) > 0)
			buf_add(&text, chunk, (size_t)n);
	if (fd < 0 || n < 0) {
		fprintf(stderr, "kfc: cannot read %s: %s\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	close(fd);
	if (text.truncated) {
		fprintf(stderr, "kfc: %s is larger than %d MiB\n", path, FILE_MAX >> 20);
		return NULL;
	}
	*len = text.len;
	return text.len ? buf_take(&text) : str_dup("");
}

static json_t *read_json(const char *path)
{
	size_t len;
	AUTO_FREE char *text = read_file(path, &len);
	json_t *value = NULL;
	struct err err;

	if (text && jval_parse(&value, text, len, &err))
		fprintf(stderr, "kfc: %s: %s\n", path, err.msg);
	return value;
}

/* --- lint --- */

static int lint_policy(const char *path)
{
	AUTO_BUF struct buf report = buf_make(REPORT_MAX);
	size_t len;
	AUTO_FREE char *text = read_file(path, &len);
	AUTO_POLICY struct policy *policy = NULL;

	if (!text)
		return KFC_NO_INPUT;
	policy = policy_read(text, len, path, &commands);
	policy_report(policy, path, &report);
	if (str_ends(path, ".yml"))
		buf_printf(&report, "%s:1:1: it is not read by this name: it must be %s\n", path,
			   policy_file);
	fputs(buf_text(&report), stdout);
	return report.len ? KFC_NO : KFC_OK;
}

/* Faults name the file as it is in a repository; here it may stand elsewhere. */
static void print_report(const char *report, const char *path)
{
	size_t name_len = strlen(settings_file);

	while (*report) {
		size_t len = strcspn(report, "\n");

		if (str_starts(report, settings_file)) {
			fputs(path, stdout);
			report += name_len;
			len -= name_len;
		}
		printf("%.*s\n", (int)len, report);
		report += len + (report[len] == '\n');
	}
}

static int lint_settings(const char *path, const char *repository)
{
	AUTO_BUF struct buf report = buf_make(REPORT_MAX);
	size_t len;
	AUTO_FREE char *text = read_file(path, &len);
	json_t *settings = NULL;
	struct err err;
	int line, code;

	if (!text)
		return KFC_NO_INPUT;
	code = settings_parse(&settings, text, len, repository, &report, &line, &err) ? KFC_NO
										      : KFC_OK;
	print_report(buf_text(&report), path);
	json_decref(settings);
	return code;
}

static bool is_policy_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	return str_eq(name, "kfops.yaml") || str_eq(name, "kfops.yml");
}

static int worse(int a, int b)
{
	return a > b ? a : b;
}

static int lint(const struct options *options)
{
	int code = options->policy ? lint_policy(options->policy) : KFC_OK;
	bool any = options->policy != NULL;

	for (int i = 0; i < options->file_count; i++) {
		const char *path = options->files[i];

		code = worse(code, is_policy_name(path) ? lint_policy(path)
							: lint_settings(path, options->repository));
		any = true;
	}
	if (any)
		return code;
	if (access(policy_file, F_OK) == 0) {
		code = worse(code, lint_policy(policy_file));
		any = true;
	}
	if (access(other_policy_file, F_OK) == 0) {
		code = worse(code, lint_policy(other_policy_file));
		any = true;
	}
	if (access(settings_file, F_OK) == 0) {
		code = worse(code, lint_settings(settings_file, options->repository));
		any = true;
	}
	if (!any)
		fprintf(stderr, "kfc: there is neither %s nor %s here; name the files\n",
			policy_file, settings_file);
	return any ? code : KFC_NO_INPUT;
}

/* --- simulate --- */

/* "write": the level and all below it. */
static void answer_by_level(json_t *facts, enum right level)
{
	static const char *const names[] = {"pull", "triage", "push", "maintain", "admin"};

	for (int i = 0; i < (int)ARRAY_LEN(names); i++)
		jval_set_bool(facts, names[i], (int)level >= RIGHT_READ + i);
}

/* GitHub's own answer of .../collaborators/LOGIN/permission, or only a level. */
static bool take_permission(json_t *facts, const json_t *answers, int64_t actor_id)
{
	static const char *const names[] = {"pull", "triage", "push", "maintain", "admin"};
	const json_t *said = jval_at(answers, "permission");
	const char *level = json_string_value(said);
	enum right right = RIGHT_ANYONE;

	if (level) {
		if (!str_eq(level, "none") && !policy_right_parse(&right, level))
			return false;
		jval_set_int(facts, "user_id", actor_id);
		jval_set_str(facts, "role", jval_str(answers, "role", level));
		answer_by_level(facts, right);
		return true;
	}
	if (!said)
		return true;
	jval_set_int(facts, "user_id", jval_int(said, "user.id", 0));
	jval_set_str(facts, "role", jval_str(said, "role_name", ""));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = str_printf("user.permissions.%s", names[i]);

		jval_set_bool(facts, names[i], jval_bool(said, path, false));
	}
	return true;
}

/* "fork", and what a maintainer has said of the commit: "ok_to_run" is true or "build-only". */
static enum policy_origin origin_of(const json_t *answers)
{
	if (!jval_bool(answers, "fork", false))
		return POLICY_ORIGIN_BRANCH;
	if (str_eq(jval_str(answers, "ok_to_run", NULL), "build-only"))
		return POLICY_ORIGIN_FORK_BUILD;
	return jval_bool(answers, "ok_to_run", false) ? POLICY_ORIGIN_FORK_OK : POLICY_ORIGIN_FORK;
}

static bool take_answers(json_t *facts, const char *path, int64_t actor_id, enum policy_origin *out)
{
	static const char *const copied[] = {"teams",	  "users",   "uses",
					     "approvals", "metrics", "live"};
	AUTO_JSON json_t *answers = read_json(path);

	if (answers && !json_is_object(answers))
		fprintf(stderr, "kfc: %s is not a JSON object\n", path);
	if (!json_is_object(answers))
		return false;
	if (!take_permission(facts, answers, actor_id)) {
		fprintf(stderr,
			"kfc: %s: permission must be none, read, triage, write, maintain, admin, "
			"or GitHub's answer\n",
			path);
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(copied); i++)
		if (jval_at(answers, copied[i]))
			jval_set(facts, copied[i], json_incref(jval_at(answers, copied[i])));
	*out = origin_of(answers);
	return true;
}

static int take_policy(json_t *facts, const char *path)
{
	json_t *policy = json_object();
	size_t len;
	AUTO_FREE char *text = path ? read_file(path, &len) : NULL;

	jval_set(facts, "policy", policy);
	if (!path) {
		jval_set_bool(policy, "none", true);
		return KFC_OK;
	}
	if (!text)
		return KFC_NO_INPUT;
	jval_set_str(policy, "source", path);
	jval_set_str(policy, "text", text);
	return KFC_OK;
}

static void drop_config(struct config **config)
{
	config_free(*config);
}
#define AUTO_CONFIG __attribute__((cleanup(drop_config)))

static int take_ceilings(json_t *facts, const char *path, struct config **out)
{
	AUTO_BUF struct buf report = buf_make(REPORT_MAX);
	AUTO_CONFIG struct config *config = NULL;
	size_t len;
	AUTO_FREE char *text = path ? read_file(path, &len) : NULL;
	struct err err;

	if (!path)
		return KFC_OK;
	if (!text)
		return KFC_NO_INPUT;
	if (config_parse(&config, path, text, len, &report, &err) ||
	    !ceilings_check(config, path, &report)) {
		fputs(buf_text(&report), stdout);
		return KFC_NO;
	}
	if (config_ceilings(config))
		json_object_set_new(facts, "ceilings", json_deep_copy(config_ceilings(config)));
	*out = config;
	config = NULL;
	return KFC_OK;
}

/* What a deployment has to meet beside the right to it. */
static void tell_terms(const struct rights *rights, const json_t *facts, const char *repo,
		       const struct command_call *call)
{
	const struct command *command = call->command;
	const char *environment = policy_environment_of(command, call->args);
	int operators = str_eq(environment, "production")
				? (int)jval_int(facts, "operator_approvals", 0)
				: 0;
	AUTO_BUF struct buf text = buf_make(REPORT_MAX);
	struct policy_terms terms;

	policy_terms(&terms, rights->policy, &rights->ceilings, command, environment);
	if (operators > terms.approvals)
		terms.approvals = operators;
	if (terms.approvals) {
		AUTO_JSON json_t *approvers = approvers_keep(&terms.approvers);

		buf_printf(&text, ", %d approvals%s", terms.approvals, approvers ? " by " : "");
		approvers_say(approvers, repo, "", &text);
	}
	buf_printf(&text, "%s%s", terms.checks ? ", checks" : "",
		   terms.up_to_date ? ", up to date" : "");
	if (terms.after)
		buf_printf(&text, ", after %s", terms.after);
	printf("  asks for %s", text.len ? buf_text(&text) + 2 : "nothing more");
	for (size_t i = 0; i < terms.step_count; i++)
		printf("%s%d", i ? ", " : "; ", terms.steps[i]);
	printf("%s%s%s%s\n", terms.step_count ? " %" : "", terms.merges ? "; merges" : "",
	       terms.merges && terms.method ? " by " : "",
	       terms.merges && terms.method ? terms.method : "");
}

/* {"accuracy": 0.93} as a run records it. */
static json_t *recorded(json_t *values)
{
	json_t *list = json_array(), *value;
	const char *name;

	json_object_foreach(values, name, value)
	{
		json_t *one = json_object();

		jval_set_str(one, "name", name);
		jval_set(one, "value", json_incref(value));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *recorded_live(json_t *environments)
{
	json_t *live = json_object(), *values;
	const char *name;

	json_object_foreach(environments, name, values)
	{
		json_t *one = json_is_object(values) ? json_object() : json_null();

		if (json_is_object(values))
			jval_set(one, "metrics", recorded(values));
		jval_set(live, name, one);
	}
	return live;
}

/* Whether the metrics of the answers are good enough; without them, which would be compared. */
static int tell_metrics(const struct policy *policy, const json_t *facts)
{
	AUTO_JSON json_t *thresholds = thresholds_keep(policy);
	AUTO_JSON json_t *live = recorded_live(jval_at(facts, "live"));
	AUTO_JSON json_t *values = NULL;
	struct thresholds found;

	if (!policy->metric_count)
		return KFC_OK;
	if (!json_is_object(jval_at(facts, "metrics"))) {
		for (size_t i = 0; i < policy->metric_count; i++)
			printf("%s%s", i ? ", " : "  compares ", policy->metrics[i].name);
		printf("\n");
		return KFC_OK;
	}
	values = recorded(jval_at(facts, "metrics"));
	thresholds_judge(&found, thresholds, values, live);
	printf("  %s%s%s\n", found.code, *found.code ? ": " : "", found.said);
	return found.met == FACT_YES ? KFC_OK : KFC_NO;
}

/* In which environments an /approve of this person counts, where the policy names approvers. */
static void tell_approver(const struct rights *rights, const char *repo)
{
	static const char *const words[] = {
		[APPROVER_NO] = "does not count",
		[APPROVER_YES] = "counts",
		[APPROVER_ASK] = "counts perhaps",
		[APPROVER_UNKNOWN] = "does not count, for a team that GitHub does not show",
	};

	for (size_t i = 0; i < rights->policy->environment_count; i++) {
		const struct policy_environment *environment = &rights->policy->environments[i];
		AUTO_JSON json_t *rule = approvers_keep(&environment->approvers);
		AUTO_BUF struct buf text = buf_make(REPORT_MAX);
		const char *team;

		if (!rule)
			continue;
		approvers_say(rule, repo, "", &text);
		printf("  %s in %s: %s\n", words[approvers_judge(rule, &rights->person, &team)],
		       environment->name, buf_text(&text));
	}
}

/* What of others a /cancel of this person stops. Without the teams in the answers that is less. */
static void tell_stops(const struct rights *rights, int64_t actor_id)
{
	AUTO_JSON json_t *stops = rights_stops(rights, actor_id);
	AUTO_BUF struct buf text = buf_make(REPORT_MAX);
	const char *right;
	json_t *may;

	json_object_foreach(stops, right, may) if (json_is_true(may))
		buf_printf(&text, "%s%s", text.len ? ", " : "", right);
	printf("  stops their own jobs, and of others %s\n", text.len ? buf_text(&text) : "none");
}

static int tell(const struct rights *rights, const json_t *facts, const char *repo,
		const struct command_call *call, int64_t actor_id, enum policy_origin origin)
{
	struct policy_decision decision;

	rights_decide(&decision, rights, call->command, call->args, actor_id, origin);
	printf("%s\n  %s by %s\n", call->line, policy_verdict_name(decision.verdict),
	       decision.rule);
	if (decision.verdict != POLICY_ALLOW)
		printf("  %s: %s\n", decision.code, decision.sentence);
	else if (str_eq(call->command->name, "approve"))
		tell_approver(rights, repo);
	else if (str_eq(call->command->name, "cancel"))
		tell_stops(rights, actor_id);
	else if (str_eq(call->command->rule, "deploy")) {
		tell_terms(rights, facts, repo, call);
		return tell_metrics(rights->policy, facts);
	}
	return decision.verdict == POLICY_ALLOW ? KFC_OK : KFC_NO;
}

static int tell_all(const struct event *event, const json_t *facts, enum policy_origin origin)
{
	struct comment_lines lines = {0};
	struct command_calls calls = {0};
	AUTO_RIGHTS struct rights rights;
	struct err err;
	enum err_class class;
	int code = KFC_OK;

	rights_read(&rights, facts, event->repo);
	comment_find(&lines, event->comment_body, event->comment_body_len);
	class = command_parse_all(&calls, &commands, &lines, &err);
	if (class == ERR_NOT_FOUND)
		printf("There is no command in this comment.\n");
	else if (class)
		printf("%s: %s\n", err.code, err.msg);
	for (size_t i = 0; i < calls.count; i++)
		code = worse(code, tell(&rights, facts, event->repo, &calls.items[i],
					event->sender_id, origin));
	command_calls_dispose(&calls);
	comment_lines_dispose(&lines);
	return class && class != ERR_NOT_FOUND ? KFC_NO : code;
}

static int simulate(const struct options *options)
{
	AUTO_JSON json_t *facts = json_object();
	AUTO_CONFIG struct config *config = NULL;
	enum policy_origin origin = POLICY_ORIGIN_BRANCH;
	struct event event = {0};
	struct err err = {0};
	size_t len;
	AUTO_FREE char *payload = read_file(options->payload, &len);
	int code;

	if (!payload)
		return KFC_NO_INPUT;
	code = take_policy(facts, options->policy);
	code = code ? code : take_ceilings(facts, options->ceilings, &config);
	if (code)
		return code;
	if (event_read(&event, "issue_comment", payload, len, &err) ||
	    event.kind != EVENT_COMMENT) {
		fprintf(stderr, "kfc: %s: %s\n", options->payload,
			*err.msg	       ? err.msg
			: event.why_irrelevant ? event.why_irrelevant
					       : "not a comment on a pull request");
		code = KFC_DATA;
	} else if (options->answers &&
		   !take_answers(facts, options->answers, event.sender_id, &origin)) {
		code = KFC_DATA;
	} else {
		if (config)
			jval_set_int(facts, "operator_approvals",
				     config_approvals_of_repo(config, event.repo));
		code = tell_all(&event, facts, origin);
	}
	event_dispose(&event);
	return code;
}

/* --- the line --- */

static int usage(const char *why)
{
	fprintf(stderr, "kfc: %s\nTry 'kfc --help'.\n", why);
	return KFC_USAGE;
}

static int run(const char *mode, const struct options *options)
{
	if (str_eq(mode, "lint")) {
		if (options->payload || options->answers || options->ceilings)
			return usage("lint takes --policy, --repository and files");
		return lint(options);
	}
	if (!str_eq(mode, "simulate"))
		return usage("the first word must be lint or simulate");
	if (options->file_count || options->repository)
		return usage("simulate takes --policy, --payload, --answers and --ceilings");
	return options->payload ? simulate(options) : usage("simulate needs --payload FILE");
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"repository", required_argument, NULL, 'r'},
		{"payload", required_argument, NULL, 'l'},
		{"answers", required_argument, NULL, 'a'},
		{"ceilings", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct options options = {0};
	int c;

	while ((c = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'p':
			options.policy = optarg;
			break;
		case 'r':
			options.repository = optarg;
			break;
		case 'l':
			options.payload = optarg;
			break;
		case 'a':
			options.answers = optarg;
			break;
		case 'c':
			options.ceilings = optarg;
			break;
		case 'h':
			print_help();
			return KFC_OK;
		case 'V':
			printf("kfc %s\n", KFOPS_VERSION);
			return KFC_OK;
		default:
			fprintf(stderr, "Try 'kfc --help'.\n");
			return KFC_USAGE;
		}
	}
	if (optind >= argc)
		return usage("the first word must be lint or simulate");
	options.files = argv + optind + 1;
	options.file_count = argc - optind - 1;
	return run(argv[optind], &options);
}
