# operation.cpp: an answer is believed in any phase and for any step
s/if \(op\.phase != Phase::acting \|\| op\.step != event\.step\) return;/if (op.phase < Phase::acting) return;/
