"""Examples in the documentation: configurations are read by kfopsd, shell lines name files and targets that exist.

Command lines and blocks of config_files/config.yaml are read by tests/unit/commands/test_docs.c.
"""
import os
import pathlib
import re
import shlex
import subprocess

import pytest
from test_house import ROOT, daemon, name_of, private_key
from test_kserve_objects import spec_of, unknown

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deploy").rglob("*.md")),
         *sorted((ROOT / "tests").rglob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    return [(name_of(page), block) for page in PAGES
            for block in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)]


def is_of_operator(block: str) -> bool:
    return re.search(r"^(server|clusters|repositories|github|compile|limits|report|poll|retention|log|state_dir):",
                     block, re.M) is not None


def with_files(text: str, folder: pathlib.Path) -> str:
    """The text with files of the example made up in a folder."""
    for name in set(re.findall(r"/etc/kfops/[\w.-]+|/var/run/secrets/[\w./-]+", text)):
        file = folder / pathlib.Path(name).name
        file.write_text(private_key())
        file.chmod(0o600)
        text = text.replace(name, str(file))
    return text


def test_configurations_are_valid(tmp_path):
    found = [(page, block) for page, block in blocks("yaml") if is_of_operator(block)]
    assert "docs/configuration.md" in [page for page, _ in found]
    for i, (page, block) in enumerate(found):
        folder = tmp_path / str(i)
        folder.mkdir()
        config = folder / "kfops.yaml"
        config.write_text(with_files(block, folder))
        done = subprocess.run([daemon(), "--config", config, "--print-config"], capture_output=True, text=True)
        assert done.returncode == 0, f"{page}: {done.stderr}"


def is_policy(block: str) -> bool:
    return re.match(r"(commands|forks|environments|metrics):", block) is not None


def test_policies_are_valid():
    found = [(page, block) for page, block in blocks("yaml") if is_policy(block)]
    assert len(found) > 10
    for page, block in found:
        done = subprocess.run([daemon().parent / "kfc", "lint", "--policy", "-"], input=block, capture_output=True, text=True)
        assert done.returncode == 0, f"{page}: {done.stdout}{done.stderr}"


def test_ceilings_are_valid(tmp_path):
    """They are part of a configuration."""
    whole = next(block for page, block in blocks("yaml") if page == "docs/configuration.md" and is_of_operator(block))
    for i, (page, block) in enumerate((page, block) for page, block in blocks("yaml") if block.startswith("ceilings:")):
        config = tmp_path / f"kfops{i}.yaml"
        config.write_text(with_files(whole, tmp_path) + block)
        done = subprocess.run([daemon(), "--config", config, "--print-config"], capture_output=True, text=True)
        assert done.returncode == 0, f"{page}: {done.stderr}"


def test_every_yaml_block_is_of_a_kind_that_is_tested():
    other = [page for page, block in blocks("yaml")
             if not is_of_operator(block) and not is_policy(block) and not block.startswith(("repository:", "pipeline:", "apiVersion:", "ceilings:"))]
    assert not other


def manifests() -> list[tuple[str, dict]]:
    yaml = pytest.importorskip("yaml")
    return [(page, yaml.safe_load(block)) for page, block in blocks("yaml") if block.startswith("apiVersion:")]


def test_manifests_name_what_they_are():
    found = manifests()
    assert {"InferenceService", "NetworkPolicy", "AuthorizationPolicy"} <= {item["kind"] for _, item in found}
    for page, item in found:
        assert set(item) == {"apiVersion", "kind", "metadata", "spec"} and item["metadata"]["name"], page


def test_inference_services_have_only_what_kserve_knows():
    found = [item for _, item in manifests() if item["kind"] == "InferenceService"]
    assert found and not [unknown(item["spec"], spec_of("inferenceservices.crd.yaml"), "spec") for item in found
                          if unknown(item["spec"], spec_of("inferenceservices.crd.yaml"), "spec")]


def test_python_functions_make_an_inference_service():
    found = [block for _, block in blocks("python") if "inference_service_instance" in block]
    assert found
    for block in found:
        names = {}
        exec(compile(block, "docs", "exec"), names)
        made = names["inference_service_instance"](name="iris", storage_uri="s3://models/iris/", namespace="ml-prod")
        assert made["kind"] == "InferenceService" and made["metadata"] == {"name": "iris", "namespace": "ml-prod"}
        assert not unknown(made["spec"], spec_of("inferenceservices.crd.yaml"), "spec")


def commands() -> list[tuple[str, list[str]]]:
    """Every command of the shell blocks, as words without comments."""
    found = []
    for page, block in blocks("sh") + blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = next((i for i, w in enumerate(words) if w in ("&&", "|", ";")), len(words))
                command = words[:end]
                words = words[end + 1:]
                while command and ("=" in command[0] or command[0] == "sudo"):
                    command = command[1:]
                if command:
                    found.append((page, command))
    return found


def options_of_build() -> set[str]:
    text = (ROOT / "CMakeLists.txt").read_text()
    return set(re.findall(r"^option\((\w+)", text, re.M)) | set(re.findall(r"^set\((\w+) .* CACHE ", text, re.M))


def targets_of_build() -> set[str]:
    return {p.stem for p in (ROOT / "bot").glob("k*.c")} | {
        p.stem for pattern in ("unit/*/test_*.c", "fuzz/fuzz_*.c", "bench/*.c") for p in (ROOT / "tests").glob(pattern)}


def faults_of(command: list[str]) -> list[str]:
    faults = []
    program, *words = command
    for word in [program, *words]:
        if "/" not in word or word.startswith(("/", "-", "http")):
            continue
        if word.startswith("build"):
            if len(word.split("/")) > 2 and pathlib.Path(word).name not in targets_of_build():
                faults.append(f"no target {word}")
        elif not (ROOT / word).exists():
            faults.append(f"no file {word}")
    if program.startswith("./") and not os.access(ROOT / program, os.X_OK):
        faults.append(f"{program} cannot be run")
    if program == "./test.sh":
        steps = re.findall(r"^  (\w+)\)$", (ROOT / "test.sh").read_text(), re.M)
        faults += [f"test.sh has no step {w}" for w in words if w not in steps]
    if program == "cmake":
        options = options_of_build()
        faults += [f"no option {w}" for w in words
                   if (m := re.match(r"-D(\w+)=", w)) and m[1] not in options and not m[1].startswith("CMAKE_")]
    if program == "ninja":
        values = [words[i + 1] for i, w in enumerate(words[:-1]) if w in ("-C", "-j")]
        faults += [f"no target {w}" for w in words if w[0] != "-" and w not in values and w not in targets_of_build()]
    if program == "ctest" and "-R" in words:
        wanted = words[words.index("-R") + 1]
        names = [f"{p.parent.name}.{p.stem.removeprefix('test_')}" for p in (ROOT / "tests/unit").glob("*/test_*.c")]
        faults += [] if any(re.search(wanted, n) for n in names) else [f"no test {wanted}"]
    return faults


def test_shell_lines_name_what_exists():
    found = commands()
    assert len(found) >= 8
    assert not [f"{page}: {' '.join(command)}: {fault}" for page, command in found for fault in faults_of(command)]


@pytest.mark.parametrize("page", ["docs/hacking.md"])
def test_pages_for_developers_name_paths_that_exist(page):
    spans = re.findall(r"`((?:tests|bot|lib|config|deploy|docs|scripts)/[\w./-]+)`", (ROOT / page).read_text())
    assert spans and not [s for s in spans if not (ROOT / s).exists()]


def test_options_of_the_build_are_named_where_it_is_explained():
    text = (ROOT / "docs/hacking.md").read_text()
    assert not [name for name in options_of_build() if name not in text]


def test_steps_of_the_tests_are_named_where_they_are_explained():
    steps = re.findall(r"^  (\w+)\)$", (ROOT / "test.sh").read_text(), re.M)
    text = (ROOT / "docs/hacking.md").read_text()
    assert steps and not [step for step in steps if not re.search(rf"\b{step}\b", text)]
