#!/usr/bin/env bash
# Test under Slurm:
#     tools/slurm_test.sh PARTITION JOB_NAME CONFIG CKPT [flags]
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG CKPT [flags]" >&2
    exit 2
fi
tools=$(cd "$(dirname "$0")" && pwd)
. "$tools/_slurm.sh"
launch_slurm "$1" "$2" "$tools/test.py" "$3" "$4" \
    --launcher slurm "${@:5}"
