# The libraries this project stands on. Debian's packages, but for LibTorch (launch/setup.sh).

find_package(Threads REQUIRED)
find_package(hwy 1.0.3 REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
find_package(ICU 72 REQUIRED COMPONENTS uc i18n)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(PNG 1.6 REQUIRED)

if(SBM_BUILD_TESTS)
  find_package(GTest 1.12 REQUIRED)
  include(GoogleTest)
endif()

if(SBM_WITH_TORCH)
  find_package(MPI REQUIRED COMPONENTS C)
  find_package(CLI11 2.1 REQUIRED)
  find_package(spdlog 1.10 REQUIRED)
  include(SbmTorch)
endif()
