"""Who is asking: JWT of the App, installation tokens, personal tokens.

Installation tokens have GitHub's new form, `ghs_<APPID>_<three dotted parts>`, 520 characters, unless the
request asks for the old one. Texts of refusals are GitHub's.
"""

import base64
import secrets
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives import serialization

from standin_common.clock import iso

TOKEN_LEN = 520
LIFE_S = 3600
DOCS = "https://docs.github.com/rest"


class ApiError(Exception):
    """An answer other than success; the body is built from message and errors."""

    def __init__(self, status: int, message: str, errors: list | None = None,
                 headers: dict | None = None, **more):
        super().__init__(message)
        self.status = status
        self.body = {"message": message}
        if errors:
            self.body["errors"] = errors
        self.body["documentation_url"] = DOCS
        if 400 <= status < 500:
            self.body["status"] = str(status)
        self.body.update(more)
        self.headers = headers or {}


@dataclass
class Credential:
    kind: str  # "anonymous", "jwt", "installation", "user"
    key: str  # whose limits count
    actor: object = None  # User
    installation: object = None
    repo_ids: set | None = None  # None: all of the installation
    permissions: dict | None = None
    token: str = ""
    scopes: str | None = None  # of a classic personal token; None: nobody is told

    def has(self, need: dict) -> bool:
        """Does it hold all of these permissions? write includes read."""
        ranks = {"read": 1, "write": 2, "admin": 3}
        held = self.permissions or {}
        return all(ranks.get(held.get(name), 0) >= ranks[level] for name, level in need.items())


class Tokens:
    def __init__(self, world, clock, public_key_pem: bytes | None):
        self._world = world
        self._clock = clock
        self._tokens: dict[str, dict] = {}
        self.fresh_lag_s = 0.0  # a new installation token is answered 401 for so long
        self._key = None
        if public_key_pem:
            self.set_key(public_key_pem)

    def set_key(self, pem: bytes) -> None:
        """The App's only key from now on."""
        self._key = load_public_key(pem)

    # making

    def mint(self, installation, repo_ids, permissions, old_form: bool) -> dict:
        app = self._world.app
        if old_form:
            text = "ghs_" + secrets.token_hex(18)
        else:
            head = f"ghs_{app.id}_" + _b64(b'{"alg":"ES256","typ":"JWT"}') + "."
            tail = "." + _b64(secrets.token_bytes(64))
            filler = secrets.token_urlsafe(TOKEN_LEN)
            text = head + filler[:TOKEN_LEN - len(head) - len(tail)] + tail
        now = self._clock.now()
        entry = {"token": text, "installation": installation.id, "repo_ids": repo_ids,
                 "permissions": permissions, "minted": now, "expires": now + LIFE_S}
        self._tokens[text] = entry
        return entry

    def add_user_token(self, text: str, user, scopes: str | None = "repo, read:org") -> None:
        """A classic one with its scopes, or with None a fine-grained one."""
        self._tokens[text] = {"token": text, "user": user.id, "expires": None, "scopes": scopes}

    def revoke(self, text: str) -> None:
        self._tokens.pop(text, None)

    def revoke_all(self) -> None:
        """Every installation token dies, as when GitHub rotates something."""
        self._tokens = {text: entry for text, entry in self._tokens.items() if "user" in entry}

    # reading

    def credential(self, header: str | None) -> Credential:
        """Of an Authorization header; ApiError 401 or 403."""
        if not header:
            return Credential("anonymous", "anonymous")
        word, _, text = header.partition(" ")
        text = text.strip()
        if word.lower() == "basic":
            try:
                text = base64.b64decode(text).decode().partition(":")[2]
            except ValueError:
                raise ApiError(401, "Bad credentials") from None
        elif word.lower() not in ("bearer", "token"):
            raise ApiError(401, "Bad credentials")
        if text in self._tokens:
            return self._from_token(self._tokens[text])
        if text.count(".") == 2 and not text.startswith("ghs_") and word == "Bearer":
            return self._from_jwt(text)
        raise ApiError(401, "Bad credentials")

    def key_of(self, header: str | None) -> str:
        """Whose limits a request counts for, without judging it."""
        text = (header or "").partition(" ")[2].strip()
        entry = self._tokens.get(text)
        if entry is None:
            return "jwt" if text.count(".") == 2 else "anonymous"
        return f"user:{entry['user']}" if "user" in entry else f"installation:{entry['installation']}"

    def scopes_of(self, header: str | None) -> str | None:
        """What the answers to a classic personal token tell of it."""
        return self._tokens.get((header or "").partition(" ")[2].strip(), {}).get("scopes")

    def _from_token(self, entry: dict) -> Credential:
        now = self._clock.now()
        if "user" in entry:
            user = self._world.users[entry["user"]]
            return Credential("user", f"user:{user.id}", user, token=entry["token"], scopes=entry["scopes"])
        installation = self._world.installations.get(entry["installation"])
        if installation is None or now >= entry["expires"] or now < entry["minted"] + self.fresh_lag_s:
            raise ApiError(401, "Bad credentials")
        if installation.suspended_at is not None:
            raise ApiError(403, "This installation has been suspended")
        held = {name: level for name, level in entry["permissions"].items()
                if name in installation.permissions}
        return Credential("installation", f"installation:{installation.id}", self._world.app.bot,
                          installation, entry["repo_ids"], held, entry["token"])

    def _from_jwt(self, text: str) -> Credential:
        app = self._world.app
        if app is None or self._key is None:
            raise ApiError(401, "A JSON web token could not be decoded")
        try:
            head = jwt.get_unverified_header(text)
            if head.get("alg") != "RS256":
                raise ApiError(401, "A JSON web token could not be decoded")
            claims = jwt.decode(text, self._key, algorithms=["RS256"],
                                options={"verify_exp": False, "verify_iat": False, "verify_iss": False,
                                         "verify_nbf": False, "verify_aud": False})
        except jwt.InvalidTokenError:
            raise ApiError(401, "A JSON web token could not be decoded") from None
        now = self._clock.now()
        if not isinstance(claims.get("iat"), int) or claims["iat"] > now + 1:
            raise ApiError(401, "'Issued at' claim ('iat') must be an Integer representing the time "
                                "that the assertion was issued")
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= now:
            raise ApiError(401, "'Expiration time' claim ('exp') must be a numeric value representing "
                                "the future time at which the assertion expires")
        if claims["exp"] > now + 600 or claims["exp"] - claims["iat"] > 660:
            raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
        if str(claims.get("iss")) not in (str(app.id), app.client_id):
            raise ApiError(404, "Integration not found")
        return Credential("jwt", "jwt", app.bot)

    def show(self, entry: dict, repos: list | None) -> dict:
        shown = {"token": entry["token"], "expires_at": iso(entry["expires"]),
                 "permissions": dict(entry["permissions"]), "repository_selection": "selected"}
        if repos is not None:
            shown["repositories"] = repos
        return shown


def load_public_key(pem: bytes):
    """The public key of a PEM file, private (PKCS#1 or #8) or public."""
    if b"PRIVATE KEY" in pem:
        return serialization.load_pem_private_key(pem, None).public_key()
    return serialization.load_pem_public_key(pem)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def parse_permissions(text: str) -> list[dict]:
    """"issues:write|members:read&metadata:read" as a list of alternatives."""
    return [dict(pair.split(":") for pair in part.split("&")) for part in text.split("|")] if text else []
