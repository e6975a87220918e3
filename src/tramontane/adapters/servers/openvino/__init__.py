"""The embedded engine: a process of ours that runs a model's graph on OpenVINO, and what the gateway needs to talk to it."""

import sys
from typing import Any

# OpenVINO's wheel brings a package that reports every import to a public analytics service. Absent, its own stub is used.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("openvino_telemetry", None)
