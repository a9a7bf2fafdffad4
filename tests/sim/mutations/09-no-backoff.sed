# ledger.cpp: no wait between attempts
s/if \(used == 0\) return Duration\{\};/if (used < 1000) return Duration{};/
