"""AWS Signature Version 4 as the store checks it: header form and pre-signed URLs, S3's rules.

Path bytes are encoded once; the canonical query is rebuilt from what came, so a client that signs
what it does not send is found out.
"""

import calendar
import hashlib
import hmac
import re
import time
import urllib.parse

SKEW_S = 15 * 60
ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    r"^AWS4-HMAC-SHA256\s+Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})$")


class Refused(Exception):
    """The signature does not hold: the store's error code and message."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def encode(text, safe=""):
    return urllib.parse.quote(text, safe="-_.~" + safe)


def pairs(query_text):
    """Decoded (name, value) in the order they came; a plus sign stays one."""
    found = []
    for part in query_text.split("&") if query_text else []:
        name, _, value = part.partition("=")
        found.append((urllib.parse.unquote(name), urllib.parse.unquote(value)))
    return found


def canonical_request(method, path, query, headers, signed, payload_hash):
    """`path` decoded; `query` decoded pairs; `headers` by lower-case name."""
    parts = sorted((encode(name), encode(value)) for name, value in query)
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in signed]
    return "\n".join([method, encode(path, "/"), "&".join(f"{n}={v}" for n, v in parts), *lines, "",
                      ";".join(signed), payload_hash])


def string_to_sign(request, amz_date, scope):
    digest = hashlib.sha256(request.encode()).hexdigest()
    return "\n".join([ALGORITHM, amz_date, scope, digest])


def signature(secret, scope, text):
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def check(request, secrets, now):
    """The access key that signed this request; raises Refused."""
    query = pairs(request.query_text)
    named = dict(query)
    if "X-Amz-Signature" in named:
        return _presigned(request, query, named, secrets, now)
    match = _AUTHORIZATION.match(request.headers.get("Authorization", ""))
    if not match:
        if request.headers.get("Authorization"):
            raise Refused(400, "AuthorizationHeaderMalformed", "The authorization header is "
                          "malformed; the authorization header requires three components.")
        raise Refused(403, "AccessDenied", "Access Denied.")
    credential, signed, given = match.group(1), match.group(2).split(";"), match.group(3)
    key, scope = _scope(credential)
    headers = {name.lower(): value for name, value in request.headers.items()}
    missing = [name for name in signed if name not in headers]
    unsigned = [name for name in headers if name.startswith("x-amz-") and name not in signed]
    if missing or unsigned or "host" not in signed or signed != sorted(signed):
        raise Refused(403, "AccessDenied",
                      "There were headers present in the request which were not signed")
    amz_date = headers.get("x-amz-date", "")
    _in_time(amz_date, scope, now)
    payload = headers.get("x-amz-content-sha256", "")
    if not payload:
        raise Refused(400, "InvalidRequest", "Missing required header for this request: "
                      "x-amz-content-sha256")
    _compare(request, query, headers, signed, payload, amz_date, key, scope, given, secrets)
    if payload != "UNSIGNED-PAYLOAD" and payload != hashlib.sha256(request.body).hexdigest():
        raise Refused(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header "
                      "does not match what was computed.")
    return key


def _presigned(request, query, named, secrets, now):
    key, scope = _scope(named.get("X-Amz-Credential", ""))
    amz_date = named.get("X-Amz-Date", "")
    begins = _seconds(amz_date)
    lasts = int(named.get("X-Amz-Expires", "0"))
    if not 1 <= lasts <= 604800:
        raise Refused(400, "AuthorizationQueryParametersError",
                      "X-Amz-Expires must be between 1 and 604800 seconds")
    if now < begins - SKEW_S or now > begins + lasts:
        raise Refused(403, "AccessDenied", "Request has expired")
    headers = {name.lower(): value for name, value in request.headers.items()}
    rest = [pair for pair in query if pair[0] != "X-Amz-Signature"]
    signed = named.get("X-Amz-SignedHeaders", "host").split(";")
    _compare(request, rest, headers, signed, "UNSIGNED-PAYLOAD", amz_date, key, scope,
             named["X-Amz-Signature"], secrets)
    return key


def _scope(credential):
    key, _, scope = credential.partition("/")
    parts = scope.split("/")
    if len(parts) != 4 or parts[2:] != ["s3", "aws4_request"]:
        raise Refused(400, "AuthorizationHeaderMalformed",
                      "The authorization header is malformed; the credential is not a scope of s3.")
    return key, scope


def _seconds(amz_date):
    try:
        return calendar.timegm(time.strptime(amz_date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise Refused(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date "
                      "header") from None


def _in_time(amz_date, scope, now):
    if abs(now - _seconds(amz_date)) > SKEW_S:
        raise Refused(403, "RequestTimeTooSkewed", "The difference between the request time and the "
                      "server's time is too large.")
    if not scope.startswith(amz_date[:8] + "/"):
        raise Refused(403, "SignatureDoesNotMatch", "The date of the scope is not that of the request.")


def _compare(request, query, headers, signed, payload, amz_date, key, scope, given, secrets):
    if key not in secrets:
        raise Refused(403, "InvalidAccessKeyId",
                      "The Access Key Id you provided does not exist in our records.")
    path = urllib.parse.unquote(request.path)
    text = canonical_request(request.method, path, query, headers, signed, payload)
    right = signature(secrets[key], scope, string_to_sign(text, amz_date, scope))
    if not hmac.compare_digest(right, given):
        raise Refused(403, "SignatureDoesNotMatch", "The request signature we calculated does not "
                      "match the signature you provided. Check your key and signing method.")
