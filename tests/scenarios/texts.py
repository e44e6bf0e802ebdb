"""Files of pull requests, for scenarios that want others than those in repo/."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHURN = (ROOT / "tests/data/pipeline/churn.yaml").read_text()  # parameters of every type
ARGO = (ROOT / "tests/data/pipeline/churn-argo.yaml").read_text()
SETTINGS = "config_files/config.yaml"


def settings(path: str = "my_pipeline/pipeline.yaml", args: str = "{}", owner: str = "lab", name: str = "iris",
             **pipeline: str) -> dict:
    """config_files/config.yaml with a pipeline section; `pipeline` adds to it."""
    more = "".join(f"  {key}: {value}\n" for key, value in
                   {"name": "Sklearn iris", "namespace": "team-a", "experiment_name": "Iris experiments",
                     **pipeline}.items())
    return {SETTINGS: f"repository:\n  owner: {owner}\n  name: {name}\n\npipeline:\n{more}"
                      f"  pipeline_path: {path}\n  pipeline_args: {args}\n"}


def python(source: str, path: str = "my_pipeline/pipeline.py", **more) -> dict:
    """A pipeline that has to be compiled."""
    return {**settings(path, **more), path: source}


CHURN_FILES = {**settings("my_pipeline/churn.yaml"), "my_pipeline/churn.yaml": CHURN}
ONE_TASK = '''\
from kfp import dsl


@dsl.component(base_image="python:3.11")
def train(neighbors: int) -> float:
    return 1.0 / neighbors


@dsl.pipeline(name="{name}")
def {function}(neighbors: int = 3):
    train(neighbors=neighbors)
'''


def deployment(annotations: dict | None = None, predictor: str = "", **more: str) -> dict:
    """A pull request that says how its model is served, as a plain InferenceService. `predictor`: lines of it."""
    files = settings()
    extra = "".join(f"  {key}: {value}\n" for key, value in more.items())
    files[SETTINGS] += ("\ndeployment:\n  inference_service_name: iris\n"
                        "  inference_service_function_path: serving/iris.yaml\n"
                        "  pre_deployment_test_sample_input_path: serving/sample.json\n" + extra +
                        "  production:\n    namespace: ml-prod\n  staging:\n    namespace: ml-staging\n")
    files["serving/iris.yaml"] = ("apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"
                                  "metadata:\n  name: iris\n"
                                  + ("  annotations:\n" + "".join(f"    {key}: {value}\n" for key, value in
                                                                 annotations.items()) if annotations else "") +
                                  "spec:\n  predictor:\n" + predictor + "    model:\n"
                                  "      modelFormat:\n        name: sklearn\n")
    files["serving/sample.json"] = '{"instances": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}\n'
    return files
