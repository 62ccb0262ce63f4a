#!/usr/bin/env bash
# Predict for many frames under Slurm:
#     tools/slurm_infer.sh PARTITION JOB_NAME MODEL IMAGES [flags of tools/infer.py]
# Otherwise as dist_infer.sh.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME MODEL IMAGES [flags of tools/infer.py]" >&2
    exit 2
fi
tools=$(cd "$(dirname "$0")" && pwd)
. "$tools/_slurm.sh"
launch_slurm "$1" "$2" "$tools/infer.py" "${@:4}" \
    --config "$3" --launcher slurm
