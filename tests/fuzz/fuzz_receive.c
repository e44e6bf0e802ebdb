/* fuzz_receive.c - any headers and payload on the way from the socket to the operation on the
 * store, as far as it needs neither: GUID, signature, event, commands, refusal. Input: a line with
 * the event's name, one with the GUID, one with the signature, then the body. */
#include <stdint.h>
#include <string.h>

#include "bot/receive_impl.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/core/signature.h"
#include "tests/unit/core/event_sound.h"

enum { OWN_APP = 4711, OWN_USER = 2002 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_allowed(void *arg, const char *repo)
{
	(void)arg;
	return str_starts(repo, "octo/");
}

/* Cuts the line up to the next newline off the input. */
static char *take_line(const char **text, size_t *size)
{
	const char *newline = *size ? memchr(*text, '\n', *size) : NULL;
	size_t len = newline ? (size_t)(newline - *text) : *size;
	char *line = str_dup_len(*text, len);

	*text += newline ? len + 1 : len;
	*size -= newline ? len + 1 : len;
	return line;
}

/* What is accepted as a GUID must be the text that its bytes make. */
static void check_guid(unsigned char guid[16], const char *text)
{
	char hex[33];
	size_t at = 0;

	if (!intake_guid(guid, text))
		return;
	str_hex(hex, guid, 16);
	for (size_t i = 0; text[i]; i++)
		must(text[i] == '-' ? i == 8 || i == 13 || i == 18 || i == 23
				    : (text[i] | 0x20) == hex[at++]);
	must(at == 32);
}

/* Only the one right header under each of the secrets lets the body in. */
static void check_signature(const char *header, const char *body, size_t len)
{
	static const char *const secrets[] = {"", "benchsecret", NULL, "older"};
	bool expected = false;

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		char right[7 + 2 * SIGN_SHA256_LEN + 1] = "sha256=";
		unsigned char digest[SIGN_SHA256_LEN];

		if (str_is_empty(secrets[i]))
			continue;
		sign_hmac_sha256(digest, secrets[i], strlen(secrets[i]), body, len);
		str_hex(right + 7, digest, sizeof digest);
		must(signature_is_valid(right, body, len, secrets, ARRAY_LEN(secrets)));
		expected |= str_eq(header, right);
		right[7 + len % 64] = right[7 + len % 64] == '0' ? '1' : '0';
		must(!signature_is_valid(right, body, len, secrets, ARRAY_LEN(secrets)));
	}
	must(signature_is_valid(header, body, len, secrets, ARRAY_LEN(secrets)) == expected);
}

/* A refused payload leaves an empty event; of others every field is sound. */
static void check_event(const char *name, const char *body, size_t len)
{
	static const struct event zero;
	struct event event;
	struct err err = {0};

	if (!event_is_read(name))
		return;
	if (event_read(&event, name, body, len, &err))
		must(err.class == ERR_USER && *err.code && *err.msg &&
		     !memcmp(&event, &zero, sizeof event));
	else
		event_must_be_sound(&event);
	event_dispose(&event);
}

static void check_comment(const struct intake *intake)
{
	const struct event *event = &intake->event;

	must(event->via_app_id != OWN_APP && event->sender_id != OWN_USER);
	must(!intake->wish.calls == (intake->wish.refusal != NULL));
	if (intake->refusal) {
		must(intake->refusal[0] == '`' && strchr(intake->refusal + 1, '`'));
		must(text_is_sound(intake->refusal, strlen(intake->refusal)));
		return;
	}
	must(intake->calls.count > 0 && intake->calls.count <= COMMENT_COMMANDS_MAX);
	for (size_t i = 0; i < intake->calls.count; i++) {
		const struct command_call *call = &intake->calls.items[i];

		must(command_by_name(&commands, call->command->name) == call->command);
		must(json_is_object(call->args) && call->line[0] == '/');
		must(call->command->on_closed || !event->closed);
	}
}

static void check_stored(const struct intake *intake)
{
	const struct event *event = &intake->event;

	must(!*event->repo || is_allowed(NULL, event->repo));
	must(intake->wish.delivery == &intake->delivery && intake->delivery.event == event);
	if (event->kind == EVENT_COMMENT) {
		check_comment(intake);
		return;
	}
	must(event->kind == EVENT_PULL_REQUEST || event->kind == EVENT_INSTALLATION ||
	     event->kind == EVENT_CHECK_RERUN);
	must(!intake->wish.calls && !intake->wish.refusal && !intake->wish.refuse_late);
	if (event->kind == EVENT_CHECK_RERUN)
		must(event->app_id == OWN_APP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct receive receive = {
		.options = {.commands = &commands,
			    .job_deadline_ms = 1000,
			    .comment_age_max_ms = 6 * 3600000,
			    .repo_is_allowed = is_allowed},
		.own_app_id = OWN_APP,
		.own_user_id = OWN_USER,
	};
	const char *text = (const char *)data;
	AUTO_FREE char *name = take_line(&text, &size), *guid = take_line(&text, &size),
		       *signature = take_line(&text, &size);
	struct intake first = {.delivery.received_at_ms = 1700000000000}, second = first;
	enum intake_verdict verdict, again;
	enum err_class class;
	struct err err = {0}, ignored;

	check_guid(first.delivery.guid, guid);
	check_signature(signature, text, size);
	check_event(name, text, size);
	class = intake_read(&first, &receive, name, text, size, &verdict, &err);
	if (class)
		must(class == ERR_USER && *err.code && *err.msg && verdict == INTAKE_IRRELEVANT);
	else if (verdict == INTAKE_STORE)
		check_stored(&first);
	/* What was irrelevant once is irrelevant for ever. */
	must(intake_read(&second, &receive, name, text, size, &again, &ignored) == class);
	must(again == verdict && second.calls.count == first.calls.count);
	must(first.refusal ? str_eq(first.refusal, second.refusal) : !second.refusal);
	intake_dispose(&first);
	intake_dispose(&second);
	return 0;
}
