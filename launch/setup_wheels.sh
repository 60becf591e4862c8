# LibTorch, its CUDA libraries and CUDA's compiler from wheels, for launch/setup.sh, which reads this file: what is there,
# what a list pins, and how it gets into .deps. Whoever reads it has set the places, spaces and options that setup.sh names
# at its beginning, and say() and fail().

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
