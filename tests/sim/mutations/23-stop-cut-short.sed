# states.cpp: what somebody is just stopping is healed
/if \(being_stopped\(s\)\) return "somebody is stopping it";/d
