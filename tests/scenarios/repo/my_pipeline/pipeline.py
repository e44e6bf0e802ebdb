"""A small pipeline for the scenarios: it trains nothing, but has parameters, an order and outputs."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def prepare(rows: int) -> int:
    return rows * 2


@dsl.component(base_image="python:3.11")
def train(rows: int, neighbors: int, label: str) -> float:
    print(f"training on {rows} rows with {neighbors} neighbors as {label}")
    return 1.0 - 1.0 / (rows + neighbors)


@dsl.pipeline(name="sklearn-iris", description="Trains a classifier")
def iris_pipeline(neighbors: int = 3, rows: int = 50, label: str = "iris"):
    prepared = prepare(rows=rows)
    train(rows=prepared.output, neighbors=neighbors, label=label)
