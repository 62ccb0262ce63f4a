#!/usr/bin/env bash
# Train under Slurm:
#     tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [flags]
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [flags]" >&2
    exit 2
fi
tools=$(cd "$(dirname "$0")" && pwd)
. "$tools/_slurm.sh"
launch_slurm "$1" "$2" "$tools/train.py" "$3" \
    --work-dir "$4" --launcher slurm "${@:5}"
