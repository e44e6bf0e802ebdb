"""The control interface that all stand-ins share, below /_standin/.

    GET    faults                     not used up yet; `taken` says what was met
    POST   faults                     adds one (or a list); faults.py has the form
    POST   faults/random              {seed, rate, kinds, match}
    DELETE faults                     forgets all
    GET    violations                 what the real service would have refused; gaps of the stand-in
    DELETE violations                 the same, and forgets them
    GET    mutations?after=N&timeout=S   changes of state in order; waits for the first after N
    GET    requests                   the last requests with status and time
    GET    time, POST time            {advance: seconds} moves the clock
    GET    health                     200
"""

from .http import Answer, Request


def handle(app, request: Request, name: str) -> Answer | None:
    """The answer, or None when `name` (the path after /_standin/) is not of the shared part. `app` has
    faults, record and clock."""
    key = (request.method, name)
    if key == ("GET", "health"):
        return Answer.json({"ok": True})
    if name in ("faults", "faults/random"):
        return _faults(app, request, key)
    if name == "violations" and request.method in ("GET", "DELETE"):
        if request.method == "DELETE":
            violations = app.record.take_violations()
        else:
            violations = list(app.record.violations)
        return Answer.json({"violations": violations, "gaps": list(app.record.gaps)})
    if key == ("GET", "mutations"):
        timeout = min(60.0, float(request.arg("timeout", "0")))
        return Answer.json(app.record.since(int(request.arg("after", "0")), timeout))
    if key == ("GET", "requests"):
        return Answer.json(list(app.record.requests))
    if name == "time":
        if request.method == "POST":
            data = request.json()
            if "stop" in data:
                app.clock.stop(bool(data["stop"]))
            app.clock.advance(float(data.get("advance", 0)))
        return Answer.json({"now": app.clock.now(), "offset": app.clock.offset()})
    return None


def _faults(app, request: Request, key) -> Answer:
    script = app.faults
    try:
        if key == ("GET", "faults"):
            return Answer.json({"pending": script.pending(), "taken": script.taken})
        if key == ("DELETE", "faults"):
            script.clear()
            return Answer.json({})
        if key == ("POST", "faults/random"):
            data = request.json()
            script.randomly(data.get("seed", 1), data.get("rate", 0.1), data.get("kinds", []),
                            data.get("match"))
            return Answer.json({})
        if key == ("POST", "faults"):
            data = request.json()
            data = data if isinstance(data, list) else [data]
            return Answer.json({"ids": [script.add(fault) for fault in data]}, 201)
    except (ValueError, KeyError, TypeError) as error:
        return Answer.json({"message": str(error)}, 400)
    return Answer.json({"message": "method not allowed"}, 405)
