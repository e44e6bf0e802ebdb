/* model_files.c - see model_files.h.
 *
 * A table has a row per runtime: a text of its name, the format for which KServe chooses it, and
 * the endings of which one file must stand in the top level. Runtimes that want folders have a
 * function instead. Names of files come from outside and stand in sentences for people, so they are
 * cut and reduced to plain characters. */
#include "lib/core/model_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/sign.h"
#include "lib/base/str.h"

enum { ENDINGS_MAX = 6, NAMES_SHOWN = 4, NAME_SHOWN_MAX = 80, FOUND_MAX = 512, WHERE_MAX = 300 };

struct kind {
	const char *runtime;		   /* a part of the ServingRuntime's name */
	const char *format;		   /* NULL: never chosen by format */
	const char *endings[ENDINGS_MAX];  /* exactly one file with one of these */
	const char *companion;		   /* and one with this; NULL: none */
	const char *needs;		   /* what people read: "exactly one .bst file" */
	const char *example;		   /* "model.bst" */
	bool (*is_fine)(const char *path); /* instead: any file for which this holds will do */
};

/* --- runtimes that want folders --- */

/* Length of a leading "<number>/", 0 when there is none. */
static size_t version_folder(const char *path)
{
	size_t digits = strspn(path, "0123456789");

	return digits && path[digits] == '/' ? digits + 1 : 0;
}

static bool is_of_version(const char *path)
{
	return version_folder(path) > 0;
}

static bool is_of_repository(const char *path)
{
	size_t model = strcspn(path, "/");

	return model && path[model] && version_folder(path + model + 1);
}

static bool is_of_mlserver(const char *path)
{
	static const char *const endings[] = {".joblib", ".pkl",  ".pickle",
					      ".bst",	 ".json", ".ubj"};
	const char *slash = strrchr(path, '/');

	if (str_eq(slash ? slash + 1 : path, "model-settings.json"))
		return true;
	if (slash)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (str_ends(path, endings[i]))
			return true;
	return str_eq(path, "MLmodel");
}

static const struct kind kinds[] = {
	{"sklearnserver",
	 "sklearn",
	 {".joblib", ".pkl", ".pickle"},
	 NULL,
	 "exactly one .joblib, .pkl or .pickle file",
	 "model.joblib",
	 NULL},
	{"xgbserver",
	 "xgboost",
	 {".bst", ".json", ".ubj"},
	 NULL,
	 "exactly one .bst, .json or .ubj file",
	 "model.bst",
	 NULL},
	{"lgbserver", "lightgbm", {".bst"}, NULL, "exactly one .bst file", "model.bst", NULL},
	{"pmmlserver", "pmml", {".pmml"}, NULL, "exactly one .pmml file", "model.pmml", NULL},
	{"paddleserver",
	 "paddle",
	 {".pdmodel"},
	 ".pdiparams",
	 "exactly one .pdmodel and one .pdiparams file",
	 "model.pdmodel",
	 NULL},
	{"tensorflow-serving",
	 "tensorflow",
	 {NULL},
	 NULL,
	 "folders of versions with numbers for names",
	 "1/saved_model.pb",
	 is_of_version},
	{"triton",
	 "triton",
	 {NULL},
	 NULL,
	 "a model repository: a folder for each model and in it one for each version",
	 "my-model/1/model.onnx",
	 is_of_repository},
	{"mlserver",
	 NULL,
	 {NULL},
	 NULL,
	 "model-settings.json or a model file that it knows",
	 "model-settings.json",
	 is_of_mlserver},
};

static const struct kind *kind_of(const char *runtime, const char *format)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (runtime ? strstr(runtime, kinds[i].runtime) != NULL
			    : kinds[i].format && str_eq(format, kinds[i].format))
			return &kinds[i];
	}
	return NULL;
}

/* --- files as KServe sees them --- */

/* Does KServe download it? It passes over empty objects and markers of folders. */
static bool is_file(const struct s3_object *object)
{
	return object->size > 0 && !str_ends(object->key, "/");
}

/* The path inside the model's folder. An address that names one object gives that object's name. */
static const char *path_in(const struct model_listing *listing, const struct s3_object *object)
{
	const char *prefix = listing->where->key, *slash;

	if (str_eq(object->key, prefix)) {
		slash = strrchr(object->key, '/');
		return slash ? slash + 1 : object->key;
	}
	return object->key + strlen(prefix) + strspn(object->key + strlen(prefix), "/");
}

static bool is_neighbour(const struct model_listing *listing, const struct s3_object *object)
{
	size_t len = strlen(listing->where->key);

	return len && listing->where->key[len - 1] != '/' && object->key[len] != '/' &&
	       object->key[len];
}

/* --- sentences --- */

static void add_name(struct buf *out, const char *name)
{
	size_t shown = 0;

	buf_putc(out, '`');
	for (; *name && shown < NAME_SHOWN_MAX; name++, shown++) {
		bool is_plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
				(*name >= '0' && *name <= '9') || strchr("._-/=+ ", *name);

		buf_putc(out, is_plain ? *name : '_');
	}
	buf_puts(out, *name ? "...`" : "`");
}

/* "`a`, `b` and 3 more" */
static void add_found(struct buf *out, const struct model_listing *listing)
{
	size_t files = 0;

	for (size_t i = 0; i < listing->count; i++) {
		if (!is_file(&listing->objects[i]) || ++files > NAMES_SHOWN)
			continue;
		if (files > 1)
			buf_puts(out, ", ");
		add_name(out, path_in(listing, &listing->objects[i]));
	}
	if (files > NAMES_SHOWN)
		buf_printf(out, " and %zu more", files - NAMES_SHOWN);
}

static void where_text(char out[WHERE_MAX], const struct model_listing *listing)
{
	AUTO_BUF struct buf text = buf_make(sizeof(struct s3_uri) + 16);

	s3_uri_print(&text, listing->where);
	str_copy(out, WHERE_MAX, buf_text(&text));
}

static enum err_class refuse_neighbour(const struct model_listing *listing,
				       const struct s3_object *object, struct err *err)
{
	AUTO_BUF struct buf name = buf_make(FOUND_MAX);
	char where[WHERE_MAX];

	where_text(where, listing);
	add_name(&name, object->key);
	return err_code(err, ERR_USER, "model.slash",
			"%s has no / at its end, so KServe would also take %s; write %s/", where,
			buf_text(&name), where);
}

static enum err_class refuse_files(const struct model_listing *listing, const struct kind *kind,
				   size_t matches, struct err *err)
{
	AUTO_BUF struct buf found = buf_make(FOUND_MAX);

	add_found(&found, listing);
	if (matches > 1)
		return err_code(err, ERR_USER, "model.files",
				"%s needs %s in the top level of the model's folder; found %s; "
				"leave only one there",
				kind->runtime, kind->needs, buf_text(&found));
	return err_code(err, ERR_USER, "model.files",
			"%s needs %s in the top level of the model's folder; found %s; write the "
			"model as a folder with `%s` in it",
			kind->runtime, kind->needs, buf_text(&found), kind->example);
}

/* --- the check --- */

/* Files of the top level with one of the endings. */
static size_t count_endings(const struct model_listing *listing, const char *const *endings,
			    size_t ending_count)
{
	size_t matches = 0;

	for (size_t i = 0; i < listing->count; i++) {
		const char *path = path_in(listing, &listing->objects[i]);

		if (!is_file(&listing->objects[i]) || strchr(path, '/'))
			continue;
		for (size_t k = 0; k < ending_count && endings[k]; k++)
			matches += str_ends(path, endings[k]);
	}
	return matches;
}

static enum err_class check_kind(const struct model_listing *listing, const struct kind *kind,
				 struct err *err)
{
	size_t matches, companions;

	if (kind->is_fine) {
		for (size_t i = 0; i < listing->count; i++)
			if (is_file(&listing->objects[i]) &&
			    kind->is_fine(path_in(listing, &listing->objects[i])))
				return ERR_OK;
		return refuse_files(listing, kind, 0, err);
	}
	matches = count_endings(listing, kind->endings, ENDINGS_MAX);
	companions = kind->companion ? count_endings(listing, &kind->companion, 1) : 1;
	if (matches == 1 && companions == 1)
		return ERR_OK;
	return refuse_files(listing, kind, matches > companions ? matches : companions, err);
}

enum err_class model_files_check(const struct model_listing *listing, const char *runtime,
				 const char *format, struct err *err)
{
	const struct kind *kind = kind_of(runtime, format);
	char where[WHERE_MAX];
	size_t files = 0;

	where_text(where, listing);
	for (size_t i = 0; i < listing->count; i++) {
		must(str_starts(listing->objects[i].key, listing->where->key));
		if (!is_file(&listing->objects[i]))
			continue;
		if (is_neighbour(listing, &listing->objects[i]))
			return refuse_neighbour(listing, &listing->objects[i], err);
		files++;
	}
	if (!listing->complete)
		return err_code(err, ERR_USER, "model.too_many",
				"there are more than %zu objects under %s; a model's folder holds "
				"only the model",
				listing->count, where);
	if (!files)
		return err_code(err, ERR_USER, "model.missing",
				"there is no file under %s; the model was not written there, or "
				"was deleted since",
				where);
	return kind ? check_kind(listing, kind, err) : ERR_OK;
}

/* --- the digest --- */

static int by_key(const void *a, const void *b)
{
	const struct s3_object *const *left = a, *const *right = b;

	return strcmp((*left)->key, (*right)->key);
}

int64_t model_files_bytes(const struct model_listing *listing)
{
	int64_t bytes = 0;

	for (size_t i = 0; i < listing->count; i++)
		if (__builtin_add_overflow(bytes, listing->objects[i].size, &bytes))
			return INT64_MAX;
	return bytes;
}

void model_files_digest(char out[MODEL_DIGEST_LEN], const struct model_listing *listing)
{
	AUTO_FREE const struct s3_object **sorted =
		mem_new(listing->count ? listing->count : 1, sizeof *sorted);
	size_t files = 0, room = 1;

	must(listing->complete);
	for (size_t i = 0; i < listing->count; i++) {
		if (!is_file(&listing->objects[i]))
			continue;
		sorted[files++] = &listing->objects[i];
		room += strlen(listing->objects[i].key) + strlen(listing->objects[i].etag) + 64;
	}
	qsort(sorted, files, sizeof(const struct s3_object *), by_key);
	{
		AUTO_BUF struct buf lines = buf_make(room);

		/* The length goes first, so that no key can be taken for another and its size. */
		for (size_t i = 0; i < files; i++)
			buf_printf(&lines, "%zu:%s %" PRId64 " %s\n", strlen(sorted[i]->key),
				   sorted[i]->key, sorted[i]->size, sorted[i]->etag);
		must(!lines.truncated);
		sign_sha256_hex(out, buf_text(&lines), lines.len);
	}
}
