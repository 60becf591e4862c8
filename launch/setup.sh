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

# shellcheck source=launch/setup_wheels.sh
. "$root/launch/setup_wheels.sh"

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
    say "will download into .deps/libtorch for CUDA (1.9 GB; 3.1 GB stay): $(wanted_stamp "$library_requirements" | grep '==' | tr '\n' ' ')"
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
