"""The digest e-mail: what goes into it (`compose`), how it reads (`render`), how it stays small (`fit`)."""

from __future__ import annotations

from aggregator.digest.compose import compose, line
from aggregator.digest.fit import LIMIT, fitted
from aggregator.digest.render import Renderer

__all__ = ["LIMIT", "Renderer", "compose", "fitted", "line"]
