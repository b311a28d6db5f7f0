"""Layers for tests, on top of what is deployed: one file each, which Python imports before the function's own code."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.stack import Stack


def mount(stack: Stack, sitecustomize: Path, functions: Mapping[str, Mapping[str, str]]) -> None:
    """Give functions the layer, and each its own variables. They are named by the outputs that name them."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        target.write(sitecustomize, "python/sitecustomize.py")
    client = stack.engine.client("lambda")
    name = sitecustomize.parents[1].name
    layer = client.publish_layer_version(LayerName=name, Content={"ZipFile": packed.getvalue()})
    for output, variables in functions.items():
        found = client.get_function_configuration(FunctionName=stack.outputs[output])
        client.update_function_configuration(
            FunctionName=found["FunctionName"],
            Layers=[*(mounted["Arn"] for mounted in found["Layers"]), layer["LayerVersionArn"]],
            Environment={"Variables": {**found["Environment"]["Variables"], **variables}},
        )
