/* health.h - /healthz, /readyz, /metrics. Any thread may call. */
#ifndef KF_BOT_HEALTH_H
#define KF_BOT_HEALTH_H

#include "bot/world.h"

/* For receive_options.page; `arg` is the world. Returns the HTTP status, 0 for pages that are not
 * ours. */
int health_page(void *arg, const char *path, struct buf *body, const char **content_type);

/* What /readyz waits for beside a writer that can write; set once GitHub has said who we are. */
void health_set_identified(bool identified);

#endif
