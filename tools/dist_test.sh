#!/usr/bin/env bash
# Test with several processes:
#     tools/dist_test.sh CONFIG CKPT GPUS [flags of tools/test.py]
# Otherwise as dist_train.sh.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CKPT GPUS [flags of tools/test.py]" >&2
    exit 2
fi
tools=$(cd "$(dirname "$0")" && pwd)
CONFIG=$1
CKPT=$2
GPUS=$3
. "$tools/_launch.sh"
launch "$tools/test.py" "$CONFIG" "$CKPT" --launcher pytorch "${@:4}"
