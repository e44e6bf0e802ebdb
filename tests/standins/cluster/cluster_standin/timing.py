"""When the controllers' steps happen: at once, after so many milliseconds, or when a test says so.

Stages, in the order of a rollout: `create` (the controller sees a write), `pod` (scheduled, images
pulled), `load` (model fetched and loaded), `deadline` (a failed start is given up), `route` (each
pass over the traffic). A step runs on one thread of its own, in the order in which steps fall due.
"""

import threading
import time
import traceback

STAGES = ("create", "pod", "load", "deadline", "route")


class Timing:
    def __init__(self, clock, record):
        self._clock = clock
        self._record = record
        self._changed = threading.Condition()
        self._due = []  # (monotonic time, number, stage, key, step)
        self._by_clock = []  # (time of the clock, number, stage, key, step)
        self._held = []  # (number, stage, key, step)
        self._count = 0
        self._busy = False
        self._ended = False
        self.values = {stage: 0 for stage in STAGES}
        threading.Thread(target=self._run, name="controllers", daemon=True).start()

    def set(self, stage, value):
        """`value`: "instant", "hold" or milliseconds. What is held stays so."""
        if stage not in self.values:
            raise ValueError(f"unknown stage {stage!r}; known: {', '.join(STAGES)}")
        if value != "hold":
            value = 0 if value == "instant" else float(value)
        self.values[stage] = value

    def later(self, stage, key, step):
        with self._changed:
            self._count += 1
            value = self.values[stage]
            if value == "hold":
                self._held.append((self._count, stage, key, step))
            else:
                self._due.append((time.monotonic() + value / 1000, self._count, stage, key, step))
            self._changed.notify_all()

    def at(self, when, key, step):
        """A step at a time of the stand-in's clock."""
        with self._changed:
            self._count += 1
            self._by_clock.append((when, self._count, "deadline", key, step))

    def held(self):
        with self._changed:
            return [{"stage": stage, "service": key} for _, stage, key, _ in self._held]

    def release(self, stage=None, key=None, count=None):
        """Lets held steps go; returns how many."""
        with self._changed:
            chosen = [step for step in self._held
                      if stage in (None, step[1]) and key in (None, step[2])][:count]
            self._held = [step for step in self._held if step not in chosen]
            self._due += [(time.monotonic(), *step) for step in chosen]
            self._changed.notify_all()
        return len(chosen)

    def idle(self, timeout_s):
        """Waits until nothing is left but what is held or waits for the clock."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy and not self._due, timeout_s)

    def close(self):
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _next(self):
        """The step that is due, or the seconds to wait for one."""
        now = time.monotonic()
        moved = [step for step in self._by_clock if step[0] <= self._clock.now()]
        self._by_clock = [step for step in self._by_clock if step not in moved]
        self._due += [(now, *step[1:]) for step in moved]
        if not self._due:
            return 0.1 if self._by_clock else 60.0
        first = min(self._due, key=lambda step: step[:2])
        if first[0] > now:
            return first[0] - now
        self._due.remove(first)
        return first

    def _run(self):
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                found = self._next()
                while not isinstance(found, tuple) and not self._ended:
                    self._changed.wait(min(found, 0.1 if self._by_clock else found))
                    found = self._next()
                if self._ended:
                    return
                self._busy = True
            try:
                found[4]()
            except Exception as error:
                traceback.print_exc()
                self._record.gap(f"internal fault of a controller: {error!r}")
