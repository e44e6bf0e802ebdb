"""Keeping the model of a run."""

import os
import re
from types import SimpleNamespace

from kfp import dsl
from kfp.dsl import Input, Model, Output

_STORE = re.compile(r"^(?:s3|minio)://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9!_.*'()-]+)*)/?$")
_ENDPOINT = re.compile(r"^https?://[A-Za-z0-9._-]+(?::[0-9]+)?/?$|^https?://\[[0-9A-Fa-f:]+\](?::[0-9]+)?/?$")


@dsl.component(base_image="python:3.11-slim")
def copy_model(model: Input[Model], materialized_model: Output[Model]):
    """Copies a model, file or folder, to an artifact of this task."""
    import os
    import shutil

    source, target = model.path, materialized_model.path
    if os.path.isdir(source):
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif os.path.exists(source):
        os.makedirs(target, exist_ok=True)
        shutil.copy(source, target)
    else:
        raise FileNotFoundError(f"the model was not written: nothing is at {source}")
    materialized_model.metadata.update(model.metadata)


@dsl.component(base_image="python:3.11-slim")
def kfops_materialize_model(model: Input[Model], destination: str, run_id: str, endpoint: str,
                            region: str) -> str:
    """Copies a model, file or folder, to DESTINATION/RUN_ID/ in an S3 store; returns that address.

    Needs nothing but Python: the requests are signed here (version 4). The keys come from the pod's
    environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, perhaps AWS_SESSION_TOKEN; else a role,
    AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE. A file is one request, so it may have 5 GiB;
    a model with a larger one is refused before anything is stored.
    """
    import datetime
    import hashlib
    import hmac
    import http.client
    import os
    import time
    import urllib.parse
    import urllib.request
    import xml.etree.ElementTree

    tries, file_max, timeout_s = 6, 5 << 30, 300

    def lent(role, token_file):
        """Key, secret and session token of a role."""
        with open(token_file, encoding="utf-8") as source:
            token = source.read().strip()
        form = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": role,
                "RoleSessionName": "kfops-model", "WebIdentityToken": token}
        sts = os.environ.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.amazonaws.com/"
        request = urllib.request.Request(sts, urllib.parse.urlencode(form).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = {item.tag.rpartition("}")[2]: item.text
                     for item in xml.etree.ElementTree.fromstring(answer.read()).iter()}
        return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]

    def keys():
        env = os.environ
        if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
            return env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN")
        if env.get("AWS_ROLE_ARN") and env.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            return lent(env["AWS_ROLE_ARN"], env["AWS_WEB_IDENTITY_TOKEN_FILE"])
        raise PermissionError("this task has no keys for the object store: neither AWS_ACCESS_KEY_ID and "
                              "AWS_SECRET_ACCESS_KEY nor a role is in its environment")

    def sign(host, path, digest, credentials):
        """The headers of a PUT."""
        key, secret, token = credentials
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
        if token:
            headers["x-amz-security-token"] = token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        canonical = f"PUT\n{path}\n\n{lines}\n{names}\n{digest}"
        scope = f"{now[:8]}/{region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        mark = ("AWS4" + secret).encode()
        for part in (*scope.split("/"), text):
            mark = hmac.new(mark, part.encode(), hashlib.sha256).digest()
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, "
                                    f"Signature={mark.hex()}")
        return headers

    def send(file, path, credentials):
        """(status, body); status 0: nobody answers."""
        size = os.path.getsize(file)
        digest = hashlib.sha256()
        with open(file, "rb") as source:
            for piece in iter(lambda: source.read(1 << 20), b""):
                digest.update(piece)
        place = urllib.parse.urlsplit(endpoint)
        plain = {"http": ":80", "https": ":443"}[place.scheme]
        host = place.netloc.lower().removesuffix(plain)
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        connection = kind(place.netloc, timeout=timeout_s)
        try:
            headers = sign(host, path, digest.hexdigest(), credentials)
            with open(file, "rb") as source:
                connection.request("PUT", path, source, {**headers, "content-length": str(size)})
                answer = connection.getresponse()
                return answer.status, answer.read(4096).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def put(file, bucket, key, credentials):
        """One object; what passes is tried again."""
        path = "/" + urllib.parse.quote(f"{bucket}/{key}", safe="/-_.~")
        for count in range(1, tries + 1):
            status, said = send(file, path, credentials)
            if 200 <= status < 300:
                return
            if status not in (0, 429, 500, 502, 503, 504) or count == tries:
                break
            time.sleep(min(2 ** count, 30))
        raise RuntimeError(f"{endpoint} does not take s3://{bucket}/{key}: {status or ''} {said}")

    def files(source):
        """(path, key below the run's folder), in order."""
        if os.path.isfile(source):
            return [(source, os.path.basename(source))]
        found = []
        for folder, _, names in os.walk(source):
            for name in names:
                path = os.path.join(folder, name)
                found.append((path, os.path.relpath(path, source).replace(os.sep, "/")))
        return sorted(found)

    found = files(model.path)
    if not found:
        raise FileNotFoundError(f"the model was not written: nothing is at {model.path}")
    for path, name in found:  # before the first of them is stored
        if os.path.getsize(path) > file_max:
            raise ValueError(f"the model's file {name} has {os.path.getsize(path)} bytes, and one request may bring "
                             f"{file_max} (5 GiB): nothing was stored. Save the model in several files, or without "
                             "model_store, as an artifact of the run")
    bucket, _, prefix = destination.partition("://")[2].strip("/").partition("/")
    prefix = "/".join(part for part in (prefix, run_id) if part)
    credentials = keys()
    for path, name in found:
        put(path, bucket, f"{prefix}/{name}", credentials)
        print(f"s3://{bucket}/{prefix}/{name}: {os.path.getsize(path)} bytes")
    return f"s3://{bucket}/{prefix}/"


def _settle(task):
    task.set_display_name("materialize-model")
    task.set_caching_options(False)
    # Pipeline files switch the cache off in the words of kfp 1; it is off already.
    task.execution_options = SimpleNamespace(
        caching_strategy=SimpleNamespace(max_cache_staleness="P0D"))
    return task


def _give_keys(task, secret):
    """The keys of a Secret in the run's namespace, under the names that Kubeflow gives them there."""
    kubernetes = task.platform_config.setdefault("kubernetes", {})
    kubernetes.setdefault("secretAsEnv", []).append({"secretName": secret, "keyToEnv": [
        {"secretKey": "accesskey", "envVar": "AWS_ACCESS_KEY_ID"},
        {"secretKey": "secretkey", "envVar": "AWS_SECRET_ACCESS_KEY"}]})


def materialize_model(model, destination=None, endpoint=None, region=None, secret=None):
    """A task that keeps `model` beyond the run's own artifacts; for pipeline functions.

    With a destination, "s3://BUCKET" or "s3://BUCKET/PREFIX", the model is copied to
    DESTINATION/RUN ID/ in the object store at `endpoint`, with the keys `accesskey` and `secretkey`
    of the Kubernetes Secret `secret` in the run's namespace ("": those that the pod has). What is
    not given is what the bot's operator has configured (KFOPS_MODEL_STORE and the like).

    Where there is no destination at all, the model becomes the output `materialized_model` of the
    task, below the pipeline root. Either way the task is never taken from the cache, and the bot
    deploys what it has kept.
    """
    env = os.environ
    destination = destination or env.get("KFOPS_MODEL_STORE")
    if not destination:
        return _settle(copy_model(model=model))
    if not isinstance(destination, str) or not _STORE.match(destination) or "/../" in destination + "/":
        raise ValueError(f'destination of materialize_model must be a text like "s3://trained-models", '
                         f"not {destination!r}: the bot has to know it before the run")
    endpoint = endpoint or env.get("KFOPS_MODEL_ENDPOINT") or ""
    if not _ENDPOINT.match(endpoint):
        raise ValueError("materialize_model needs the address of the object store, like "
                         f'endpoint="http://seaweedfs.kubeflow:9000", not {endpoint!r}')
    secret = env.get("KFOPS_MODEL_SECRET", "mlpipeline-minio-artifact") if secret is None else secret
    task = _settle(kfops_materialize_model(
        model=model, destination=destination.replace("minio://", "s3://", 1),
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, endpoint=endpoint.rstrip("/"),
        region=region or env.get("KFOPS_MODEL_REGION") or "us-east-1"))
    if secret:
        _give_keys(task, secret)
    return task
