#!/usr/bin/env bash
# Shutdown action of Amazon EMR: the agent delivers what it has read, within [shutdown] grace. EMR gives all
# shutdown actions 60 s.
set -euo pipefail
timeout 55 sudo systemctl stop sidelight || echo "sidelight did not stop in time" >&2
