#!/usr/bin/env bash
# Train with several processes on one machine or more:
#     tools/dist_train.sh CONFIG GPUS [flags of tools/train.py]
# Without a GPU it starts GPUS processes on the CPU (gloo).
# NNODES, NODE_RANK, MASTER_ADDR and PORT as in OpenMMLab; PYTHON to choose one.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [flags of tools/train.py]" >&2
    exit 2
fi
tools=$(cd "$(dirname "$0")" && pwd)
CONFIG=$1
GPUS=$2
. "$tools/_launch.sh"
launch "$tools/train.py" "$CONFIG" --launcher pytorch "${@:3}"
