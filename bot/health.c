/* health.c - see health.h. /healthz says that the process runs; /readyz that a command would be
 * taken and worked on. Neither names repositories or the version: they may be reachable by anybody.
 */
#include "bot/health.h"

#include "bot/credentials.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"

static atomic_bool identified;

void health_set_identified(bool is_identified)
{
	atomic_store(&identified, is_identified);
}

/* NULL: ready. Whoever asks for the metrics may be the only one who asks. */
static const char *why_not_ready(const struct world *world)
{
	const char *why = NULL;

	if (atomic_load(&world->stopping))
		why = "stopping";
	else if (!writer_is_healthy(world->writer))
		why = "the database cannot be written (disk full?)";
	else if (!atomic_load(&identified))
		why = "GitHub has not said yet who we are (see the log)";
	else if (credentials_are_refused_by_github())
		why = "GitHub refuses our credentials (see the log)";
	metrics_set(METRIC_READY, NULL, why == NULL);
	return why;
}

static int ready(const struct world *world, struct buf *body)
{
	const char *why = why_not_ready(world);

	buf_printf(body, "%s\n", why ? why : "ready");
	return why ? 503 : 200;
}

int health_page(void *arg, const char *path, struct buf *body, const char **content_type)
{
	struct world *world = arg;

	*content_type = "text/plain; charset=utf-8";
	if (str_eq(path, "/healthz")) {
		buf_puts(body, "ok\n");
		return 200;
	}
	if (str_eq(path, "/readyz"))
		return ready(world, body);
	if (str_eq(path, "/metrics")) {
		*content_type = "text/plain; version=0.0.4; charset=utf-8";
		(void)why_not_ready(world);
		metrics_write(body);
		return 200;
	}
	return 0;
}
