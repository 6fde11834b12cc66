"""Servers whose configuration is a provider's: what is changed there is undone at the next update or replacement."""

import re

from vnicheck.model.snapshot import Server

_WORKER = re.compile(r"kube-[a-z0-9]{20}-.+", re.ASCII)
"""`kube-CLUSTER_ID-CLUSTER-POOL-NUMBER`: how IBM Cloud names the workers of its managed clusters (IBM Cloud Docs,
containers, openshift: worker names).
"""
WHY = "a worker of a managed cluster: its provider configures guest and VNIs, and replaces what is changed by hand"


def is_managed(server: Server) -> bool:
    """Whether the server is a worker of a managed OpenShift or Kubernetes cluster, by its name."""
    return _WORKER.fullmatch(server.name) is not None
