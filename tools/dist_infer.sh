#!/usr/bin/env bash
# Predict for many frames with several processes, each on a GPU of its own where there are some:
#     tools/dist_infer.sh MODEL GPUS IMAGES [flags of tools/infer.py]
# MODEL is a config, or the name of a shipped model. The processes share the frames. Run again, with
# any number of processes, it goes on with those that are missing. Otherwise as dist_train.sh.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 MODEL GPUS IMAGES [flags of tools/infer.py]" >&2
    exit 2
fi
tools=$(cd "$(dirname "$0")" && pwd)
MODEL=$1
GPUS=$2
. "$tools/_launch.sh"
launch "$tools/infer.py" "${@:3}" --config "$MODEL" --launcher pytorch
