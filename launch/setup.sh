#!/usr/bin/env bash
# Installs what building and running sbm needs, and nothing that is already there.
#
#   ./launch/setup.sh [--checks] [--arm64] [--fuzz] [--cuda-compiler] [--cuda] [--build-space MB]
#
#   --checks          also clang-format and clang-tidy, for the checks of the sources
#   --arm64           also a compiler and libraries for 64-bit Arm, and qemu, for the tests of the kernels
#   --fuzz            also Clang with its sanitizers and fuzzer, for the fuzz targets
#   --cuda-compiler   also nvcc 13 into .deps/cuda, where the machine has none: the tests compile the kernels
#   --cuda            also the rest of the CUDA program: LibTorch's CUDA libraries, and --cuda-compiler
#   --build-space MB  ask for so much free disk space besides, for the build that follows
#
# Debian packages come by apt (as root, or through sudo). LibTorch comes as pinned wheels into .deps/libtorch,
# unless SBM_TORCH_DIR names a LibTorch 2.11. It says what it will do before it does it; a second run does nothing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=$root/.deps
libtorch=$deps/libtorch
cuda=$deps/cuda
requirements=$root/launch/requirements-libtorch.txt
cuda_requirements=$root/launch/requirements-cuda-compiler.txt
library_requirements=$root/launch/requirements-libtorch-cuda.txt
log=$deps/setup.log

build_packages=(g++ cmake ninja-build ccache pkg-config libopenmpi-dev openmpi-bin libprotobuf-dev
  protobuf-compiler libhwy-dev libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libxxhash-dev
  libicu-dev libpng-dev libzip-dev libcurl4-openssl-dev libarchive-dev libssl-dev libgtest-dev libgmock-dev
  xz-utils)
check_packages=(clang-format clang-tidy)
fuzz_packages=(clang libclang-rt-dev)
arm64_packages=(g++-aarch64-linux-gnu qemu-user)
arm64_libraries=(libhwy1 libhwy-dev libgtest-dev libgmock-dev nlohmann-json3-dev libxxhash0 libxxhash-dev)
download_packages=(python3-pip unzip ca-certificates)

# Disk space in MB, measured on a minimal Debian 12 and rounded up.
packages_space=1320   # every package of the lists but those for arm64 and fuzzing, with its archive
arm64_space=400       # the compiler for arm64 and qemu, with their archives
fuzz_space=300        # Clang and its libraries, with their archives
download_space=1200   # the largest moment of the download: pip's own copy beside the wheels
unpacked_space=550    # .deps/libtorch
cuda_space=600        # .deps/cuda, with its wheels while they are unpacked
libraries_space=4600  # the CUDA libraries' wheels, of which pip has a copy, and those of torch

# Of the wheels of LibTorch, what the CPU program can do without.
torch_cuda_libraries=(libtorch_cuda.so libtorch_cuda_linalg.so libtorch_nvshmem.so libc10_cuda.so libcaffe2_nvrtc.so)
torch_cuda_members=("${torch_cuda_libraries[@]/#/torch/lib/}" 'nvidia/cu13/include/*')

checks=no
arm64=no
cuda_compiler=no
cuda_program=no
fuzz=no
build_space=0
apt=()                # the command that runs apt-get as root
work=                 # the temporary folder of install_libtorch

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: error: %s\n' "$*" >&2
  exit 1
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --checks) checks=yes ;;
      --arm64) arm64=yes ;;
      --cuda-compiler) cuda_compiler=yes ;;
      --cuda) cuda_compiler=yes cuda_program=yes ;;
      --fuzz) fuzz=yes ;;
      --build-space)
        [[ ${2:-} =~ ^[0-9]+$ ]] || { echo "setup: --build-space expects a number of MB, found '${2:-}'" >&2; exit 2; }
        build_space=$2
        shift
        ;;
      -h | --help) usage; exit 0 ;;
      *) echo "setup: unknown option '$1'; known are --checks, --arm64, --fuzz, --cuda-compiler, --cuda, --build-space MB and --help" >&2; exit 2 ;;
    esac
    shift
  done
}

# True where `dpkg` says the package is installed.
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Refuses systems whose packages are older than what CMakeLists.txt asks for.
check_system() {
  local system release machine
  machine=$(uname -m)
  system=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown}") || system=unknown
  release=$(. /etc/os-release 2>/dev/null && echo "${VERSION_ID:-0}") || release=0
  [ "$(uname -s)" = Linux ] || fail "Linux expected, found $(uname -s): use Debian 12 in a container or virtual machine."
  [ "$machine" = x86_64 ] || fail "an x86_64 processor expected, found $machine: the pinned LibTorch is built for x86_64 only."
  case $system in
    debian) [ "${release%%.*}" -ge 12 ] || fail "Debian 12 or newer expected, found Debian $release." ;;
    ubuntu) [ "${release%%.*}" -ge 24 ] || fail "Ubuntu 24.04 or newer expected, found Ubuntu $release." ;;
    *) command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
      fail "Debian 12 or Ubuntu 24.04 expected, found '$system': install the libraries listed in docs/install.md yourself and build with 'cmake --preset release'." ;;
  esac
}

# What identifies the unpacked wheels of the list $1: names, versions and checksums.
wanted_stamp() { grep -v '^#' "$1" | grep -oE '[a-z0-9-]+==[0-9.]+|sha256:[0-9a-f]{64}'; }

libtorch_ready() {
  [ -f "$libtorch/torch/lib/libtorch_cpu.so" ] && [ -f "$libtorch/torch/include/ATen/ATen.h" ] &&
    [ "$(cat "$libtorch/.complete" 2>/dev/null)" = "$(wanted_stamp "$requirements")" ]
}

torch_has_cuda() {
  local name
  for name in "${torch_cuda_libraries[@]}"; do [ -f "$libtorch/torch/lib/$name" ] || return 1; done
  [ -f "$libtorch/nvidia/cu13/include/cuda_runtime_api.h" ]
}

cuda_libraries_ready() {
  libtorch_ready && torch_has_cuda &&
    [ "$(cat "$libtorch/.complete-cuda" 2>/dev/null)" = "$(wanted_stamp "$library_requirements")" ]
}

# A toolkit of the machine, as cmake/SbmCuda.cmake looks for it, or the one in .deps.
cuda_ready() {
  local folder
  for folder in "${CUDA_HOME:-}" /usr/local/cuda; do
    [ -n "$folder" ] && [ -x "$folder/bin/nvcc" ] &&
      grep -qE 'define CUDART_VERSION +13' "$folder/include/cuda_runtime_api.h" 2>/dev/null && return 0
  done
  [ "$(cat "$cuda/.complete" 2>/dev/null)" = "$(wanted_stamp "$cuda_requirements")" ]
}

check_given_torch() {
  local version=$SBM_TORCH_DIR/include/torch/headeronly/version.h
  [ -f "$SBM_TORCH_DIR/lib/libtorch_cpu.so" ] && [ -f "$version" ] ||
    fail "SBM_TORCH_DIR=$SBM_TORCH_DIR is no LibTorch 2.11: expected include/ and lib/libtorch_cpu.so in it."
  grep -q 'define TORCH_VERSION_MAJOR 2$' "$version" && grep -q 'define TORCH_VERSION_MINOR 11$' "$version" ||
    fail "SBM_TORCH_DIR=$SBM_TORCH_DIR: LibTorch 2.11 expected, found $(awk '/define TORCH_VERSION_M(AJOR|INOR) /{printf "%s%s", s, $3; s="."}' "$version")."
}

# The libraries, separated by spaces, that the library $1 needs and the loader does not find.
missing_libraries() { ldd "$1" | awk '/not found/ {print $1}' | sort -u | tr '\n' ' '; }

check_given_torch_cuda() {
  local missing
  [ -f "$SBM_TORCH_DIR/lib/libtorch_cuda.so" ] ||
    fail "SBM_TORCH_DIR=$SBM_TORCH_DIR is a LibTorch for the CPU only: expected lib/libtorch_cuda.so in it for --cuda."
  missing=$(missing_libraries "$SBM_TORCH_DIR/lib/libtorch_cuda.so")
  [ -z "$missing" ] || fail "the LibTorch in SBM_TORCH_DIR=$SBM_TORCH_DIR lacks libraries that its CUDA part needs: $missing"
  [ -f "$SBM_TORCH_DIR/../nvidia/nccl/include/nccl.h" ] ||
    fail "SBM_TORCH_DIR=$SBM_TORCH_DIR: expected NCCL's header beside it, in nvidia/nccl/include, as the wheels lie when pip installed torch."
}

# The pip of whichever python3 has one; Debian's comes second, because one found first may lack it.
find_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -m pip --version >/dev/null 2>&1; then
      echo "$python"
      return 0
    fi
  done
  return 1
}

# MB that a user may still write on the file system of the folder $1.
free_space() { echo $(($(stat -f -c '%a * %S' "$1") / 1048576)); }

# check_space MB_FOR_PACKAGES MB_FOR_THE_TREE
check_space() {
  local needed=$2 free
  if [ "$(stat -c %d /usr)" = "$(stat -c %d "$root")" ]; then
    needed=$((needed + $1))
  elif [ "$1" -gt 0 ]; then
    free=$(free_space /usr)
    [ "$free" -ge "$1" ] || fail "not enough disk space in /usr: $1 MB needed, $free MB free."
  fi
  [ "$needed" -gt 0 ] || return 0
  free=$(free_space "$root")
  [ "$free" -ge "$needed" ] || fail "not enough disk space in $root: $needed MB needed, $free MB free."
}

# Sets the array `apt` to the command that runs apt-get as root, or says what to do.
find_apt() {
  if [ "$(id -u)" -eq 0 ]; then
    apt=(env)
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    apt=(sudo env)
  else
    fail "packages are missing and neither root nor sudo is at hand; let an administrator run: apt-get install --no-install-recommends $*"
  fi
  local name
  for name in http_proxy https_proxy no_proxy; do
    [ -z "${!name:-}" ] || apt+=("$name=${!name}")   # sudo drops them
  done
  apt+=(DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
}

install_packages() {
  local problem
  if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
    problem=$(grep -m1 -E '^E: ' "$log" || tail -n 1 "$log")
    if grep -qE 'No space left|enough free space' "$log" || [ "$(free_space /var)" -lt 20 ]; then
      fail "apt ran out of disk space: up to $((packages_space + arm64_space + fuzz_space)) MB are needed in /usr and /var."
    elif grep -qE 'Could not resolve|Temporary failure|Could not connect|Unable to connect|Connection (failed|timed out)|Network is unreachable|Unable to fetch' "$log"; then
      fail "apt could not reach the package servers: check the network or the proxy, then run this again. ($problem)"
    elif grep -q 'Unable to locate package' "$log"; then
      fail "apt does not know a package: check that /etc/apt names the main archive of your Debian or Ubuntu. ($problem)"
    fi
    fail "apt-get failed: $problem (all of it: $log)"
  fi
}

# Downloads the wheels of the list $2 into the folder $1, for which there must be $3 MB.
download_wheels() {
  local python problem platform
  local options=(--no-deps --require-hashes --only-binary=:all: --no-cache-dir --retries 3
    --disable-pip-version-check --implementation cp --python-version 311 --abi cp311 --dest "$1")
  # pip does not conclude from a newer manylinux that it may take an older one.
  for platform in manylinux_2_28 manylinux_2_27 manylinux_2_25 manylinux_2_24 manylinux_2_18 manylinux_2_17 manylinux2014 manylinux_2_12 manylinux_2_5; do
    options+=(--platform "${platform}_x86_64")
  done
  [ -t 1 ] || options+=(--progress-bar off)
  python=$(find_pip) || fail "python3 has no pip although python3-pip is installed; try: /usr/bin/python3 -m pip --version"
  # A temporary folder of our own: /tmp may be small, and a killed run leaves nothing outside .deps.
  if ! TMPDIR=$1 PIP_REQUIRE_VIRTUALENV=0 "$python" -m pip download "${options[@]}" -r "$2" 2>"$log"; then
    problem=$(grep -m1 '^ERROR: ' "$log" || tail -n 1 "$log")
    # On a full disk the log is cut off too, after pip's complaint that it cannot write it.
    if grep -qE 'No space left|Logging error' "$log"; then
      fail "the download ran out of disk space: $3 MB are needed in $deps."
    elif grep -q 'DO NOT MATCH THE HASHES' "$log"; then
      fail "a downloaded wheel does not have the checksum pinned in $2, so it was not used."
    elif grep -qE 'NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Failed to establish|ConnectionReset|IncompleteRead' "$log"; then
      fail "pip could not reach the Python package index: check the network or the proxy, or name an existing LibTorch 2.11 with SBM_TORCH_DIR."
    fi
    fail "pip download failed: $problem (all of it: $log)"
  fi
}

# Unpacks of the wheels in $1 into the folder $2 what the CPU program is compiled with and loads.
unpack_wheels() {
  local members missing
  members=('torch/include/*' torch/lib/libtorch_cpu.so torch/lib/libc10.so torch/lib/libgomp.so.1
    'torch-*.dist-info/licenses/*' nvidia/cu13/lib/libcupti.so.13 nvidia/cu13/lib/libcudart.so.13)
  # Now the wheels are at hand; later they would have to be fetched once more.
  [ "$cuda_program" = no ] || members+=("${torch_cuda_members[@]}")
  mkdir "$2"
  local wheel code
  for wheel in "$1"/*.whl; do
    code=0
    unzip -q -o "$wheel" "${members[@]}" -d "$2" >>"$log" 2>&1 || code=$?
    # 11: some of the patterns match nothing in this wheel, as expected.
    [ "$code" -eq 0 ] || [ "$code" -eq 11 ] ||
      fail "could not unpack $(basename "$wheel"): $(tail -n 1 "$log") ($unpacked_space MB are needed in $deps)"
  done
  missing=$(missing_libraries "$2/torch/lib/libtorch_cpu.so")
  [ -z "$missing" ] || fail "the unpacked LibTorch lacks libraries that it needs: $missing"
  wanted_stamp "$requirements" >"$2/.complete"
}

# Nothing of a run that is killed half-way is ever seen: the tree is made beside its place and renamed.
install_libtorch() {
  rm -rf "$deps"/libtorch.tmp.*
  work=$(mktemp -d "$deps/libtorch.tmp.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/wheels"
  download_wheels "$work/wheels" "$requirements" "$download_space"
  say "unpacking into $libtorch"
  unpack_wheels "$work/wheels" "$work/libtorch"
  chmod 755 "$work/libtorch"
  sync -f "$work/libtorch/.complete"
  if [ -e "$libtorch" ]; then mv "$libtorch" "$work/replaced"; fi
  mv "$work/libtorch" "$libtorch"
  rm -rf "$work"
  trap - EXIT
}

# unpack_each FOLDER MEMBER...: of every wheel in $work/wheels into FOLDER, and removes the wheel.
unpack_each() {
  local folder=$1 wheel code
  shift
  for wheel in "$work"/wheels/*.whl; do
    code=0
    unzip -q -o "$wheel" "$@" '*.dist-info/licenses/*' -x '*.a' -d "$folder" >>"$log" 2>&1 || code=$?
    # 11: some of the patterns match nothing in this wheel, as expected.
    [ "$code" -eq 0 ] || [ "$code" -eq 11 ] ||
      fail "could not unpack $(basename "$wheel"): $(tail -n 1 "$log") ($libraries_space MB are needed in $deps)"
    rm -f "$wheel"
  done
}

# LibTorch's CUDA libraries go where torch looks for them, into the tree that the CPU program uses. Files are
# renamed into it one by one, whole; the stamp comes last.
install_cuda_libraries() {
  local missing
  rm -rf "$deps"/libtorch-cuda.tmp.*
  work=$(mktemp -d "$deps/libtorch-cuda.tmp.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/wheels" "$work/tree"
  if ! torch_has_cuda; then
    download_wheels "$work/wheels" "$requirements" "$libraries_space"
    unpack_each "$work/tree" "${torch_cuda_members[@]}"
  fi
  download_wheels "$work/wheels" "$library_requirements" "$libraries_space"
  say "unpacking into $libtorch"
  unpack_each "$work/tree" 'nvidia/*'
  (cd "$work/tree" && find . -type d -exec mkdir -p "$libtorch/{}" \; && find . -type f -exec mv -f {} "$libtorch/{}" \;)
  missing=$(missing_libraries "$libtorch/torch/lib/libtorch_cuda.so")
  [ -z "$missing" ] || fail "the unpacked LibTorch lacks libraries that its CUDA part needs: $missing"
  wanted_stamp "$library_requirements" >"$work/stamp"
  sync -f "$work/stamp"
  mv "$work/stamp" "$libtorch/.complete-cuda"
  rm -rf "$work"
  trap - EXIT
}

# The wheels lie side by side as a toolkit: bin, include, nvvm.
install_cuda_compiler() {
  local wheel
  rm -rf "$deps"/cuda.tmp.*
  work=$(mktemp -d "$deps/cuda.tmp.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/wheels" "$work/cuda"
  download_wheels "$work/wheels" "$cuda_requirements" "$cuda_space"
  for wheel in "$work"/wheels/*.whl; do
    unzip -q -o "$wheel" -d "$work/cuda" >>"$log" 2>&1 ||
      fail "could not unpack $(basename "$wheel"): $(tail -n 1 "$log") ($cuda_space MB are needed in $deps)"
  done
  # unzip knows nothing of the wheels' permissions.
  chmod 755 "$work/cuda" "$work"/cuda/nvidia/cu13/bin/* "$work"/cuda/nvidia/cu13/nvvm/bin/*
  "$work/cuda/nvidia/cu13/bin/nvcc" --version >>"$log" 2>&1 || fail "the downloaded nvcc does not start: $(tail -n 1 "$log")"
  wanted_stamp "$cuda_requirements" >"$work/cuda/.complete"
  rm -rf "$cuda"
  mv "$work/cuda" "$cuda"
  rm -rf "$work"
  trap - EXIT
}

# Another architecture's packages, unpacked beside each other: the system's own lists stay as they are.
install_arm64_libraries() {
  local apt_state options package
  rm -rf "$deps"/arm64.tmp.*
  work=$(mktemp -d "$deps/arm64.tmp.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  apt_state=$work/apt
  mkdir -p "$apt_state/lists/partial" "$apt_state/archives/partial" "$work/packages" "$work/root"
  options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$apt_state"
    -o Dir::Cache="$apt_state" -o Dir::State::status=/dev/null -o Acquire::Retries=3 -o APT::Sandbox::User=)
  if ! (cd "$work/packages" && apt-get "${options[@]}" update && apt-get "${options[@]}" download "${arm64_libraries[@]}") >"$log" 2>&1; then
    fail "the arm64 packages could not be downloaded: $(grep -m1 -E '^E: ' "$log" || tail -n 1 "$log") (all of it: $log)"
  fi
  for package in "$work"/packages/*.deb; do
    dpkg-deb -x "$package" "$work/root" || fail "could not unpack $(basename "$package")"
  done
  rm -rf "$deps/arm64"
  chmod 755 "$work/root"
  mv "$work/root" "$deps/arm64"
  printf '%s\n' "${arm64_libraries[@]}" >"$deps/arm64/.complete"
  rm -rf "$work"
  trap - EXIT
}

arm64_ready() { [ "$(cat "$deps/arm64/.complete" 2>/dev/null)" = "$(printf '%s\n' "${arm64_libraries[@]}")" ]; }

main() {
  read_options "$@"
  check_system

  local wanted=("${build_packages[@]}") missing=() package need_libtorch=no
  [ "$checks" = no ] || wanted+=("${check_packages[@]}")
  [ "$fuzz" = no ] || wanted+=("${fuzz_packages[@]}")
  local need_arm64=no
  if [ "$arm64" = yes ]; then
    wanted+=("${arm64_packages[@]}")
    arm64_ready || need_arm64=yes
  fi
  local need_libraries=no
  if [ -n "${SBM_TORCH_DIR:-}" ]; then
    check_given_torch
    [ "$cuda_program" = no ] || check_given_torch_cuda
  elif ! libtorch_ready; then
    need_libtorch=yes
    find_pip >/dev/null || wanted+=(python3-pip)
    wanted+=(unzip ca-certificates)
  fi
  if [ "$cuda_program" = yes ] && [ -z "${SBM_TORCH_DIR:-}" ] && ! cuda_libraries_ready; then
    need_libraries=yes
    find_pip >/dev/null || wanted+=(python3-pip)
    wanted+=(unzip ca-certificates)
  fi
  local need_cuda=no
  if [ "$cuda_compiler" = yes ] && ! cuda_ready; then
    need_cuda=yes
    find_pip >/dev/null || wanted+=(python3-pip)
    wanted+=(unzip ca-certificates)
  fi
  local missing_arm64=0 missing_fuzz=0
  for package in "${wanted[@]}"; do
    installed "$package" && continue
    missing+=("$package")
    case " ${arm64_packages[*]} " in *" $package "*) missing_arm64=$((missing_arm64 + 1)) ;; esac
    case " ${fuzz_packages[*]} " in *" $package "*) missing_fuzz=$((missing_fuzz + 1)) ;; esac
  done

  local tree_space=$build_space
  [ "$need_libtorch" = no ] || tree_space=$((tree_space + download_space + unpacked_space))
  [ "$need_cuda" = no ] || tree_space=$((tree_space + cuda_space))
  [ "$need_libraries" = no ] || tree_space=$((tree_space + libraries_space))
  if [ ${#missing[@]} -gt 0 ]; then
    say "will install with apt: ${missing[*]}"
    find_apt "${missing[@]}"
  fi
  if [ "$need_libtorch" = yes ]; then
    say "will download into .deps/libtorch (545 MB; 520 MB stay): $(wanted_stamp "$requirements" | grep '==' | tr '\n' ' ')"
  fi
  if [ "$need_cuda" = yes ]; then
    say "will download into .deps/cuda (110 MB; 280 MB stay): $(wanted_stamp "$cuda_requirements" | grep '==' | tr '\n' ' ')"
  fi
  if [ "$need_libraries" = yes ]; then
    say "will download into .deps/libtorch for CUDA (1.9 GB; 2.7 GB stay): $(wanted_stamp "$library_requirements" | grep '==' | tr '\n' ' ')"
  fi
  if [ "$need_arm64" = yes ]; then
    say "will download into .deps/arm64 (1 MB): ${arm64_libraries[*]}, for arm64"
  fi
  # In proportion to what is missing: one forgotten header package must not ask for a gigabyte.
  local packages=$((packages_space * (${#missing[@]} - missing_arm64 - missing_fuzz) / (${#build_packages[@]} + ${#download_packages[@]})))
  packages=$((packages + arm64_space * missing_arm64 / ${#arm64_packages[@]} + fuzz_space * missing_fuzz / ${#fuzz_packages[@]}))
  check_space "$packages" "$tree_space"

  local need_any=no
  case $need_libtorch$need_cuda$need_libraries$need_arm64 in *yes*) need_any=yes ;; esac
  [ ${#missing[@]} -eq 0 ] || need_any=yes
  if [ "$need_any" = yes ]; then
    mkdir -p "$deps" 2>/dev/null && [ -w "$deps" ] || fail "cannot write to $deps: run this as the owner of $root."
    exec 9>"$deps/.lock"
    flock -n 9 || { say "waiting for another set-up in $deps"; flock 9; }
  fi
  if [ ${#missing[@]} -gt 0 ]; then
    install_packages "${missing[@]}"
    say "installed ${#missing[@]} packages"
  fi
  if [ "$need_libtorch" = yes ] && ! libtorch_ready; then
    install_libtorch
    say "LibTorch is ready in $libtorch"
  fi
  if [ "$need_cuda" = yes ] && ! cuda_ready; then
    install_cuda_compiler
    say "the compiler of CUDA is ready in $cuda"
  fi
  if [ "$need_libraries" = yes ] && ! cuda_libraries_ready; then
    install_cuda_libraries
    say "LibTorch's CUDA libraries are ready in $libtorch"
  fi
  if [ "$need_arm64" = yes ] && ! arm64_ready; then
    install_arm64_libraries
    say "libraries for arm64 are ready in $deps/arm64"
  fi
  [ "$need_any" = yes ] || say "everything is there"
}

main "$@"
