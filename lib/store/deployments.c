/* deployments.c - see deployments.h. A row's state is moved by statements that ask for the state
 * they change, so a crash between commit and answer may repeat any of them. */
#include "lib/store/deployments.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/store_impl.h"

enum { LIST_MAX = 100, REASON_MAX = 150 };

const char *deployment_state_name(enum deployment_state state)
{
	switch (state) {
	case DEPLOYMENT_ACTING:
		return "acting";
	case DEPLOYMENT_LIVE:
		return "live";
	case DEPLOYMENT_FAILED:
		return "failed";
	case DEPLOYMENT_REPLACED:
		return "replaced";
	case DEPLOYMENT_ROLLED_BACK:
		return "rolled back";
	case DEPLOYMENT_OPEN:
		return "open";
	}
	return "unknown";
}

static enum err_class id_of(struct db *db, int64_t job_id, int64_t *out, struct err *err)
{
	enum err_class class =
		store_number(db, out, 0, STMT_DEPLOYMENT_OF_JOB, STORE_BINDS(B_INT(job_id)), err);

	if (class == ERR_OK && !*out)
		return err_set(err, ERR_BUG, "job %" PRId64 " has begun no deployment", job_id);
	return class;
}

static char *dump(const json_t *value)
{
	return value ? jval_dump(value) : str_dup("{}");
}

static enum err_class audit_begin(struct db *db, const struct job *job, const json_t *facts,
				  int64_t now_ms, struct err *err)
{
	const char *reason = jval_str(facts, "reason", "");
	int len = (int)str_utf8_cut(reason, strnlen(reason, REASON_MAX));
	char after[AUDIT_TEXT_MAX + 1];

	snprintf(after, sizeof after, "environment=%s run_id=%s%s%.*s storage_uri=%s",
		 jval_str(facts, "environment", ""), jval_str(facts, "run_id", ""),
		 len ? " reason=" : "", len, reason, jval_str(facts, "storage_uri", ""));
	return store_audit_change(db, job, "store.deployment", jval_str(facts, "was", ""), after,
				  now_ms, err);
}

static enum err_class audit_end(struct db *db, const struct job *by, enum deployment_state was,
				enum deployment_state state, int64_t returned_to, int64_t now_ms,
				struct err *err)
{
	char after[96];

	snprintf(after, sizeof after, "state=%s", deployment_state_name(state));
	if (returned_to)
		snprintf(after, sizeof after, "state=%s returned_to=%" PRId64,
			 deployment_state_name(state), returned_to);
	return store_audit_change(db, by, "store.deployed", deployment_state_name(was), after,
				  now_ms, err);
}

enum err_class deployment_begin(struct db *db, const struct job *job, const json_t *facts,
				int64_t now_ms, int64_t *out_id, struct err *err)
{
	char *text AUTO_FREE = dump(json_object_get(facts, "template"));
	char *before_text AUTO_FREE = dump(json_object_get(facts, "before"));
	char *plan AUTO_FREE = dump(json_object_get(facts, "plan"));
	enum err_class class = store_exec(
		db, STMT_DEPLOYMENT_BEGIN, err, B_INT(job->repo_id),
		B_TEXT(jval_str(facts, "environment", "")), B_INT(job->id), B_INT(job->pr),
		B_TEXT(job->head_sha), B_TEXT(jval_str(facts, "run_id", "")), B_INT(job->actor_id),
		B_TEXT(job->actor), B_INT(jval_int(facts, "fence", 0)),
		B_TEXT(jval_str(facts, "namespace", "")), B_TEXT(jval_str(facts, "service", "")),
		B_TEXT(jval_str(facts, "storage_uri", "")),
		B_TEXT(jval_str(facts, "model_digest", "")), B_TEXT(text), B_TEXT(before_text),
		B_INT(now_ms), B_TEXT(job->uid), B_TEXT(plan));

	if (class == ERR_OK && store_changes(db))
		class = audit_begin(db, job, facts, now_ms, err);
	return class == ERR_OK ? id_of(db, job->id, out_id, err) : class;
}

enum err_class deployment_note(struct db *db, int64_t job_id, const json_t *facts, struct err *err)
{
	json_t *percent = json_object_get(facts, "percent");
	json_t *before = json_object_get(facts, "before");
	char *before_text AUTO_FREE = before ? jval_dump(before) : NULL;

	return store_exec(db, STMT_DEPLOYMENT_NOTE, err, B_INT(job_id),
			  percent ? B_INT(json_integer_value(percent)) : B_NULL,
			  B_TEXT_OR_NULL(jval_str(facts, "revision", NULL)),
			  B_INT_OR_NULL(jval_int(facts, "remote_id", 0)),
			  B_TEXT_OR_NULL(before_text));
}

enum err_class deployment_take_over(struct db *db, const struct job *by, int64_t job_id,
				    const json_t *facts, int64_t now_ms, struct err *err)
{
	char *plan AUTO_FREE = dump(json_object_get(facts, "plan"));
	char after[96];
	int64_t id;
	enum err_class class =
		store_exec(db, STMT_DEPLOYMENT_TAKE_OVER, err, B_INT(job_id), B_TEXT(by->head_sha),
			   B_INT(by->pr), B_TEXT(jval_str(facts, "run_id", "")),
			   B_INT(by->actor_id), B_TEXT(by->actor), B_TEXT(plan));

	if (class != ERR_OK || !store_changes(db))
		return class; /* it had been before */
	class = id_of(db, job_id, &id, err);
	if (class != ERR_OK)
		return class;
	snprintf(after, sizeof after, "state=live deployment=%" PRId64, id);
	return store_audit_change(db, by, "store.deployed", "live", after, now_ms, err);
}

enum err_class deployment_end(struct db *db, const struct job *by, int64_t job_id,
			      enum deployment_state state, int64_t returned_to, int64_t now_ms,
			      struct err *err)
{
	int64_t was;
	enum err_class class =
		store_number(db, &was, 0, STMT_DEPLOYMENT_STATE, STORE_BINDS(B_INT(job_id)), err);

	if (class == ERR_OK)
		class = store_exec(db, STMT_DEPLOYMENT_END, err, B_INT(job_id), B_INT(state),
				   B_INT(now_ms));

	if (class != ERR_OK || !store_changes(db))
		return class; /* it had ended so before */
	class = audit_end(db, by, (enum deployment_state)was, state, returned_to, now_ms, err);
	if (class != ERR_OK)
		return class;
	if (state == DEPLOYMENT_LIVE)
		return store_exec(db, STMT_DEPLOYMENT_PUSH_OUT, err, B_INT(job_id));
	if (state != DEPLOYMENT_ROLLED_BACK)
		return ERR_OK;
	class = store_exec(db, STMT_DEPLOYMENT_GO_BACK, err, B_INT(job_id), B_INT(returned_to));
	return class == ERR_OK ? store_exec(db, STMT_DEPLOYMENT_BRING_BACK, err, B_INT(returned_to))
			       : class;
}

static json_t *read_row(sqlite3_stmt *row)
{
	static const struct {
		const char *key;
		enum { NUMBER, TEXT, JSON } type;
	} columns[] = {
		{"id", NUMBER},		 {"environment", TEXT},
		{"state", NUMBER},	 {"job", NUMBER},
		{"uid", TEXT},		 {"pr", NUMBER},
		{"sha", TEXT},		 {"run_id", TEXT},
		{"actor_id", NUMBER},	 {"actor", TEXT},
		{"fence", NUMBER},	 {"namespace", TEXT},
		{"service", TEXT},	 {"storage_uri", TEXT},
		{"model_digest", TEXT},	 {"percent", NUMBER},
		{"template", JSON},	 {"before", JSON},
		{"plan", JSON},		 {"revision", TEXT},
		{"remote_id", NUMBER},	 {"started_at_ms", NUMBER},
		{"ended_at_ms", NUMBER},
	};
	json_t *out = json_object();

	for (int i = 0; i < (int)ARRAY_LEN(columns); i++) {
		if (columns[i].type == NUMBER)
			jval_set_int(out, columns[i].key, sqlite3_column_int64(row, i));
		else if (columns[i].type == JSON)
			jval_set(out, columns[i].key, store_json(row, i));
		else if (sqlite3_column_type(row, i) != SQLITE_NULL)
			jval_set_str(out, columns[i].key,
				     (const char *)sqlite3_column_text(row, i));
	}
	jval_set_str(out, "state",
		     deployment_state_name((enum deployment_state)jval_int(out, "state", 0)));
	return out;
}

static enum err_class newest(struct db *db, int64_t repo_id, const char *environment,
			     enum deployment_state state, int64_t below, json_t **out,
			     struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_DEPLOYMENT_NEWEST, err, B_INT(repo_id),
					   B_TEXT(environment), B_INT(state), B_INT(below));

	if (class == ERR_NOT_FOUND)
		return err_set(err, class, "nothing that was deployed to %s is %s", environment,
			       deployment_state_name(state));
	if (class == ERR_OK)
		*out = read_row(row);
	return class;
}

enum err_class deployment_live(struct db *db, int64_t repo_id, const char *environment,
			       json_t **out, struct err *err)
{
	return newest(db, repo_id, environment, DEPLOYMENT_LIVE, INT64_MAX, out, err);
}

enum err_class deployment_open(struct db *db, int64_t repo_id, const char *environment,
			       json_t **out, struct err *err)
{
	return newest(db, repo_id, environment, DEPLOYMENT_OPEN, INT64_MAX, out, err);
}

enum err_class deployment_before(struct db *db, int64_t repo_id, const char *environment,
				 int64_t live, json_t **out, struct err *err)
{
	return newest(db, repo_id, environment, DEPLOYMENT_REPLACED, live, out, err);
}

enum err_class deployment_get(struct db *db, int64_t repo_id, int64_t id, json_t **out,
			      struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class =
		store_query(db, &row, STMT_DEPLOYMENT_GET, err, B_INT(repo_id), B_INT(id));

	if (class == ERR_NOT_FOUND)
		return err_set(err, class, "there is no deployment %" PRId64, id);
	if (class == ERR_OK)
		*out = read_row(row);
	return class;
}

enum err_class deployment_marked(struct db *db, int64_t repo_id, const char *environment,
				 const char *uid, int64_t *out, struct err *err)
{
	return store_number(db, out, 0, STMT_DEPLOYMENT_MARKED,
			    STORE_BINDS(B_INT(repo_id), B_TEXT(environment), B_TEXT(uid)), err);
}

static enum err_class list_all(struct db *db, int64_t repo_id, enum stmt stmt, json_t **out,
			       struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, stmt, err, B_INT(repo_id), B_INT(LIST_MAX));
	json_t *list AUTO_JSON = json_array();

	while (class == ERR_OK) {
		json_array_append_new(list, read_row(row));
		class = store_next(db, &row, err);
	}
	if (class != ERR_NOT_FOUND)
		return class;
	*out = take(list);
	return ERR_OK;
}

enum err_class deployment_list_live(struct db *db, int64_t repo_id, json_t **out, struct err *err)
{
	return list_all(db, repo_id, STMT_DEPLOYMENT_LIVE_ALL, out, err);
}

enum err_class deployment_list_earlier(struct db *db, int64_t repo_id, json_t **out,
				       struct err *err)
{
	return list_all(db, repo_id, STMT_DEPLOYMENT_EARLIER_ALL, out, err);
}
