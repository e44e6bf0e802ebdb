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
	       "  -h, --help           show this\n"
	       "  -V, --version        show the version\n"
	       "\n"
	       "Exit codes: 0 ended as asked; 64 wrong usage; 65 damaged database; 71 no thread or "
	       "socket;\n"
	       "73 another kfopsd holds the database; 75 I/O error, start again; 78 wrong "
	       "configuration.\n",
	       default_path);
}

enum mode {
	MODE_RUN,
	MODE_CHECK,
	MODE_PRINT,
	MODE_OPTIONS,
	MODE_JOBS,
	MODE_HELP,
	MODE_VERSION,
	MODE_BAD
};

static enum mode parse(int argc, char **argv, const char **path)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, MODE_CHECK},
		{"print-config", no_argument, NULL, MODE_PRINT},
		{"print-options", no_argument, NULL, MODE_OPTIONS},
		{"jobs", no_argument, NULL, MODE_JOBS},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	enum mode mode = MODE_RUN;
	int c;

	while ((c = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		if (c == 'c')
			*path = optarg;
		else if (c == 'h')
			return MODE_HELP;
		else if (c == 'V')
			return MODE_VERSION;
		else if (c == '?')
			return MODE_BAD;
		else
			mode = (enum mode)c;
	}
	if (optind < argc) {
		fprintf(stderr, "kfopsd: unexpected argument '%s'\n", argv[optind]);
		return MODE_BAD;
	}
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

static int with_config(enum mode mode, const char *path)
{
	AUTO_BUF struct buf report = buf_make(64 << 10);
	struct config *config = NULL;
	struct err err = {0};
	int code;

	if (config_load(&config, path, &report, &err)) {
		fputs(buf_text(&report), stderr);
		fprintf(stderr, "kfopsd: %s\n", err.msg);
		return EXIT_CODE_CONFIG;
	}
	if (!ceilings_check(config, path, &report)) {
		fputs(buf_text(&report), stderr);
		fprintf(stderr, "kfopsd: %s has ceilings over commands that do not exist\n", path);
		config_free(config);
		return EXIT_CODE_CONFIG;
	}
	if (mode == MODE_CHECK)
		code = daemon_check(config);
	else if (mode == MODE_PRINT)
		code = print(config_print, config);
	else if (mode == MODE_JOBS)
		code = daemon_print_jobs(config);
	else
		code = daemon_run(config);
	config_free(config);
	return code;
}

int main(int argc, char **argv)
{
	const char *path = default_path;
	enum mode mode = parse(argc, argv, &path);

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
		return with_config(mode, path);
	}
}
