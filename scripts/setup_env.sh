#!/usr/bin/env bash
# Creates the project's own virtual environment and installs everything into
# it: torch, the OpenMMLab packages (mmcv is compiled once and its wheel kept),
# and this package in editable mode. Safe to repeat; a repeat with nothing new
# to do takes a fraction of a second.
#
# Usage: scripts/setup_env.sh [--force]
#   --force   run all steps again, although nothing changed
#
# Settings, from the environment:
#   VENV         the virtual environment             (default: .venv here)
#   PYTHON       the Python to create it from        (default: python3.11, 3.12)
#   MMCV_WHEELS  where compiled mmcv wheels are kept (default: ~/.cache/mmcv-wheels)
#   MAX_JOBS     parallel compiler processes         (default: one per core)
#   FORCE_CUDA   1 compiles mmcv's CUDA operators too; needs the CUDA toolkit.
#                0 goes back to those for the CPU. Left out, what the environment
#                has stays.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${VENV:-$ROOT/.venv}
case $VENV in /*) ;; *) VENV=$PWD/$VENV ;; esac
FORCE_CUDA=${FORCE_CUDA:-}
PINS=$ROOT/constraints.txt
STAMP=$VENV/.ddp-setup
KIND=$VENV/.ddp-kind
LOG=$VENV/setup.log
MMCV_VERSION=$(sed -n 's/^mmcv==//p' "$PINS")
STEPS=7
step=0
watcher=

# The environment that happens to be active, and settings that would make pip
# install elsewhere, are none of this script's business.
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_USER \
  PIP_REQUIRE_VIRTUALENV

say() { printf '%s\n' "$*"; }

fail() {
  printf '\nset-up stopped: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

# Sets FORCE_CUDA and has_gpu (0 or 1). Both are remembered: the same environment
# is used on login nodes without a GPU, and by commands without FORCE_CUDA, which
# must not turn it back.
choose_kind() {
  local known
  known=$(cat "$KIND" 2>/dev/null) || known=
  has_gpu=0
  if [ -z "$FORCE_CUDA" ]; then
    case $known in *gpu=1*) has_gpu=1 ;; esac
    case $known in *cuda=1*) FORCE_CUDA=1 ;; *) FORCE_CUDA=0 ;; esac
  fi
  if [ "$FORCE_CUDA" = 1 ] || nvidia-smi -L >/dev/null 2>&1; then has_gpu=1; fi
}

fingerprint() {
  {
    cat "$PINS" "$ROOT/setup.py" "$ROOT/scripts/setup_env.sh"
    echo "$ROOT gpu=$has_gpu cuda=$FORCE_CUDA"
  } | sha256sum | cut -d' ' -f1
}

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# Prints a sign of life every 20 seconds, until it is killed.
watch() {
  local first_line=$1 start=$SECONDS compiled
  while sleep 20 >/dev/null 2>&1; do
    # ninja counts what it has compiled as [done/all].
    compiled=$(tail -n "+$first_line" "$LOG" |
      grep -oE '^ *\[[0-9]+/[0-9]+\]' | tail -n 1 || true)
    say "      $(clock $((SECONDS - start))) ${compiled:+compiled ${compiled// /}}"
  done
}

stop_watching() {
  if [ -n "$watcher" ]; then kill "$watcher" 2>/dev/null || true; fi
  watcher=
}
trap stop_watching EXIT

# A step that finds its work done.
kept() {
  step=$((step + 1))
  say "[$step/$STEPS] $1"
}

# run TITLE COMMAND...: one step; its output goes to the log.
run() {
  local title=$1 start=$SECONDS status=0
  shift
  step=$((step + 1))
  say "[$step/$STEPS] $title"
  printf '\n== %s\n' "$title" >>"$LOG"
  watch "$(wc -l <"$LOG")" &
  watcher=$!
  disown "$watcher"
  "$@" >>"$LOG" 2>&1 || status=$?
  stop_watching
  if ((status != 0)); then
    printf '\nThe last lines of %s:\n' "$LOG" >&2
    tail -n 25 "$LOG" | sed 's/^/  | /' >&2
    fail "'$title' failed with status $status" \
      "The whole output is in $LOG." \
      "If a download failed, check the network and run the same command again;" \
      "what is installed already is kept."
  fi
  say "      done in $(clock $((SECONDS - start)))"
}

python_fits() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
    >/dev/null 2>&1
}

find_python() {
  local name
  if [ -n "${PYTHON:-}" ]; then
    python_fits "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or 3.12" \
      "The pinned packages in constraints.txt exist for these two."
    echo "$PYTHON"
    return
  fi
  for name in python3.11 python3.12 python3; do
    if python_fits "$name"; then
      command -v "$name"
      return
    fi
  done
  fail "no Python 3.11 or 3.12 found" \
    "Debian and Ubuntu:  sudo apt-get install python3.11 python3.11-venv python3.11-dev" \
    "Otherwise install one (pyenv, conda, uv) and run  PYTHON=/path/to/python3.11 make env" \
    "The package itself runs on Python 3.10 too; only these pins do not."
}

# Free space on the disk of a path that need not exist yet, in GiB.
free_gib() {
  local path=$1
  while [ ! -d "$path" ]; do path=$(dirname "$path"); done
  df -Pk "$path" | awk 'NR == 2 { print int($4 / 1048576) }'
}

check_disk() {
  local need=10 free
  [ -d "$VENV/lib" ] && need=3
  free=$(free_gib "$VENV")
  ((free >= need)) || fail "too little disk space for $VENV" \
    "About $need GB are needed there (the complete environment takes 6), $free GB are free." \
    "Free some, or put the environment on a larger disk:  make env VENV=/path/on/it"
  free=$(free_gib "${TMPDIR:-/tmp}")
  ((free >= 2)) || fail "too little space for temporary files in ${TMPDIR:-/tmp}" \
    "About 2 GB are needed while packages are unpacked and compiled, $free GB are free." \
    "Set TMPDIR to a folder on a larger disk and run the command again."
}

check_venv_module() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null || fail \
    "$1 cannot create virtual environments (module ensurepip or venv missing)" \
    "Debian and Ubuntu:  sudo apt-get install python3-venv"
}

# OpenCV's wheels need two system libraries that minimal images lack. Asked
# before anything is installed, since the answer would come after the compiler.
check_system_libraries() {
  "$1" - <<'PYTHON_END' || fail "system libraries that OpenCV (cv2) needs are missing: libGL, glib" \
    "Debian and Ubuntu:  sudo apt-get install libgl1 libglib2.0-0"
import ctypes, sys
try:
    for name in ('libGL.so.1', 'libglib-2.0.so.0', 'libgthread-2.0.so.0'):
        ctypes.CDLL(name)
except OSError as error:
    print(f'  {error}', file=sys.stderr)
    sys.exit(1)
PYTHON_END
}

# Asks torch itself: the package's metadata leaves out "+cu130" and the like,
# on which the compiled operators depend.
set_wheel_folder() {
  local torch
  torch=$("$VENV/bin/python" -c 'import torch; print(torch.__version__)') ||
    fail "torch is installed and cannot be imported" \
      "Remove $VENV and run the command again."
  if [ "$FORCE_CUDA" = 1 ]; then torch=$torch-cuda; fi
  wheels=${MMCV_WHEELS:-$HOME/.cache/mmcv-wheels}/torch-$torch
}

find_wheel() {
  local tag
  tag=$("$VENV/bin/python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  compgen -G "$wheels/mmcv-$MMCV_VERSION-$tag-*.whl" | head -n 1
}

check_compiler() {
  local headers
  command -v "${CXX:-g++}" >/dev/null || fail \
    "no C++ compiler (${CXX:-g++}) found; mmcv's operators have to be compiled once" \
    "Debian and Ubuntu:  sudo apt-get install g++"
  headers=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [ -f "$headers/Python.h" ] || fail \
    "Python's headers are missing ($headers/Python.h); mmcv is compiled against them" \
    "Debian and Ubuntu:  sudo apt-get install python3-dev  (or python3.11-dev)"
  [ "$FORCE_CUDA" != 1 ] || command -v nvcc >/dev/null || fail \
    "FORCE_CUDA=1 is set and nvcc is not on the PATH" \
    "Install the CUDA toolkit that torch was built for, or leave FORCE_CUDA out."
}

pip() {
  "$VENV/bin/python" -m pip "$@"
}

# The steps that `run` runs. Commands are chained by &&: bash ignores `set -e`
# in a function whose status is looked at.

# Python's own compiler flags, which setuptools replaces by CFLAGS where that is
# set, without debug information: that is a third of the time.
compiler_flags() {
  "$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("CFLAGS"))' &&
    echo "-g0 ${CFLAGS:-}"
}

# precompile_header HEADER: compiles the header on which mmcv's files spend most of
# the rest, once. GCC takes HEADER.gch for HEADER if its flags are the same.
precompile_header() {
  local includes
  echo '#include <torch/types.h>' >"$1"
  includes=$("$VENV/bin/python" -c '
import sysconfig
from torch.utils.cpp_extension import include_paths
print(*("-I" + path for path in [*include_paths(), sysconfig.get_path("include")]))
') && ${CXX:-c++} $CFLAGS -fPIC $includes -std=c++17 -DTORCH_EXTENSION_NAME=_ext \
    -DTORCH_API_INCLUDE_EXTENSION_H -w -x c++-header "$1" -o "$1.gch"
}

build_mmcv() {
  # mmcv compiles for CUDA wherever torch sees a GPU, asked to or not.
  if [ "$FORCE_CUDA" != 1 ]; then local -x CUDA_VISIBLE_DEVICES=; fi
  MMCV_WITH_OPS=1 FORCE_CUDA=$FORCE_CUDA MAX_JOBS=${MAX_JOBS:-$(nproc)} \
    pip wheel -v -c "$PINS" --no-cache-dir --no-build-isolation --no-deps \
    -w "$1" mmcv
}

compile_mmcv() (
  # Compiled in a folder of its own: an interrupted run leaves no half wheel.
  mkdir -p "$wheels" && tmp=$(mktemp -d "$wheels/.build.XXXXXX") &&
    headers=$(mktemp -d) || exit 1
  trap 'rm -rf "$tmp" "$headers"' EXIT
  flags=$(compiler_flags | tr '\n' ' ') && export CFLAGS=$flags || exit 1
  {
    precompile_header "$headers/torch.hpp" &&
      CFLAGS="$CFLAGS -include $headers/torch.hpp" build_mmcv "$tmp"
  } || {
    say 'that failed: once more without a precompiled header'
    build_mmcv "$tmp"
  } && mv "$tmp"/mmcv-*.whl "$wheels/"
)

install_libraries() {
  # mmcv by force: pip takes another build of the same version for this one.
  # mmdet3d's and lyft's remaining requirements (open3d, black, flake8, plotly)
  # serve 3D windows and development only, those of cityscapesscripts its
  # downloader; `pip check` names them.
  pip install --no-index --no-deps --force-reinstall "$(find_wheel)" &&
    pip install -c "$PINS" mmcv mmengine mmdet mmsegmentation ftfy regex \
      nuscenes-devkit timm numba networkx trimesh pandas plyfile scikit-image \
      tensorboard &&
    pip install -c "$PINS" --no-deps mmdet3d lyft-dataset-sdk cityscapesscripts
}

install_tools() {
  # spconv's wheel has CPU kernels alone, yet mmdet3d prefers it to mmcv's
  # CUDA operators wherever it can be imported.
  local spconv=spconv
  if [ "$has_gpu" = 1 ]; then
    echo 'for a GPU: spconv is left out, and removed if it is there'
    spconv=
    pip uninstall -y spconv || return 1
  fi
  pip install -c "$PINS" pytest pytest-random-order pytest-xdist ruff mypy onnx onnxscript \
    onnxruntime $spconv
}

install_package() {
  pip install --no-deps --no-build-isolation -e "$ROOT" &&
    "$VENV/bin/python" -c \
      'import cv2, mmcv.ops, mmdet3d, nuscenes, ddp_perception' &&
    check_operators
}

# What was asked for is what is there.
check_operators() {
  [ "$FORCE_CUDA" != 1 ] || "$VENV/bin/python" -c '
from mmcv.ops import get_compiling_cuda_version
version = get_compiling_cuda_version()
if version == "not available":
    raise SystemExit("FORCE_CUDA=1 is set and the installed mmcv has no CUDA operators")
print("CUDA operators of mmcv compiled by CUDA", version)'
}

main() {
  local wanted python
  choose_kind
  wanted=$(fingerprint)
  if [ "${1:-}" != --force ] && [ -x "$VENV/bin/python" ] &&
    [ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ]; then
    say "environment $VENV is up to date"
    return
  fi
  if [ -e "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ]; then
    fail "$VENV exists and is not a virtual environment; it stays as it is" \
      "Choose another place:  make env VENV=/path/to/new/folder"
  fi

  python=$(find_python)
  check_venv_module "$python"
  check_disk
  check_system_libraries "$python"

  say "Setting up $VENV with $("$python" --version) (details: $LOG)"
  say "About 4 GB are downloaded; the finished environment takes 6 GB."
  mkdir -p "$VENV"
  touch "$LOG"
  rm -f "$STAMP"
  echo "gpu=$has_gpu cuda=$FORCE_CUDA" >"$KIND"
  if [ -x "$VENV/bin/python" ] && python_fits "$VENV/bin/python"; then
    kept 'virtual environment: there already, completing it'
  else
    rm -rf "$VENV/bin" "$VENV/lib" "$VENV/lib64" "$VENV/include"
    run 'virtual environment' "$python" -m venv "$VENV"
  fi
  run 'build tools' pip install -c "$PINS" -U pip setuptools wheel ninja
  run 'torch and torchvision (2.5 GB, about a minute)' \
    pip install -c "$PINS" torch torchvision numpy
  set_wheel_folder
  if find_wheel >/dev/null; then
    kept "mmcv $MMCV_VERSION: compiled already, kept in $wheels"
  else
    check_compiler
    say "mmcv has to be compiled: once, 2 to 3 minutes on two cores (longer for CUDA)."
    say "The wheel is kept in $wheels for every later set-up."
    run "compiling mmcv $MMCV_VERSION" compile_mmcv
  fi
  run 'OpenMMLab, nuScenes devkit and libraries' install_libraries
  run 'test tools and optional packages' install_tools
  run 'ddp_perception itself, and a first import of everything' install_package
  echo "$wanted" >"$STAMP"

  say
  say "Ready in $(clock $SECONDS). Next:  make demo   or   source $VENV/bin/activate"
  if [ "$has_gpu" = 1 ] && [ "$FORCE_CUDA" != 1 ]; then
    say "A GPU is present. torch uses it; to compile mmcv's CUDA operators as well"
    say "(needs nvcc):  FORCE_CUDA=1 make env"
  fi
}

# Sourced, it only defines its functions (the tests do that).
if [ "${BASH_SOURCE[0]}" = "$0" ]; then main "$@"; fi
