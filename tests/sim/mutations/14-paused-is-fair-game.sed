# states.cpp: paused containers are healed
/if \(s\.overlays\.paused\) return "it is paused";/d; s/return s\.state == State::recovering \? State::unhealthy : s\.state;/return State::unhealthy;/
