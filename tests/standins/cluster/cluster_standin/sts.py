"""STS on the port of the object store, as MinIO has it there: AssumeRoleWithWebIdentity.

Identity tokens are JWTs that the control interface writes, as Kubernetes writes that of a service
account. A role names the subject that it trusts. What is lent is a key, a secret and a session token
for a while; the object store takes them only together, and only so long.
"""

import pathlib
import re
import secrets
from xml.sax.saxutils import escape

import jwt
from standin_common import clock as clocks
from standin_common.http import Answer

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
ACTION = "AssumeRoleWithWebIdentity"
ISSUER, AUDIENCE = "https://kubernetes.default.svc", "sts.amazonaws.com"
SESSION = re.compile(r"^[\w+=,.@-]{2,64}$")
DURATION_MIN_S, DURATION_MAX_S, DURATION_S = 900, 43200, 3600
TOKEN_MAX = 20000


class StsError(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Sts:
    def __init__(self, clock, record):
        self.clock, self.record = clock, record
        self._key = secrets.token_hex(32)
        self.roles = {}  # ARN: the subject that it trusts
        self.lives_s = None  # of sessions, instead of what was asked for
        self.sessions = {}  # access key: {"secret", "token", "ends"}

    def write_identity(self, path, subject, lives_s):
        """A token of this service account, swapped in as the kubelet does."""
        claims = {"iss": ISSUER, "aud": [AUDIENCE], "sub": subject, "exp": int(self.clock.now() + lives_s)}
        path = pathlib.Path(path)
        fresh = path.with_name(path.name + ".new")
        fresh.touch(mode=0o600)
        fresh.write_text(jwt.encode(claims, self._key, "HS256"), encoding="utf-8")
        fresh.replace(path)

    def rights_of(self, key, given):
        """What a session may do, None when `key` is none of a session; raises StsError."""
        session = self.sessions.get(key)
        if session is None:
            return None
        if session["token"] != given:
            raise StsError(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        if session["ends"] <= self.clock.now():
            raise StsError(400, "ExpiredToken", "The provided token has expired.")
        return {"secret": session["secret"], "write": False}

    def handle(self, request):
        """A request to the root of the port; errors are STS's XML."""
        try:
            form = request.form()
            return self._lend(form)
        except (StsError, UnicodeDecodeError) as error:
            if not isinstance(error, StsError):
                error = StsError(400, "ValidationError", "The body is not a form.")
            self.record.mutation("sts.refused", code=error.code)
            kind = "Sender" if error.status < 500 else "Receiver"
            text = (f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>{kind}</Type><Code>{error.code}</Code>'
                    f"<Message>{escape(error.message)}</Message></Error><RequestId>0</RequestId></ErrorResponse>")
            return Answer.text(text, error.status, "text/xml")

    def _lend(self, form):
        if form.get("Action") != ACTION or form.get("Version") != "2011-06-15":
            raise StsError(400, "InvalidAction", f"Could not find operation {form.get('Action')}")
        asked_s = int(form.get("DurationSeconds", DURATION_S))
        if not DURATION_MIN_S <= asked_s <= DURATION_MAX_S or not SESSION.match(form.get("RoleSessionName", "")):
            raise StsError(400, "ValidationError", "1 validation error detected")
        subject = self._subject(form.get("WebIdentityToken", ""))
        role = form.get("RoleArn", "")
        if self.roles.get(role) != subject:
            raise StsError(403, "AccessDenied", f"Not authorized to perform sts:{ACTION}")
        key = "ASIA" + secrets.token_hex(8).upper()
        made = {"secret": secrets.token_urlsafe(30), "token": secrets.token_urlsafe(300),
                "ends": self.clock.now() + (self.lives_s or asked_s)}
        self.sessions[key] = made
        self.record.mutation("sts.session", role=role, subject=subject, session=form["RoleSessionName"])
        return Answer.text(
            f'<{ACTION}Response xmlns="{NAMESPACE}"><{ACTION}Result><SubjectFromWebIdentityToken>{escape(subject)}'
            f"</SubjectFromWebIdentityToken><Audience>{AUDIENCE}</Audience><AssumedRoleUser><Arn>{escape(role)}"
            f"</Arn></AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>"
            f"{made['secret']}</SecretAccessKey><SessionToken>{made['token']}</SessionToken><Expiration>"
            f"{clocks.iso(made['ends'])}</Expiration></Credentials></{ACTION}Result></{ACTION}Response>",
            200, "text/xml")

    def _subject(self, token):
        if not 4 <= len(token) <= TOKEN_MAX:
            raise StsError(400, "ValidationError", "1 validation error detected: webIdentityToken")
        try:
            claims = jwt.decode(token, self._key, ["HS256"], audience=AUDIENCE, issuer=ISSUER,
                                options={"verify_exp": False})
        except jwt.InvalidTokenError:
            raise StsError(400, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity "
                           "provider") from None
        if claims["exp"] <= self.clock.now():
            raise StsError(400, "ExpiredTokenException", "Token expired: must be renewed")
        return claims["sub"]
