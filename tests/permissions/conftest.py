"""The probes run on the workflow tests' system."""

from tests.workflow.conftest import system

__all__ = ["system"]
