// main() of tests that call extensions: the test program re-executes itself as the worker, as agent and installer do.
#include <gtest/gtest.h>

#include "device/extension/worker.hpp"

int main(int argc, char** argv) {
  if (const int status = godwit::extension::run_if_extension_worker(argc, argv); status >= 0) return status;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
