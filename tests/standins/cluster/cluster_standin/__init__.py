"""A cluster that serves models: the Kubernetes API with KServe's InferenceServices, the services
themselves behind one ingress, and an S3 store. One process, loopback only.

certs.py        an authority of its own, the server's and a client's certificate, kubeconfig files
auth.py         bearer tokens, client certificates, RBAC from Role and RoleBinding documents
schema.py       objects held against the published CRD: pruned, refused, completed
fields.py       managedFields: who owns which field, server-side apply and its conflicts
objects.py      what etcd keeps: objects, resource versions, the history that watches read
kube.py         the API server: routes, verbs, Status answers
kube_isvc.py    InferenceServices through it: create, replace, patch, apply, delete
webhook.py      KServe's admission: defaults, and what it refuses
timing.py       when the controllers' steps happen: at once, later, or when a test says so
controller.py   what both controllers share: models of pods, conditions, modelStatus
knative.py      Knative mode: revisions, traffic, promotion and the fall back
standard.py     Standard mode: rolling updates, spec.canary
pods.py         the pods as the API shows them
models.py       storage initializer, and the child process that holds the loaded models
model_host.py   that child process
ingress.py      requests to the services: hosts, splits, both inference protocols
s3.py           the object store; sigv4.py checks its signatures
control.py      the control interface below /_standin/
app.py          all of it wired together
"""
