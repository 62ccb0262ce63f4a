#!/usr/bin/env bash
# Set up everything: python environment, torch, the OpenMMLab packages and this package. Nothing is
# compiled. Can be run again at any time; it does only what is missing.
#
#     bash tools/setup_env.sh            set up, or check that all is there
#     bash tools/setup_env.sh --python   print the python it sets up, no more
#
# Variables:
#     STACK    onedl (default) or openmmlab, the original packages
#     VENV     folder of the environment. Default: the active one, else .venv
#              (STACK=openmmlab: always .venv-openmmlab)
#     PYTHON   interpreter to make the environment with (3.10 to 3.13)
#     TORCH    what to install where no torch is found (torch==2.13.0); a torch that is there is
#              kept. For another build of torch install it first, or set pip's own PIP_INDEX_URL /
#              PIP_EXTRA_INDEX_URL
#     EXTRAS   extras of pyproject.toml (test,demo,lint,docs,onnx,pretrained)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
STACK=${STACK:-onedl}
EXTRAS=${EXTRAS-test,demo,lint,docs,onnx,pretrained}
TORCH=${TORCH:-torch==2.13.0}

fail() {
    echo "error: setup_env: $*" >&2
    exit 1
}

case $STACK in
    onedl) default_venv=${VIRTUAL_ENV:-.venv} ;;
    openmmlab) default_venv=.venv-openmmlab ;;
    *) fail "STACK is '$STACK'; expected onedl or openmmlab" ;;
esac
VENV=${VENV:-$default_venv}
py=$VENV/bin/python
if [ "${1:-}" = --python ]; then
    echo "$py"
    exit
fi
[ $# = 0 ] || fail "unknown argument '$1'; see the head of $0"

# ---------------------------------------------------------------- functions

usable_python() { # of a version that the package is for
    "$1" -c 'import sys
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

# run_pip WHAT ARGS...: quiet; the last line of pip on failure. --no-compile where much is
# installed: Python compiles a module when it is first imported, most of torch never is
run_pip() {
    local what=$1 reason
    shift
    echo "setup_env: $what"
    if ! "$py" -m pip --disable-pip-version-check "$@" >>"$log" 2>&1; then
        reason=$(grep -i 'error' "$log" | tail -n 1)
        if tail -n 60 "$log" | grep -qiE 'from versions: none|NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|unreachable'; then
            reason='the package registry cannot be reached, or has nothing for this python'
        fi
        fail "$what failed: ${reason:-see the log} (log: $log)"
    fi
}

check() { # does everything run on the device that torch sees?
    "$py" - "$PWD" <<'P'
import sys
try:
    import torch
    import pandepth_mm.registry
    from mmcv.ops import nms, roi_align
    import mmdet, mmengine
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    boxes = torch.tensor([[0, 0, 4, 4.], [0, 0, 4, 4]], device=device)
    kept = nms(boxes, torch.tensor([.9, .8], device=device), .5)[1]
    pooled = roi_align(torch.ones(1, 1, 8, 8, device=device),
                       torch.tensor([[0, 0, 0, 4, 4.]], device=device),
                       (2, 2), 1.0, 0, 'avg', True)
    assert kept.tolist() == [0] and bool((pooled == 1).all()), 'wrong results'
    home = pandepth_mm.__file__
    assert home.startswith(sys.argv[1]), f'pandepth_mm is another one: {home}'
except Exception as e:
    print(f'{type(e).__name__}: {str(e).splitlines()[0][:200]}')
    sys.exit(1)
P
}

stamp() { # changes whenever there may be something to do
    {
        cat pyproject.toml tools/setup_env.sh
        echo "$STACK $EXTRAS $PWD"
        "$py" - <<'P'
import importlib.metadata as m, sys
names = 'torch', 'mmcv-lite', 'onedl-mmcv', 'mmengine', 'onedl-mmengine'
have = {d.metadata['Name']: d.version for d in m.distributions()}
print(sys.version, [have.get(n) for n in names])
P
    } | cksum
}

# ----------------------------------------------------------------- the work

# 1. an environment
if [ ! -x "$py" ]; then
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if usable_python "$candidate"; then
            base=$candidate
            break
        fi
    done
    [ -n "${base:-}" ] ||
        fail "no python 3.10 to 3.13 among ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; set PYTHON"
    echo "setup_env: making $VENV with $("$base" -V)"
    # a torch that the user has outside of any environment is kept too
    site=()
    "$base" -c 'import torch' >/dev/null 2>&1 && site=(--system-site-packages)
    if ! "$base" -m venv "${site[@]}" "$VENV" >/dev/null 2>&1; then
        rm -rf "$VENV"
        fail "$base cannot make environments (Debian: apt install python3-venv)"
    fi
fi
usable_python "$py" || fail "$py is $("$py" -V 2>&1); expected python 3.10 to 3.13"
mkdir -p "$VENV/.pandepth_mm"
log=$VENV/.pandepth_mm/setup.log
stamp_file=$VENV/.pandepth_mm/stamp
: >"$log"

# 2. nothing to do?
if [ -f "$stamp_file" ] && [ "$(stamp)" = "$(cat "$stamp_file")" ] &&
    check >>"$log" 2>&1; then
    echo "setup_env: $VENV is ready"
    exit
fi
rm -f "$stamp_file"

# 3. torch first, of the user's choice
if ! "$py" -c 'import torch' >>"$log" 2>&1; then
    run_pip "installing $TORCH" install --no-compile "$TORCH" numpy
    "$py" -c 'import torch' >>"$log" 2>&1 ||
        fail "torch cannot be imported: $(tail -n 1 "$log") (log: $log)"
fi
"$py" -c 'import torch, sys
sys.exit(tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6))' ||
    fail "torch $("$py" -c 'import torch; print(torch.__version__)') is installed; expected 2.6 or newer"
# 4. a torchvision of another build breaks mmengine's Runner; none is needed
if "$py" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("torchvision"))' &&
    ! "$py" -c 'import torchvision' >>"$log" 2>&1; then
    run_pip 'removing a torchvision that does not fit this torch' uninstall \
        -y torchvision
fi

# 5. the rest, and this package; torch stays as it is
"$py" -c 'import torch; print(f"torch=={torch.__version__}")' >"$VENV/.pandepth_mm/keep.txt"
run_pip "installing pandepth_mm[$STACK${EXTRAS:+,$EXTRAS}]" install --no-compile \
    -c "$VENV/.pandepth_mm/keep.txt" \
    -e ".[$STACK${EXTRAS:+,$EXTRAS}]"
case ,$EXTRAS, in
    *,test,*)
        # it pins numpy < 2 without need
        run_pip 'installing panopticapi-lite' install --no-deps \
            panopticapi-lite==0.2.0
        ;;
esac

# 6. does it all run?
problem=$(check 2>>"$log") || fail "$VENV does not work: $(echo "$problem" | tail -n 1) (log: $log)"
stamp >"$stamp_file"
echo "setup_env: $VENV is ready"
