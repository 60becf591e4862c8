#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cpu/target.h"
#include "launch/command.h"
#include "launch/finding.h"
#include "launch/gpu_findings.h"
#include "launch/print_json.h"
#include "launch/version.h"

namespace sbm::launch {
namespace {

double gibibytes(double bytes) { return bytes / (1024.0 * 1024.0 * 1024.0); }

Finding processors() {
  return {"processors", true,
          fmt::format("{}, kernels run as {}", std::thread::hardware_concurrency(),
                      kernels::cpu::target_name())};
}

Finding memory() {
  const auto bytes = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                     static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  const bool enough = gibibytes(bytes) >= 2.0;
  return {"memory", enough,
          fmt::format("{:.1f} GiB{}", gibibytes(bytes), enough ? "" : "; expected at least 2 GiB")};
}

Finding shared_memory() {
  struct statvfs system {};
  if (::statvfs("/dev/shm", &system) != 0) {
    return {"/dev/shm", false, "not there; Open MPI's ranks on one host need it"};
  }
  const double bytes = static_cast<double>(system.f_bavail) * static_cast<double>(system.f_frsize);
  const bool enough = bytes >= 64.0 * 1024 * 1024;
  return {"/dev/shm", enough,
          fmt::format("{:.2f} GiB free{}", gibibytes(bytes),
                      enough ? "" : "; expected 64 MiB (in a container: --shm-size=1g)")};
}

Finding run_disk() {
  const auto space = std::filesystem::space(".");
  const bool writable = ::access(".", W_OK) == 0;
  return {"this folder", writable,
          writable ? fmt::format("writable, {:.1f} GiB free",
                                 gibibytes(static_cast<double>(space.available)))
                   : "not writable; name a run folder elsewhere with --run-dir"};
}

Finding ranks(Session& session) {
  if (!distributed::MpiEnvironment::launched_by_mpi()) {
    return {"ranks", true, "one process (start it under mpirun for more)"};
  }
  distributed::Communicator& communicator = session.communicator();
  return {"ranks", true,
          fmt::format("rank {} of {} on {}", communicator.rank(), communicator.world_size(),
                      communicator.host())};
}

int run_doctor(Session& session, bool json) {
  std::vector<Finding> findings = {processors(), memory(), shared_memory(), run_disk(),
                                   ranks(session)};
  std::ranges::move(gpu_findings(session.communicator(), trainer::find_gpus()),
                    std::back_inserter(findings));
  if (!session.is_first_rank()) return kDone;
  bool good = true;
  nlohmann::json all = nlohmann::json::object();
  for (const Finding& finding : findings) {
    good = good && finding.good;
    all[finding.subject] = {{"good", finding.good}, {"found", finding.text}};
  }
  if (json) {
    print_json({{"good", good}, {"versions", version_text()}, {"findings", all}});
  } else {
    std::cout << version_text() << "\n\n";
    for (const Finding& finding : findings) {
      std::cout << fmt::format("{} {:<12} {}\n", finding.good ? "ok  " : "BAD ", finding.subject,
                               finding.text);
    }
  }
  return good ? kDone : kUsageError;
}

}  // namespace

void add_doctor_command(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("doctor", "Check this machine: what there is, what is missing");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "One JSON object on stdout");
  command->callback([json, &action] {
    action = [json](Session& session) { return run_doctor(session, *json); };
  });
}

}  // namespace sbm::launch
