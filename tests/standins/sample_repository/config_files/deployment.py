"""The InferenceService of the iris model."""


def inference_service_instance(name: str, storage_uri: str, namespace: str = "default",
                               canary_traffic_percent: int = None):
    """A scikit-learn predictor that serves the model at `storage_uri`."""
    predictor = {
        "serviceAccountName": "models",
        "model": {
            "modelFormat": {"name": "sklearn"},
            "storageUri": storage_uri,
            "resources": {
                "requests": {"cpu": "100m", "memory": "256Mi"},
                "limits": {"cpu": "500m", "memory": "512Mi"},
            },
        },
    }
    if canary_traffic_percent is not None:
        predictor["canaryTrafficPercent"] = canary_traffic_percent
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"predictor": predictor},
    }
