#!/usr/bin/env bash
# Predict for many frames under Slurm:
#     tools/slurm_infer.sh PARTITION JOB_NAME MODEL IMAGES [flags of tools/infer.py]
# Otherwise as dist_infer.sh.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME MODEL IMAGES [flags of tools/infer.py]" >&2
    exit 2
fi
GPUS=${GPUS:-4}
GPUS_PER_NODE=${GPUS_PER_NODE:-4}
CPUS_PER_TASK=${CPUS_PER_TASK:-5}
# SRUN_ARGS may hold several words
# shellcheck disable=SC2086
exec srun -p "$1" --job-name="$2" \
    --gres="gpu:$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="$CPUS_PER_TASK" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$(dirname "$0")/infer.py" "${@:4}" \
    --config "$3" --launcher slurm
