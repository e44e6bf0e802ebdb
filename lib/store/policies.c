/* policies.c - see policies.h. */
#include "lib/store/policies.h"

#include <ctype.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/store_impl.h"

/* --- who a login was --- */

enum err_class policies_users(struct db *db, int64_t repo_id, json_t **out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	json_t *users = json_object();
	enum err_class class = store_query(db, &row, STMT_POLICY_USERS, err, B_INT(repo_id));

	while (class == ERR_OK) {
		AUTO_FREE char *login = store_text(row, 0);

		jval_set_int(users, login, sqlite3_column_int64(row, 1));
		class = store_next(db, &row, err);
	}
	*out = class == ERR_NOT_FOUND ? users : NULL;
	if (*out)
		return ERR_OK;
	json_decref(users);
	return class;
}

/* Logins are the same in any case. */
static char *lower(const char *login)
{
	char *text = str_dup(login);

	for (char *at = text; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return text;
}

enum err_class policies_keep_users(struct db *db, int64_t repo_id, const json_t *users,
				   int64_t now_ms, struct err *err)
{
	AUTO_JSON json_t *kept = NULL;
	AUTO_JSON json_t *wanted = json_object();
	json_t *id, *copy = json_deep_copy(users);
	const char *login;
	enum err_class class = policies_users(db, repo_id, &kept, err);

	json_object_foreach(copy, login, id)
	{
		AUTO_FREE char *name = lower(login);

		json_object_set(wanted, name, id);
	}
	json_decref(copy);
	json_object_foreach(kept, login, id)
	{
		if (!class && !json_object_get(wanted, login))
			class = store_exec(db, STMT_POLICY_USER_FORGET, err, B_INT(repo_id),
					   B_TEXT(login));
	}
	json_object_foreach(wanted, login, id)
	{
		if (!class && !json_object_get(kept, login))
			class = store_exec(db, STMT_POLICY_USER_ADD, err, B_INT(repo_id),
					   B_TEXT(login), B_INT(json_integer_value(id)),
					   B_INT(now_ms));
	}
	return class;
}

/* --- quotas --- */

/* Only earlier ones count: of two that come at once the first goes on, instead of each refusing the
 * other. */
enum err_class policies_count(struct db *db, const struct job *job,
			      const struct policies_quota *quota, struct policies_use *out,
			      struct err *err)
{
	AUTO_FREE char *names = jval_dump(quota->commands);
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class =
		store_query(db, &row, quota->is_repository ? STMT_POLICY_ALL : STMT_POLICY_OWN, err,
			    B_INT(job->repo_id), B_INT(job->actor_id), B_INT(quota->since_ms),
			    B_TEXT(names), B_INT(job->id));

	*out = (struct policies_use){0};
	while (class == ERR_OK) {
		if (++out->count == quota->count)
			out->filled_at_ms = sqlite3_column_int64(row, 0);
		class = store_next(db, &row, err);
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

/* --- holds --- */

/* In the words of the audit. */
static char *describe_hold(const char *person, const char *reason)
{
	return str_printf("person=%s%s%s", person,
			  str_is_empty(reason) ? "" : " reason=", reason ? reason : "");
}

static char *describe_kept_hold(const json_t *hold)
{
	return hold ? describe_hold(jval_str(hold, "person", ""), jval_str(hold, "reason", NULL))
		    : str_dup("");
}

enum err_class policies_hold(struct db *db, const struct job *job, const char *reason,
			     int64_t now_ms, struct err *err)
{
	AUTO_JSON json_t *was = NULL;
	AUTO_FREE char *before = NULL, *after = describe_hold(job->actor, reason);
	enum err_class class = policies_hold_get(db, job->repo_id, job->pr, &was, err);

	if (class && class != ERR_NOT_FOUND)
		return class;
	before = describe_kept_hold(was);
	class = store_exec(db, STMT_HOLD_SET, err, B_INT(job->repo_id), B_INT(job->pr),
			   B_INT(job->actor_id), B_TEXT(job->actor), B_TEXT_OR_NULL(reason),
			   B_INT(now_ms));
	return class ? class
		     : store_audit_change(db, job, effect_name(EFFECT_HOLD), before, after, now_ms,
					  err);
}

enum err_class policies_hold_get(struct db *db, int64_t repo_id, int64_t pr, json_t **out,
				 struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_HOLD_GET, err, B_INT(repo_id), B_INT(pr));
	AUTO_FREE char *person = NULL, *reason = NULL;

	if (class != ERR_OK)
		return class;
	person = store_text(row, 1);
	reason = store_text(row, 2);
	*out = json_object();
	jval_set_int(*out, "person_id", sqlite3_column_int64(row, 0));
	jval_set_str(*out, "person", person);
	if (reason)
		jval_set_str(*out, "reason", reason);
	jval_set_int(*out, "held_at_ms", sqlite3_column_int64(row, 3));
	return ERR_OK;
}

enum err_class policies_unhold(struct db *db, const struct job *job, int64_t now_ms, json_t **out,
			       struct err *err)
{
	AUTO_JSON json_t *was = NULL;
	AUTO_FREE char *before = NULL;
	enum err_class class = policies_hold_get(db, job->repo_id, job->pr, &was, err);

	if (class == ERR_NOT_FOUND)
		return err_code(err, ERR_NOT_FOUND, "hold.none",
				"this pull request is not on hold");
	if (class)
		return class;
	before = describe_kept_hold(was);
	class = store_exec(db, STMT_HOLD_END, err, B_INT(job->repo_id), B_INT(job->pr));
	if (!class)
		class = store_audit_change(db, job, effect_name(EFFECT_UNHOLD), before, "", now_ms,
					   err);
	if (!class)
		*out = take(was);
	return class;
}
