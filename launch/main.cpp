#include "launch/program.h"

int main(int argc, char** argv) { return sbm::launch::run_program(argc, argv); }
