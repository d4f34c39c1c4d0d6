// godwit-fleet: virtual devices for load tests. Wiring only.
#include "tools/fleet/app.hpp"

int main(int argc, char** argv) { return godwit::fleet::run(argc, argv); }
