# Sourced by dist_train.sh, dist_test.sh and dist_infer.sh; expects $tools and $GPUS.
case $GPUS in
    '' | *[!0-9]* | 0)
        echo "error: GPUS: found '$GPUS'; expected a number of processes" >&2
        exit 2
        ;;
esac
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python
    # the environment of setup_env.sh, unless another one is active
    if [ -z "${VIRTUAL_ENV:-}" ] && [ -x "$tools/../.venv/bin/python" ]; then
        PYTHON=$tools/../.venv/bin/python
    fi
fi

launch() {
    local place
    if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
        place=(--standalone) # picks a free port
    else
        place=(--nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}"
            --master_addr "${MASTER_ADDR:-127.0.0.1}"
            --master_port "${PORT:-29500}")
    fi
    exec "$PYTHON" -m torch.distributed.run "${place[@]}" \
        --nproc_per_node "$GPUS" "$@"
}
