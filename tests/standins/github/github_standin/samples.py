"""Answers by name, for faults of the kind `sample`: limits and overload, as GitHub documents them.

A folder with published samples (KFOPS_SHARED) has many more, and its own win.
"""
from .limits import CONTENT, SECONDARY

JSON = {"content-type": "application/json; charset=utf-8"}


def _answer(status: int, message: str, **headers: str) -> dict:
    return {"status": status, "headers": JSON | {name.replace("_", "-"): value for name, value in headers.items()},
            "body": {"message": message, "documentation_url": "https://docs.github.com/rest"}}


BUILT_IN = {
    "primary-limit-installation": _answer(403, "API rate limit exceeded for installation ID 1.", x_ratelimit_limit="5000",
                                          x_ratelimit_remaining="0", x_ratelimit_reset="0", x_ratelimit_resource="core"),
    "secondary-limit": _answer(403, SECONDARY, retry_after="60", x_ratelimit_remaining="4790"),
    "secondary-limit-429": _answer(429, SECONDARY, retry_after="60"),
    "secondary-limit-no-header": _answer(403, SECONDARY, x_ratelimit_remaining="14"),
    "secondary-limit-content": _answer(403, CONTENT, retry_after="120"),
    "service-unavailable": _answer(503, "Service unavailable"),
    "gateway-timeout": _answer(504, "We couldn't respond to your request in time."),
}
