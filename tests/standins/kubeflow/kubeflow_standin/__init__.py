"""A small Kubeflow Pipelines API server for tests and the demo.

It speaks the HTTP API of servers 1.8.22 (v1beta1 only), 2.5.0 and 2.17.0 and really executes the
compiled pipelines with kfp.local in child processes. It is as strict as the real servers and, on
request, as unkind: faults are scripted through /_standin/ (see control.py).
"""
