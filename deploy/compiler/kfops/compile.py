"""Compiles a pipeline: python -m kfops.compile --source DIR --path FILE --out DIR.

The file is imported, which runs it. So this is meant to be called inside a sandbox, and it trusts
nothing: its own modules are loaded before theirs, so their code cannot shadow them; whatever their
code raises (SystemExit too) becomes error.json; nothing of theirs runs after the result is written.

With --stream FD the result also goes to that descriptor: "kfops 1\\n" before anything of theirs
runs, "ready 0\\n" once our own tools are loaded, "name length\\n" and the bytes for each file, then
"end\\n"; so nothing need be read from a folder that their code can still write to, and what is
wrong with our tools is known from what theirs says. --check only says whether kfp is there.
"""

import argparse
import errno
import importlib.util
import json
import os
import sys
import traceback

TRACEBACK_MAX = 32 * 1024
MESSAGE_MAX = 4 * 1024
EXIT_OK, EXIT_THEIRS, EXIT_USAGE = 0, 1, 2


class CompileError(Exception):
    """A refusal of ours about their file: kind and sentence."""

    def __init__(self, kind, message, path=None, line=None):
        super().__init__(message)
        self.kind = kind
        self.path = path
        self.line = line


def inside(source, name):
    """`name` relative to the source folder, or None when it is elsewhere."""
    if not name or name.startswith("<"):
        return None
    real, root = os.path.realpath(name), os.path.realpath(source)
    return os.path.relpath(real, root) if real.startswith(root + os.sep) else None


def resolve(source, path):
    """The file to compile; refuses what is not a Python file inside the source folder."""
    if os.path.isabs(path) or ".." in path.split("/"):
        raise CompileError("not_found", f"{path} leaves the repository")
    full = os.path.join(source, path)
    if inside(source, full) is None:
        raise CompileError("not_found", f"{path} leaves the repository")
    if not os.path.isfile(full):
        raise CompileError("not_found", f"there is no file {path} at this commit; pipeline_path in config_files/config.yaml names it")
    if not path.endswith(".py"):
        raise CompileError("not_found", f"{path} is not a Python file")
    return full


def module_name(full):
    """The file's own name where that is free, as `kfp dsl compile` has it; else a private one."""
    stem = os.path.splitext(os.path.basename(full))[0]
    taken = not stem.isidentifier() or stem in sys.modules
    if not taken:
        try:
            taken = importlib.util.find_spec(stem) is not None
        except (ImportError, ValueError):
            taken = True
    return "_kfops_pipeline" if taken else stem


def load(source, full):
    """Imports their file, with its folder and then the repository's root first on sys.path."""
    name = module_name(full)
    sys.path[0:0] = [os.path.dirname(full), source]
    spec = importlib.util.spec_from_file_location(name, full)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _defined_in(component, full):
    """True when a pipeline's function was written in this file."""
    function = getattr(component, "pipeline_func", None)
    code = getattr(function, "__code__", None)
    return code is not None and os.path.realpath(code.co_filename) == os.path.realpath(full)


def choose(module, full, path, function):
    """The pipeline to compile: the named one, or the only one of the file."""
    from kfp.dsl import base_component, graph_component

    found = {name: value for name, value in vars(module).items()
             if isinstance(value, base_component.BaseComponent)}
    pipelines = {name: value for name, value in found.items()
                 if isinstance(value, graph_component.GraphComponent)}
    if function:
        if function in found:
            return found[function]
        if callable(getattr(module, function, None)):
            raise CompileError("no_pipeline", f"{function} in {path} is not a pipeline: put "
                               "@dsl.pipeline above it", path, _line_of(module, function))
        names = ", ".join(sorted(pipelines)) or "none"
        raise CompileError("no_pipeline", f"{path} has no pipeline {function}; its pipelines: "
                           f"{names}", path)
    own = {name: value for name, value in pipelines.items() if _defined_in(value, full)}
    for group in (own, pipelines, {} if pipelines else found):
        if len({id(value) for value in group.values()}) == 1:
            return next(iter(group.values()))
    if not pipelines:
        raise CompileError("no_pipeline", f"{path} defines no pipeline: put @dsl.pipeline above "
                           "one function", path, 1)
    raise CompileError("many_pipelines", f"{path} defines {len(own or pipelines)} pipelines: "
                       f"{', '.join(sorted(own or pipelines))}. Say which one with "
                       "pipeline_function_name", path, 1)


def _line_of(module, name):
    code = getattr(getattr(module, name, None), "__code__", None)
    return code.co_firstlineno if code else None


def tools():
    """kfp's compiler and PyYAML; loaded before their folder can hide them."""
    try:
        from kfp import compiler
        import yaml
    except ImportError as error:
        raise CompileError("no_kfp", f"the interpreter has no usable kfp: {error}") from error
    return compiler, yaml


def compile_pipeline(source, path, function, out, ready=lambda: None):
    """Writes pipeline.yaml and pipeline.json; returns the bytes of the first. `ready` is called
    before anything of theirs runs."""
    compiler, yaml = tools()
    ready()
    full = resolve(source, path)
    os.chdir(source)
    os.environ["KFOPS_SOURCE"] = source
    pipeline = choose(load(source, full), full, path, function)
    target = os.path.join(out, "pipeline.yaml")
    compiler.Compiler().compile(pipeline, package_path=target)
    with open(target, "rb") as file:
        data = file.read()
    documents = [doc for doc in yaml.safe_load_all(data) if doc is not None]
    with open(os.path.join(out, "pipeline.json"), "w", encoding="utf-8") as text:
        json.dump(documents, text, sort_keys=True)
    return data


def evaluate_service(source, path, wish, ready=lambda: None):
    """The InferenceService that a file defines, as bytes of JSON; `ready` as above."""
    from kfops import service  # before their folder can hide it

    ready()
    full = resolve(source, path)
    os.chdir(source)
    return service.evaluate(load(source, full), path, json.loads(wish),
                            lambda message, line: CompileError("service", message, path, line))


def place(error, source):
    """(path, line) of the last place in their files; for bad syntax, the place of the fault."""
    errors, found = [error], (None, None)
    seen = set()
    while errors:
        current = errors.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, SyntaxError) and inside(source, current.filename):
            return inside(source, current.filename), current.lineno
        for frame in traceback.extract_tb(current.__traceback__):
            name = inside(source, frame.filename)
            if name is not None:
                found = (name, frame.lineno)
        if found[0] is None:
            errors += [current.__cause__, current.__context__]
    return found


def kind_of(error):
    if isinstance(error, CompileError):
        return error.kind
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return "output"
    return "exception"


def describe(error, source):
    """error.json for an exception: paths as in the repository, our own frames left out."""
    path, line = place(error, source)
    if isinstance(error, CompileError):
        path, line = error.path, error.line
    try:
        frames = traceback.format_exception(type(error), error, error.__traceback__)
    except Exception:  # as above
        frames = traceback.format_tb(error.__traceback__)
    text = "".join(f for f in frames if os.path.realpath(__file__) not in f
                   and "<frozen importlib" not in f)
    root = os.path.realpath(source) + os.sep
    text = text.replace(root, "")
    try:
        message = str(error.msg if isinstance(error, SyntaxError) and error.msg else error)
    except Exception:  # __str__ may be theirs
        message = ""
    message = message or type(error).__name__
    if isinstance(error, SystemExit):
        message = f"the file ended the interpreter: sys.exit({error.code!r})"
    return {"type": type(error).__name__, "kind": kind_of(error),
            "message": message.replace(root, "")[:MESSAGE_MAX], "path": path, "line": line,
            "traceback": text[-TRACEBACK_MAX:]}


def stream(fd, name, data):
    """One file of the result, framed, to a descriptor."""
    for part in (f"{name} {len(data)}\n".encode(), data):
        view = memoryview(part)
        while view:
            view = view[os.write(fd, view):]


def fail(error, source, out):
    """error.json: its bytes; the file too, unless their code has filled the disk."""
    value = describe(error, source)
    sys.stderr.write(value["traceback"])
    data = json.dumps(value).encode()
    for name in ("pipeline.yaml", "pipeline.json"):
        if os.path.lexists(os.path.join(out, name)):
            os.unlink(os.path.join(out, name))
    try:
        with open(os.path.join(out, "error.json"), "wb") as target:
            target.write(data)
    except OSError as problem:
        sys.stderr.write(f"error.json: {problem}\n")
    return data


def arguments(argv):
    parser = argparse.ArgumentParser(prog="kfops.compile", description=__doc__.split("\n")[0])
    parser.add_argument("--source", default=".", help="folder of the repository's files")
    parser.add_argument("--path", help="pipeline file, relative to --source")
    parser.add_argument("--function", help="pipeline function; default: the only one of the file")
    parser.add_argument("--service", help="evaluate the InferenceService that the file defines, for this JSON object "
                        "with name, namespace and storage_uri")
    parser.add_argument("--out", required=True, help="folder for the result")
    parser.add_argument("--stream", type=int, help="descriptor that also gets the result")
    parser.add_argument("--check", action="store_true", help="only see whether kfp is there")
    args = parser.parse_args(argv)
    if not args.path and not args.check:
        parser.error("the following arguments are required: --path")
    return args


def main(argv=None):
    args = arguments(argv)
    source = os.path.realpath(args.source)
    out = os.path.realpath(args.out)
    os.makedirs(out, exist_ok=True)
    if args.stream is not None:
        os.closerange(3, args.stream)
        os.closerange(args.stream + 1, 1024)
        os.write(args.stream, b"kfops 1\n")

    def ready():
        if args.stream is not None:
            stream(args.stream, "ready", b"")
    code, name, data = EXIT_OK, None, None
    try:
        if args.check:
            tools()
        elif args.service:
            name, data = "service.json", evaluate_service(source, args.path, args.service, ready)
        else:
            name, data = "pipeline.yaml", compile_pipeline(source, args.path, args.function, out, ready)
    except BaseException as error:  # their code may raise anything
        code, name, data = EXIT_THEIRS, "error.json", fail(error, source, out)
    if args.stream is not None:
        if name:
            stream(args.stream, name, data)
        os.write(args.stream, b"end\n")
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    # No exit handlers and no waiting for threads: those are theirs.
    os._exit(main())
