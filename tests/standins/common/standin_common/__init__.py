"""What every stand-in needs: a clock that tests move, scripted faults, a record of what was asked, a
check of requests against a published description, and an HTTP server that can misbehave.

clock.py        Clock: wall time plus an offset that tests move
faults.py       FaultScript: which request meets which fault, by script or at random with a seed
record.py       Recorder: requests, mutations in order, violations; callers can wait for the next one
description.py  Description: OpenAPI 3 and Swagger 2, requests and answers checked against them
http.py         StandinServer, Request, Answer: HTTP/1.1 with resets, half bodies, slow bytes
control.py      the part of the control interface below /_standin/ that all stand-ins share
"""
