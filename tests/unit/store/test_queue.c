/* test_queue.c - receiving, order, ends, waking, cancelling, repeating: what people can cause. */
#include "tests/unit/store/store_kit.h"

/* --- conversations: a few lines in, every job's state out --- */

/* Lines: "say PR COMMENT commands", "keep PR COMMENT commands" (--keep-going), "late PR COMMENT
 * commands", "other PR COMMENT commands" (somebody else), "claim" (a worker takes the next job and
 * holds it), "park ID", "end ID STATE", "work STATE" (claim and end), "cancel ID" (0: all), "closed
 * PR", "merged PR", "due" (a day later), "restart". */
static const struct conversation {
	const char *name;
	const char *lines;
	const char *expect;
} conversations[] = {
	{"one command is ready", "say 1 10 build", "1 ready"},
	{"two pull requests do not wait for each other", "say 1 10 build; say 2 11 build",
	 "1 ready, 2 ready"},
	{"the second command waits", "say 1 10 build; say 1 11 run", "1 ready, 2 blocked"},
	{"the same command twice: the queued one goes",
	 "say 1 10 build; claim; say 1 11 run; "
	 "say 1 12 run",
	 "1 running, 2 ready>superseded, 3 blocked"},
	{"not even claimed yet: superseded too", "say 1 10 build; say 1 11 build",
	 "1 ready>superseded, 2 ready"},
	{"somebody else's command takes nobody's place",
	 "say 1 10 build; claim; say 1 11 run; other 1 12 run", "1 running, 2 blocked, 3 blocked"},
	{"an older one of somebody else keeps its place too",
	 "say 1 9 build; claim; say 1 12 run; other 1 11 run", "1 running, 2 blocked, 3 blocked"},
	{"a started one is never superseded", "say 1 10 build; claim; say 1 11 build",
	 "1 running, 2 blocked"},
	{"a parked one is never superseded", "say 1 10 build; claim; park 1; say 1 11 build",
	 "1 parked, 2 blocked"},
	{"an older comment comes late and goes first", "say 1 11 run; say 1 10 build",
	 "1 blocked, 2 ready"},
	{"an older comment comes late, but the newer has started",
	 "say 1 11 run; claim; say 1 10 build", "1 running, 2 blocked"},
	{"three out of order",
	 "say 1 12 run; claim; say 1 11 build_run; say 1 10 build; end 1 done",
	 "1 done, 2 blocked, 3 ready"},
	{"a late older one finds its command given again",
	 "say 1 12 run; claim; say 1 11 build; "
	 "say 1 10 build",
	 "1 running, 2 blocked, 3 ready>superseded"},
	{"the next one gets the turn", "say 1 10 build; say 1 11 run; work done",
	 "1 done, 2 ready"},
	{"the next one gets the turn after a failure of another comment",
	 "say 1 10 build; say 1 11 run; work failed", "1 failed, 2 ready"},
	{"a superseded one is ended and told",
	 "say 1 10 build; claim; say 1 11 run; say 1 12 run; "
	 "work done",
	 "1 running, 2 superseded, 3 blocked"},
	{"read-only commands never wait", "say 1 10 build; claim; say 1 11 status",
	 "1 running, 2 ready"},
	{"read-only commands never block", "say 1 10 status; claim; say 1 11 build",
	 "1 running, 2 ready"},
	{"a read-only end frees nobody",
	 "say 1 10 build; claim; say 1 11 run; say 1 12 status; "
	 "work done",
	 "1 running, 2 blocked, 3 done"},
	{"a group goes in order", "say 1 10 build run", "1 ready, 2 blocked"},
	{"a group's success goes on", "say 1 10 build run; work done", "1 done, 2 ready"},
	{"a group's failure stops the rest", "say 1 10 build run build_run; work failed",
	 "1 failed, 2 ready>cancelled, 3 ready>cancelled"},
	{"keep-going", "keep 1 10 build run; work failed", "1 failed, 2 ready"},
	{"a stopped group does not stop the next comment",
	 "say 1 10 build run; say 1 11 build_run; "
	 "work failed; work done",
	 "1 failed, 2 cancelled, 3 ready"},
	{"too late comments end unstarted", "late 1 10 build run",
	 "1 ready>expired, 2 ready>expired"},
	{"a late comment does not disturb the line", "say 1 11 build; claim; late 1 10 build",
	 "1 running, 2 ready>expired"},
	{"cancel what is queued", "say 1 10 build; claim; say 1 11 run; cancel 2",
	 "1 running, 2 ready>cancelled"},
	{"cancel what has the turn but has not started", "say 1 10 build; say 1 11 run; cancel 1",
	 "1 ready>cancelled, 2 ready"},
	{"cancel what is parked: its steps must stop it",
	 "say 1 10 build; claim; park 1; say 1 11 run; "
	 "cancel 1",
	 "1 ready, 2 blocked"},
	{"cancel what runs: marked only", "say 1 10 build; claim; cancel 1", "1 running"},
	{"cancelled while running, would park: is looked at at once",
	 "say 1 10 build; claim; cancel 1; "
	 "park 1",
	 "1 ready"},
	{"cancel all",
	 "say 1 10 build; claim; say 1 11 run; say 1 12 build_run; say 2 13 build; "
	 "cancel 0",
	 "1 running, 2 ready>cancelled, 3 ready>cancelled, 4 ready"},
	{"cancelling twice changes nothing", "say 1 10 build; say 1 11 run; cancel 1; cancel 1",
	 "1 ready>cancelled, 2 ready"},
	{"a cancelled group member stops its group", "say 1 10 build run; cancel 1; work done",
	 "1 cancelled, 2 ready>cancelled"},
	{"closing ends what has not started", "say 1 10 build; claim; say 1 11 run; closed 1",
	 "1 running, 2 ready>cancelled"},
	{"closing stops what deploys: its steps must stop it",
	 "say 1 10 deploy; claim; park 1; say 1 11 run; closed 1", "1 ready, 2 ready>cancelled"},
	{"closing stops what deploys at its next wait", "say 1 10 deploy; claim; closed 1; park 1",
	 "1 ready"},
	{"closing lets what runs go on", "say 1 10 run; claim; park 1; closed 1", "1 parked"},
	{"a merge stops nothing", "say 1 10 deploy; claim; park 1; merged 1", "1 parked"},
	{"closing another pull request stops nothing", "say 1 10 deploy; claim; park 1; closed 2",
	 "1 parked"},
	{"closing another pull request ends nothing", "say 1 10 build; say 1 11 run; closed 2",
	 "1 ready, 2 blocked"},
	{"a blocked job does not outlive its deadline", "say 1 10 build; claim; say 1 11 run; due",
	 "1 running, 2 ready>expired"},
	{"a parked job is looked at when due", "say 1 10 build; claim; park 1; due", "1 ready"},
	{"a restart frees what was leased", "say 1 10 build; say 1 11 run; claim; restart",
	 "1 ready, 2 blocked"},
	{"a job that started keeps its turn through a restart",
	 "say 1 11 run; claim; restart; say 1 10 build", "1 ready, 2 blocked"},
};

struct stage {
	struct kit kit;
	struct job held[8];
	int64_t clock;
};

static struct job *held_job(struct stage *stage, int64_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(stage->held); i++)
		if (stage->held[i].id == id)
			return &stage->held[i];
	fail_msg("job %d is not held", (int)id);
	return NULL;
}

static enum job_state state_named(const char *name)
{
	for (int state = JOB_READY; state <= JOB_EXPIRED; state++)
		if (str_eq(job_state_name((enum job_state)state), name))
			return (enum job_state)state;
	fail_msg("no state %s", name);
	return JOB_READY;
}

static void do_say(struct stage *stage, const char *verb, const char *rest)
{
	struct kit_event event = {.keep_going = str_eq(verb, "keep"),
				  .refuse_late = str_eq(verb, "late"),
				  .is_other = str_eq(verb, "other"),
				  .at_ms = stage->clock};
	char commands[64];
	long long pr, comment;

	assert_int_equal(sscanf(rest, "%lld %lld %63[^\n]", &pr, &comment, commands), 3);
	event.pr = pr;
	event.comment_id = comment;
	event.commands = commands;
	assert_int_equal(kit_receive(&stage->kit, &event), QUEUE_STORED);
}

static void do_cancel(struct stage *stage, const char *rest)
{
	struct job bob = kit_bob(1);
	json_t *said = NULL;

	KIT_BEGIN(&stage->kit);
	assert_ok(&stage->kit, kit_cancel_raw(&stage->kit, &bob, atoll(rest), stage->clock, &said));
	KIT_COMMIT(&stage->kit);
	assert_true(json_array_size(said) > 0);
	json_decref(said);
}

static void do_hold(struct stage *stage, const char *verb, const char *rest)
{
	char state[32] = "parked";
	long long id = 0;
	struct job *job;

	if (str_eq(verb, "claim")) {
		assert_true(kit_claim(&stage->kit, held_job(stage, 0), stage->clock));
		return;
	}
	assert_true(sscanf(rest, "%lld %31s", &id, state) >= 1);
	job = held_job(stage, id);
	job->wait_kind = WAIT_RUN;
	mem_free(job->wait_ref);
	job->wait_ref = str_dup("run-1");
	job->due_at_ms = stage->clock + HOUR_MS;
	kit_move(&stage->kit, job, state_named(state), stage->clock);
}

static void do_time(struct stage *stage)
{
	int64_t woken;

	stage->clock += 25 * (int64_t)HOUR_MS;
	KIT_BEGIN(&stage->kit);
	assert_ok(&stage->kit,
		  queue_wake_due(stage->kit.db, stage->clock, 100, &woken, &stage->kit.err));
	KIT_COMMIT(&stage->kit);
	assert_int_equal(woken, 1);
}

static void do_line(struct stage *stage, const char *line)
{
	char verb[16] = "";
	int used = 0;
	const char *rest;

	assert_int_equal(sscanf(line, "%15s %n", verb, &used), 1);
	rest = line + used;
	stage->clock++;
	if (str_eq(verb, "say") || str_eq(verb, "keep") || str_eq(verb, "late") ||
	    str_eq(verb, "other"))
		do_say(stage, verb, rest);
	else if (str_eq(verb, "claim") || str_eq(verb, "park") || str_eq(verb, "end"))
		do_hold(stage, verb, rest);
	else if (str_eq(verb, "work"))
		assert_true(kit_work(&stage->kit, state_named(rest), stage->clock) > 0);
	else if (str_eq(verb, "cancel"))
		do_cancel(stage, rest);
	else if (str_eq(verb, "closed") || str_eq(verb, "merged"))
		assert_int_equal(kit_receive(&stage->kit,
					     &(struct kit_event){.kind = EVENT_PULL_REQUEST,
								 .pr = atoll(rest),
								 .at_ms = stage->clock,
								 .merged = str_eq(verb, "merged"),
								 .action = "closed"}),
				 QUEUE_NOTED);
	else if (str_eq(verb, "due"))
		do_time(stage);
	else if (str_eq(verb, "restart")) {
		kit_crash(&stage->kit);
		kit_open(&stage->kit);
	} else
		fail_msg("what is \"%s\"?", line);
}

static void test_conversations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(conversations); i++) {
		const struct conversation *it = &conversations[i];
		struct stage stage = {.clock = T0};
		char lines[512], *save = NULL;

		kit_start(&stage.kit);
		str_copy(lines, sizeof lines, it->lines);
		for (char *line = strtok_r(lines, ";", &save); line;
		     line = strtok_r(NULL, ";", &save))
			do_line(&stage, line);
		if (!str_eq(kit_line(&stage.kit, 9), it->expect))
			fail_msg("%s:\n  got    %s\n  expect %s", it->name, kit_line(&stage.kit, 9),
				 it->expect);
		for (size_t j = 0; j < ARRAY_LEN(stage.held); j++)
			job_dispose(&stage.held[j]);
		kit_end(&stage.kit);
	}
}

/* --- doubles --- */

static void test_doubles(void **state)
{
	static const struct {
		const char *name;
		struct kit_event event;
		enum queue_outcome expect;
		int64_t jobs, deliveries, wishes;
	} cases[] = {
		{"first",
		 {.pr = 1, .comment_id = 10, .commands = "build run", .guid = 1},
		 QUEUE_STORED,
		 2,
		 1,
		 1},
		{"same GUID",
		 {.pr = 1, .comment_id = 10, .commands = "build run", .guid = 1},
		 QUEUE_DUPLICATE,
		 2,
		 1,
		 1},
		{"same comment through another hook",
		 {.pr = 1, .comment_id = 10, .commands = "build run", .guid = 2},
		 QUEUE_DUPLICATE,
		 2,
		 2,
		 1},
		{"same GUID, other content",
		 {.pr = 9, .comment_id = 99, .commands = "run", .guid = 2},
		 QUEUE_DUPLICATE,
		 2,
		 2,
		 1},
		{"refusal",
		 {.pr = 1, .comment_id = 11, .refusal = "Unknown command.", .guid = 3},
		 QUEUE_STORED,
		 2,
		 3,
		 3},
		{"refusal through another hook",
		 {.pr = 1, .comment_id = 11, .refusal = "Unknown command.", .guid = 4},
		 QUEUE_DUPLICATE,
		 2,
		 4,
		 3},
		{"comment without command",
		 {.pr = 1, .comment_id = 12, .guid = 5},
		 QUEUE_NOTED,
		 2,
		 5,
		 3},
		{"ping", {.kind = EVENT_PING, .guid = 6}, QUEUE_NOTED, 2, 6, 3},
		{"installation",
		 {.kind = EVENT_INSTALLATION, .action = "created", .guid = 7},
		 QUEUE_NOTED,
		 2,
		 7,
		 3},
		{"another repository's comment of the same number",
		 {.pr = 1, .comment_id = 10, .commands = "build", .guid = 8, .repo_id = 78},
		 QUEUE_STORED,
		 3,
		 8,
		 3},
	};
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum queue_outcome out = kit_receive(&kit, &cases[i].event);

		if (out != cases[i].expect ||
		    kit_number(&kit, "SELECT count(*) FROM jobs") != cases[i].jobs ||
		    kit_number(&kit, "SELECT count(*) FROM deliveries") != cases[i].deliveries ||
		    kit_number(&kit, "SELECT count(*) FROM outbox") != cases[i].wishes)
			fail_msg("%s: outcome %d", cases[i].name, (int)out);
	}
	kit_end(&kit);
}

/* --- what a new job and its first wishes look like --- */

static void test_first_words(void **state)
{
	struct kit kit;
	struct job job;
	struct outbox_row row;
	int64_t next;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 7,
					      .comment_id = 10,
					      .commands = "build_run",
					      .installation_id = 3});
	assert_true(kit_claim(&kit, &job, T0));
	assert_int_equal(job.id, 1);
	assert_int_equal(store_uid_job(job.uid), 1);
	assert_int_equal(store_uid_job("01J000000000000000000000"), 0);
	assert_string_equal(job.repo, "acme/iris");
	assert_string_equal(job.actor, "ann");
	assert_string_equal(job.line, "/build_run");
	assert_string_equal(jval_str(job.args, "arg", ""), "build_run");
	assert_int_equal(json_object_size(job.data), 0);
	assert_int_equal(job.installation_id, 3);
	assert_int_equal(job.deadline_at_ms, T0 + 24 * HOUR_MS);
	assert_int_equal(job.crashes, 0);
	assert_int_equal(job.started_at_ms, T0);
	assert_ok(&kit, outbox_next(kit.db, T0, NULL, 0, &row, &next, &kit.err));
	assert_string_equal(row.slot, "eyes:10");
	assert_int_equal(row.kind, SLOT_REACTION);
	assert_int_equal(row.installation_id, 3);
	assert_string_equal(row.job_uid, job.uid);
	assert_string_equal(jval_str(row.want, "content", ""), "eyes");
	assert_int_equal(jval_int(row.want, "comment_id", 0), 10);
	outbox_row_dispose(&row);
	kit_move(&kit, &job, JOB_DONE, T0);
	kit_end(&kit);
}

static void test_refusal_words(void **state)
{
	char want[512];
	struct kit kit;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit,
		    &(struct kit_event){.pr = 7, .comment_id = 10, .refusal = "No `/biuld`."});
	kit_text(&kit, want, sizeof want, "SELECT want FROM outbox WHERE slot = 'end:10'");
	assert_string_equal(want, "{\"comment_id\":10,\"content\":\"confused\"}");
	kit_text(&kit, want, sizeof want, "SELECT want FROM outbox WHERE slot = 'refusal:10'");
	assert_string_equal(want, "{\"body\":\"<!-- kf:v1 refusal=10 -->\\nNo `/biuld`.\","
				  "\"marker\":\"<!-- kf:v1 refusal=10 -->\"}");
	kit_end(&kit);
}

static void close_pull(struct kit *kit, int64_t closed_at_ms)
{
	kit_receive(kit, &(struct kit_event){.kind = EVENT_PULL_REQUEST,
					     .pr = 1,
					     .at_ms = T0 + 50,
					     .said_at_ms = closed_at_ms,
					     .action = "closed"});
}

/* Told twice it is stopped once; one that was asked for after the closing is not meant. */
static void test_closing_says_why(void **state)
{
	static const char audit[] = "SELECT actor || ' ' || code || ' ' || effect || ' ' || after "
				    "FROM audit WHERE code = 'pull.closed'";
	char text[128];
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit,
		    &(struct kit_event){
			    .pr = 1, .comment_id = 10, .commands = "deploy", .at_ms = T0 + 20});
	assert_true(kit_claim(&kit, &job, T0 + 20));
	job.due_at_ms = T0 + HOUR_MS;
	kit_move(&kit, &job, JOB_PARKED, T0 + 20);
	close_pull(&kit, T0 + 10); /* reopened since */
	assert_false(kit_claim(&kit, &job, T0 + 60));
	close_pull(&kit, T0 + 30);
	close_pull(&kit, T0 + 30);
	kit_text(&kit, text, sizeof text, audit);
	assert_string_equal(text, "ann pull.closed store.cancel state=cancelling");
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit"), 1);
	assert_true(kit_claim(&kit, &job, T0 + 60));
	assert_true(job_is_closed(&job));
	assert_int_equal(job.end_state, JOB_READY);
	assert_string_equal(job.cancelled_by, "ann");
	kit_move(&kit, &job, JOB_CANCELLED, T0 + 60);
	kit_end(&kit);
}

/* --- claiming, steps, waking --- */

static void test_claim_order(void **state)
{
	static const int64_t due[] = {T0 + 50, T0 + 10, T0 + 30};
	struct kit kit;
	struct job job;
	int64_t next = 0;

	(void)state;
	kit_start(&kit);
	for (size_t i = 0; i < ARRAY_LEN(due); i++)
		kit_receive(&kit, &(struct kit_event){.pr = (int64_t)i + 1,
						      .comment_id = (int64_t)i + 10,
						      .commands = "build",
						      .at_ms = due[i]});
	KIT_BEGIN(&kit);
	assert_int_equal(queue_claim(kit.db, T0, 0, &job, &next, &kit.err), ERR_NOT_FOUND);
	KIT_COMMIT(&kit);
	assert_int_equal(next, T0 + 10);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0 + 99), 2);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0 + 99), 3);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0 + 20), 0);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0 + 50), 1);
	KIT_BEGIN(&kit);
	assert_int_equal(queue_claim(kit.db, T0, 0, &job, &next, &kit.err), ERR_NOT_FOUND);
	KIT_COMMIT(&kit);
	assert_true(next == INT64_MAX);
	kit_end(&kit);
}

static void step(struct kit *kit, struct job *job, enum err_class class, bool in_doubt,
		 enum job_state state)
{
	struct effect effect = {.kind = EFFECT_RUN_CREATE, .args = json_pack("{s:s}", "name", "x")};
	struct effect_result got = {
		.err = {.class = class, .in_doubt = in_doubt, .msg = "it is down"},
		.data = json_pack("{s:s}", "run_id", "r1"),
		.took_ms = 40};
	struct queue_result result = {
		.job = job, .effect = &effect, .result = &got, .now_ms = T0 + 100};

	job->state = state;
	job->due_at_ms = T0 + 200;
	KIT_BEGIN(kit);
	assert_ok(kit, queue_step_intent(kit->db, job, &effect, T0 + 60, &kit->err));
	KIT_COMMIT(kit);
	KIT_BEGIN(kit);
	assert_ok(kit, queue_step_result(kit->db, &result, &kit->err));
	KIT_COMMIT(kit);
	json_decref(effect.args);
	json_decref(got.data);
}

static void test_steps(void **state)
{
	static const struct {
		const char *name;
		enum err_class class;
		bool in_doubt;
		const char *phase;
		enum err_class open;
	} cases[] = {
		{"done", ERR_OK, false, "done", ERR_NOT_FOUND},
		{"failed", ERR_TRANSIENT, false, "failed", ERR_NOT_FOUND},
		{"in doubt", ERR_TRANSIENT, true, "open", ERR_OK},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct effect open = {0};
		json_t *steps = NULL;
		struct kit kit;
		struct job job;

		kit_start(&kit);
		kit_receive(&kit,
			    &(struct kit_event){.pr = 1, .comment_id = 10, .commands = "run"});
		assert_true(kit_claim(&kit, &job, T0));
		step(&kit, &job, cases[i].class, cases[i].in_doubt, JOB_BACKOFF);
		assert_int_equal(queue_step_open(kit.db, &job, &open, &kit.err), cases[i].open);
		if (cases[i].open == ERR_OK) {
			assert_int_equal(open.kind, EFFECT_RUN_CREATE);
			assert_string_equal(jval_str(open.args, "name", ""), "x");
		}
		json_decref(open.args);
		assert_ok(&kit, queue_steps(kit.db, 1, &steps, &kit.err));
		assert_string_equal(jval_str(json_array_get(steps, 0), "phase", ""),
				    cases[i].phase);
		assert_string_equal(jval_str(json_array_get(steps, 0), "name", ""),
				    "kfp.create_run");
		assert_int_equal(jval_int(json_array_get(steps, 0), "tries", 0), 1);
		assert_int_equal(jval_int(json_array_get(steps, 0), "started_at_ms", 0), T0 + 60);
		assert_string_equal(jval_str(json_array_get(steps, 0), "error", ""),
				    cases[i].class ? "it is down" : "");
		json_decref(steps);
		job_dispose(&job);
		assert_false(kit_claim(&kit, &job, T0 + 199));
		assert_true(kit_claim(&kit, &job, T0 + 200));
		assert_int_equal(job.crashes, 0);
		job_dispose(&job);
		kit_end(&kit);
	}
}

static void test_lease_is_checked(void **state)
{
	struct kit kit;
	struct job job, copy;
	struct queue_result result = {.now_ms = T0};

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 10, .commands = "run"});
	assert_true(kit_claim(&kit, &job, T0));
	copy = job;
	KIT_BEGIN(&kit);
	copy.state = JOB_BLOCKED;
	result.job = &copy;
	assert_int_equal(queue_step_result(kit.db, &result, &kit.err), ERR_BUG);
	copy.state = JOB_RUNNING;
	assert_ok(&kit, queue_step_result(kit.db, &result, &kit.err));
	copy.state = JOB_DONE;
	assert_ok(&kit, queue_step_result(kit.db, &result, &kit.err));
	assert_int_equal(queue_step_result(kit.db, &result, &kit.err), ERR_CONFLICT);
	assert_int_equal(queue_step_intent(kit.db, &copy, &(struct effect){.kind = EFFECT_PULL}, T0,
					   &kit.err),
			 ERR_CONFLICT);
	KIT_COMMIT(&kit);
	job_dispose(&job);
	kit_end(&kit);
}

static bool collect(void *arg, const struct queue_ref *ref)
{
	struct buf *text = arg;

	buf_printf(text, "%d=%s ", (int)ref->job_id, ref->wait_ref);
	return text->len < 12;
}

static void test_wake(void **state)
{
	static const struct {
		const char *name;
		const char *refs[3];
		size_t count;
		int64_t woken;
		const char *line;
	} cases[] = {
		{"unknown", {"zzz"}, 1, 0, "1 parked, 2 parked, 3 parked"},
		{"one", {"r2"}, 1, 1, "1 parked, 2 ready, 3 parked"},
		{"again, and another", {"r2", "r3"}, 2, 1, "1 parked, 2 ready, 3 ready"},
		{"all", {"r1", "r2", "r3"}, 3, 1, "1 ready, 2 ready, 3 ready"},
	};
	struct buf text AUTO_BUF = buf_make(100);
	int64_t woken, claim_ms, parked_ms;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (int64_t i = 1; i <= 3; i++) {
		char ref[8] = {'r', (char)('0' + i), '\0'};

		kit_receive(&kit, &(struct kit_event){.pr = i, .comment_id = i, .commands = "run"});
		kit_park(&kit, ref);
	}
	assert_ok(&kit, queue_parked(kit.db, WAIT_RUN, 1, 10, collect, &text, &kit.err));
	assert_string_equal(buf_text(&text), "2=r2 3=r3 ");
	assert_ok(&kit, queue_parked(kit.db, WAIT_RUN, 0, 1, collect, &text, &kit.err));
	assert_string_equal(buf_text(&text), "2=r2 3=r3 1=r1 ");
	assert_ok(&kit, queue_claim_due(kit.db, T0, 0, &claim_ms, &kit.err));
	assert_ok(&kit, queue_parked_due(kit.db, &parked_ms, &kit.err));
	assert_true(claim_ms == INT64_MAX && parked_ms == T0 + HOUR_MS);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		KIT_BEGIN(&kit);
		assert_ok(&kit, queue_wake(kit.db, WAIT_RUN, cases[i].refs, cases[i].count, T0 + 5,
					   &woken, &kit.err));
		KIT_COMMIT(&kit);
		if (woken != cases[i].woken || !str_eq(kit_line(&kit, 3), cases[i].line))
			fail_msg("%s: %s", cases[i].name, kit_line(&kit, 3));
	}
	kit_end(&kit);
}

static void test_wait_ends_at_deadline(void **state)
{
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 10, .commands = "run"});
	assert_true(kit_claim(&kit, &job, T0));
	job.due_at_ms = T0 + 1000 * (int64_t)HOUR_MS;
	kit_move(&kit, &job, JOB_PARKED, T0);
	assert_int_equal(kit_number(&kit, "SELECT due_at FROM jobs"), T0 + 24 * HOUR_MS);
	kit_end(&kit);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_first_words),
		cmocka_unit_test(test_refusal_words),
		cmocka_unit_test(test_closing_says_why),
		cmocka_unit_test(test_claim_order),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_lease_is_checked),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_wait_ends_at_deadline),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
