/* daemon.h - the life of the daemon: everything opened in order, run, and closed in reverse. */
#ifndef KF_BOT_DAEMON_H
#define KF_BOT_DAEMON_H

#include "config/config.h"

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

/* Runs until SIGTERM or SIGINT; returns the exit code. */
int daemon_run(const struct config *config);

/* Prints the jobs of all repositories, or of one; returns the exit code. */
int daemon_print_jobs(const struct config *config);

/* Checks what config_load cannot: keys, the sandbox, the Kubeflow servers. Prints; returns the exit
 * code. */
int daemon_check(const struct config *config);

#endif
