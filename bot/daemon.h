/* daemon.h - the life of the daemon: everything opened in order, run, and closed in reverse. */
#ifndef KF_BOT_DAEMON_H
#define KF_BOT_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/base/err.h"

/* Exit codes of kfopsd, as in sysexits.h where it has one; listed by --help and in
 * docs/operations.md. */
enum {
	EXIT_CODE_OK = 0,
	EXIT_CODE_USAGE = 64,
	EXIT_CODE_DATA = 65,   /* damaged database */
	EXIT_CODE_OS = 71,     /* threads, sockets */
	EXIT_CODE_LOCKED = 73, /* another kfopsd holds the database */
	EXIT_CODE_TEMP = 75,   /* I/O error: a supervisor should start it again */
	EXIT_CODE_CONFIG = 78,
};

int daemon_exit_code(const struct err *err);

/* Runs until SIGTERM or SIGINT; returns the exit code. */
int daemon_run(const struct config *config);

/* Prints the jobs of all repositories, or of one; returns the exit code. */
int daemon_print_jobs(const struct config *config);

/* Prints the audit, or verifies its chain; returns the exit code. */
struct audit_request {
	const char *repo;  /* owner/name or number; NULL: all */
	const char *job;   /* number; NULL: all */
	const char *since; /* RFC 3339, or a duration back from now; NULL: all */
	const char *kept;  /* "NO:DIGEST" that was kept elsewhere; NULL */
	bool json, verify;
};
int daemon_audit(const struct config *config, const struct audit_request *request);

/* Checks what config_load cannot: keys, the sandbox, the Kubeflow servers. Prints; returns the exit
 * code. */
int daemon_check(const struct config *config);

#endif
