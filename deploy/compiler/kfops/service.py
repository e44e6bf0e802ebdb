"""Evaluates the file that defines an InferenceService as a Python function, in Kfops' format:

    def inference_service_instance(name, storage_uri, namespace, canary_traffic_percent): ...

It may return an object of the kserve or kubernetes package, or a dictionary. Called by kfops.compile inside the
sandbox, with the same distrust.
"""

import inspect
import json

FUNCTION = "inference_service_instance"


def plain(value):
    """Their object as JSON values, with the names that Kubernetes uses."""
    if isinstance(value, dict):
        return value
    try:
        from kubernetes.client import ApiClient
    except ImportError as error:
        raise TypeError("the function returned an object, and this server has no kubernetes package to read it: "
                        "return a dictionary") from error
    return ApiClient().sanitize_for_serialization(value)


def evaluate(module, path, wish, refuse):
    """The object as the bytes of one JSON document. `refuse(message, line)` makes the error to raise."""
    function = getattr(module, FUNCTION, None)
    if not callable(function):
        raise refuse(f"{path} has no function {FUNCTION}(name, storage_uri, namespace, canary_traffic_percent)", 1)
    line = function.__code__.co_firstlineno if hasattr(function, "__code__") else 1
    offered = {"name": wish["name"], "storage_uri": wish["storage_uri"], "namespace": wish["namespace"],
               "canary_traffic_percent": 0}
    wanted = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in wanted.values()):
        arguments = offered
    else:
        arguments = {name: value for name, value in offered.items() if name in wanted}
    made = plain(function(**arguments))
    if not isinstance(made, dict) or made.get("kind") != "InferenceService":
        raise refuse(f"{FUNCTION} must return an InferenceService (an object of the kserve package or a dictionary "
                     "with kind: InferenceService)", line)
    return json.dumps(made).encode()
