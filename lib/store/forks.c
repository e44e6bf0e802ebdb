/* forks.c - see forks.h. A word is a row that is never changed: whoever narrows or widens what was
 * allowed says so in a later comment, and a command that is done again after a crash finds its own
 * row, whatever was said since. */
#include "lib/store/forks.h"

#include <stdio.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/store_impl.h"

enum err_class fork_ok_add(struct db *db, const struct job *as, bool build_only, int64_t now_ms,
			   struct err *err)
{
	char after[128];
	enum err_class class;

	must(str_is_object_name(as->head_sha));
	class = store_exec(db, STMT_FORK_OK_ADD, err, B_INT(as->repo_id), B_INT(as->pr),
			   B_TEXT(as->head_sha), B_INT(as->comment_id), B_INT(as->cmd_no),
			   B_INT(as->actor_id), B_TEXT(as->actor), B_INT(build_only), B_INT(as->id),
			   B_INT(now_ms));
	if (class != ERR_OK || !store_changes(db))
		return class;
	snprintf(after, sizeof after, "sha=%s%s", as->head_sha,
		 build_only ? " build_only=yes" : "");
	return store_audit_change(db, as, effect_name(EFFECT_OK_TO_RUN), "", after, now_ms, err);
}

enum err_class fork_ok_get(struct db *db, int64_t repo_id, int64_t pr, const char *sha,
			   json_t **out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_FORK_OK_GET, err, B_INT(repo_id),
					   B_INT(pr), B_TEXT_OR_NULL(sha));

	if (class != ERR_OK)
		return class;
	*out = json_object();
	jval_set_str(*out, "sha", (const char *)sqlite3_column_text(row, 0));
	jval_set_int(*out, "person_id", sqlite3_column_int64(row, 1));
	jval_set_str(*out, "person", (const char *)sqlite3_column_text(row, 2));
	jval_set_bool(*out, "build_only", sqlite3_column_int64(row, 3) != 0);
	jval_set_int(*out, "given_at_ms", sqlite3_column_int64(row, 4));
	return ERR_OK;
}

enum err_class fork_heads_alike(struct db *db, int64_t repo_id, int64_t pr, const char *begin,
				json_t **out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	AUTO_JSON json_t *list = json_array();
	enum err_class class = store_query(db, &row, STMT_FORK_HEADS_ALIKE, err, B_INT(repo_id),
					   B_INT(pr), B_TEXT(begin));

	while (class == ERR_OK) {
		json_array_append_new(list, json_string((const char *)sqlite3_column_text(row, 0)));
		class = store_next(db, &row, err);
	}
	if (class != ERR_NOT_FOUND)
		return class;
	err->class = ERR_OK;
	*out = take(list);
	return ERR_OK;
}
