/* s3_list.c - listings: pages of ListObjectsV2, read without building them twice.
 *
 * Keys are asked for in URL form, because XML cannot hold every byte a key may have; whether the
 * server did so is said somewhere in the page, so names are decoded when the page is over. Pages
 * are bounded by the reader, their number by what was asked for and a maximum. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/base/xml.h"
#include "lib/services/s3_impl.h"

enum { PAGE_MAX = 1000, PAGES_MAX = 500, LIST_ANSWER_MAX = 16 * 1024 * 1024 };

/* A page under way. */
struct reading {
	struct s3_listing *listing;
	struct s3_object object; /* of the present <Contents> */
	size_t objects_before, folders_before;
	bool is_encoded, is_truncated, is_list;
	char *continuation;
	size_t objects_cap, folders_cap;
};

void s3_object_dispose(struct s3_object *object)
{
	mem_free(object->key);
	mem_free(object->etag);
	*object = (struct s3_object){0};
}

void s3_listing_dispose(struct s3_listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		s3_object_dispose(&listing->objects[i]);
	for (size_t i = 0; i < listing->folder_count; i++)
		mem_free(listing->folders[i]);
	mem_free(listing->objects);
	mem_free(listing->folders);
	mem_free(listing->continuation);
	*listing = (struct s3_listing){0};
}

/* --- one page --- */

static void replace(char **text, const char *with)
{
	mem_free(*text);
	*text = str_dup(with);
}

static void add_object(struct reading *reading)
{
	struct s3_listing *listing = reading->listing;

	if (listing->count == reading->objects_cap) {
		reading->objects_cap = reading->objects_cap ? 2 * reading->objects_cap : 64;
		listing->objects =
			mem_grow(listing->objects, reading->objects_cap * sizeof *listing->objects);
	}
	if (!reading->object.key)
		reading->object.key = str_dup("");
	if (!reading->object.etag)
		reading->object.etag = str_dup("");
	listing->objects[listing->count++] = reading->object;
	reading->object = (struct s3_object){0};
}

static void add_folder(struct reading *reading, const char *name)
{
	struct s3_listing *listing = reading->listing;

	if (listing->folder_count == reading->folders_cap) {
		reading->folders_cap = reading->folders_cap ? 2 * reading->folders_cap : 64;
		listing->folders =
			mem_grow(listing->folders, reading->folders_cap * sizeof *listing->folders);
	}
	listing->folders[listing->folder_count++] = str_dup(name);
}

static void take_member(void *arg, const char *path, const char *text)
{
	static const char root[] = "ListBucketResult";
	struct reading *reading = arg;
	struct s3_object *object = &reading->object;

	if (!str_starts(path, root))
		return;
	path += sizeof root - 1;
	if (!*path)
		reading->is_list = true;
	else if (str_eq(path, "/Contents/Key"))
		replace(&object->key, text);
	else if (str_eq(path, "/Contents/Size") && !str_to_int64(&object->size, text))
		object->size = -1;
	else if (str_eq(path, "/Contents/ETag")) {
		mem_free(object->etag);
		object->etag = s3_etag(text);
	} else if (str_eq(path, "/Contents/LastModified") &&
		   !clock_parse(&object->modified_at_ms, text))
		object->modified_at_ms = 0;
	else if (str_eq(path, "/Contents"))
		add_object(reading);
	else if (str_eq(path, "/CommonPrefixes/Prefix"))
		add_folder(reading, text);
	else if (str_eq(path, "/EncodingType"))
		reading->is_encoded = str_eq(text, "url");
	else if (str_eq(path, "/IsTruncated"))
		reading->is_truncated = str_eq(text, "true");
	else if (str_eq(path, "/NextContinuationToken"))
		replace(&reading->continuation, text);
}

/* "%41+b" to "A b", in place; false when it is not in that form. */
static bool decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (*text == '%') {
			unsigned char byte;

			if (!text[1] || !text[2] || !str_unhex(&byte, text + 1, 1) || !byte)
				return false;
			*out++ = (char)byte;
			text += 2;
		} else {
			*out++ = (char)(*text == '+' ? ' ' : *text);
		}
	}
	*out = '\0';
	return true;
}

static enum err_class check_name(char *name, bool is_encoded, const char *prefix, struct err *err)
{
	if (is_encoded && !decode(name))
		return err_set(err, ERR_TRANSIENT,
			       "the object store lists a name that cannot be read");
	if (!str_starts(name, prefix) || strlen(name) > S3_KEY_MAX)
		return err_code(err, ERR_CONFIG, "s3.not_there",
				"the object store lists names that were not asked for");
	return ERR_OK;
}

static enum err_class check_page(const struct reading *reading, const char *prefix, struct err *err)
{
	struct s3_listing *listing = reading->listing;
	enum err_class class = ERR_OK;

	for (size_t i = reading->objects_before; !class && i < listing->count; i++) {
		class = check_name(listing->objects[i].key, reading->is_encoded, prefix, err);
		if (!class && (listing->objects[i].size < 0 || !*listing->objects[i].key))
			class = err_set(err, ERR_TRANSIENT,
					"the object store lists an object without name or size");
	}
	for (size_t i = reading->folders_before; !class && i < listing->folder_count; i++)
		class = check_name(listing->folders[i], reading->is_encoded, prefix, err);
	if (!class && reading->is_truncated && str_is_empty(reading->continuation))
		class = err_set(err, ERR_TRANSIENT,
				"the object store breaks its listing off without a place to go on");
	return class;
}

enum err_class s3_page_parse(struct s3_page *page, const char *text, size_t len, struct err *err)
{
	struct s3_listing *listing = page->listing;
	struct reading reading = {.listing = listing,
				  .objects_before = listing->count,
				  .folders_before = listing->folder_count,
				  .objects_cap = listing->count,
				  .folders_cap = listing->folder_count};
	enum err_class class = ERR_OK;
	struct err fault;

	if (xml_read(text, len, take_member, &reading, &fault))
		class = err_set(err, ERR_TRANSIENT,
				"the listing of the object store cannot be read: %s", fault.msg);
	else if (!reading.is_list)
		class = err_code(err, ERR_CONFIG, "s3.not_there",
				 "what answers there is not an object store: no listing");
	else
		class = check_page(&reading, page->request->prefix, err);
	s3_object_dispose(&reading.object);
	mem_free(listing->continuation);
	listing->continuation = !class && reading.is_truncated ? take(reading.continuation) : NULL;
	listing->complete = !class && !reading.is_truncated;
	mem_free(reading.continuation);
	return class;
}

/* --- all pages --- */

static void add_parameter(struct s3_call *call, const char *name, const char *value)
{
	if (!str_is_empty(value))
		call->query[call->query_count++] = (struct sigv4_pair){name, value};
}

static enum err_class fetch_page(struct s3 *s3, struct http *http, struct s3_page *page,
				 size_t want, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_FREE char *max = str_printf("%zu", want < PAGE_MAX ? want : (size_t)PAGE_MAX);
	struct s3_call call = {.method = "GET",
			       .doing = "list",
			       .bucket = page->request->bucket,
			       .key = "",
			       .response_max = LIST_ANSWER_MAX};
	enum err_class class;

	add_parameter(&call, "list-type", "2");
	add_parameter(&call, "encoding-type", "url");
	add_parameter(&call, "max-keys", max);
	add_parameter(&call, "prefix", page->request->prefix);
	add_parameter(&call, "delimiter", page->request->delimiter);
	add_parameter(&call, "continuation-token", page->listing->continuation);
	class = s3_send(s3, http, &call, &response, err);
	if (!class)
		class = s3_page_parse(page, buf_text(&response.body), response.body.len, err);
	return class;
}

/* Takes off what a server gave beyond what was asked for; where to go on is not known then. */
static void cut_to(struct s3_listing *listing, size_t max)
{
	if (listing->count + listing->folder_count <= max)
		return;
	while (listing->folder_count && listing->count + listing->folder_count > max)
		mem_free(listing->folders[--listing->folder_count]);
	while (listing->count > max)
		s3_object_dispose(&listing->objects[--listing->count]);
	mem_free(listing->continuation);
	listing->continuation = NULL;
	listing->complete = false;
}

enum err_class s3_list(struct s3 *s3, struct http *http, const struct s3_list_request *request,
		       struct s3_listing *out, struct err *err)
{
	struct s3_page page = {out, request};
	enum err_class class;

	*out = (struct s3_listing){.continuation = str_dup(request->continuation)};
	class = s3_uri_check(request->bucket, request->prefix, err);
	for (int pages = 0; !class; pages++) {
		size_t have = out->count + out->folder_count;

		if (have >= request->max || pages == PAGES_MAX)
			break;
		class = fetch_page(s3, http, &page, request->max - have, err);
		if (out->complete)
			break;
	}
	if (!class)
		cut_to(out, request->max);
	return class;
}
