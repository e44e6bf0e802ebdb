/* settings.h - the repository's config_files/config.yaml, in the format of Kfops.
 *
 * Belongs to the data scientists and is read at the job's SHA: it holds no addresses and no rights.
 * All sections are parsed and checked (repository, pipeline, deployment, image_builder); unknown
 * and doubled keys are errors with line, column and nearest key; all faults are reported. Pure. */
#ifndef KF_CONFIG_SETTINGS_H
#define KF_CONFIG_SETTINGS_H

#include <jansson.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Parses and checks. *out is the whole file as JSON with defaults filled in ("pipeline.namespace",
 * ...); the caller drops it. On USER ("settings.invalid"), `report` has one line per fault,
 * "config_files/config.yaml:LINE:COLUMN: ..." and *line is that of the first; on success it is that
 * of pipeline.namespace, the value that the operator may still refuse. `repo` is the
 * webhook's full name: another repository.owner/name is USER "settings.other_repository"
 * (case-insensitive); NULL: any. */
enum err_class settings_parse(json_t **out, const char *text, size_t len, const char *repo,
			      struct buf *report, int *line, struct err *err) MUST_CHECK;

#endif
