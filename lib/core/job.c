/* job.c - see job.h. Names and moves are tables, so that the store, the docs and the tests read the
 * same rows. A job ends only from RUNNING: whoever wants another one to end makes it READY with a
 * wanted end, and the worker that claims it tells the people. So every end has one place in the
 * code, and none is silent. */
#include "lib/core/job.h"

#include "lib/base/mem.h"
#include "lib/base/str.h"

static const struct {
	const char *name;
	bool mutates;
} effects[EFFECT_COUNT] = {
	[EFFECT_NONE] = {"none", false},
#define EFFECT(symbol, text, does_mutate) [EFFECT_##symbol] = {text, does_mutate},
#include "lib/core/effects.def"
#undef EFFECT
};

static const struct {
	enum job_state state;
	const char *name;
} states[] = {
	{JOB_READY, "ready"},	  {JOB_RUNNING, "running"},	{JOB_PARKED, "parked"},
	{JOB_BACKOFF, "backoff"}, {JOB_BLOCKED, "blocked"},	{JOB_DONE, "done"},
	{JOB_FAILED, "failed"},	  {JOB_CANCELLED, "cancelled"}, {JOB_SUPERSEDED, "superseded"},
	{JOB_DEAD, "dead"},	  {JOB_EXPIRED, "expired"},
};

const struct job_move job_moves[] = {
	{JOB_READY, JOB_RUNNING, "a worker claims it"},
	{JOB_READY, JOB_BLOCKED,
	 "an older command of the pull request arrived late and goes first"},
	{JOB_BLOCKED, JOB_READY, "the job before it ended, or it is to be ended itself"},
	{JOB_BACKOFF, JOB_RUNNING, "the time to try again has come"},
	{JOB_BACKOFF, JOB_READY, "it is to be stopped without waiting longer"},
	{JOB_PARKED, JOB_READY,
	 "what it waited for was reported, its time has come, or it is to be stopped"},
	{JOB_RUNNING, JOB_RUNNING, "its step is done and the same worker goes on with the next"},
	{JOB_RUNNING, JOB_READY, "its step is done and there are more, or the process died"},
	{JOB_RUNNING, JOB_PARKED, "it waits for something outside"},
	{JOB_RUNNING, JOB_BACKOFF, "its step failed for a reason that may pass"},
	{JOB_RUNNING, JOB_DONE, "its last step is done"},
	{JOB_RUNNING, JOB_FAILED, "a step failed for good"},
	{JOB_RUNNING, JOB_CANCELLED, "somebody asked to stop it, or the pull request was closed"},
	{JOB_RUNNING, JOB_SUPERSEDED, "a newer command took its place before it started"},
	{JOB_RUNNING, JOB_DEAD, "it crashed the process three times, or failed by our own fault"},
	{JOB_RUNNING, JOB_EXPIRED, "its deadline passed, or its comment came too late"},
};
const size_t job_move_count = ARRAY_LEN(job_moves);

void job_dispose(struct job *job)
{
	mem_free(job->repo);
	mem_free(job->actor);
	mem_free(job->command);
	mem_free(job->line);
	json_decref(job->args);
	json_decref(job->data);
	mem_free(job->cancelled_by);
	mem_free(job->wait_ref);
	mem_free(job->code);
	mem_free(job->message);
	mem_free(job->end_code);
	mem_free(job->end_message);
	*job = (struct job){0};
}

bool job_is_closed(const struct job *job)
{
	return job->cancel && str_eq(job_stop_code(job), "pull.closed");
}

const char *job_stop_code(const struct job *job)
{
	return job->end_code ? job->end_code : "job.cancelled";
}

char *job_stop_words(const struct job *job, const char *word)
{
	const char *who = job->cancelled_by ? job->cancelled_by : "a person";

	if (job_is_closed(job))
		return str_printf("%s because %s closed the pull request", word, who);
	return str_printf("%s by %s", word, who);
}

void update_dispose(struct update *update)
{
	json_decref(update->effect.args);
	mem_free(update->wait_ref);
	mem_free(update->code);
	mem_free(update->message);
	mem_free(update->authorized);
	json_decref(update->data);
	*update = (struct update){0};
}

const struct step *job_step(const struct step *steps, const char *name)
{
	if (!*name)
		return steps;
	for (const struct step *step = steps; step->name; step++)
		if (str_eq(step->name, name))
			return step;
	return NULL;
}

const char *effect_name(enum effect_kind kind)
{
	return kind < EFFECT_COUNT ? effects[kind].name : "unknown";
}

bool effect_mutates(enum effect_kind kind)
{
	return kind < EFFECT_COUNT && effects[kind].mutates;
}

enum effect_kind effect_from_name(const char *name)
{
	for (int i = 0; i < EFFECT_COUNT; i++)
		if (str_eq(effects[i].name, name))
			return (enum effect_kind)i;
	return EFFECT_NONE;
}

const char *job_state_name(enum job_state state)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (states[i].state == state)
			return states[i].name;
	return "unknown";
}

bool job_state_is_final(enum job_state state)
{
	return state >= JOB_DONE;
}

bool job_may_move(enum job_state from, enum job_state to)
{
	for (size_t i = 0; i < job_move_count; i++)
		if (job_moves[i].from == from && job_moves[i].to == to)
			return true;
	return false;
}
