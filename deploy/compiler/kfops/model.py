"""Keeping the model of a run."""

from types import SimpleNamespace

from kfp import dsl
from kfp.dsl import Input, Model, Output


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


def materialize_model(model):
    """A task that keeps `model` as an artifact of this run; for pipeline functions.

    In kfp 1 the model was copied to s3://trained-models/<run id>/. In kfp 2 it becomes the output
    `materialized_model` of the task, and the bot reads its address from there. The task is never
    taken from the cache, so each run has a copy of its own.
    """
    task = copy_model(model=model)
    task.set_display_name("materialize-model")
    task.set_caching_options(False)
    # Pipeline files switch the cache off in the words of kfp 1; it is off already.
    task.execution_options = SimpleNamespace(
        caching_strategy=SimpleNamespace(max_cache_staleness="P0D"))
    return task
