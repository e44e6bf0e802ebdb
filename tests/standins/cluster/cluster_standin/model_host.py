"""The child process that holds loaded models: one JSON request a line, one JSON answer a line.

    {"op": "load", "key", "path"}          joblib.load of one file
    {"op": "predict", "key", "rows"}       {"values", "dtype"}
    {"op": "drop", "key"}
    {"op": "make", "path", "constant", "features"}   writes a small model that always says `constant`

What a model raises comes back as {"error": "ValueError : ..."}, in the words of KServe's servers.
"""

import json
import os
import resource
import sys

FILE_MAX = 256 * 1024 * 1024


def load(models, request):
    import joblib
    models[request["key"]] = joblib.load(request["path"])
    return {}


def predict(models, request):
    if request["key"] not in models:
        return {"missing": True}
    import numpy
    result = numpy.asarray(models[request["key"]].predict(numpy.array(request["rows"])))
    return {"values": result.tolist(), "dtype": str(result.dtype)}


def drop(models, request):
    models.pop(request["key"], None)
    return {}


def make(_models, request):
    import joblib
    from sklearn.neighbors import KNeighborsClassifier
    model = KNeighborsClassifier(n_neighbors=1)
    model.fit([[0.0] * request["features"]], [request["constant"]])
    joblib.dump(model, request["path"])
    return {}


def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MAX, FILE_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a model prints is no answer
    models = {}
    operations = {"load": load, "predict": predict, "drop": drop, "make": make}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = operations[request["op"]](models, request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__} : {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
