"""KServe's admission webhooks: what they fill in, and what they refuse."""

import re

NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
VALIDATOR = "inferenceservice.kserve-webhook-server.validator"
FRAMEWORKS = {"sklearn": "kserve-sklearnserver", "xgboost": "kserve-xgbserver",
              "lightgbm": "kserve-lgbserver", "pmml": "kserve-pmmlserver",
              "paddle": "kserve-paddleserver", "onnx": "kserve-tritonserver",
              "pytorch": "kserve-torchserve", "tensorflow": "kserve-tensorflow-serving",
              "triton": "kserve-tritonserver", "huggingface": "kserve-huggingfaceserver"}
SCHEMES = ("gs://", "s3://", "pvc://", "file://", "https://", "http://", "hdfs://", "webhdfs://",
           "oci://", "hf://")
MODES = {"Serverless": "Knative", "Knative": "Knative", "RawDeployment": "Standard",
         "Standard": "Standard", "ModelMesh": "ModelMesh"}
MODE = "serving.kserve.io/deploymentMode"
AUTOSCALING = ("maxReplicas", "scaleTarget", "scaleMetric", "autoScaling")


class Denied(Exception):
    """The text of a refusal, without the webhook's name."""


def mode_of(obj, default):
    named = obj["metadata"].get("annotations", {}).get(MODE)
    return MODES.get(named, default)


def predictors(obj):
    """The stable predictor and those of spec.canary."""
    spec = obj["spec"] if isinstance(obj["spec"], dict) else {}
    canaries = spec.get("canary") if isinstance(spec.get("canary"), list) else []
    found = [spec.get("predictor")] + [c.get("predictor") for c in canaries if isinstance(c, dict)]
    return [predictor for predictor in found if isinstance(predictor, dict)]


def default(obj):
    """Legacy framework members become `model`; a model gets its runtime and protocol."""
    for predictor in predictors(obj):
        for name in FRAMEWORKS:
            if "model" not in predictor and isinstance(predictor.get(name), dict):
                predictor["model"] = {"modelFormat": {"name": name}, **predictor.pop(name)}
        model = predictor.get("model")
        if isinstance(model, dict):
            form = model.get("modelFormat")
            kind = form.get("name", "") if isinstance(form, dict) else ""
            model.setdefault("name", "")
            model.setdefault("resources", {})
            model.setdefault("protocolVersion", "v1")
            if kind in FRAMEWORKS:
                model.setdefault("runtime", FRAMEWORKS[kind])


def validate(obj, before, default_mode):
    """Raises Denied; `before` is the object that is replaced, or None."""
    name = obj["metadata"]["name"]
    if not NAME.match(name):
        raise Denied(f'the InferenceService "{name}" is invalid: a InferenceService name must '
                     "consist of lower case alphanumeric characters or '-', and must start with "
                     'alphabetical character. (e.g. "my-name" or "abc-123", regex used for '
                     "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')")
    if before is not None:
        _same_mode(obj, before, default_mode)
    for predictor in predictors(obj):
        _predictor(predictor)
    if obj["spec"].get("canary"):
        _canary(obj)
    if before is not None and obj["spec"]["predictor"].get("name", "") != \
            before["spec"]["predictor"].get("name", "") and _uri(obj) == _uri(before):
        raise Denied("predictor.name can be changed only together with storageUri")


def _uri(obj):
    return obj["spec"]["predictor"].get("model", {}).get("storageUri", "")


def _same_mode(obj, before, default_mode):
    was = before.get("status", {}).get("deploymentMode") or mode_of(before, default_mode)
    wanted = mode_of(obj, was)
    if wanted != was:
        raise Denied(f"update rejected: deploymentMode cannot be changed from '{was}' to '{wanted}'")


def _predictor(predictor):
    if "model" not in predictor and not predictor.get("containers"):
        raise Denied("Exactly one of [Custom, ONNX, Triton, XGBoost, SKLearn, TensorFlow, PyTorch, "
                     "LightGBM, PMML, Paddle, Model] must be specified in PredictorSpec")
    low, high = predictor.get("minReplicas"), predictor.get("maxReplicas")
    if low is not None and low < 0:
        raise Denied("MinReplicas cannot be less than 0.")
    if high and low is not None and low > high:
        raise Denied("MinReplicas cannot be greater than MaxReplicas.")
    uri = predictor.get("model", {}).get("storageUri", "")
    if "://" in uri and not uri.startswith(SCHEMES):
        listed = ", ".join(SCHEMES)
        raise Denied(f"storageUri, must be one of: [{listed}] or match https://{{}}.blob.core.windows"
                     f".net/{{}}/{{}} or be an absolute or relative local path. StorageUri [{uri}] "
                     "is not supported.")


def _canary(obj):
    if obj["metadata"].get("annotations", {}).get(MODE) not in ("Standard", "RawDeployment"):
        raise Denied(f"spec.canary needs the annotation {MODE}: Standard")
    stable, entries = obj["spec"]["predictor"], obj["spec"]["canary"]
    names = [stable.get("name", "")] + [e["predictor"].get("name", "") for e in entries]
    if "" in names[1:] or len(set(names)) != len(names):
        raise Denied("each predictor of spec.canary needs a name of its own")
    percents = [e.get("trafficPercent", 0) for e in entries]
    if any(not 0 <= p <= 100 for p in percents) or sum(percents) > 100:
        raise Denied("trafficPercent of spec.canary must be 0 to 100, together at most 100")
    for entry in entries:
        if any(key in entry["predictor"] for key in AUTOSCALING):
            raise Denied("a predictor of spec.canary has no autoscaling members")
        if entry["predictor"].get("minReplicas", 0) > stable.get("minReplicas", 1):
            raise Denied("minReplicas of a canary cannot be greater than that of the predictor")

