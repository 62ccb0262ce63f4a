#!/usr/bin/env bash
# Set up everything: python environment, torch, mmcv with its compiled ops,
# the OpenMMLab packages and this package. Can be run again at any time; it
# does only what is missing.
#
#     bash tools/setup_env.sh            set up, or check that all is there
#     bash tools/setup_env.sh --python   print the python it sets up, no more
#
# Variables:
#     STACK    onedl (default) or openmmlab, the original packages
#     VENV     folder of the environment. Default: the active one, else .venv
#              (STACK=openmmlab: always .venv-openmmlab)
#     PYTHON   interpreter to make the environment with (3.10 to 3.12)
#     TORCH    what to install where no torch is found (torch==2.13.0); a
#              torch that is there is kept. For another build of torch install
#              it first, or set pip's own PIP_INDEX_URL / PIP_EXTRA_INDEX_URL
#     EXTRAS   extras of pyproject.toml (test,demo,lint,docs,onnx)
#     PANDEPTH_WHEELS  cache of the mmcv wheels that were built here
#     CXX, CFLAGS, MAX_JOBS, TORCH_CUDA_ARCH_LIST  as usual, for that build
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
STACK=${STACK:-onedl}
EXTRAS=${EXTRAS-test,demo,lint,docs,onnx}
TORCH=${TORCH:-torch==2.13.0}

fail() {
    echo "error: setup_env: $*" >&2
    exit 1
}

case $STACK in
    onedl) mmcv=onedl-mmcv==2.3.6 default_venv=${VIRTUAL_ENV:-.venv} ;;
    openmmlab) mmcv=mmcv==2.1.0 default_venv=.venv-openmmlab ;;
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
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

run_pip() { # run_pip WHAT ARGS...: quiet; the last line of pip on failure
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
    from mmcv.ops import nms, roi_align
    import mmdet, mmengine, pandepth_mm
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

check_ops() { # the ops alone: the rest may not be installed yet
    "$py" - <<'P' >>"$log" 2>&1
import importlib.metadata as m
import os
import torch
mmcv = os.environ['MMCV'].split('==')
assert m.version(mmcv[0]) == mmcv[1], 'another version'
from mmcv.ops import nms, roi_align
device = 'cuda' if torch.cuda.is_available() else 'cpu'
boxes = torch.tensor([[0, 0, 4, 4.], [0, 0, 4, 4]], device=device)
assert nms(boxes, torch.tensor([.9, .8], device=device), .5)[1].tolist() == [0]
roi_align(torch.ones(1, 1, 8, 8, device=device),
          torch.tensor([[0, 0, 0, 4, 4.]], device=device), (2, 2), 1.0, 0,
          'avg', True)
P
}

stamp() { # changes whenever there may be something to do
    {
        cat pyproject.toml tools/setup_env.sh
        echo "$STACK $EXTRAS $PWD"
        "$py" - <<'P'
import importlib.metadata as m, sys
names = 'torch', 'mmcv', 'onedl-mmcv', 'mmengine', 'onedl-mmengine'
have = {d.metadata['Name']: d.version for d in m.distributions()}
print(sys.version, [have.get(n) for n in names])
P
    } | cksum
}

build_tools() { # what compiling needs, before the long work
    local cxx include
    cxx=${CXX:-$(command -v c++ || command -v g++ || command -v clang++ || true)}
    [ -n "$cxx" ] && command -v "${cxx%% *}" >/dev/null ||
        fail 'no C++ compiler, which building mmcv needs (Debian: apt install g++)'
    echo '#include <vector>' |
        $cxx -x c++ -std=c++17 -fsyntax-only - >>"$log" 2>&1 ||
        fail "the C++ compiler $cxx does not work (log: $log)"
    include=$("$py" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -f "$include/Python.h" ] ||
        fail "no headers of Python ($include/Python.h), which building mmcv needs (Debian: apt install python3-dev)"
    if [ "$device" != cpu ]; then
        [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ] || command -v nvcc >/dev/null ||
            fail "no nvcc, which building mmcv for the GPU needs: install the CUDA toolkit of torch's version ($device), or set CUDA_HOME"
    fi
}

build_mmcv() { # build_mmcv DIR: compile the wheel into DIR
    local tmp jobs memory
    build_tools
    tmp=$(mktemp -d)
    # a compiler process takes about 0.9 GB
    memory=$(awk '/MemAvailable/ {print int($2 / 1200000)}' /proc/meminfo 2>/dev/null || echo 1)
    jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
    [ "$memory" -ge "$jobs" ] || jobs=$((memory > 1 ? memory : 1))
    if [ "$device" != cpu ] && ! "$py" - <<'P'
import os, sys, torch
root = os.path.join(os.path.dirname(torch.__file__), 'include')
sys.exit(not os.path.exists(os.path.join(root, 'THC', 'THCAtomics.cuh')))
P
    then # mmcv includes a header by its name of old
        mkdir -p "$tmp/include/THC"
        echo '#include <ATen/cuda/Atomic.cuh>' >"$tmp/include/THC/THCAtomics.cuh"
        export CPATH=$tmp/include${CPATH:+:$CPATH}
    fi
    MAX_JOBS=${MAX_JOBS:-$jobs} CFLAGS=${CFLAGS:--O2 -g0 -w} \
        run_pip "building $mmcv for $key (5 to 15 minutes)" wheel -v --no-deps \
        --no-build-isolation --no-cache-dir -w "$tmp" "$mmcv"
    case $(ls "$tmp"/*.whl) in
        *none-any.whl) fail "$mmcv was built without ops: torch was not visible to the build (log: $log)" ;;
    esac
    mkdir -p "$1"
    mv "$tmp"/*.whl "$1"/
    rm -rf "$tmp"
}

install_mmcv() { # from our cache, or built
    local dir name glob
    # pip's own cache knows neither torch's version nor the device
    dir=${PANDEPTH_WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/pandepth_mm/wheels}/$key
    name=${mmcv%%==*}
    glob=$dir/${name//-/_}-${mmcv##*==}-*.whl
    compgen -G "$glob" >/dev/null || build_mmcv "$dir"
    run_pip "installing $mmcv for $key" install --no-deps --force-reinstall \
        "$(compgen -G "$glob" | head -n 1)"
}

# ----------------------------------------------------------------- the work

# 1. an environment
if [ ! -x "$py" ]; then
    for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.10}; do
        if usable_python "$candidate"; then
            base=$candidate
            break
        fi
    done
    [ -n "${base:-}" ] ||
        fail "no python 3.10 to 3.12 among ${PYTHON:-python3 python3.12 python3.11 python3.10}; set PYTHON"
    echo "setup_env: making $VENV with $("$base" -V)"
    # a torch that the user has outside of any environment is kept too
    site=()
    "$base" -c 'import torch' >/dev/null 2>&1 && site=(--system-site-packages)
    if ! "$base" -m venv "${site[@]}" "$VENV" >/dev/null 2>&1; then
        rm -rf "$VENV"
        fail "$base cannot make environments (Debian: apt install python3-venv)"
    fi
fi
usable_python "$py" || fail "$py is $("$py" -V 2>&1); expected python 3.10 to 3.12"
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

# 3. torch first: mmcv is compiled against it
if ! "$py" -c 'import torch' >>"$log" 2>&1; then
    run_pip "installing $TORCH" install "$TORCH" numpy
    "$py" -c 'import torch' >>"$log" 2>&1 ||
        fail "torch cannot be imported: $(tail -n 1 "$log") (log: $log)"
fi
"$py" -c 'import torch, sys
sys.exit(tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6))' ||
    fail "torch $("$py" -c 'import torch; print(torch.__version__)') is installed; expected 2.6 or newer"
# below 82 for pkg_resources, which the original packages import
run_pip 'installing build tools' install 'setuptools>=80,<82' wheel ninja \
    'packaging>=24.2'
PATH=$(cd "$VENV/bin" && pwd):$PATH # ninja

# 4. a torchvision of another build breaks mmengine's Runner; none is needed
if "$py" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("torchvision"))' &&
    ! "$py" -c 'import torchvision' >>"$log" 2>&1; then
    run_pip 'removing a torchvision that does not fit this torch' uninstall \
        -y torchvision
fi

# 5. mmcv with ops that run on this device
key_device=$("$py" - <<'P'
import platform, sys, torch
device = 'cpu'
if torch.cuda.is_available():
    major, minor = torch.cuda.get_device_capability()
    device = f'cuda{torch.version.cuda}-sm{major}{minor}'
print('-'.join([sys.implementation.cache_tag, platform.machine(),
                'torch' + torch.__version__.replace('+', '_'), device]), device)
P
)
key=${key_device% *}
device=${key_device#* }
export MMCV=$mmcv
if ! check_ops; then
    install_mmcv
fi

# 6. the rest, and this package; torch stays as it is
"$py" -c 'import torch; print(f"torch=={torch.__version__}")' >"$VENV/.pandepth_mm/keep.txt"
run_pip "installing pandepth_mm[$STACK${EXTRAS:+,$EXTRAS}]" install \
    --no-build-isolation -c "$VENV/.pandepth_mm/keep.txt" \
    -e ".[$STACK${EXTRAS:+,$EXTRAS}]"
case ,$EXTRAS, in
    *,test,*)
        # it pins numpy < 2 without need
        run_pip 'installing panopticapi-lite' install --no-deps \
            panopticapi-lite==0.2.0
        ;;
esac

# 7. does it all run?
problem=$(check 2>>"$log") || fail "$VENV does not work: $(echo "$problem" | tail -n 1) (log: $log)"
stamp >"$stamp_file"
echo "setup_env: $VENV is ready"
