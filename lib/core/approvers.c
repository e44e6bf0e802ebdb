/* approvers.c - see approvers.h. Teams come last, and one at a time: each costs a call to GitHub.
 */
#include "lib/core/approvers.h"

#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/policy_impl.h"

enum { SHOWN_MAX = 10 };

/* --- keeping --- */

static json_t *texts(char *const *items, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(items[i]));
	return list;
}

json_t *approvers_keep(const struct policy_rule *rule)
{
	json_t *kept, *users;

	if (!rule->set)
		return NULL;
	kept = json_object();
	users = json_object();
	for (size_t i = 0; i < rule->user_count; i++)
		jval_set_int(users, rule->users[i].login, rule->users[i].id);
	jval_set_str(kept, "permission", right_name(rule->permission));
	jval_set(kept, "teams", texts(rule->teams, rule->team_count));
	jval_set(kept, "users", users);
	jval_set(kept, "roles", texts(rule->roles, rule->role_count));
	return kept;
}

/* --- judging --- */

static bool is_user(const json_t *rule, int64_t id)
{
	json_t *users = json_object_get(rule, "users"), *each;
	const char *login;

	json_object_foreach(users, login, each) if (json_integer_value(each) == id) return true;
	return false;
}

static bool has_role(const json_t *rule, const char *role)
{
	const json_t *each;
	size_t i;

	json_array_foreach(json_object_get(rule, "roles"), i,
			   each) if (role && str_eq(json_string_value(each), role)) return true;
	return false;
}

static const struct policy_team *team_of(const struct policy_person *person, const char *slug)
{
	for (size_t i = 0; i < person->team_count; i++)
		if (str_eq(person->teams[i].slug, slug))
			return &person->teams[i];
	return NULL;
}

static enum approver by_teams(const json_t *rule, const struct policy_person *person,
			      const char **team)
{
	enum approver found = APPROVER_NO;
	const json_t *each;
	size_t i;

	json_array_foreach(json_object_get(rule, "teams"), i, each)
	{
		const char *slug = json_string_value(each);
		const struct policy_team *known = team_of(person, slug);

		if (known && known->member == POLICY_MEMBER_YES) {
			*team = NULL;
			return APPROVER_YES;
		}
		if (known && known->member == POLICY_MEMBER_NO)
			continue;
		if (found == APPROVER_ASK || (known && found == APPROVER_UNKNOWN))
			continue;
		found = known ? APPROVER_UNKNOWN : APPROVER_ASK;
		*team = slug;
	}
	return found;
}

static bool names_people(const json_t *rule)
{
	return json_array_size(json_object_get(rule, "teams")) ||
	       json_object_size(json_object_get(rule, "users")) ||
	       json_array_size(json_object_get(rule, "roles"));
}

enum approver approvers_judge(const json_t *rule, const struct policy_person *person,
			      const char **team)
{
	enum right right = RIGHT_WRITE;

	*team = NULL;
	if (rule && !policy_right_parse(&right, jval_str(rule, "permission", "")))
		return APPROVER_NO;
	if (!person || person->user_id <= 0 || !person->push || !policy_person_has(person, right))
		return APPROVER_NO;
	if (!rule || !names_people(rule) || is_user(rule, person->user_id) ||
	    has_role(rule, person->role))
		return APPROVER_YES;
	return by_teams(rule, person, team);
}

/* --- telling --- */

struct telling {
	struct buf *out;
	size_t count;
};

/* The separator of the next name; false when enough were named. */
static bool goes_on(struct telling *telling)
{
	if (telling->count++ >= SHOWN_MAX)
		return false;
	buf_puts(telling->out, telling->count > 1 ? ", " : "one of ");
	return true;
}

void approvers_say(const json_t *rule, const char *repo, const char *quote, struct buf *out)
{
	struct telling telling = {.out = out};
	json_t *users = json_object_get(rule, "users"), *id;
	const json_t *each;
	const char *login;
	size_t i;

	if (!rule)
		return;
	json_array_foreach(json_object_get(rule, "teams"), i, each) if (goes_on(&telling))
		buf_printf(out, "%s@%.*s/%s%s", quote, (int)strcspn(repo, "/"), repo,
			   json_string_value(each), quote);
	json_object_foreach(users, login, id) if (goes_on(&telling))
		buf_printf(out, "%s@%s%s", quote, login, quote);
	json_array_foreach(json_object_get(rule, "roles"), i, each) if (goes_on(&telling))
		buf_printf(out, "role %s%s%s", quote, json_string_value(each), quote);
	if (telling.count > SHOWN_MAX)
		buf_printf(out, " and %zu more", telling.count - SHOWN_MAX);
	if (!telling.count)
		buf_printf(out, "somebody with %s permission", jval_str(rule, "permission", "?"));
}
