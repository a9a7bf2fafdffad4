# healing.cpp: trials follow each other at once
s/s\.trial_at = settings\.trial > Duration\{\} \? after\(now_, settings\.trial\) : never;/s.trial_at = now_;/; s/if \(trial\) s\.trial_at = .*/if (trial) s.trial_at = now_;/
