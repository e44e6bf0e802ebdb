/* audit.c - see daemon.h. The audit for people and for other programs, read beside a running
 * daemon. Texts in it come from outside: what a terminal could take for an order is shown as \xNN.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bot/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/audit.h"

static void put_text(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++)
		if (*at < ' ' || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
			printf("\\x%02x", *at);
		else
			putchar(*at);
}

static void put_field(const char *name, const char *text)
{
	if (!*text)
		return;
	printf("%s", name);
	put_text(text);
}

static void print_line(const struct audit_row *row)
{
	char at[21];

	clock_rfc3339(at, row->at_ms);
	printf("%-6" PRId64 " %s %-10s ", row->no, at, row->decision);
	put_text(row->repo);
	printf(" #%" PRId64 " ", row->pr);
	put_text(row->actor);
	printf(" (%" PRId64 ")", row->actor_id);
	if (row->job_id)
		printf(" job %" PRId64, row->job_id);
	put_field(" /", row->command);
	put_field(" ", row->effect);
	put_field(" ", row->code);
	printf("%s%.12s", *row->sha ? " at " : "", row->sha);
	put_field("\n       before: ", row->before);
	put_field("\n       after:  ", row->after);
	putchar('\n');
}

static void set_digest(json_t *line, const char *key, const unsigned char *digest)
{
	char text[2 * AUDIT_DIGEST_LEN + 1];

	str_hex(text, digest, AUDIT_DIGEST_LEN);
	jval_set_str(line, key, text);
}

static void print_json(const struct audit_row *row)
{
	AUTO_JSON json_t *line = json_object();
	AUTO_FREE char *text = NULL;
	char at[21];

	clock_rfc3339(at, row->at_ms);
	jval_set_int(line, "no", row->no);
	jval_set_str(line, "time", at);
	jval_set_int(line, "at", row->at_ms);
	jval_set_int(line, "actor_id", row->actor_id);
	jval_set_str(line, "actor", row->actor);
	jval_set_str(line, "command", row->command);
	jval_set_str(line, "decision", row->decision);
	jval_set_str(line, "code", row->code);
	jval_set_str(line, "sha", row->sha);
	jval_set_int(line, "repo_id", row->repo_id);
	jval_set_str(line, "repo", row->repo);
	jval_set_int(line, "pr", row->pr);
	jval_set_int(line, "job_id", row->job_id);
	jval_set_str(line, "effect", row->effect);
	jval_set_str(line, "before", row->before);
	jval_set_str(line, "after", row->after);
	set_digest(line, "previous", row->previous);
	set_digest(line, "digest", row->digest);
	text = jval_dump(line);
	printf("%s\n", text);
}

static bool print_one(void *arg, const struct audit_row *row)
{
	const struct audit_request *request = arg;

	if (request->json)
		print_json(row);
	else
		print_line(row);
	return !ferror(stdout);
}

/* --- the whole --- */

static int print_verdict(const struct audit_verdict *verdict)
{
	if (verdict->rows)
		printf("head %" PRId64 ":%s\n", verdict->head.no, verdict->head.digest);
	if (!verdict->broken_at) {
		printf("ok   %" PRId64 " rows\n", verdict->rows);
		return EXIT_CODE_OK;
	}
	printf("FAIL the chain breaks at row %" PRId64 ": %s\n", verdict->broken_at, verdict->why);
	return EXIT_CODE_DATA;
}

static int verify(struct db *db, const struct audit_request *request)
{
	struct audit_mark kept;
	struct audit_verdict verdict;
	struct err err = {0};

	if (request->kept && !audit_mark_read(&kept, request->kept)) {
		fprintf(stderr, "kfopsd: --kept takes NUMBER:DIGEST, as --verify and the log show "
				"it\n");
		return EXIT_CODE_USAGE;
	}
	if (audit_verify(db, request->kept ? &kept : NULL, &verdict, &err)) {
		fprintf(stderr, "kfopsd: %s\n", err.msg);
		return daemon_exit_code(&err);
	}
	return print_verdict(&verdict);
}

static bool read_filter(struct audit_filter *out, const struct audit_request *request)
{
	int64_t back_ms;

	*out = (struct audit_filter){.repo = request->repo};
	if (request->job && (!str_to_int64(&out->job_id, request->job) || out->job_id < 1)) {
		fprintf(stderr, "kfopsd: --job takes the number of a job\n");
		return false;
	}
	if (!request->since)
		return true;
	if (str_to_duration_ms(&back_ms, request->since)) {
		out->since_ms = clock_now_ms() - back_ms;
		return true;
	}
	if (clock_parse(&out->since_ms, request->since))
		return true;
	fprintf(stderr, "kfopsd: --since takes a time like 2026-11-21T10:00:00Z, or how long ago, "
			"like 24h\n");
	return false;
}

static int print(struct db *db, const struct audit_request *request)
{
	struct audit_request mine = *request;
	struct audit_filter filter;
	struct audit_mark head;
	struct err err = {0};

	if (!read_filter(&filter, request))
		return EXIT_CODE_USAGE;
	if (audit_find(db, &filter, print_one, &mine, &err) || audit_head(db, &head, &err)) {
		fprintf(stderr, "kfopsd: %s\n", err.msg);
		return daemon_exit_code(&err);
	}
	if (!request->json && head.no)
		printf("head %" PRId64 ":%s\n", head.no, head.digest);
	return fflush(stdout) || ferror(stdout) ? EXIT_CODE_TEMP : EXIT_CODE_OK;
}

int daemon_audit(const struct config *config, const struct audit_request *request)
{
	AUTO_FREE char *path = str_printf("%s/kfops.db", config_text(config, "state_dir"));
	struct db *db = NULL;
	struct err err = {0};
	int code;

	if (db_open_reader(&db, path, &err)) {
		fprintf(stderr, "kfopsd: %s\n", err.msg);
		if (db)
			db_close(db);
		return daemon_exit_code(&err);
	}
	code = request->verify ? verify(db, request) : print(db, request);
	db_close(db);
	return code;
}
