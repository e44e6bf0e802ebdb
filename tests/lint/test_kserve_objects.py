"""What the planner sends, against KServe's own descriptions of an InferenceService."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("KFOPS_BUILD", ROOT / "build/asan"))
SPECS = pathlib.Path(os.environ.get("KFOPS_SHARED", ROOT.parent / "shared")) / "specs/kserve"


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> list[dict]:
    program = BUILD / "tests/test_isvc_plan"
    if not program.exists():
        pytest.skip("test_isvc_plan is not built")
    path = tmp_path_factory.mktemp("objects") / "lines"
    subprocess.run([program, "test_whole_rollouts"], env={**os.environ, "KFOPS_WRITE_OBJECTS": str(path)},
                   check=True, capture_output=True)
    return [json.loads(line) for line in sorted(set(path.read_text().splitlines()))]


def spec_of(name: str) -> dict:
    yaml = pytest.importorskip("yaml")
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    crd = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    versions = {v["name"]: v for v in crd["spec"]["versions"]}
    return versions["v1beta1"]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def unknown(value, schema: dict, path: str) -> list[str]:
    """Members that the server would prune, or refuse with fieldValidation=Strict."""
    if isinstance(value, list):
        return [w for i, item in enumerate(value) for w in unknown(item, schema.get("items", {}), f"{path}[{i}]")]
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    known, more = schema.get("properties", {}), schema.get("additionalProperties")
    wrong = []
    for key, member in value.items():
        if key in known:
            wrong += unknown(member, known[key], f"{path}.{key}")
        elif not more:
            wrong.append(f"{path}.{key}")
        elif isinstance(more, dict):
            wrong += unknown(member, more, f"{path}.{key}")
    return wrong


@pytest.mark.parametrize("crd, has_canary", [("inferenceservices.crd.yaml", True),
                                             ("inferenceservices_v0.16.0.crd.yaml", False)])
def test_objects_are_what_kserve_takes(objects, crd, has_canary):
    jsonschema = pytest.importorskip("jsonschema")
    schema = spec_of(crd)
    checker = jsonschema.Draft7Validator(schema)
    seen = [o["spec"] for o in objects if has_canary or ("canary" not in o["spec"]
                                                         and "name" not in o["spec"]["predictor"])]
    assert len(seen) > 10
    for spec in seen:
        assert not [e.message for e in checker.iter_errors(spec)], spec
        assert not unknown(spec, schema, "spec"), spec
