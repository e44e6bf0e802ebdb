"""Errors in the shapes in which the API server answers them."""

# gRPC status codes by the names that the server's helpers use.
INVALID_ARGUMENT = 3
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
FAILED_PRECONDITION = 9
ABORTED = 10
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16

HTTP_OF_GRPC = {
    1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400,
    12: 501, 13: 500, 14: 503, 15: 500, 16: 401,
}


class ApiError(Exception):
    """A user error: what people read (`text`), and the chain of causes (`chain`)."""

    def __init__(self, code, chain, text=None, details=True):
        super().__init__(chain)
        self.code = code
        self.chain = chain
        self.text = chain if text is None else text
        self.details = details

    def wrap(self, message):
        """The same error with context before it, as util.Wrap does."""
        return ApiError(self.code, f"{message}: {self.chain}", self.text, self.details)

    def internal(self, message):
        """The error as the cause of an internal one: the caller sees 500."""
        return ApiError(INTERNAL, f"InternalServerError: {message}: {self.chain}",
                        "Internal Server Error")

    @property
    def status(self):
        return HTTP_OF_GRPC[self.code]

    def body(self, version):
        """The JSON value of the answer for a server version (a tuple of integers)."""
        if version < (2, 0):
            return {"error": self.chain, "code": self.code, "message": self.chain,
                    "details": [{"@type": "type.googleapis.com/api.Error",
                                 "error_message": self.text, "error_details": self.chain}]}
        details = [{"@type": "type.googleapis.com/google.rpc.Status", "code": self.code,
                    "message": self.text}] if self.details else []
        body = {"code": self.code, "message": self.chain, "details": details}
        if version < (2, 14):
            body = {"error": self.chain, **body}
        return body


class UploadError(Exception):
    """An answer of the plain HTTP upload handlers."""

    def __init__(self, status, message, plain=False):
        super().__init__(message)
        self.status = status
        self.message = message
        self.plain = plain


def invalid_input(text):
    return ApiError(INVALID_ARGUMENT, f"Invalid input error: {text}", text)


def invalid_input_details(cause, text):
    return ApiError(INVALID_ARGUMENT, f"InvalidInputError: {text}: {cause}", text)


def not_found(kind, name):
    text = f"{kind} {name} not found"
    return ApiError(NOT_FOUND, f"ResourceNotFoundError: {text}", text)


def already_exists(text):
    return ApiError(ALREADY_EXISTS, f"Already exist error: {text}", text)


def bad_request(cause, text):
    return ApiError(ABORTED, f"BadRequestError: {text}: {cause}", text)


def unauthenticated(cause, text):
    return ApiError(UNAUTHENTICATED, f"Unauthenticated: {text}: {cause}", text)


def permission_denied(cause, text):
    return ApiError(PERMISSION_DENIED, f"PermissionDenied: {text}: {cause}", text)
