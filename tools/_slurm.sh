# Sourced by slurm_train.sh, slurm_test.sh and slurm_infer.sh.

# launch_slurm PARTITION JOB_NAME SCRIPT [its arguments]
launch_slurm() {
    local gpus_per_node=${GPUS_PER_NODE:-4}
    # SRUN_ARGS may hold several words
    # shellcheck disable=SC2086
    exec srun -p "$1" --job-name="$2" \
        --gres="gpu:$gpus_per_node" \
        --ntasks="${GPUS:-4}" \
        --ntasks-per-node="$gpus_per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "${@:3}"
}
