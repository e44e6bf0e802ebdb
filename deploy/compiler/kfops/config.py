"""config_files/config.yaml of the repository, as far as pipeline files ask for it."""

import os

import yaml


class InvalidConfigException(Exception):
    """The configuration lacks something that the pipeline file asked for."""


def load_config(path=None):
    """The configuration as plain data; looked for below KFOPS_SOURCE, else the working folder."""
    if path is None:
        root = os.environ.get("KFOPS_SOURCE", ".")
        path = os.path.join(root, "config_files", "config.yaml")
    try:
        with open(path, encoding="utf-8") as source:
            value = yaml.safe_load(source)
    except FileNotFoundError:
        raise InvalidConfigException(f"There is no file {path}.") from None
    except yaml.YAMLError as error:
        raise InvalidConfigException(f"{path} is not YAML: {error}") from None
    if not isinstance(value, dict):
        raise InvalidConfigException(f"{path} is not a map.")
    return value
