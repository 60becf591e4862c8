#include <iostream>
#include <memory>
#include <string>

#include "launch/command.h"
#include "trainer/report.h"

namespace sbm::launch {

void add_report_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "report",
      "Write report.html of a run: curves, densities, masks; one file, no network needed");
  auto folder = std::make_shared<std::string>();
  command->add_option("run_dir", *folder, "Run folder")->required();
  command->callback([folder, &action] {
    action = [folder](Session&) {
      std::cout << trainer::write_report(*folder).string() << "\n";
      return kDone;
    };
  });
}

}  // namespace sbm::launch
