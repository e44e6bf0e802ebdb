/* kfopsd.c - the daemon's main: options, modes, exit codes.
 *
 * A map of the tree, in the order in which data flows:
 *
 *   bot/receive.c     HTTP in: cap, verify, scan, enqueue; 202 only after the commit
 *     lib/core/signature.c event.c comment.c command.c     what a webhook says (pure)
 *   bot/writer.c      the one thread that writes SQLite; group commit
 *     lib/store/      deliveries, jobs, steps, outbox: one function a transaction
 *   bot/worker.c      claim a job, ask its step, run the effect, commit result and next step
 * together lib/commands/   a file a command: its steps, each with a pure decide function
 *     bot/effects*.c  kind of effect -> service call
 *     lib/services/   github kfp s3 repo compile: one module per outside service
 *   bot/poller.c      wakes parked jobs: finished runs, due times, missed deliveries
 *   bot/reporter.c    what GitHub should show: newest wish per slot, paced, repeated until it holds
 *     bot/wishes.c    which slots a change of a job concerns
 *     lib/core/render*.c markdown.c                        the comment, the check, the status
 * (pure) bot/health.c      /healthz /readyz /metrics bot/daemon.c      opens all of this in order
 * and closes it in reverse config/           the operator's file, the repository's file lib/base/
 * err buf str log clock json http sign metrics crash: knows nothing of bots */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bot/ceilings.h"
#include "bot/daemon.h"
#include "lib/base/buf.h"

static const char default_path[] = "/etc/kfops/kfops.yaml";

static void print_help(void)
{
	printf("Usage: kfopsd [--config FILE] [MODE]\n"
	       "\n"
	       "A bot that builds, runs and reports Kubeflow pipelines from GitHub pull requests.\n"
	       "\n"
	       "  -c, --config FILE    the operator's file (default %s)\n"
	       "\n"
	       "Without a mode the daemon runs in the foreground until SIGTERM or SIGINT.\n"
	       "Modes:\n"
	       "      --check-config   check the file, the sandbox, GitHub and Kubeflow; say all "
	       "that is wrong\n"
	       "      --print-config   show the effective values and where each came from\n"
	       "      --print-options  show every option as Markdown tables\n"
	       "      --jobs           list unfinished and recent jobs\n"
	       "      --audit          print who was allowed or refused what, and every change; "
	       "with\n"
	       "                       --repo REPO, --job NUMBER, --since TIME, --json; or with\n"
	       "                       --verify, verify its chain of digests, and with --kept "
	       "NUMBER:DIGEST\n"
	       "                       that it still holds this row\n"
	       "  -h, --help           show this\n"
	       "  -V, --version        show the version\n"
	       "\n"
	       "Exit codes: 0 ended as asked; 64 wrong usage; 65 damaged database, or an audit "
	       "whose\n"
	       "chain is broken; 71 no thread or socket; 73 another kfopsd holds the database;\n"
	       "75 I/O error, start again; 78 wrong configuration.\n",
	       default_path);
}

enum mode {
	MODE_RUN,
	MODE_CHECK,
	MODE_PRINT,
	MODE_OPTIONS,
	MODE_JOBS,
	MODE_AUDIT,
	MODE_HELP,
	MODE_VERSION,
	MODE_BAD
};

/* What the command line says beside the mode. */
struct line {
	const char *path;
	struct audit_request audit;
	bool about_audit; /* something that only --audit takes */
};

/* Options of --audit, which have no letters. */
enum { OPTION_REPO = 256, OPTION_JOB, OPTION_SINCE, OPTION_JSON, OPTION_VERIFY, OPTION_KEPT };

static bool take_audit_option(struct audit_request *out, int c)
{
	switch (c) {
	case OPTION_REPO:
		out->repo = optarg;
		return true;
	case OPTION_JOB:
		out->job = optarg;
		return true;
	case OPTION_SINCE:
		out->since = optarg;
		return true;
	case OPTION_KEPT:
		out->kept = optarg;
		return true;
	case OPTION_JSON:
		return out->json = true;
	case OPTION_VERIFY:
		return out->verify = true;
	default:
		return false;
	}
}

static bool is_sound(enum mode mode, const struct line *line)
{
	const struct audit_request *audit = &line->audit;

	if (line->about_audit && mode != MODE_AUDIT) {
		fprintf(stderr, "kfopsd: --repo, --job, --since, --json, --verify and --kept go "
				"with --audit\n");
		return false;
	}
	if (audit->kept && !audit->verify) {
		fprintf(stderr, "kfopsd: --kept goes with --verify\n");
		return false;
	}
	if (audit->verify && (audit->repo || audit->job || audit->since || audit->json)) {
		fprintf(stderr, "kfopsd: --verify always goes through the whole chain\n");
		return false;
	}
	return true;
}

static enum mode parse(int argc, char **argv, struct line *line)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, MODE_CHECK},
		{"print-config", no_argument, NULL, MODE_PRINT},
		{"print-options", no_argument, NULL, MODE_OPTIONS},
		{"jobs", no_argument, NULL, MODE_JOBS},
		{"audit", no_argument, NULL, MODE_AUDIT},
		{"repo", required_argument, NULL, OPTION_REPO},
		{"job", required_argument, NULL, OPTION_JOB},
		{"since", required_argument, NULL, OPTION_SINCE},
		{"json", no_argument, NULL, OPTION_JSON},
		{"verify", no_argument, NULL, OPTION_VERIFY},
		{"kept", required_argument, NULL, OPTION_KEPT},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	enum mode mode = MODE_RUN;
	int c;

	while ((c = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		if (c == 'c')
			line->path = optarg;
		else if (c == 'h')
			return MODE_HELP;
		else if (c == 'V')
			return MODE_VERSION;
		else if (c == '?')
			return MODE_BAD;
		else if (take_audit_option(&line->audit, c))
			line->about_audit = true;
		else
			mode = (enum mode)c;
	}
	if (optind < argc) {
		fprintf(stderr, "kfopsd: unexpected argument '%s'\n", argv[optind]);
		return MODE_BAD;
	}
	if (!is_sound(mode, line))
		return MODE_BAD;
	return mode;
}

static int print(void (*write)(const struct config *config, struct buf *out),
		 const struct config *config)
{
	AUTO_BUF struct buf text = buf_make(1 << 20);

	write(config, &text);
	fputs(buf_text(&text), stdout);
	return EXIT_CODE_OK;
}

static void write_options(const struct config *config, struct buf *out)
{
	(void)config;
	config_document(out);
}

static int with_config(enum mode mode, const struct line *line)
{
	AUTO_BUF struct buf report = buf_make(64 << 10);
	struct config *config = NULL;
	struct err err = {0};
	int code;

	if (config_load(&config, line->path, &report, &err)) {
		fputs(buf_text(&report), stderr);
		fprintf(stderr, "kfopsd: %s\n", err.msg);
		return EXIT_CODE_CONFIG;
	}
	if (!ceilings_check(config, line->path, &report)) {
		fputs(buf_text(&report), stderr);
		fprintf(stderr, "kfopsd: %s has ceilings over commands that do not exist\n",
			line->path);
		config_free(config);
		return EXIT_CODE_CONFIG;
	}
	if (mode == MODE_CHECK)
		code = daemon_check(config);
	else if (mode == MODE_PRINT)
		code = print(config_print, config);
	else if (mode == MODE_JOBS)
		code = daemon_print_jobs(config);
	else if (mode == MODE_AUDIT)
		code = daemon_audit(config, &line->audit);
	else
		code = daemon_run(config);
	config_free(config);
	return code;
}

int main(int argc, char **argv)
{
	struct line line = {.path = default_path};
	enum mode mode = parse(argc, argv, &line);

	switch (mode) {
	case MODE_HELP:
		print_help();
		return EXIT_CODE_OK;
	case MODE_VERSION:
		printf("kfopsd %s\n", KFOPS_VERSION);
		return EXIT_CODE_OK;
	case MODE_OPTIONS:
		return print(write_options, NULL);
	case MODE_BAD:
		fprintf(stderr, "Try 'kfopsd --help'.\n");
		return EXIT_CODE_USAGE;
	default:
		return with_config(mode, &line);
	}
}
