/* poller_comments.c - the second net: comments that no webhook brought.
 *
 * At start and then once an hour every known repository is asked for its newer comments, one
 * repository at a turn. It catches what the log of deliveries does not have: a hook that was
 * switched off, an outage longer than the log is kept, a token that may not read it. A comment
 * counts when it may hold a command, stands on a pull request as it was written (a changed one may
 * hold somebody else's words), and has led to nothing: no job, no refusal, no reaction of ours (the
 * database may have been restored). It is taken in like a webhook, with a GUID made from its id, so
 * whatever comes in twice meets the same keys; one that is older than `limits.comment_age` is
 * answered as too late.
 *
 * On a public repository strangers may write as much as they like. Who has had the answer of the
 * hour there, or gets it by this look, is asked after once (may this person do more than read?) and
 * then passed over: nothing would be said to them at the webhook's door either, and each comment
 * would cost three calls here. */
#include <inttypes.h>
#include <string.h>

#include "bot/poller_impl.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/core/comment.h"
#include "lib/services/github_missed.h"
#include "lib/store/queue.h"
#include "lib/store/strangers.h"

enum {
	GAP_MAX_MS = 1000,	 /* between two repositories */
	UNKNOWN_AGAIN_MS = 5000, /* until GitHub has said who we are */
	OVERLAP_MS = 600000,
};

/* Somebody whom the repository does not know. */
struct unknown {
	int64_t actor_id;
	int64_t pr;	/* on which a comment was taken in by this look; 0: asked after */
	bool may_write; /* GitHub's word */
};

struct look {
	struct poller *poller;
	struct poller_repo *repo;
	int64_t since_ms;  /* GitHub's clock, but for the first look */
	int64_t newest_ms; /* change that was seen */
	bool again;	   /* something of it could not be looked at */
	struct unknown *unknown;
	size_t unknown_count;
};

static int64_t number_of(const json_t *comment)
{
	const char *url = jval_str(comment, "issue_url", ""), *slash = strrchr(url, '/');
	int64_t number = 0;

	return slash && str_to_int64(&number, slash + 1) ? number : 0;
}

static bool is_candidate(const struct look *look, const json_t *comment)
{
	const char *body = jval_str(comment, "body", "");
	const char *created = jval_str(comment, "created_at", "");
	int64_t created_ms;

	return clock_parse(&created_ms, created) && created_ms >= look->since_ms &&
	       str_eq(created, jval_str(comment, "updated_at", "")) &&
	       strstr(jval_str(comment, "html_url", ""), "/pull/") &&
	       !str_eq(jval_str(comment, "user.type", ""), "Bot") &&
	       comment_may_have_command(body, strlen(body));
}

/* Said by the store, which costs no call. */
static bool is_known(const struct look *look, const json_t *comment)
{
	struct err ignored;
	bool known;

	return look->repo->id &&
	       !queue_knows_comment(look->poller->hands.reader, look->repo->id, number_of(comment),
				    jval_int(comment, "id", 0), &known, &ignored) &&
	       known;
}

/* What the webhook would have said. */
static char *payload_of(const struct look *look, const json_t *comment,
			const struct github_pull *pull)
{
	AUTO_JSON json_t *payload = json_object();
	json_t *issue = json_object(), *at = json_object(), *repo = json_object(), *via;

	jval_set_str(payload, "action", "created");
	jval_set_int(issue, "number", number_of(comment));
	jval_set_str(issue, "state", pull->open ? "open" : "closed");
	jval_set_str(at, "merged_at", pull->merged ? jval_str(comment, "created_at", "") : NULL);
	jval_set(issue, "pull_request", at);
	jval_set(payload, "issue", issue);
	jval_set(payload, "comment", json_deep_copy(comment));
	jval_set_int(repo, "id", pull->base_repo_id);
	jval_set_str(repo, "full_name", look->repo->name);
	jval_set_bool(repo, "private", !pull->is_public);
	jval_set(payload, "repository", repo);
	jval_set(payload, "sender", json_deep_copy(json_object_get(comment, "user")));
	if (look->repo->installation_id) {
		via = json_object();
		jval_set_int(via, "id", look->repo->installation_id);
		jval_set(payload, "installation", via);
	}
	return jval_dump(payload);
}

/* A GUID that the same comment always gets. */
static void guid_of(char out[37], int64_t repo_id, int64_t comment_id)
{
	AUTO_FREE char *text = str_printf("comment %" PRId64 " %" PRId64, repo_id, comment_id);
	unsigned char digest[SIGN_SHA256_LEN];

	sign_sha256(digest, text, strlen(text));
	str_uuid(out, digest);
}

/* Somebody with the right to edit could give another's old comment the words of a command. */
static bool is_as_written(struct look *look, const json_t *comment, enum err_class *class,
			  struct err *err)
{
	const struct github_target target = poller_repo_target(look->repo);
	bool edited = true;

	*class = github_comment_was_edited(look->poller->world->github,
					   look->poller->hands.github_http, &target,
					   jval_str(comment, "node_id", ""), &edited, err);
	return !edited;
}

static bool has_led_to_something(struct look *look, const json_t *comment,
				 const struct github_pull *pull, enum err_class *class,
				 struct err *err)
{
	const struct github_target target = poller_repo_target(look->repo);
	int64_t id = jval_int(comment, "id", 0);
	bool known = true;

	*class = queue_knows_comment(look->poller->hands.reader, pull->base_repo_id,
				     number_of(comment), id, &known, err);
	if (!*class && !known)
		*class = github_comment_has_our_reaction(look->poller->world->github,
							 look->poller->hands.github_http, &target,
							 id, &known, err);
	return known;
}

/* --- strangers --- */

static const struct unknown *find_unknown(const struct look *look, int64_t actor_id, int64_t pr)
{
	for (size_t i = 0; i < look->unknown_count; i++)
		if (look->unknown[i].actor_id == actor_id && look->unknown[i].pr == pr)
			return &look->unknown[i];
	return NULL;
}

static void note_unknown(struct look *look, struct unknown one)
{
	look->unknown = mem_grow(look->unknown, (look->unknown_count + 1) * sizeof *look->unknown);
	look->unknown[look->unknown_count++] = one;
}

/* GitHub says "read" of everybody on a public repository. Asked once a person and look. */
static enum err_class may_write(struct look *look, const json_t *comment, bool *out,
				struct err *err)
{
	const struct github_target target = poller_repo_target(look->repo);
	int64_t actor_id = jval_int(comment, "user.id", 0);
	const struct unknown *asked = find_unknown(look, actor_id, 0);
	struct github_permission seen = {0};
	enum err_class class = ERR_OK;

	if (!asked) {
		class = github_permission(look->poller->world->github,
					  look->poller->hands.github_http, &target,
					  jval_str(comment, "user.login", ""), &seen, err);
		if (class && class != ERR_NOT_FOUND)
			return class;
		*out = class == ERR_OK && seen.user_id == actor_id &&
		       (seen.triage || seen.push || seen.maintain || seen.admin);
		note_unknown(look, (struct unknown){.actor_id = actor_id, .may_write = *out});
		return ERR_OK;
	}
	*out = asked->may_write;
	return ERR_OK;
}

/* True for a comment to which nothing will be said: a stranger's who has had the answer of the
 * hour. Only public repositories have such answers. */
static bool is_passed_over(struct look *look, const json_t *comment, enum err_class *class,
			   struct err *err)
{
	int64_t actor_id = jval_int(comment, "user.id", 0), pr = number_of(comment);
	struct strangers_seen seen;
	bool writes = false;

	*class = strangers_look(look->poller->hands.reader, look->repo->id, pr, actor_id,
				clock_now_ms(), &seen, err);
	if (*class || seen.is_known || (!seen.was_answered && !find_unknown(look, actor_id, pr)))
		return false;
	*class = may_write(look, comment, &writes, err);
	return !*class && !writes;
}

/* The next one of the same person on the same pull request is passed over, if it is a stranger. */
static void note_taken_in(struct look *look, const json_t *comment, const struct github_pull *pull)
{
	if (pull->is_public)
		note_unknown(look, (struct unknown){.actor_id = jval_int(comment, "user.id", 0),
						    .pr = number_of(comment)});
}

static enum err_class take_in(struct look *look, const json_t *comment, struct err *err)
{
	struct poller *poller = look->poller;
	const struct github_target target = poller_repo_target(look->repo);
	AUTO_FREE char *payload = NULL;
	struct github_pull pull;
	enum err_class class = ERR_OK;
	char guid[37];

	if (is_passed_over(look, comment, &class, err) || class)
		return class;
	class = github_pull(poller->world->github, poller->hands.github_http, &target,
			    number_of(comment), &pull, err);
	if (class || has_led_to_something(look, comment, &pull, &class, err) || class ||
	    !is_as_written(look, comment, &class, err) || class)
		return class;
	payload = payload_of(look, comment, &pull);
	guid_of(guid, pull.base_repo_id, jval_int(comment, "id", 0));
	class = receive_payload(poller->receive, "issue_comment", guid, payload, strlen(payload), 2,
				err);
	if (class)
		return class;
	note_taken_in(look, comment, &pull);
	log_info("comment_recovered", LOG_S("delivery", guid), LOG_S("repo", target.repo),
		 LOG_I("pr", number_of(comment)));
	return ERR_OK;
}

static bool see_comment(void *arg, const json_t *comment)
{
	struct look *look = arg;
	struct err err = {0};
	enum err_class class;
	int64_t changed_ms;

	if (atomic_load(&look->poller->world->stopping)) {
		look->again = true;
		return false;
	}
	if (clock_parse(&changed_ms, jval_str(comment, "updated_at", "")) &&
	    changed_ms > look->newest_ms)
		look->newest_ms = changed_ms;
	if (!is_candidate(look, comment) || is_known(look, comment))
		return true;
	class = take_in(look, comment, &err);
	if (class)
		log_info("recover_failed", LOG_S("repo", look->repo->name),
			 LOG_I("comment", jval_int(comment, "id", 0)), LOG_S("message", err.msg));
	look->again |= err_is_retried(class) || class == ERR_CONFIG;
	return true;
}

/* Where the next look of a repository begins. The first one looks back as far as commands are
 * taken; one that lies in the future was by a wrong clock. */
static int64_t look_since(struct poller *poller, const char *key, int64_t now_ms)
{
	int64_t age_ms = config_ms(poller->world->config, "limits.comment_age");
	int64_t noted_ms = poller_noted(poller, key, 0);

	if (!noted_ms || noted_ms > now_ms)
		return now_ms - (age_ms ? age_ms : 86400000);
	return noted_ms;
}

static int64_t later(int64_t a_ms, int64_t b_ms)
{
	return a_ms > b_ms ? a_ms : b_ms;
}

static void look_at(struct poller *poller, struct poller_repo *repo, int64_t now_ms)
{
	AUTO_FREE char *key = str_printf("comments_seen:%s", repo->name);
	const struct github_target target = poller_repo_target(repo);
	struct look look = {.poller = poller, .repo = repo};
	struct err err = {0};

	look.since_ms = look_since(poller, key, now_ms);
	err.class = github_comments_since(poller->world->github, poller->hands.github_http, &target,
					  look.since_ms, see_comment, &look, &err);
	mem_free(look.unknown);
	credentials_note(poller->world, CREDENTIALS_GITHUB, &err);
	if (err.class)
		log_info("comments_unread", LOG_S("repo", repo->name), LOG_S("message", err.msg));
	else if (!look.again)
		poller_note(poller, key, later(look.since_ms, look.newest_ms - OVERLAP_MS), now_ms);
}

void poller_comments(struct poller *poller, int64_t now_ms)
{
	struct poller_duty *duty = &poller->duties[POLLER_COMMENTS];
	int64_t every_ms = config_ms(poller->world->config, "poll.comments_interval"), left_ms;
	struct github_identity self;
	struct err err;

	duty->every_ms = every_ms < UNKNOWN_AGAIN_MS ? every_ms : UNKNOWN_AGAIN_MS;
	if (!poller->receive ||
	    github_identity(poller->world->github, poller->hands.github_http, &self, &err))
		return;
	if (!poller->next_comments) {
		poller_repos_read(poller);
		poller->comments_began_ms = now_ms;
	}
	if (poller->next_comments < poller->repo_count)
		look_at(poller, &poller->repos[poller->next_comments++], now_ms);
	duty->every_ms = every_ms < GAP_MAX_MS ? every_ms : GAP_MAX_MS;
	if (poller->next_comments < poller->repo_count)
		return;
	poller->next_comments = 0;
	left_ms = poller->comments_began_ms + every_ms - now_ms;
	duty->every_ms = left_ms > duty->every_ms ? left_ms : duty->every_ms;
}
