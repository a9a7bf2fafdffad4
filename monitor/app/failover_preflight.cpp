#include "app/failover.hpp"
namespace sentinel::app {
int run_preflight(const FailoverSettings&, bool) { return 0; }
}  // namespace sentinel::app
