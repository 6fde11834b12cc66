"""vnicheck predicts which flows of a multi-homed IBM Cloud VPC server are dropped, says why, and proves the fix."""

__version__ = "0.1.0"
