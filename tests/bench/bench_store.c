/* bench_store.c - what the store costs: receiving, step transitions, starting after a kill,
 * looking.
 *
 *   bench_store DIR [JOBS]       JOBS: stored beforehand, default 1000000 (one in ten parked)
 *
 * Prints one line of JSON a figure. Everything goes through the functions the daemon uses, except
 * that the stored jobs are made by SQL, because a million commits would measure something else. */
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/store/queue_wake.h"
#include "lib/store/store_impl.h"

enum { REPO = 7, DAY_MS = 24 * 3600 * 1000 };

static struct err failure;

#define ok(call)                                                                                   \
	do {                                                                                       \
		if ((call) != ERR_OK) {                                                            \
			fprintf(stderr, "%s: %s\n", #call, failure.msg);                           \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Of this process, in microseconds. */
static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Bytes that this process made the kernel write to the disk. */
static double written(void)
{
	FILE *file = fopen("/proc/self/io", "r");
	char line[256];
	double value = 0;

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "write_bytes: %lf", &value) == 1)
			break;
	if (file)
		fclose(file);
	return value;
}

static long rss_kb(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long value = 0;

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "VmRSS: %ld", &value) == 1)
			break;
	if (file)
		fclose(file);
	return value;
}

static void wipe(const char *path)
{
	static const char *const tails[] = {"", "-wal", "-shm", ".lock"};

	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		char *name = str_printf("%s%s", path, tails[i]);

		unlink(name);
		mem_free(name);
	}
}

static const struct command build_run = {.name = "build_run"};
static int64_t comment_no;

static void receive_one(struct db *db, int64_t pr, int64_t now_ms)
{
	static struct event event;
	struct command_call call = {.command = &build_run, .line = NULL};
	struct command_calls calls = {.items = &call, .count = 1};
	struct queue_delivery delivery = {.event = &event, .received_at_ms = now_ms};
	struct queue_intake intake = {
		.delivery = &delivery, .calls = &calls, .deadline_ms = DAY_MS};
	uint64_t mixed = (uint64_t)++comment_no * 0x9e3779b97f4a7c15u;
	char line[] = "/build_run --experiment churn";
	enum queue_outcome out;

	call.line = line;
	event.kind = EVENT_COMMENT;
	event.repo_id = REPO;
	event.pr = pr;
	event.comment_id = 2000000000 + comment_no;
	event.comment_at_ms = now_ms;
	event.sender_id = 12345;
	str_copy(event.repo, sizeof event.repo, "octo-org/churn-model");
	str_copy(event.sender, sizeof event.sender, "octocat-with-a-name");
	str_copy(event.action, sizeof event.action, "created");
	memcpy(delivery.guid, &mixed, sizeof mixed);
	memcpy(delivery.guid + 8, &comment_no, sizeof comment_no);
	ok(queue_receive(db, &intake, &out, &failure));
	must(out == QUEUE_STORED);
}

/* Receives for some seconds, `group` a commit, on `pulls` pull requests in turn. */
static void bench_receive(const char *path, int group, int64_t pulls)
{
	struct db *db;
	double began, took, cpu, bytes;
	int64_t count = 0;

	wipe(path);
	ok(db_open(&db, path, clock_now_ms(), &failure));
	cpu = cpu_us();
	bytes = written();
	for (began = now(); (took = now() - began) < 2000;) {
		int64_t now_ms = clock_now_ms();

		ok(db_begin(db, &failure));
		for (int i = 0; i < group; i++, count++) {
			ok(db_savepoint(db, &failure));
			receive_one(db, count % pulls + 1, now_ms);
			ok(db_release(db, true, &failure));
		}
		ok(db_commit(db, &failure));
		db_checkpoint(db, false);
	}
	printf("{\"what\":\"receive\",\"group\":%d,\"pulls\":%" PRId64 ",\"per_s\":%.0f,"
	       "\"cpu_us_each\":%.1f,\"written_each\":%.0f,\"rss_kb\":%ld}\n",
	       group, pulls, (double)count / took * 1e3, (cpu_us() - cpu) / (double)count,
	       (written() - bytes) / (double)count, rss_kb());
	db_close(db);
}

/* Finished, parked and ready jobs with five steps each. */
static void fill(const char *path, int64_t jobs)
{
	static const char fill_jobs[] =
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %" PRId64
		") "
		"INSERT INTO jobs (id, uid, installation_id, repo_id, pr, comment_id, cmd_no, "
		"state, "
		"read_only, keep_going, wait_kind, wait_ref, due_at, deadline_at, comment_at, "
		"created_at, "
		"started_at, finished_at, actor_id, repo, actor, command, line, args, data, "
		"head_sha) "
		"SELECT i, printf('01J%%023d', i), i %% 53, i %% 977, i, 1700000000 + i, 0, "
		"CASE i %% 10 WHEN 0 THEN 2 ELSE 10 END, 0, 0, i %% 10 = 0, "
		"CASE i %% 10 WHEN 0 THEN printf('%%08x-3c1f-4a8e-9a55-3f1f0e9f7a11', i * "
		"2654435761) END, "
		"%" PRId64 " + i, %" PRId64 ", i, i, i, CASE i %% 10 WHEN 0 THEN NULL ELSE i END, "
		"i %% 301, 'octo-org/churn-model', 'octocat-with-a-name', 'build_run', "
		"'/build_run --experiment churn', '{\"experiment\":\"churn\"}', "
		"'{\"run_id\":\"0b8e7a52-3c1f-4a8e-9a55-3f1f0e9f7a11\",\"version_id\":"
		"\"5f0c2f9e-0000-4e2e-9c55-1c1f0e9f7a11\"}', "
		"'9f8e7d6c5b4a39281706f5e4d3c2b1a098765432' FROM n";
	static const char fill_steps[] =
		"WITH s (step) AS (VALUES ('s0'), ('s1'), ('s2'), ('s3'), ('s4')) "
		"INSERT INTO steps (job_id, step, effect, phase, tries, started_at, ended_at, "
		"result) "
		"SELECT id, s.step, 'kfp.upload_version', 2, 1, id, id + 500, "
		"'{\"version_id\":\"5f0c2f9e-0000-4e2e-9c55-1c1f0e9f7a11\"}' FROM jobs, s";
	int64_t later = clock_now_ms() + DAY_MS;
	char *sql = str_printf(fill_jobs, jobs, later, 2 * later);
	struct db *db;

	wipe(path);
	ok(db_open(&db, path, clock_now_ms(), &failure));
	ok(store_script(db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN",
			&failure));
	ok(store_script(db, sql, &failure));
	ok(store_script(db, fill_steps, &failure));
	ok(store_script(db, "COMMIT", &failure));
	db_close(db);
	mem_free(sql);
}

/* Wakes up to `count` parked jobs in bites as the daemon does, so that there is work. */
static void wake(struct db *db, int64_t count)
{
	int64_t woken;

	for (int64_t done = 0; done < count; done += 100) {
		ok(db_begin(db, &failure));
		ok(queue_wake_due(db, INT64_MAX / 2, 100, &woken, &failure));
		ok(db_commit(db, &failure));
		db_checkpoint(db, false);
	}
}

static int64_t step_once(struct db *db, enum job_state next, int64_t now_ms)
{
	struct effect effect = {.kind = EFFECT_RUN_GET};
	struct effect_result got = {.took_ms = 5};
	struct queue_result result = {.effect = &effect, .result = &got, .now_ms = now_ms};
	int64_t due;
	struct job job;

	if (queue_claim(db, INT64_MAX / 2, 0, &job, &due, &failure) != ERR_OK)
		return 0;
	str_copy(job.step, sizeof job.step, "follow");
	job.state = job.end_state ? job.end_state : next;
	job.due_at_ms = now_ms + 30000;
	result.job = &job;
	ok(queue_step_result(db, &result, &failure));
	job_dispose(&job);
	return 1;
}

/* A transition is a claim and its result with a recorded effect; `next` is where the job goes. */
static void bench_steps(const char *path, int group, enum job_state next)
{
	struct db *db;
	double began, took, cpu;
	int64_t count = 0, commits = 0, done = group;

	ok(db_open(&db, path, clock_now_ms(), &failure));
	wake(db, 40000);
	sync();
	cpu = cpu_us();
	for (began = now(); (took = now() - began) < 3000 && done == group; commits++) {
		int64_t now_ms = clock_now_ms();

		done = 0;
		ok(db_begin(db, &failure));
		for (int i = 0; i < group; i++) {
			ok(db_savepoint(db, &failure));
			done += step_once(db, next, now_ms);
			ok(db_release(db, true, &failure));
		}
		ok(db_commit(db, &failure));
		db_checkpoint(db, false);
		count += done;
	}
	printf("{\"what\":\"claim and result\",\"to\":\"%s\",\"group\":%d,\"transitions_s\":%.0f,"
	       "\"commits_s\":%.0f,\"cpu_us_each\":%.1f,\"rss_kb\":%ld}\n",
	       job_state_name(next), group, (double)count / took * 1e3,
	       (double)commits / took * 1e3, (cpu_us() - cpu) / (double)count, rss_kb());
	db_close(db);
}

/* A step whose worker goes on with the next: the lease stays. */
static void bench_going_on(const char *path, int group)
{
	struct effect effect = {.kind = EFFECT_RUN_GET};
	struct effect_result got = {.took_ms = 5};
	struct job jobs[64];
	struct db *db;
	double began, took, cpu;
	int64_t count = 0, due;

	ok(db_open(&db, path, clock_now_ms(), &failure));
	wake(db, 64);
	ok(db_begin(db, &failure));
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		ok(queue_claim(db, INT64_MAX / 2, 0, &jobs[i], &due, &failure));
	ok(db_commit(db, &failure));
	cpu = cpu_us();
	for (began = now(); (took = now() - began) < 3000;) {
		ok(db_begin(db, &failure));
		for (int i = 0; i < group; i++, count++) {
			struct job *job = &jobs[count % (int64_t)ARRAY_LEN(jobs)];
			struct queue_result result = {.job = job,
						      .effect = &effect,
						      .result = &got,
						      .now_ms = clock_now_ms()};

			snprintf(job->step, sizeof job->step, "step%d",
				 (int)(count / (int64_t)ARRAY_LEN(jobs) % 5));
			ok(db_savepoint(db, &failure));
			ok(queue_step_result(db, &result, &failure));
			ok(db_release(db, true, &failure));
		}
		ok(db_commit(db, &failure));
		db_checkpoint(db, false);
	}
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		job_dispose(&jobs[i]);
	printf("{\"what\":\"result, lease kept\",\"group\":%d,\"transitions_s\":%.0f,"
	       "\"cpu_us_each\":%.1f}\n",
	       group, (double)count / took * 1e3, (cpu_us() - cpu) / (double)count);
	db_close(db);
}

/* Webhooks come and sixteen jobs are always under way, until the parent has seen enough. */
static _Noreturn void load_until_killed(const char *path, int tell)
{
	struct job held[16] = {{0}};
	struct db *db;
	int batches = 0;

	ok(db_open(&db, path, clock_now_ms(), &failure));
	wake(db, 100);
	for (;;) {
		int64_t now_ms = clock_now_ms(), due;

		ok(db_begin(db, &failure));
		for (size_t i = 0; i < ARRAY_LEN(held); i++) {
			struct queue_result result = {.job = &held[i], .now_ms = now_ms};

			receive_one(db, 5000000 + comment_no, now_ms);
			if (held[i].id) {
				held[i].state = JOB_DONE;
				ok(queue_step_result(db, &result, &failure));
				job_dispose(&held[i]);
			}
			ok(queue_claim(db, INT64_MAX / 2, 0, &held[i], &due, &failure));
		}
		ok(db_commit(db, &failure));
		if (++batches == 10)
			must(write(tell, "x", 1) == 1);
	}
}

/* Time from db_open to the first claim after a kill that left a log of at least `wal_mb`. */
static void bench_start(const char *path, int64_t wal_mb)
{
	char *wal = str_printf("%s-wal", path);
	struct stat info = {0};
	double began, opened, claimed;
	struct db *db;
	struct job job;
	int64_t due;
	pid_t child;
	int status, ends[2];
	char byte;

	must(pipe(ends) == 0);
	child = fork();
	if (!child)
		load_until_killed(path, ends[1]);
	must(read(ends[0], &byte, 1) == 1);
	while (stat(wal, &info) || info.st_size < wal_mb * 1024 * 1024 + 8192)
		usleep(2000);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	stat(wal, &info);
	sync(); /* what the kill left to the kernel is not this program's time */
	began = now();
	ok(db_open(&db, path, clock_now_ms(), &failure));
	opened = now();
	ok(db_begin(db, &failure));
	ok(queue_claim(db, INT64_MAX / 2, 0, &job, &due, &failure));
	ok(db_commit(db, &failure));
	claimed = now();
	job_dispose(&job);
	printf("{\"what\":\"start after kill -9\",\"wal_mb\":%.1f,\"open_ms\":%.1f,"
	       "\"first_claim_ms\":%.1f,\"rss_kb\":%ld}\n",
	       (double)info.st_size / 1048576, opened - began, claimed - opened, rss_kb());
	db_close(db);
	mem_free(wal);
}

static int64_t swept;
static int64_t last_id;

static bool sweep_one(void *arg, const struct queue_ref *ref)
{
	(void)arg;
	swept++;
	last_id = ref->job_id;
	return true;
}

static void bench_looking(const char *path)
{
	struct queue_counts counts;
	struct db *db;
	json_t *list;
	double t[5];
	int64_t before;

	ok(db_open_reader(&db, path, &failure));
	t[0] = now();
	ok(queue_count(db, clock_now_ms(), &counts, &failure));
	t[1] = now();
	ok(queue_list(db, 52, 0, 50, &list, &failure));
	t[2] = now();
	json_decref(list);
	do {
		before = swept;
		ok(queue_parked(db, WAIT_RUN, last_id, 200, sweep_one, NULL, &failure));
	} while (swept > before);
	t[3] = now();
	printf("{\"what\":\"looking\",\"count_ms\":%.1f,\"list_ms\":%.1f,\"sweep_ms\":%.1f,"
	       "\"parked\":%" PRId64 ",\"rss_kb\":%ld}\n",
	       t[1] - t[0], t[2] - t[1], t[3] - t[2], swept, rss_kb());
	db_close(db);
}

/* Each part runs in a process of its own, so that its memory is its own. */
#define apart(call)                                                                                \
	do {                                                                                       \
		pid_t child_ = fork();                                                             \
		int status_;                                                                       \
		if (!child_) {                                                                     \
			call;                                                                      \
			exit(0);                                                                   \
		}                                                                                  \
		if (waitpid(child_, &status_, 0) != child_ || status_)                             \
			return 1;                                                                  \
	} while (0)

static void bench_empty(const char *path)
{
	double began = now();
	struct db *db;

	wipe(path);
	ok(db_open(&db, path, clock_now_ms(), &failure));
	printf("{\"what\":\"start, no file\",\"open_ms\":%.1f,\"rss_kb\":%ld}\n", now() - began,
	       rss_kb());
	db_close(db);
}

static void bench_fill(const char *path, int64_t jobs)
{
	double began = now();

	fill(path, jobs);
	sync();
	printf("{\"what\":\"filled\",\"jobs\":%" PRId64 ",\"took_s\":%.1f}\n", jobs,
	       (now() - began) / 1e3);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	int64_t jobs = 1000000;

	if (argc < 2 || (argc > 2 && !str_to_int64(&jobs, argv[2]))) {
		fprintf(stderr, "usage: bench_store DIR [JOBS]\n");
		return 2;
	}
	log_set_level(LOG_LEVEL_ERROR);
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(path, sizeof path, "%s/bench_store.db", argv[1]);
	apart(bench_empty(path));
	apart(bench_receive(path, 1, 1000000));
	apart(bench_receive(path, 16, 1000000));
	apart(bench_receive(path, 64, 1000000));
	apart(bench_receive(path, 64, 1));
	apart(bench_fill(path, jobs));
	apart(bench_start(path, 5));
	comment_no += 10000000;
	apart(bench_start(path, 64));
	apart(bench_looking(path));
	apart(bench_going_on(path, 16));
	apart(bench_steps(path, 16, JOB_READY));
	apart(bench_steps(path, 16, JOB_PARKED));
	apart(bench_steps(path, 1, JOB_READY));
	wipe(path);
	return 0;
}
