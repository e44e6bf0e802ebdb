/* ingest_server.c - the receiving half of kfopsd alone: receiver, writer and store, and nobody who
 * works on what is stored. For measuring the way from webhook to disk.
 *
 *   bench_ingest_server PORT DATABASE [SECRET [PATH]]
 *
 * Ends on SIGTERM as the daemon does: receiver, writer, database. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "bot/receive.h"
#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"

int main(int argc, char **argv)
{
	char listen_at[32];
	struct receive_options options = {
		.listen = listen_at,
		.path = argc > 4 ? argv[4] : "/webhook",
		.secrets = {argc > 3 ? argv[3] : "benchsecret"},
		.commands = &commands,
		.job_deadline_ms = INT64_C(86400000),
	};
	struct disk_limits limits = {.path = argc > 2 ? argv[2] : NULL};
	struct db *db;
	struct writer *writer;
	struct receive *receive;
	struct err err;
	sigset_t ends;
	int64_t port;
	int unused;

	if (argc < 3 || !str_to_int64(&port, argv[1])) {
		fprintf(stderr, "usage: bench_ingest_server PORT DATABASE [SECRET [PATH]]\n");
		return 2;
	}
	snprintf(listen_at, sizeof listen_at, "127.0.0.1:%" PRId64, port);
	crash_init();
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	if (db_open(&db, argv[2], clock_now_ms(), &err) != ERR_OK ||
	    writer_start(&writer, db, 1024, &err) != ERR_OK ||
	    writer_watch_disk(writer, &limits, &err) != ERR_OK ||
	    receive_open(&receive, &options, writer, &err) != ERR_OK ||
	    receive_start(receive, &err) != ERR_OK) {
		fprintf(stderr, "bench_ingest_server: %s\n", err.msg);
		return 1;
	}
	printf("port %d\n", receive_port(receive));
	fflush(stdout);
	sigwait(&ends, &unused);
	receive_stop(receive);
	writer_stop(writer);
	db_close(db);
	return 0;
}
