/* bench_fill.c - a database with many jobs, made by the functions that the daemon uses.
 *
 *   bench_fill FILE PARKED [DONE [NAMESPACES]]
 *
 * PARKED jobs follow a run that was created two days ago, in NAMESPACES namespaces (default 5) by
 * turns; DONE have ended. What they want to show on GitHub counts as shown. Only the settings of
 * the file are not the daemon's: it is made without waiting for the disk. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/store/queue.h"
#include "lib/store/store_impl.h"

enum { GROUP = 1000, DAY_MS = 24 * 3600 * 1000, REPOS = 500, INSTALLATIONS = 50 };

static const char sha[] = "9f8e7d6c5b4a39281706f5e4d3c2b1a098765432";

static struct err failure;

#define ok(call)                                                                                   \
	do {                                                                                       \
		if ((call) != ERR_OK) {                                                            \
			fprintf(stderr, "%s: %s\n", #call, failure.msg);                           \
			return false;                                                              \
		}                                                                                  \
	} while (0)

struct plan {
	int64_t parked, done, namespaces, now_ms;
	const struct command *command;
};

static bool receive_one(struct db *db, const struct plan *plan, int64_t no)
{
	static struct event event;
	char line[] = "/build_run --experiment churn";
	struct command_call call = {.command = plan->command, .line = line};
	struct command_calls calls = {.items = &call, .count = 1};
	int64_t at_ms = plan->now_ms - 2LL * DAY_MS;
	struct queue_delivery delivery = {.event = &event, .received_at_ms = at_ms};
	struct queue_intake intake = {
		.delivery = &delivery, .calls = &calls, .deadline_ms = 30LL * DAY_MS};
	uint64_t mixed = (uint64_t)no * 0x9e3779b97f4a7c15u;
	enum queue_outcome out;

	event = (struct event){.kind = EVENT_COMMENT,
			       .repo_id = 1000 + no % REPOS,
			       .installation_id = 1 + no % INSTALLATIONS,
			       .pr = 1 + no / REPOS,
			       .comment_id = 2000000000 + no,
			       .comment_at_ms = at_ms,
			       .sender_id = 1001};
	snprintf(event.repo, sizeof event.repo, "lab/model-%" PRId64, no % REPOS);
	str_copy(event.sender, sizeof event.sender, "ann");
	str_copy(event.action, sizeof event.action, "created");
	memcpy(delivery.guid, &mixed, sizeof mixed);
	memcpy(delivery.guid + 8, &no, sizeof no);
	ok(queue_receive(db, &intake, &out, &failure));
	return out == QUEUE_STORED;
}

/* What the steps of such a command leave behind. */
static json_t *data_of(const struct plan *plan, int64_t no, const char *run_id)
{
	char ns[32];
	json_t *data =
		json_pack("{s:{s:s, s:i, s:{s:i}}, s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s}, s:{s:s}}",
			  "compile", "name", "sklearn-iris", "tasks", 2, "parameters", "neighbors",
			  3, "settings", "pipeline", "Iris", "experiment", "Iris experiments",
			  "path", "my_pipeline/pipeline.yaml", "mode", "V2_ENGINE", "version", "id",
			  "bbe86155-6763-41aa-a8d3-7d2a2badcc69", "name", "pr-1-9f8e7d6c5b4a",
			  "run", "id", run_id);
	json_t *parts =
		json_pack("[{s:s, s:s, s:s, s:I}]", "name", "run", "state", "running", "text",
			  "running", "started_at_ms", (json_int_t)(plan->now_ms - 2LL * DAY_MS));

	must(data && parts);
	snprintf(ns, sizeof ns, "team-%" PRId64, no % plan->namespaces);
	jval_set_str(json_object_get(data, "settings"), "namespace", ns);
	jval_set_str(json_object_get(data, "run"), "state", "RUNNING");
	jval_set_int(json_object_get(data, "run"), "created_at_ms", plan->now_ms - 2LL * DAY_MS);
	jval_set(data, "parts", parts);
	return data;
}

static bool bring_to_rest(struct db *db, const struct plan *plan, int64_t no)
{
	struct effect effect = {.kind = EFFECT_RUN_GET};
	struct effect_result got = {.took_ms = 5};
	struct queue_result result = {
		.effect = &effect, .result = &got, .now_ms = plan->now_ms - 2LL * DAY_MS + 60000};
	char run_id[40];
	struct job job = {0};
	int64_t due;

	ok(queue_claim(db, plan->now_ms, 0, &job, &due, &failure));
	snprintf(run_id, sizeof run_id, "%08" PRIx64 "-3c1f-4a8e-9a55-%012" PRIx64,
		 (uint64_t)no * 2654435761u & 0xffffffff, (uint64_t)no);
	json_decref(job.data);
	job.data = data_of(plan, no, run_id);
	str_copy(job.step, sizeof job.step, "follow");
	job.started_at_ms = job.created_at_ms;
	memcpy(job.head_sha, sha, sizeof sha);
	if (no < plan->parked) {
		job.state = JOB_PARKED;
		job.wait_kind = WAIT_RUN;
		job.wait_ref = str_dup(run_id);
		job.due_at_ms = job.deadline_at_ms;
	} else {
		job.state = JOB_DONE;
		job.finished_at_ms = job.created_at_ms + 600000;
	}
	result.job = &job;
	ok(queue_step_result(db, &result, &failure));
	job_dispose(&job);
	return true;
}

/* Whatever is due counts as sent to GitHub. */
static bool show_all(struct db *db, const struct plan *plan)
{
	for (;;) {
		struct outbox_row row = {0};
		int64_t next;

		if (outbox_next(db, plan->now_ms, NULL, 0, &row, &next, &failure) != ERR_OK)
			return true;
		ok(outbox_sent(db, row.id, row.version, 4420000000 + row.id, "", &failure));
		outbox_row_dispose(&row);
	}
}

static bool fill(struct db *db, const struct plan *plan)
{
	int64_t count = plan->parked + plan->done;

	ok(store_script(db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000", &failure));
	for (int64_t no = 0; no < count;) {
		ok(db_begin(db, &failure));
		for (int i = 0; i < GROUP && no < count; i++, no++)
			if (!receive_one(db, plan, no) || !bring_to_rest(db, plan, no) ||
			    !show_all(db, plan))
				return false;
		ok(db_commit(db, &failure));
		db_checkpoint(db, true);
	}
	return true;
}

static bool find_step(struct plan *plan)
{
	plan->command = command_by_name(&commands, "build_run");
	must(plan->command);
	return job_step(plan->command->steps, "follow") != NULL;
}

int main(int argc, char **argv)
{
	struct plan plan = {.namespaces = 5, .now_ms = clock_now_ms()};
	int64_t *const numbers[] = {&plan.parked, &plan.done, &plan.namespaces};
	struct db *db;
	bool good;

	for (int i = 2; i < argc; i++)
		if (i > 4 || !str_to_int64(numbers[i - 2], argv[i]))
			argc = 0;
	if (argc < 3 || plan.namespaces < 1) {
		fprintf(stderr, "usage: bench_fill FILE PARKED [DONE [NAMESPACES]]\n");
		return 2;
	}
	log_set_level(LOG_LEVEL_ERROR);
	must(find_step(&plan));
	if (db_open(&db, argv[1], plan.now_ms, &failure)) {
		fprintf(stderr, "%s\n", failure.msg);
		return 1;
	}
	good = fill(db, &plan);
	db_close(db);
	return good ? 0 : 1;
}
