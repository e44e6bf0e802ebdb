"""What pipeline files import: images and models."""

import os

import pytest

from kfops.config import InvalidConfigException, load_config
from kfops.tagger import versioned_image

CONFIG = """
image_builder:
  container_registry_uri: registry.example/team
  images:
    - name: trainer
      dockerfile_folder_path: containers/trainer
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    def write(text):
        os.makedirs(tmp_path / "config_files", exist_ok=True)
        (tmp_path / "config_files" / "config.yaml").write_text(text)
    monkeypatch.setenv("KFOPS_SOURCE", str(tmp_path))
    monkeypatch.delenv("KFOPS_IMAGE_TAG", raising=False)
    return write


def test_image_has_the_registry_and_the_version_as_tag(config):
    config(CONFIG)
    assert versioned_image("trainer") == \
        "registry.example/team/trainer:{{workflow.parameters.version_id}}"


def test_image_tag_of_the_bot(config, monkeypatch):
    config(CONFIG)
    monkeypatch.setenv("KFOPS_IMAGE_TAG", "pr-7-0123abcd4567")
    assert versioned_image("trainer") == "registry.example/team/trainer:pr-7-0123abcd4567"


@pytest.mark.parametrize("text, words", [
    (CONFIG, 'no image "nonesuch"'), ("image_builder: {}\n", "container_registry_uri"),
    ("- 1\n", "not a map"), ("a: [\n", "not YAML")])
def test_bad_configuration_is_told(config, text, words):
    config(text)
    with pytest.raises(InvalidConfigException, match=words):
        versioned_image("nonesuch")


def test_missing_configuration_is_told(tmp_path):
    with pytest.raises(InvalidConfigException, match="no file"):
        load_config(str(tmp_path / "none.yaml"))


def test_materialize_model_is_a_task_that_copies(tmp_path):
    kfp = pytest.importorskip("kfp")
    from kfp import compiler, dsl
    import yaml

    from kfops.model import copy_model, materialize_model

    @dsl.component
    def train(model: dsl.Output[dsl.Model]):
        pass

    @dsl.pipeline(name="p")
    def pipeline():
        task = materialize_model(model=train().outputs["model"])
        task.execution_options.caching_strategy.max_cache_staleness = "P0D"

    target = str(tmp_path / "p.yaml")
    compiler.Compiler().compile(pipeline, target)
    with open(target, encoding="utf-8") as source:
        document = yaml.safe_load(source)
    task = document["root"]["dag"]["tasks"]["copy-model"]
    assert task["cachingOptions"] == {}
    assert task["taskInfo"]["name"] == "materialize-model"
    outputs = document["components"]["comp-copy-model"]["outputDefinitions"]["artifacts"]
    assert outputs["materialized_model"]["artifactType"]["schemaTitle"] == "system.Model"

    class Artifact:
        def __init__(self, path):
            self.path, self.metadata = str(path), {"framework": "sklearn"}

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.joblib").write_text("x")
    copy_model.python_func(model=Artifact(tmp_path / "m"),
                           materialized_model=Artifact(tmp_path / "n"))
    assert (tmp_path / "n" / "model.joblib").read_text() == "x"
    with pytest.raises(FileNotFoundError):
        copy_model.python_func(model=Artifact(tmp_path / "none"),
                               materialized_model=Artifact(tmp_path / "o"))
    assert kfp.__version__


PIPELINE = """
from kfp import dsl
from kfops.model import materialize_model

@dsl.component
def train(model: dsl.Output[dsl.Model]):
    pass

@dsl.pipeline(name="p")
def pipeline(bucket: str = "s3://b"):
    task = materialize_model(model=train().outputs["model"]%s)
    task.execution_options.caching_strategy.max_cache_staleness = "P0D"
"""
STORE = {"KFOPS_MODEL_STORE": "s3://trained-models", "KFOPS_MODEL_ENDPOINT": "http://seaweedfs.kubeflow:9000",
         "KFOPS_MODEL_REGION": "eu-north-1", "KFOPS_MODEL_SECRET": "models-writer"}


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """Compiles a pipeline whose materialize_model has more arguments; its documents."""
    pytest.importorskip("kfp")

    def run(arguments="", **env):
        import yaml
        from kfp import compiler

        for name in STORE:
            monkeypatch.delenv(name, raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        target, source = str(tmp_path / "p.yaml"), tmp_path / "made_pipeline.py"
        source.write_text(PIPELINE % arguments)
        scope = {"__name__": "made_pipeline"}
        import linecache
        text = source.read_text()
        linecache.cache[str(source)] = (len(text), None, text.splitlines(True), str(source))
        exec(compile(text, str(source), "exec"), scope)
        compiler.Compiler().compile(scope["pipeline"], target)
        with open(target, encoding="utf-8") as made:
            return list(yaml.safe_load_all(made))
    return run


def task_of(documents):
    task = documents[0]["root"]["dag"]["tasks"]["kfops-materialize-model"]
    return {name: value["runtimeValue"]["constant"] for name, value in task["inputs"]["parameters"].items()}, task


def secrets_of(documents):
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return executors["exec-kfops-materialize-model"]["secretAsEnv"]


def test_the_operators_bucket_is_where_models_go(compiled):
    documents = compiled(**STORE)
    given, task = task_of(documents)
    assert given == {"destination": "s3://trained-models", "run_id": "{{$.pipeline_job_uuid}}",
                     "endpoint": "http://seaweedfs.kubeflow:9000", "region": "eu-north-1"}
    assert task["cachingOptions"] == {} and task["taskInfo"]["name"] == "materialize-model"
    assert secrets_of(documents) == [{"secretName": "models-writer", "keyToEnv": [
        {"secretKey": "accesskey", "envVar": "AWS_ACCESS_KEY_ID"},
        {"secretKey": "secretkey", "envVar": "AWS_SECRET_ACCESS_KEY"}]}]
    assert len(compiled(**{**STORE, "KFOPS_MODEL_SECRET": ""})) == 1


def test_a_pipeline_may_say_where_its_model_goes(compiled):
    documents = compiled(', destination="minio://mine/x/", endpoint="https://s3.example:9000/"')
    assert task_of(documents)[0]["destination"] == "s3://mine/x/"
    assert task_of(documents)[0]["endpoint"] == "https://s3.example:9000"
    assert secrets_of(documents)[0]["secretName"] == "mlpipeline-minio-artifact"
    documents = compiled(', destination="s3://mine", endpoint="http://s", secret="", region="x"', **STORE)
    assert len(documents) == 1 and task_of(documents)[0]["region"] == "x"


@pytest.mark.parametrize("arguments", [
    ", destination=bucket", ', destination="gs://mine"', ', destination="s3://mine/../theirs"', ', destination="s3://"',
    ', destination="s3://a b"', ", destination=7"])
def test_a_destination_that_the_bot_cannot_know_is_told(compiled, arguments):
    with pytest.raises(ValueError, match="destination of materialize_model"):
        compiled(arguments, **STORE)


@pytest.mark.parametrize("endpoint", ["", "seaweedfs:9000", "http://user:password@s3", "http://s3/path", "ftp://s3"])
def test_an_address_that_is_none_is_told(compiled, endpoint):
    with pytest.raises(ValueError, match="address of the object store"):
        compiled(**{**STORE, "KFOPS_MODEL_ENDPOINT": endpoint})
