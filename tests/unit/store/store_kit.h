/* store_kit.h - what the store's tests share: a database in a folder of its own, events, jobs. */
#ifndef KF_TEST_STORE_KIT_H
#define KF_TEST_STORE_KIT_H

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/blame.h"
#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/store/queue_wake.h"
#include "lib/store/store_impl.h"
#include "lib/store/vfs_fault.h"

enum { T0 = 1000000, HOUR_MS = 3600000, REPO = 77 };

struct kit {
	char dir[64];
	char path[96];
	struct db *db;
	struct err err;
	unsigned guid;
};

#define assert_ok(kit, call)                                                                       \
	do {                                                                                       \
		if ((call) != ERR_OK)                                                              \
			fail_msg("%s: %s", #call, (kit)->err.msg);                                 \
	} while (0)

static inline void kit_open(struct kit *kit)
{
	assert_ok(kit, db_open(&kit->db, kit->path, T0, &kit->err));
}

static inline void kit_folder_in(struct kit *kit, const char *parent)
{
	*kit = (struct kit){0};
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(kit->dir, sizeof kit->dir, "%s/kfops-store-XXXXXX", parent);
	assert_non_null(mkdtemp(kit->dir));
	snprintf(kit->path, sizeof kit->path, "%s/kfops.db", kit->dir);
}

static inline void kit_folder(struct kit *kit)
{
	kit_folder_in(kit, "/tmp");
}

/* In memory where there is such a place: for tests that play what a disk does. They sync thousands
 * of times, and what a real disk would do with that is not what they look at. */
static inline void kit_folder_in_memory(struct kit *kit)
{
	kit_folder_in(kit, access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
}

static inline void kit_start(struct kit *kit)
{
	kit_folder(kit);
	kit_open(kit);
}

static inline void kit_empty_folder(const char *dir)
{
	DIR *handle = opendir(dir);
	struct dirent *entry;
	char path[512];

	assert_non_null(handle);
	while ((entry = readdir(handle))) {
		snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	closedir(handle);
}

static inline void kit_end(struct kit *kit)
{
	db_close(kit->db);
	kit_empty_folder(kit->dir);
	rmdir(kit->dir);
}

/* The process ends here as far as the file can tell: nothing is written, the lock is released. */
static inline void kit_crash(struct kit *kit)
{
	kit->db->broken = ERR_CORRUPT;
	db_close(kit->db);
	kit->db = NULL;
}

#define KIT_BEGIN(kit)	assert_ok(kit, db_begin((kit)->db, &(kit)->err))
#define KIT_COMMIT(kit) assert_ok(kit, db_commit((kit)->db, &(kit)->err))

/* --- commands as the queue knows them --- */

static const struct command kit_build = {.name = "build"};
static const struct command kit_run = {.name = "run"};
static const struct command kit_build_run = {.name = "build_run"};
static const struct command kit_retry = {.name = "retry"};
static const struct command kit_status = {.name = "status", .read_only = true};
static const struct command kit_deploy = {.name = "deploy", .uses = USE_DEPLOY};
static const struct command *const kit_all[] = {&kit_build, &kit_run,	 &kit_build_run,
						&kit_retry, &kit_status, &kit_deploy};
static const struct command_table kit_commands = {kit_all, ARRAY_LEN(kit_all)};

static inline const struct command *kit_command(const char *name)
{
	const struct command *command = command_by_name(&kit_commands, name);

	if (command)
		return command;
	fail_msg("no command %s", name);
	return NULL;
}

struct kit_event {
	int64_t pr, comment_id;
	const char *commands; /* "build run", up to four; NULL: none */
	int64_t at_ms;	      /* received; 0: T0 */
	int64_t said_at_ms;   /* 0: as received */
	bool keep_going, refuse_late, is_other;
	const char *refusal;
	unsigned guid; /* 0: a new one */
	int64_t installation_id, repo_id;
	enum event_kind kind; /* 0: EVENT_COMMENT */
	const char *action, *head_sha, *external_id;
	bool merged, is_public;
};

static inline size_t kit_calls(struct command_call calls[4], const char *commands, char text[128])
{
	size_t count = 0;
	char *save = NULL;

	str_copy(text, 128, commands ? commands : "");
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_true(count < 4);
		calls[count] = (struct command_call){.command = kit_command(word),
						     .args = json_pack("{s:s}", "arg", word),
						     .line = str_printf("/%s", word)};
		count++;
	}
	return count;
}

/* Inside a transaction. */
static inline enum err_class kit_receive_raw(struct kit *kit, const struct kit_event *in,
					     enum queue_outcome *out)
{
	static struct event event;
	struct queue_delivery delivery = {.event = &event,
					  .received_at_ms = in->at_ms ? in->at_ms : T0};
	struct command_call items[4];
	struct command_calls calls = {.items = items, .keep_going = in->keep_going};
	struct queue_intake intake = {.delivery = &delivery,
				      .calls = &calls,
				      .refusal = in->refusal,
				      .refuse_late = in->refuse_late,
				      .commands = &kit_commands,
				      .deadline_ms = 24 * HOUR_MS};
	unsigned guid = in->guid ? in->guid : ++kit->guid + 100000;
	char text[128];
	enum err_class class;

	memset(&event, 0, sizeof event);
	event.kind = in->kind ? in->kind : EVENT_COMMENT;
	event.repo_id = in->repo_id ? in->repo_id : REPO;
	event.installation_id = in->installation_id;
	event.sender_id = in->is_other ? 6 : 5;
	event.pr = in->pr;
	event.comment_id = in->comment_id;
	event.comment_at_ms = in->said_at_ms ? in->said_at_ms : delivery.received_at_ms;
	event.updated_at_ms = event.comment_at_ms;
	event.merged = in->merged;
	event.is_public = in->is_public;
	str_copy(event.repo, sizeof event.repo, "acme/iris");
	str_copy(event.sender, sizeof event.sender, "ann");
	str_copy(event.action, sizeof event.action, in->action ? in->action : "created");
	str_copy(event.head_sha, sizeof event.head_sha, in->head_sha ? in->head_sha : "");
	str_copy(event.external_id, sizeof event.external_id,
		 in->external_id ? in->external_id : "");
	memcpy(delivery.guid, &guid, sizeof guid);
	calls.count = kit_calls(items, in->commands, text);
	class = queue_receive(kit->db, &intake, out, &kit->err);
	for (size_t i = 0; i < calls.count; i++) {
		json_decref(items[i].args);
		mem_free(items[i].line);
	}
	return class;
}

static inline enum queue_outcome kit_receive(struct kit *kit, const struct kit_event *in)
{
	enum queue_outcome out;

	KIT_BEGIN(kit);
	assert_ok(kit, kit_receive_raw(kit, in, &out));
	KIT_COMMIT(kit);
	return out;
}

/* The process is gone; its crash, if it was one, is noted as that of a job. */
static inline void kit_crash_over(struct kit *kit, int64_t job_id)
{
	char path[sizeof kit->path + 8];
	struct blame note = {.process = db_incarnation(kit->db), .job = job_id, .signal = SIGSEGV};
	FILE *file;

	snprintf(path, sizeof path, "%s.crash", kit->path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(&note, sizeof note, 1, file), 1);
	fclose(file);
	kit_crash(kit);
}

/* A /cancel of whoever may give all of these commands; inside a transaction. job_id 0: all. */
static inline enum err_class kit_cancel_raw(struct kit *kit, const struct job *asking,
					    int64_t job_id, int64_t now_ms, json_t **said)
{
	static const struct command *const all[] = {&kit_build, &kit_run, &kit_build_run,
						    &kit_retry, &kit_status};
	static const struct command_table table = {all, ARRAY_LEN(all)};
	json_t *stops AUTO_JSON = json_object();
	struct queue_stop stop = {
		.asking = asking, .job_id = job_id, .stops = stops, .table = &table};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		jval_set_bool(stops, all[i]->name, true);
	return queue_cancel(kit->db, &stop, now_ms, said, &kit->err);
}

/* Of somebody who asked for none of the jobs. */
static inline struct job kit_bob(int64_t pr)
{
	return (struct job){.repo_id = REPO,
			    .pr = pr,
			    .actor_id = 9,
			    .actor = (char *)(uintptr_t) "bob",
			    .command = (char *)(uintptr_t) "cancel"};
}

/* Claims; false: nothing due. */
static inline bool kit_claim(struct kit *kit, struct job *job, int64_t now_ms)
{
	int64_t next;
	enum err_class class;

	KIT_BEGIN(kit);
	class = queue_claim(kit->db, now_ms, 0, job, &next, &kit->err);
	KIT_COMMIT(kit);
	if (class == ERR_NOT_FOUND)
		return false;
	assert_int_equal(class, ERR_OK);
	return true;
}

/* Gives a claimed job its next state and drops it. */
static inline void kit_move(struct kit *kit, struct job *job, enum job_state state, int64_t now_ms)
{
	struct queue_result result = {.job = job, .now_ms = now_ms};

	job->state = state;
	KIT_BEGIN(kit);
	assert_ok(kit, queue_step_result(kit->db, &result, &kit->err));
	KIT_COMMIT(kit);
	job_dispose(job);
}

/* Claims and ends; returns the id (0: nothing due). A wanted end is carried out. */
static inline int64_t kit_work(struct kit *kit, enum job_state state, int64_t now_ms)
{
	struct job job;
	int64_t id;

	if (!kit_claim(kit, &job, now_ms))
		return 0;
	id = job.id;
	if (job.end_state)
		job.code = take(job.end_code);
	kit_move(kit, &job, job.end_state ? job.end_state : state, now_ms);
	return id;
}

/* Claims and parks on a run. */
static inline void kit_park(struct kit *kit, const char *ref)
{
	struct job job;

	assert_true(kit_claim(kit, &job, T0));
	job.wait_kind = WAIT_RUN;
	job.wait_ref = str_dup(ref);
	job.due_at_ms = T0 + HOUR_MS;
	kit_move(kit, &job, JOB_PARKED, T0);
}

/* "1 ready, 2 blocked, 3 ready>superseded": every unfinished job and its wanted end. */
static inline const char *kit_line(struct kit *kit, int64_t count)
{
	static char text[1024];
	struct job job;

	text[0] = '\0';
	for (int64_t id = 1; id <= count; id++) {
		size_t used = strlen(text);

		if (queue_load(kit->db, id, &job, &kit->err) != ERR_OK)
			continue;
		snprintf(
			text + used, sizeof text - used, "%s%d %s%s%s", used ? ", " : "", (int)id,
			job_state_name(job.state), job.end_state && job.state < JOB_DONE ? ">" : "",
			job.end_state && job.state < JOB_DONE ? job_state_name(job.end_state) : "");
		job_dispose(&job);
	}
	return text;
}

static inline int64_t kit_number(struct kit *kit, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t value;

	assert_int_equal(sqlite3_prepare_v2(kit->db->sql, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static inline void kit_text(struct kit *kit, char *out, size_t size, const char *sql)
{
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_prepare_v2(kit->db->sql, sql, -1, &stmt, NULL), SQLITE_OK);
	out[0] = '\0';
	if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0))
		str_copy(out, size, (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
}

/* The delivery of that number is stored, and its job. */
static inline bool kit_has_delivery(struct kit *kit, unsigned guid)
{
	unsigned char bytes[16] = {0};
	sqlite3_stmt *stmt;
	bool found;

	memcpy(bytes, &guid, sizeof guid);
	assert_int_equal(sqlite3_prepare_v2(kit->db->sql,
					    "SELECT 1 FROM deliveries AS d JOIN jobs AS j "
					    "ON j.comment_id = d.comment_id WHERE guid = ?1",
					    -1, &stmt, NULL),
			 SQLITE_OK);
	sqlite3_bind_blob(stmt, 1, bytes, 16, SQLITE_STATIC);
	found = sqlite3_step(stmt) == SQLITE_ROW;
	sqlite3_finalize(stmt);
	return found;
}

static inline bool kit_is_sound(struct kit *kit)
{
	char text[256];

	kit_text(kit, text, sizeof text, "PRAGMA integrity_check");
	if (!str_eq(text, "ok"))
		print_message("integrity_check: %s\n", text);
	return str_eq(text, "ok");
}

#endif
