/* test_queue.c - receiving, order, ends, waking, cancelling, repeating: what people can cause. */
#include "tests/unit/store/store_kit.h"

/* --- conversations: a few lines in, every job's state out --- */

/* Lines: "say PR COMMENT commands", "keep PR COMMENT commands" (--keep-going), "late PR COMMENT
 * commands", "claim" (a worker takes the next job and holds it), "park ID", "end ID STATE",
 * "work STATE" (claim and end), "cancel ID" (0: all), "closed PR", "due" (a day later),
 * "restart". */
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
	json_t *said = NULL;

	KIT_BEGIN(&stage->kit);
	assert_ok(&stage->kit, queue_cancel(stage->kit.db, REPO, 1, atoll(rest), 0, "bob",
					    stage->clock, &said, &stage->kit.err));
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
	if (str_eq(verb, "say") || str_eq(verb, "keep") || str_eq(verb, "late"))
		do_say(stage, verb, rest);
	else if (str_eq(verb, "claim") || str_eq(verb, "park") || str_eq(verb, "end"))
		do_hold(stage, verb, rest);
	else if (str_eq(verb, "work"))
		assert_true(kit_work(&stage->kit, state_named(rest), stage->clock) > 0);
	else if (str_eq(verb, "cancel"))
		do_cancel(stage, rest);
	else if (str_eq(verb, "closed"))
		assert_int_equal(
			kit_receive(&stage->kit, &(struct kit_event){.kind = EVENT_PULL_REQUEST,
								     .pr = atoll(rest),
								     .at_ms = stage->clock,
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
	assert_int_equal(job.crashes, 1);
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
	assert_int_equal(queue_claim(kit.db, T0, &job, &next, &kit.err), ERR_NOT_FOUND);
	KIT_COMMIT(&kit);
	assert_int_equal(next, T0 + 10);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0 + 99), 2);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0 + 99), 3);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0 + 20), 0);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0 + 50), 1);
	KIT_BEGIN(&kit);
	assert_int_equal(queue_claim(kit.db, T0, &job, &next, &kit.err), ERR_NOT_FOUND);
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
		assert_int_equal(job.crashes, 1);
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

static void park(struct kit *kit, const char *ref)
{
	struct job job;

	assert_true(kit_claim(kit, &job, T0));
	job.wait_kind = WAIT_RUN;
	job.wait_ref = str_dup(ref);
	job.due_at_ms = T0 + HOUR_MS;
	kit_move(kit, &job, JOB_PARKED, T0);
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
		park(&kit, ref);
	}
	assert_ok(&kit, queue_parked(kit.db, WAIT_RUN, 1, 10, collect, &text, &kit.err));
	assert_string_equal(buf_text(&text), "2=r2 3=r3 ");
	assert_ok(&kit, queue_parked(kit.db, WAIT_RUN, 0, 1, collect, &text, &kit.err));
	assert_string_equal(buf_text(&text), "2=r2 3=r3 1=r1 ");
	assert_ok(&kit, queue_next_due(kit.db, &claim_ms, &parked_ms, &kit.err));
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

/* --- repeating --- */

static void test_retry(void **state)
{
	static const struct {
		const char *name;
		enum job_state before;
		int64_t job_id;
		enum err_class expect;
		const char *code;
	} cases[] = {
		{"failed", JOB_FAILED, 1, ERR_OK, ""},
		{"the newest", JOB_EXPIRED, 0, ERR_OK, ""},
		{"dead", JOB_DEAD, 1, ERR_OK, ""},
		{"cancelled", JOB_CANCELLED, 1, ERR_OK, ""},
		{"succeeded", JOB_DONE, 1, ERR_CONFLICT, "job.succeeded"},
		{"nothing failed", JOB_DONE, 0, ERR_NOT_FOUND, "job.none"},
		{"unfinished", JOB_BACKOFF, 1, ERR_CONFLICT, "job.unfinished"},
		{"unknown", JOB_FAILED, 55, ERR_NOT_FOUND, "job.unknown"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct job job, as, made;
		json_t *out = NULL, *again = NULL;
		enum err_class class;
		struct kit kit;

		kit_start(&kit);
		kit_receive(&kit,
			    &(struct kit_event){.pr = 1, .comment_id = 10, .commands = "run"});
		assert_true(kit_claim(&kit, &job, T0));
		memset(job.head_sha, 'a', 40);
		job.due_at_ms = T0 + HOUR_MS;
		kit_move(&kit, &job, cases[i].before, T0);
		kit_receive(&kit,
			    &(struct kit_event){.pr = 1, .comment_id = 20, .commands = "retry"});
		assert_ok(&kit, queue_load(kit.db, 2, &as, &kit.err));
		KIT_BEGIN(&kit);
		class = queue_retry(kit.db, cases[i].job_id, &as, T0 + 9, &out, &kit.err);
		if (class != cases[i].expect || (class && !str_eq(kit.err.code, cases[i].code)))
			fail_msg("%s: %d %s", cases[i].name, (int)class, kit.err.msg);
		if (class == ERR_OK) {
			assert_ok(&kit, queue_retry(kit.db, cases[i].job_id, &as, T0 + 10, &again,
						    &kit.err));
			assert_true(json_equal(out, again));
			assert_int_equal(jval_int(out, "retry_of", 0), 1);
			assert_ok(&kit,
				  queue_load(kit.db, jval_int(out, "id", 0), &made, &kit.err));
			assert_string_equal(made.command, "run");
			assert_int_equal(strlen(made.head_sha), 40);
			assert_int_equal(made.comment_id, 20);
			assert_int_equal(made.cmd_no, 1);
			assert_int_equal(made.state, JOB_BLOCKED);
			assert_string_equal(jval_str(made.args, "arg", ""), "run");
			job_dispose(&made);
		}
		KIT_COMMIT(&kit);
		json_decref(out);
		json_decref(again);
		job_dispose(&as);
		kit_end(&kit);
	}
}

static void test_rerun(void **state)
{
	struct job job;
	struct kit kit;
	char uid[27];

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 10, .commands = "build run"});
	kit_text(&kit, uid, sizeof uid, "SELECT uid FROM jobs WHERE id = 1");
	static const struct {
		const char *name;
		int64_t repo_id;
		const char *uid;
		enum job_state end_first;
		enum queue_outcome expect;
	} cases[] = {
		{"unfinished", REPO, NULL, JOB_READY, QUEUE_NOTED},
		{"not ours", REPO, "deadbeef", JOB_FAILED, QUEUE_NOTED},
		{"unknown uid", REPO, "01J0000000ZZZZZZZZZZZZZZZZ", JOB_READY, QUEUE_NOTED},
		{"another repository", 5, NULL, JOB_READY, QUEUE_NOTED},
		{"failed one", REPO, NULL, JOB_READY, QUEUE_STORED},
		{"pressed twice", REPO, NULL, JOB_READY, QUEUE_NOTED},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit_event event = {.kind = EVENT_CHECK_RERUN,
					  .action = "rerequested",
					  .repo_id = cases[i].repo_id,
					  .external_id = cases[i].uid ? cases[i].uid : uid};

		if (cases[i].end_first)
			assert_int_equal(kit_work(&kit, cases[i].end_first, T0 + 1), 1);
		if (kit_receive(&kit, &event) != cases[i].expect)
			fail_msg("%s", cases[i].name);
	}
	assert_ok(&kit, queue_load(kit.db, 3, &job, &kit.err));
	assert_string_equal(job.command, "build");
	assert_int_equal(job.cmd_no, 2);
	assert_int_equal(job.comment_id, 10);
	job_dispose(&job);
	kit_end(&kit);
}

/* --- heads --- */

static void test_heads(void **state)
{
	static const struct {
		int64_t at;
		const char *expect; /* first letter; NULL: none */
	} asked[] = {{T0 - 1, NULL}, {T0, "a"}, {T0 + 9, "a"}, {T0 + 10, "b"}, {T0 + 99, "b"}};
	static const struct {
		const char *action;
		char letter;
		int64_t at;
	} events[] = {{"synchronize", 'b', T0 + 10},
		      {"opened", 'a', T0},
		      {"edited", 'c', T0 + 20},
		      {"synchronize", 'x', T0 + 30}};
	struct kit kit;
	char sha[65];

	(void)state;
	kit_start(&kit);
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		memset(sha, events[i].letter, 40);
		sha[40] = '\0';
		kit_receive(&kit, &(struct kit_event){.kind = EVENT_PULL_REQUEST,
						      .pr = 4,
						      .action = events[i].action,
						      .head_sha = sha,
						      .said_at_ms = events[i].at});
	}
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		enum err_class class = queue_head(kit.db, REPO, 4, asked[i].at, sha, &kit.err);

		assert_int_equal(class, asked[i].expect ? ERR_OK : ERR_NOT_FOUND);
		if (asked[i].expect)
			assert_int_equal(sha[0], asked[i].expect[0]);
	}
	kit_end(&kit);
}

/* --- looking, counting, forgetting --- */

static void test_list_and_count(void **state)
{
	struct queue_counts counts;
	json_t *list = NULL;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 10, .commands = "build"});
	kit_work(&kit, JOB_FAILED, T0);
	kit_receive(&kit, &(struct kit_event){
				  .pr = 1, .comment_id = 11, .commands = "build run build_run"});
	kit_receive(&kit, &(struct kit_event){.pr = 2, .comment_id = 12, .commands = "run"});
	park(&kit, "r");
	assert_ok(&kit, queue_list(kit.db, REPO, 1, 10, &list, &kit.err));
	assert_int_equal(json_array_size(list), 4);
	assert_int_equal(jval_int(json_array_get(list, 0), "id", 0), 2);
	assert_int_equal(jval_int(json_array_get(list, 2), "position", 0), 2);
	assert_string_equal(jval_str(json_array_get(list, 3), "state", ""), "failed");
	json_decref(list);
	assert_ok(&kit, queue_list(kit.db, REPO, 0, 10, &list, &kit.err));
	assert_int_equal(json_array_size(list), 5);
	json_decref(list);
	assert_ok(&kit, queue_list(kit.db, 0, 0, 2, &list, &kit.err));
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
	assert_ok(&kit, queue_count(kit.db, T0 + 100, &counts, &kit.err));
	assert_int_equal(counts.by_state[JOB_READY], 1);
	assert_int_equal(counts.by_state[JOB_PARKED], 1);
	assert_int_equal(counts.by_state[JOB_BLOCKED], 2);
	assert_int_equal(counts.by_state[JOB_FAILED], 1);
	assert_int_equal(counts.overdue, 0);
	assert_int_equal(counts.outbox_waiting, 3);
	assert_int_equal(counts.outbox_oldest_ms, 100);
	assert_ok(&kit, queue_count(kit.db, T0 + 25 * (int64_t)HOUR_MS, &counts, &kit.err));
	assert_int_equal(counts.overdue, 4);
	kit_end(&kit);
}

static void test_prune(void **state)
{
	const int64_t day = 24 * (int64_t)HOUR_MS;
	int64_t deleted, total = 0;
	struct queue_counts counts;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (int64_t i = 1; i <= 40; i++) {
		kit_receive(&kit, &(struct kit_event){.pr = i,
						      .comment_id = i,
						      .commands = "run",
						      .at_ms = T0 + i * day});
		if (i % 10)
			kit_work(&kit, i % 10 == 5 ? JOB_DEAD : JOB_DONE, T0 + i * day);
	}
	assert_int_equal(
		sqlite3_exec(kit.db->sql, "UPDATE outbox SET sent_version = version", 0, 0, 0),
		SQLITE_OK);
	for (int i = 0; i < 20; i++) {
		KIT_BEGIN(&kit);
		assert_ok(&kit, queue_prune(kit.db, T0 + 41 * day, 1, 20, 7, &deleted, &kit.err));
		KIT_COMMIT(&kit);
		total += deleted;
	}
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM deliveries"), 8);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM jobs WHERE state = 0"), 4);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM jobs WHERE state = 14"), 4);
	assert_int_equal(kit_number(&kit, "SELECT min(finished_at) FROM jobs WHERE state = 10"),
			 T0 + 21 * day);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM outbox"), 20);
	assert_int_equal(total, 32 + 16 + 20);
	assert_ok(&kit, queue_count(kit.db, T0, &counts, &kit.err));
	assert_int_equal(counts.by_state[JOB_DONE],
			 kit_number(&kit, "SELECT count(*) FROM jobs WHERE state = 10"));
	assert_int_equal(counts.by_state[JOB_DEAD], 4);
	kit_end(&kit);
}

/* --- no statement of the hot paths may walk a table --- */

static void test_plans(void **state)
{
	static const enum stmt hot[] = {
		STMT_DELIVERY_ADD,   STMT_JOB_ADD,
		STMT_LINE_ANY,	     STMT_LINE_NEWER,
		STMT_LINE_SUPERSEDE, STMT_LINE_CLOSE,
		STMT_HEAD_GET,	     STMT_LINE_HELD,
		STMT_LINE_FIRST,     STMT_LINE_HOLD_BACK,
		STMT_LINE_GO,	     STMT_CLAIM,
		STMT_CLAIM_NEXT,     STMT_LEASED,
		STMT_STEP_INTENT,    STMT_STEP_OPEN,
		STMT_STEP_RESULT,    STMT_JOB_UPDATE,
		STMT_JOB_GO_ON,	     STMT_JOB_FINISH,
		STMT_JOB_LEASED,     STMT_GROUP_STOP,
		STMT_WAKE_REF,	     STMT_WAKE_DUE,
		STMT_WAITING_NEXT,   STMT_PARKED,
		STMT_CANCEL_ALL,     STMT_RETRY_MADE,
		STMT_RETRY_NEWEST,   STMT_RERUN_UNDER_WAY,
		STMT_LIST_OPEN_PR,   STMT_LIST_OPEN_REPO,
		STMT_LIST_FINAL_PR,  STMT_POSITION,
		STMT_ORPHANS_FREE,   STMT_JOB_LAST_ID,
		STMT_OUTBOX_PUT,     STMT_OUTBOX_INSTALLATION,
		STMT_OUTBOX_FIRST,   STMT_OUTBOX_SENT,
		STMT_OUTBOX_RETRY,   STMT_OUTBOX_REMOTE,
	};
	static const char *const texts[] = {
#define STMT(symbol, text) [STMT_##symbol] = text,
#include "lib/store/statements.def"
#undef STMT
	};
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (size_t i = 0; i < ARRAY_LEN(hot); i++) {
		char *sql = str_printf("EXPLAIN QUERY PLAN %s", texts[hot[i]]);
		sqlite3_stmt *stmt;

		assert_int_equal(sqlite3_prepare_v2(kit.db->sql, sql, -1, &stmt, NULL), SQLITE_OK);
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			const char *line = (const char *)sqlite3_column_text(stmt, 3);
			bool partial = strstr(line, "_due") || strstr(line, "_waiting") ||
				       strstr(line, "_leased");

			if (str_starts(line, "SCAN") && !partial &&
			    !str_starts(line, "SCAN CONSTANT"))
				fail_msg("%s\n  %s", texts[hot[i]], line);
		}
		sqlite3_finalize(stmt);
		mem_free(sql);
	}
	kit_end(&kit);
}

/* --- every statement is one that SQLite accepts --- */

static void test_statements(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
#define STMT(symbol, text)                                                                         \
	do {                                                                                       \
		sqlite3_stmt *stmt = NULL;                                                         \
		if (sqlite3_prepare_v2(kit.db->sql, text, -1, &stmt, NULL) != SQLITE_OK)           \
			fail_msg("%s: %s", #symbol, sqlite3_errmsg(kit.db->sql));                  \
		sqlite3_finalize(stmt);                                                            \
	} while (0);
#include "lib/store/statements.def"
#undef STMT
	kit_end(&kit);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_conversations),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_first_words),
		cmocka_unit_test(test_refusal_words),
		cmocka_unit_test(test_claim_order),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_lease_is_checked),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_wait_ends_at_deadline),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_rerun),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_list_and_count),
		cmocka_unit_test(test_prune),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
