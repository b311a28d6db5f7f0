"""The two models that are ours, whatever documents somebody has put beside them."""

from __future__ import annotations

from bucketbrush.domain.catalogue import read_catalogue
from local.engine.controller import ROOT

MODELS = ROOT / "layers" / "bucketbrush" / "bucketbrush" / "models"
OURS = read_catalogue([("models/toapis.json", (MODELS / "toapis.json").read_bytes())])
