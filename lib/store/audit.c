/* audit.c - see audit.h and store_impl.h.
 *
 * The digest of the row before is read inside the transaction and not kept in memory: a rollback,
 * of the whole batch or of one operation, cannot leave a stale one behind. Readers walk in bites,
 * so that a long look does not keep the write-ahead log from being folded in. */
#include "lib/store/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/store_impl.h"

enum { BITE = 500 };

/* --- writing --- */

struct audit_row store_audit_of(const struct job *job, int64_t now_ms)
{
	return (struct audit_row){
		.at_ms = now_ms,
		.actor_id = job->actor_id,
		.actor = job->actor,
		.command = job->command,
		.sha = job->head_sha,
		.repo_id = job->repo_id,
		.repo = job->repo,
		.pr = job->pr,
		.job_id = job->id,
	};
}

static enum err_class read_head(struct db *db, int64_t *no, unsigned char digest[AUDIT_DIGEST_LEN],
				struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_first(db, &row, STMT_AUDIT_HEAD, NULL, 0, err);

	*no = 0;
	memset(digest, 0, AUDIT_DIGEST_LEN);
	if (class != ERR_OK)
		return class == ERR_NOT_FOUND ? ERR_OK : class;
	*no = sqlite3_column_int64(row, 0);
	if (sqlite3_column_bytes(row, 1) == AUDIT_DIGEST_LEN)
		memcpy(digest, sqlite3_column_blob(row, 1), AUDIT_DIGEST_LEN);
	return ERR_OK;
}

static const char **texts_of(struct audit_row *row, size_t i)
{
	const char **all[] = {&row->actor, &row->command, &row->decision, &row->code,  &row->sha,
			      &row->repo,  &row->effect,  &row->before,	  &row->after, NULL};

	return all[i];
}

/* Until the commit, when it may be told. */
static void keep(struct db *db, const struct audit_row *row)
{
	const char **text;

	if (db->told_count == db->told_cap) {
		db->told_cap = db->told_cap ? 2 * db->told_cap : 16;
		db->told = mem_grow(db->told, db->told_cap * sizeof *db->told);
	}
	db->told[db->told_count] = *row;
	for (size_t i = 0; (text = texts_of(&db->told[db->told_count], i)); i++)
		*text = str_dup(*text);
	db->told_count++;
}

enum err_class store_audit(struct db *db, const struct audit_row *row, struct err *err)
{
	struct audit_row mine = *row;
	char texts[9][AUDIT_TEXT_MAX + 1];
	const char **text;
	enum err_class class = read_head(db, &mine.no, mine.previous, err);

	if (class != ERR_OK)
		return class;
	for (size_t i = 0; (text = texts_of(&mine, i)); i++) {
		audit_text(texts[i], *text);
		*text = texts[i];
	}
	mine.no++;
	audit_digest(mine.digest, &mine);
	class = store_exec(
		db, STMT_AUDIT_ADD, err, B_INT(mine.no), B_INT(mine.at_ms), B_INT(mine.actor_id),
		B_TEXT(mine.actor), B_TEXT(mine.command), B_TEXT(mine.decision), B_TEXT(mine.code),
		B_TEXT(mine.sha), B_INT(mine.repo_id), B_TEXT(mine.repo), B_INT(mine.pr),
		B_INT(mine.job_id), B_TEXT(mine.effect), B_TEXT(mine.before), B_TEXT(mine.after),
		B_BLOB(mine.previous, AUDIT_DIGEST_LEN), B_BLOB(mine.digest, AUDIT_DIGEST_LEN));
	if (class == ERR_OK)
		keep(db, &mine);
	return class;
}

enum err_class store_audit_change(struct db *db, const struct job *job, const char *effect,
				  const char *before, const char *after, int64_t now_ms,
				  struct err *err)
{
	struct audit_row row = store_audit_of(job, now_ms);

	row.decision = AUDIT_DONE;
	row.effect = effect;
	row.before = before;
	row.after = after;
	return store_audit(db, &row, err);
}

/* --- telling --- */

static void drop_from(struct db *db, size_t first)
{
	while (db->told_count > first) {
		struct audit_row *row = &db->told[--db->told_count];
		const char **text;

		for (size_t i = 0; (text = texts_of(row, i)); i++)
			mem_free((void *)(uintptr_t)*text);
	}
}

void store_audit_tell(struct db *db)
{
	for (size_t i = 0; i < db->told_count; i++) {
		const struct audit_row *row = &db->told[i];
		char digest[2 * AUDIT_DIGEST_LEN + 1];

		str_hex(digest, row->digest, AUDIT_DIGEST_LEN);
		log_info("audit", LOG_I("job", row->job_id), LOG_S("repo", row->repo),
			 LOG_I("pr", row->pr), LOG_I("no", row->no),
			 LOG_S("decision", row->decision), LOG_S("what", row->effect),
			 LOG_S("code", row->code), LOG_S("command", row->command),
			 LOG_S("actor", row->actor), LOG_I("actor_id", row->actor_id),
			 LOG_S("sha", row->sha), LOG_S("before", row->before),
			 LOG_S("after", row->after), LOG_S("digest", digest));
	}
	drop_from(db, 0);
}

void store_audit_mark(struct db *db)
{
	db->told_mark = db->told_count;
}

void store_audit_back(struct db *db)
{
	drop_from(db, db->told_mark);
}

void store_audit_forget(struct db *db)
{
	drop_from(db, 0);
	db->told_mark = 0;
}

/* --- reading --- */

static enum err_class is_there(struct db *db, struct err *err)
{
	int64_t there;
	enum err_class class = store_number(db, &there, 0, STMT_AUDIT_THERE, NULL, 0, err);

	if (class == ERR_OK && !there)
		return err_code(err, ERR_CONFIG, "store.older",
				"the database %s is of an older kfopsd and has no audit yet; start "
				"the new one on it once",
				db->path);
	return class;
}

bool audit_mark_read(struct audit_mark *out, const char *text)
{
	const char *colon = strchr(text, ':');
	char number[24];

	if (!colon || (size_t)(colon - text) >= sizeof number)
		return false;
	str_copy(number, (size_t)(colon - text) + 1, text);
	if (!str_to_int64(&out->no, number) || out->no < 1 ||
	    !str_is_hex(colon + 1, 2 * (size_t)AUDIT_DIGEST_LEN))
		return false;
	str_copy(out->digest, sizeof out->digest, colon + 1);
	return true;
}

enum err_class audit_head(struct db *db, struct audit_mark *out, struct err *err)
{
	unsigned char digest[AUDIT_DIGEST_LEN];
	enum err_class class = is_there(db, err);

	if (class == ERR_OK)
		class = read_head(db, &out->no, digest, err);
	if (class == ERR_OK)
		str_hex(out->digest, digest, AUDIT_DIGEST_LEN);
	return class;
}

static void read_digest(unsigned char out[AUDIT_DIGEST_LEN], sqlite3_stmt *row, int column)
{
	memset(out, 0, AUDIT_DIGEST_LEN);
	if (sqlite3_column_bytes(row, column) == AUDIT_DIGEST_LEN)
		memcpy(out, sqlite3_column_blob(row, column), AUDIT_DIGEST_LEN);
}

/* Texts are borrowed from the statement. */
static void read_row(struct audit_row *out, sqlite3_stmt *row)
{
	int at = 0;

	*out = (struct audit_row){0};
	out->no = sqlite3_column_int64(row, at++);
	out->at_ms = sqlite3_column_int64(row, at++);
	out->actor_id = sqlite3_column_int64(row, at++);
	out->actor = (const char *)sqlite3_column_text(row, at++);
	out->command = (const char *)sqlite3_column_text(row, at++);
	out->decision = (const char *)sqlite3_column_text(row, at++);
	out->code = (const char *)sqlite3_column_text(row, at++);
	out->sha = (const char *)sqlite3_column_text(row, at++);
	out->repo_id = sqlite3_column_int64(row, at++);
	out->repo = (const char *)sqlite3_column_text(row, at++);
	out->pr = sqlite3_column_int64(row, at++);
	out->job_id = sqlite3_column_int64(row, at++);
	out->effect = (const char *)sqlite3_column_text(row, at++);
	out->before = (const char *)sqlite3_column_text(row, at++);
	out->after = (const char *)sqlite3_column_text(row, at++);
	read_digest(out->previous, row, at++);
	read_digest(out->digest, row, at);
}

/* A bite of rows after *no. *more is false when that was the last, or `each` wants no more. */
static enum err_class bite(struct db *db, const struct audit_filter *filter, int64_t *no,
			   bool (*each)(void *arg, const struct audit_row *row), void *arg,
			   bool *more, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	struct audit_row mine;
	int count = 0;
	enum err_class class =
		filter ? store_query(db, &row, STMT_AUDIT_FIND, err, B_INT(*no), B_INT(BITE),
				     B_TEXT(filter->repo ? filter->repo : ""),
				     B_INT(filter->job_id), B_INT(filter->since_ms))
		       : store_query(db, &row, STMT_AUDIT_WALK, err, B_INT(*no), B_INT(BITE));

	*more = true;
	while (class == ERR_OK && *more) {
		read_row(&mine, row);
		*no = mine.no;
		*more = each(arg, &mine);
		count++;
		class = store_next(db, &row, err);
	}
	*more = *more && count == BITE;
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

static enum err_class walk(struct db *db, const struct audit_filter *filter,
			   bool (*each)(void *arg, const struct audit_row *row), void *arg,
			   struct err *err)
{
	enum err_class class = is_there(db, err);
	int64_t no = INT64_MIN;
	bool more = true;

	while (class == ERR_OK && more)
		class = bite(db, filter, &no, each, arg, &more, err);
	return class;
}

enum err_class audit_find(struct db *db, const struct audit_filter *filter,
			  bool (*each)(void *arg, const struct audit_row *row), void *arg,
			  struct err *err)
{
	return walk(db, filter, each, arg, err);
}

/* --- verifying --- */

struct verifying {
	const struct audit_mark *kept;
	struct audit_verdict *out;
	unsigned char previous[AUDIT_DIGEST_LEN];
};

static bool is_broken(struct verifying *it, int64_t no, const char *why)
{
	it->out->broken_at = no;
	str_copy(it->out->why, sizeof it->out->why, why);
	return false;
}

static bool verify_one(void *arg, const struct audit_row *row)
{
	struct verifying *it = arg;
	struct audit_verdict *out = it->out;
	unsigned char digest[AUDIT_DIGEST_LEN];
	char text[2 * AUDIT_DIGEST_LEN + 1];

	if (row->no != out->rows + 1)
		return is_broken(it, out->rows + 1, "the row is missing");
	if (memcmp(row->previous, it->previous, sizeof it->previous) != 0)
		return is_broken(it, row->no, "it does not follow the row before it");
	audit_digest(digest, row);
	if (memcmp(digest, row->digest, sizeof digest) != 0)
		return is_broken(it, row->no, "its digest is not that of what it says");
	str_hex(text, digest, sizeof digest);
	if (it->kept && it->kept->no == row->no && !str_eq(it->kept->digest, text))
		return is_broken(it, row->no, "it is not the row that was kept elsewhere");
	memcpy(it->previous, digest, sizeof digest);
	out->rows = out->head.no = row->no;
	str_copy(out->head.digest, sizeof out->head.digest, text);
	return true;
}

enum err_class audit_verify(struct db *db, const struct audit_mark *kept, struct audit_verdict *out,
			    struct err *err)
{
	struct verifying it = {.kept = kept, .out = out};
	enum err_class class;

	*out = (struct audit_verdict){0};
	class = walk(db, NULL, verify_one, &it, err);
	if (class == ERR_OK && !out->broken_at && kept && kept->no > out->rows)
		is_broken(&it, out->rows + 1,
			  "the rows from here to the one kept elsewhere are "
			  "missing");
	return class;
}
