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
