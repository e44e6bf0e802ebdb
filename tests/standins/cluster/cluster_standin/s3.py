"""The object store: path style, folders under one directory as buckets, every signature checked.

The credentials file is JSON, {access key: {"secret": ..., "token": ..., "buckets": [...], "list": true,
"write": true}}, read again when it changes; without `buckets` all are allowed, and a key with a
`token` counts only together with it. A key that ends in "/" is a
marker of size 0, kept as a hidden file of its folder. Keys with "." or ".." as a part are refused,
as by the real stores that keep files.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import threading
import urllib.parse
from xml.sax.saxutils import escape

from standin_common import clock as clocks
from standin_common.http import Answer

from . import sigv4, sts

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MARKER = ".standin-folder"
LIST_KEYS = {"list-type", "prefix", "delimiter", "max-keys", "continuation-token", "start-after",
             "encoding-type", "fetch-owner"}
BUCKET = re.compile(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
MESSAGES = {"NoSuchBucket": "The specified bucket does not exist",
            "NoSuchKey": "The specified key does not exist.", "AccessDenied": "Access Denied.",
            "PreconditionFailed": "At least one of the pre-conditions you specified did not hold",
            "InvalidRange": "The requested range is not satisfiable",
            "MethodNotAllowed": "The specified method is not allowed against this resource.",
            "BucketAlreadyOwnedByYou": "Your previous request to create the named bucket succeeded "
                                       "and you already own it.",
            "InvalidBucketName": "The specified bucket is not valid.",
            "XMinioInvalidObjectName": "Object name contains unsupported characters.",
            "XMinioParentIsObject": "Object-prefix is already an object, please choose a different "
                                    "object-prefix name.",
            "InvalidArgument": "Invalid Argument"}


class S3Error(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message or MESSAGES.get(code, code)


class Objects:
    """Buckets and keys as folders and files."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._etags = {}
        self._lock = threading.Lock()

    def bucket(self, name):
        return BUCKET.match(name) is not None and (self.folder / name).is_dir()

    def make_bucket(self, name):
        if not BUCKET.match(name):
            raise S3Error(400, "InvalidBucketName")
        (self.folder / name).mkdir()

    def path(self, bucket, key):
        parts = key.split("/")
        inner = parts[:-1] if key.endswith("/") else parts
        if any(part in ("", ".", "..") for part in inner) or "\0" in key:
            raise S3Error(400, "XMinioInvalidObjectName")
        path = self.folder / bucket / key
        return path / MARKER if key.endswith("/") else path

    def keys(self, bucket, prefix=""):
        """All keys with the prefix, sorted by bytes as the store sorts them."""
        found, root = [], self.folder / bucket
        for folder, _, names in os.walk(root):
            inside = os.path.relpath(folder, root)
            inside = "" if inside == "." else inside + "/"
            for name in names:
                key = inside if name == MARKER else inside + name
                if key.startswith(prefix) and not name.endswith(".new"):
                    found.append(key)
        return sorted(found, key=str.encode)

    def read(self, bucket, key):
        """The bytes, or None."""
        path = self.path(bucket, key)
        return path.read_bytes() if path.is_file() else None

    def write(self, bucket, key, data):
        path = self.path(bucket, key)
        scratch = path.with_name(path.name + ".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(data)
            os.replace(scratch, path)
        except (NotADirectoryError, FileExistsError, IsADirectoryError):
            scratch.unlink(missing_ok=True)
            raise S3Error(400, "XMinioParentIsObject") from None

    def delete(self, bucket, key):
        path = self.path(bucket, key)
        if path.is_file():
            path.unlink()
            parent = path.parent
            while parent != self.folder / bucket and not any(parent.iterdir()):
                parent.rmdir()
                parent = parent.parent

    def facts(self, bucket, key):
        """(size, etag, modified) or None."""
        path = self.path(bucket, key)
        if not path.is_file():
            return None
        stamp = path.stat()
        mark = (stamp.st_mtime_ns, stamp.st_size)
        with self._lock:
            known = self._etags.get(path)
            if known is None or known[0] != mark:
                known = (mark, hashlib.md5(path.read_bytes()).hexdigest())
                self._etags[path] = known
        return stamp.st_size, known[1], stamp.st_mtime


class S3App:
    def __init__(self, objects, credentials, clock, record, faults):
        self.objects = objects
        self.credentials_file = credentials
        self.clock = clock
        self.record = record
        self.faults = faults
        self.sts = sts.Sts(clock, record)
        self._count = 0

    def credentials(self):
        with open(self.credentials_file, encoding="utf-8") as source:
            return json.load(source)

    def answered(self, request, answer):
        self.record.request(port="s3", method=request.method, target=request.target,
                            status=answer.status)

    def handle(self, request):
        """One request, answered; an error is XML."""
        if request.method == "POST" and request.path == "/":
            return self.sts.handle(request)
        parts = request.path.lstrip("/").split("/", 1)
        bucket = urllib.parse.unquote(parts[0])
        key = urllib.parse.unquote(parts[1]) if len(parts) > 1 else ""
        try:
            rights = self._rights(request)
            self._may(request, rights, bucket, key)
            answer = self._route(request, bucket, key)
        except S3Error as error:
            answer = self._error(request, error, bucket, key)
        self._count += 1
        answer.headers.setdefault("Server", "MinIO")
        answer.headers["x-amz-request-id"] = f"{self._count:016X}"
        return answer

    def _rights(self, request):
        known = self.credentials()
        secrets = {key: entry["secret"] for key, entry in {**known, **self.sts.sessions}.items()}
        try:
            key = sigv4.check(request, secrets, self.clock.now())
            return self._lent(request, key, known.get(key))
        except sigv4.Refused as refused:
            self.record.violation("s3 " + refused.code, refused.message, request)
            raise S3Error(refused.status, refused.code, refused.message) from None

    def _lent(self, request, key, entry):
        """The rights of a key; one that was lent for a while counts only with its session token."""
        given = request.headers.get("X-Amz-Security-Token", "")
        if entry and entry.get("token", given) != given:
            raise S3Error(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        try:
            return entry or self.sts.rights_of(key, given)
        except sts.StsError as error:
            raise S3Error(error.status, error.code, error.message) from None

    def _may(self, request, rights, bucket, key):
        wanted = rights.get("buckets")
        lists = not key and request.method in ("GET", "HEAD")
        if (bucket and wanted is not None and bucket not in wanted) or \
                (lists and not rights.get("list", True)) or \
                (request.method in ("PUT", "DELETE") and not rights.get("write", True)):
            raise S3Error(403, "AccessDenied")

    def _route(self, request, bucket, key):
        if not bucket:
            return self._buckets()
        if not key:
            return self._bucket(request, bucket)
        if not self.objects.bucket(bucket):
            raise S3Error(404, "NoSuchBucket")
        handlers = {"GET": self._get, "HEAD": self._get, "PUT": self._put, "DELETE": self._delete}
        if request.method not in handlers:
            raise S3Error(405, "MethodNotAllowed")
        return handlers[request.method](request, bucket, key)

    def _error(self, request, error, bucket, key):
        more = ""
        if error.code == "NoSuchKey":
            more = f"<Key>{escape(key)}</Key><BucketName>{escape(bucket)}</BucketName>"
        resource = urllib.parse.unquote(request.path)
        text = ('<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
                f"<Resource>{escape(resource)}</Resource>"
                f"<RequestId>{self._count:016X}</RequestId>{more}</Error>")
        return Answer.text(text, error.status, "application/xml")

    @staticmethod
    def _xml(name, inside):
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{NAMESPACE}">{inside}</{name}>'
        return Answer.text(text, 200, "application/xml")

    def _buckets(self):
        names = sorted(p.name for p in self.objects.folder.iterdir() if p.is_dir())
        inside = "".join(f"<Bucket><Name>{escape(name)}</Name></Bucket>" for name in names)
        return self._xml("ListAllMyBucketsResult", f"<Buckets>{inside}</Buckets>")

    def _bucket(self, request, bucket):
        there = self.objects.bucket(bucket)
        if request.method == "PUT":
            if there:
                raise S3Error(409, "BucketAlreadyOwnedByYou")
            self.objects.make_bucket(bucket)
            self.record.mutation("s3.bucket", bucket=bucket)
            return Answer(200, b"", {"Location": f"/{bucket}"})
        if not there:
            raise S3Error(404, "NoSuchBucket")
        if request.method == "HEAD":
            return Answer(200)
        if request.method != "GET":
            raise S3Error(405, "MethodNotAllowed")
        if "location" in request.query:
            return self._xml("LocationConstraint", "")
        if request.arg("list-type") != "2":
            self.record.gap("only version 2 of the list of objects is known")
            raise S3Error(400, "InvalidArgument")
        for name in set(request.query) - LIST_KEYS:
            if not name.startswith("X-Amz-"):
                self.record.violation("s3 unknown parameter", name, request)
        return self._list(bucket, dict(sigv4.pairs(request.query_text)))

    def _list(self, bucket, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("start-after", "")
        try:
            most = max(0, min(1000, int(query.get("max-keys") or 1000)))
            if query.get("continuation-token"):
                after = base64.b64decode(query["continuation-token"], validate=True).decode()
        except ValueError:
            raise S3Error(400, "InvalidArgument") from None
        entries = []
        for key in self.objects.keys(bucket, prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            entry = (key[:cut + len(delimiter)], True) if cut >= 0 else (key, False)
            if entry[0] > after and (not entries or entries[-1] != entry):
                entries.append(entry)
        page, rest = entries[:most], entries[most:]
        return self._xml("ListBucketResult", self._listed(bucket, query, page, bool(rest and most)))

    def _listed(self, bucket, query, page, truncated):
        by_url = query.get("encoding-type") == "url"

        def text(value):
            return sigv4.encode(value, "/") if by_url else escape(value, {'"': "&#34;"})

        inside = [f"<Name>{bucket}</Name><Prefix>{text(query.get('prefix', ''))}</Prefix>"]
        if truncated:
            token = base64.b64encode(page[-1][0].encode()).decode()
            inside.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
        inside.append(f"<KeyCount>{len(page)}</KeyCount><MaxKeys>{query.get('max-keys') or 1000}"
                      "</MaxKeys>")
        if query.get("delimiter"):
            inside.append(f"<Delimiter>{text(query['delimiter'])}</Delimiter>")
        if by_url:
            inside.append("<EncodingType>url</EncodingType>")
        inside.append(f"<IsTruncated>{'true' if truncated else 'false'}</IsTruncated>")
        for key, is_prefix in page:
            facts = None if is_prefix else self.objects.facts(bucket, key)
            if facts:
                when = clocks.iso(facts[2])[:-1] + ".000Z"
                inside.append(f"<Contents><Key>{text(key)}</Key><LastModified>{when}</LastModified>"
                              f"<ETag>&#34;{facts[1]}&#34;</ETag><Size>{facts[0]}</Size>"
                              "<StorageClass>STANDARD</StorageClass></Contents>")
        inside += [f"<CommonPrefixes><Prefix>{text(key)}</Prefix></CommonPrefixes>"
                   for key, is_prefix in page if is_prefix]
        return "".join(inside)

    def _get(self, request, bucket, key):
        facts = self.objects.facts(bucket, key)
        if facts is None:
            raise S3Error(404, "NoSuchKey")
        size, etag, modified = facts
        headers = {"ETag": f'"{etag}"', "Last-Modified": clocks.http_date(modified),
                   "Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        body = self.objects.read(bucket, key)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
        if not wanted or wanted.groups() == ("", ""):
            return Answer(200, body, headers)
        first, last = wanted.groups()
        start = int(first) if first else max(0, size - int(last))
        end = min(size - 1, int(last)) if first and last else size - 1
        if start >= size or start > end:
            raise S3Error(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        return Answer(206, body[start:end + 1], headers)

    def _put(self, request, bucket, key):
        if key.endswith("/") and request.body:
            raise S3Error(400, "XMinioInvalidObjectName")
        facts = self.objects.facts(bucket, key)
        none_match, match = (request.headers.get(name, "").strip('"')
                             for name in ("If-None-Match", "If-Match"))
        if none_match and facts and none_match in ("*", facts[1]):
            raise S3Error(412, "PreconditionFailed")
        if match and (facts is None or match != facts[1]):
            raise S3Error(412 if facts else 404, "PreconditionFailed" if facts else "NoSuchKey")
        self.objects.write(bucket, key, request.body)
        self.record.mutation("s3.put", bucket=bucket, key=key, size=len(request.body))
        return Answer(200, b"", {"ETag": f'"{self.objects.facts(bucket, key)[1]}"'})

    def _delete(self, _request, bucket, key):
        self.objects.delete(bucket, key)
        self.record.mutation("s3.delete", bucket=bucket, key=key)
        return Answer(204)
